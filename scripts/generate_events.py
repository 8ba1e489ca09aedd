"""Write docs/reference/events.md from the AsyncAPI document (`python -m scripts.generate_events [--check]`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.api_schemas import Shape, kind
from scripts.generate_api import meaning
from scripts.generate_messages import asyncapi
from services.api.usecases.events import KEEP_ALIVE, LONGEST
from shared.contracts.cadf import CHANGES, CREATE_ASKED
from shared.domain.bay_state import BayEvent

TARGET: Final = Path(__file__).parents[1] / "docs" / "reference" / "events.md"

_HEAD: Final = f"""\
# Events

Drawn from [asyncapi.json](../asyncapi.json) by `make generate`; do not edit.

| you want to hear | take | for whom |
| --- | --- | --- |
| what happens to one bay, as it happens | [its stream](#the-stream-of-a-bay) | who may see the bay |
| of every bay's changes, as Magnum tells them | [notifications](#notifications) | who runs the cloud |
| what our services tell one another | [messages](../messages.md) | who changes Jeroboam |

## The stream of a bay

[`GET /v1/bays/{{bay}}/events`](api/bays.md#what-happens-to-a-bay-as-it-happens), or `/v1/clusters/{{cluster}}/events`:
server-sent events, `text/event-stream`. The present state comes first, then every change within a second.

```bash
curl -sN -H "X-Auth-Token: $TOKEN" "$API/bays/k8sbay/events"
```

- The id of a `status` is its number in the bay's history. Connect again with `Last-Event-ID: <number>` and no `status`
  is missed; an `operation` comes as it is by then.
- A comment comes after {KEEP_ALIVE:g} s without an event. A stream ends after {LONGEST / 60:g} minutes at most, since
  the token is looked at when it begins, and when the service stops: connect again. 404 then means: the bay is gone.
- A service has `JEROBOAM_EVENTS_STREAMS` streams, a quarter of them for one project; then 503 with `Retry-After`.
- Ignore events and fields that you do not know: there may be more of both.
"""

_NOTIFICATIONS: Final = """
## Notifications

Sent when `JEROBOAM_NOTIFICATIONS` is on, to the exchange that Magnum uses, in its format
([how](../operator-guide.md#notifications)). What happens to a bay, and what is told of it:

| what happens | event type | outcome | queue |
| --- | --- | --- | --- |"""


def render() -> str:
    """The whole document."""
    stream = json.loads(asyncapi())["channels"]["events"]["messages"]
    lines = [_HEAD]
    for name, message in stream.items():
        lines += [f"### {name}", "", message["summary"], "", *_fields(message["payload"]), ""]
    lines += [f"The `event` of a `status` is `create asked` or one of {_list(BayEvent)}.", _NOTIFICATIONS]
    for event, change in [("create asked", CREATE_ASKED), *CHANGES.items()]:
        queue = "notifications.error" if change.outcome == "failure" else "notifications.info"
        lines.append(f"| {event} | `magnum.cluster.{change.action}` | `{change.outcome}` | `{queue}` |")
    return "\n".join(lines) + "\n"


def _fields(payload: Shape) -> Iterator[str]:
    yield from ("| field | value | meaning |", "| --- | --- | --- |")
    for name, shape in payload["properties"].items():
        inner = shape.get("items", {})
        value = f"list of [{inner['title']}](api/bays.md#{inner['title'].lower()})" if "title" in inner else kind(shape)
        yield f"| `{name}` | {value} | {meaning(payload['title'], name, shape)} |"


def _list(words: type[BayEvent]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def main(arguments: list[str]) -> int:
    """Write the file, or with --check say whether it is stale; returns the exit status."""
    text = render()
    stale = not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text
    if "--check" in arguments:
        if stale:
            sys.stderr.write("docs/reference/events.md is stale: run make generate\n")
        return 1 if stale else 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
