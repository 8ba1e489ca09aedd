"""What administrators do with dead letters: look at them, send them again, drop them.

To send one again is a message like any other: row first. The outbox row and the note in the letter are one transaction,
and the gateway's relay publishes the row under the id that the message had, so that logs, and whoever looks at ids,
know it for the same message. What can happen meanwhile, race by race:

- Two send the same letter: the letter is locked first, so the second finds it sent and is refused with 409.
- One sends and one drops it: whoever has the lock first. A dropped letter is not found; one that is dropped after it
  was sent is gone from the table, and its message goes on.
- The gateway dies before the commit: nothing has happened. After it: the relay of any gateway finds the row.
- The row of the first sending is still in the outbox: see `outbox.add_again`. There is one row, and it is published.
- A relay dies between the broker's word and its own: the message goes out twice. So it does, when two letters tell of
  one message (a worker that died after it had written the first) and both are sent. A double is harmless, because a
  message only says "look at this operation", and what is to be done is in the operation's row: whoever has the lease
  works, and who comes second finds nothing due.
- The operation has gone on, ended or gone with its bay, since its service found it by itself (within a sweep): the
  message finds nothing due.
- It dies again: that is another letter, with the same message id. The count of attempts began anew.

What cannot help is refused: a message that its service could not read then and cannot now, one that nobody waits for
any more (a signature's asker has had its answer or its 503), one that was in a queue where it does not belong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import structlog

from services.api.factory import SERVICE, Context
from services.api.paging import read_page
from services.api.request import Facts, flag
from shared.contracts import Envelope, MalformedMessage, decode
from shared.contracts.registry import queues_of
from shared.db.repositories import dead_letters, outbox
from shared.db.repositories.dead_letters import Brief, Letter
from shared.db.repositories.documents import Shelf
from shared.db.repositories.outbox import OutboxRow
from shared.domain.errors import Conflict, NotFound

_log = structlog.get_logger(__name__)

FILTERS: Final = ("service", "name", "resent")
_SHELF: Final = Shelf("dead_letters", "", {"id": ""})


@dataclass(frozen=True)
class LetterPage:
    """A page of dead letters, and the query of the next one; None: this one is not full."""

    letters: list[Brief]
    query: str | None


async def list_page(context: Context, facts: Facts, asked: Mapping[str, str]) -> LetterPage:
    """The letters, newest first.

    Raises:
        Forbidden: it is for administrators.
        InvalidInput, NotFound: the page asked for is none.
    """
    context.policy.enforce(facts.caller, "dead_letter:get_all")
    filters = {name: asked[name] for name in FILTERS if name in asked}
    page = read_page(
        {name: asked[name] for name in asked if name not in FILTERS}, _SHELF, most=context.settings.max_limit
    )
    async with context.engine.connect() as conn:
        found = await dead_letters.page(
            conn,
            limit=page.limit,
            marker=page.marker,
            service=filters.get("service"),
            name=filters.get("name"),
            resent=flag(filters, "resent") if "resent" in filters else None,
        )
    if found is None:
        raise _missing(page.marker)
    full = len(found) == page.limit
    return LetterPage(found, urlencode({**filters, "limit": page.limit, "marker": found[-1].id}) if full else None)


async def show(context: Context, facts: Facts, ident: str) -> dict[str, object]:
    """A letter, whole. Raises Forbidden, NotFound."""
    context.policy.enforce(facts.caller, "dead_letter:get")
    async with context.engine.connect() as conn:
        found = await dead_letters.get(conn, _id(ident))
    if found is None:
        raise _missing(ident)
    return whole(found)


async def resend(context: Context, facts: Facts, ident: str) -> dict[str, object]:
    """Have the letter's message published again; the letter as it is then.

    Raises:
        Forbidden: it is for administrators.
        NotFound: no such letter.
        Conflict: it was sent again already, or sending it cannot help.
    """
    context.policy.enforce(facts.caller, "dead_letter:resend")
    async with context.engine.begin() as conn:
        letter = await dead_letters.lock(conn, _id(ident))
        if letter is None:
            raise _missing(ident)
        if (why := obstacle(letter)) is not None:
            raise Conflict(why)
        await outbox.add_again(conn, SERVICE, _row(letter))
        sent = await dead_letters.resent(conn, letter.id)
    assert sent is not None  # noqa: S101 - locked above
    context.committed()
    _log.info("dead letter sent again", letter=str(letter.id), message=letter.message_id, user=facts.caller.user_id)
    return whole(sent)


async def drop(context: Context, facts: Facts, ident: str) -> None:
    """Forget a letter. Raises Forbidden, NotFound."""
    context.policy.enforce(facts.caller, "dead_letter:delete")
    async with context.engine.begin() as conn:
        if not await dead_letters.remove(conn, _id(ident)):
            raise _missing(ident)
    _log.info("dead letter dropped", letter=ident, user=facts.caller.user_id)


def whole(letter: Letter) -> dict[str, object]:
    """As clients see it."""
    return {**asdict(letter), "obstacle": obstacle(letter)}


def obstacle(letter: Letter) -> str | None:
    """Why the letter's message cannot be sent again, or None."""
    if letter.resent_at is not None:
        return f"It was sent again at {letter.resent_at}: if it died once more, there is another letter about it."
    try:
        message = decode(_envelope(letter))
    except MalformedMessage as error:
        return f"No service can read it ({error.reason}): drop it."
    if message.ttl is not None:
        return f"Nobody waits for it any more, since {message.name} is asked again after some seconds: drop it."
    if letter.queue not in queues_of(message.name):
        return (
            f"The queue {letter.queue} does not take {message.name}: whoever put it there was not one of ours. Drop it."
        )
    return None


def _envelope(letter: Letter) -> Envelope:
    """What was in the letter. Raises MalformedMessage where not even that can be told."""
    message_id = None if letter.message_id is None else _uuid(letter.message_id)
    if message_id is None or letter.name is None or letter.version is None:
        raise MalformedMessage("it lacks its id, its name or its version")
    return Envelope(message_id, letter.name, letter.version, letter.body.encode())


def _row(letter: Letter) -> OutboxRow:
    envelope = _envelope(letter)
    return OutboxRow(envelope.id, envelope.name, envelope.version, letter.body, {})


def _id(ident: str) -> UUID:
    found = _uuid(ident)
    if found is None:
        raise _missing(ident)
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _missing(ident: object) -> NotFound:
    return NotFound(f"Dead letter {str(ident)[:255]} could not be found.")
