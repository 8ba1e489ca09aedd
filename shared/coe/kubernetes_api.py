"""Kubernetes' HTTP API as far as we call it: lists in pages, one node, and changes to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from shared.coe.connect import Answer, Channel
from shared.coe.errors import Rubbish, sense
from shared.coe.kubernetes_wire import ListMeta, Page
from shared.coe.reading import Doc, doc, inner, maybe
from shared.domain.errors import CloudError

_PAGE: Final = 1_000
_PAGES: Final = 200
"""An API that goes on has no end. So many full pages are all that `Room` has room for."""
_BYTES: Final = 64 * 1024 * 1024
_ITEMS: Final = 200_000
"""Pods of the largest cluster that Kubernetes is made for, and a third more."""
_GONE: Final = 410
_MERGE: Final = "application/merge-patch+json"

T = TypeVar("T")


@dataclass(slots=True)
class Listed(Generic[T]):
    """The items of a list, and when the API gave it by its own clock."""

    items: list[T] = field(default_factory=list)
    now: datetime | None = None


@dataclass(slots=True)
class Room:
    """What one look may read, over all its lists and pages: our memory is shared by all bays."""

    bytes: int = _BYTES
    items: int = _ITEMS

    def take(self, service: str, *, bytes: int = 0, items: int = 0) -> None:  # noqa: A002
        """Raises Rubbish when it is too much."""
        self.bytes -= bytes
        self.items -= items
        if self.bytes < 0:
            raise Rubbish(service, f"more than {_BYTES} bytes in lists")
        if self.items < 0:
            raise Rubbish(service, f"more than {_ITEMS} items in lists")


class Api:
    """Of one cluster. Everything raises CloudError."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    async def list(self, path: str, kind: TypeAdapter[Page[T]], room: Room | None = None, **params: str) -> Listed[T]:
        """All items, for which there is `room`. An API that is older than pages (1.9) gives them in one."""
        found, more, room = Listed[T](), {"limit": str(_PAGE)}, room or Room()
        for _ in range(_PAGES):
            answer = await self.channel.call("GET", path, params={**params, **more}, allow={_GONE})
            if answer.status == _GONE:
                raise CloudError(
                    "The bay's Kubernetes changed while it was read.", service=self.channel.service, retryable=True
                )
            room.take(self.channel.service, bytes=len(answer.body))
            with sense(self.channel.service):
                page = kind.validate_json(answer.body)
                found.items += page["items"] or ()
                room.take(self.channel.service, items=len(page["items"] or ()))
                more["continue"] = (page.get("metadata") or ListMeta()).get("continue") or ""
            found.now = _date(answer)
            if not more["continue"]:
                return found
        raise Rubbish(self.channel.service, "a list without an end")

    async def node(self, name: str) -> Doc | None:
        """A node, None when there is none of that name."""
        answer = await self.channel.call("GET", node_path(name), allow={404})
        if answer.status == 404:
            return None
        with sense(self.channel.service):
            return doc(answer.json())

    async def patch_node(self, node: Doc, change: Mapping[str, object]) -> bool:
        """Change a node, unless it has been changed since it was read (False) or is gone."""
        with sense(self.channel.service):
            meta = inner(node, "metadata")
            path, version = node_path(meta["name"]), maybe(meta, "resourceVersion")
        changed = {**change, "metadata": {**inner(change, "metadata"), "resourceVersion": version}}
        answer = await self.channel.call("PATCH", path, json=changed, kind=_MERGE, allow={404, 409})
        return answer.status != 409


def node_path(name: str) -> str:
    """Of a node in the API. A name is the API's own; but what it tells is not to choose another path."""
    return f"/api/v1/nodes/{quote(name, safe='')}"


def _date(answer: Answer) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
