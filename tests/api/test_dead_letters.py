"""Dead letters through the API: who sees them, what is sent again and what is not, and what happens at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest

from tests.api.harness import System, detail, unique

_INSERT: Final = (
    "INSERT INTO dead_letters (id, service, queue, message_id, name, version, body, headers, reason) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)"
)
_PATIENCE: Final = 30.0

Write = Callable[..., Any]


def looks_at() -> str:
    """The body of a message about an operation that there is not: whoever gets it finds nothing due."""
    return json.dumps({"operation_id": str(uuid4()), "bay_id": str(uuid4())})


@pytest.fixture
async def service(system: System) -> AsyncIterator[str]:
    """A service of a name that no other test has; its letters are gone afterwards, with what was sent of them."""
    name = unique("provisioner")
    yield name
    gone = await system.sql("DELETE FROM dead_letters WHERE service = $1 RETURNING message_id", name)
    ids = [row["message_id"] for row in gone]
    await system.sql("DELETE FROM bus_messages WHERE id::text = ANY($1)", ids)
    await system.sql("DELETE FROM outbox WHERE id::text = ANY($1)", ids)


async def letter(system: System, service: str, **other: object) -> str:
    """A letter in the table; `other` are columns. Its id."""
    made = {
        "id": uuid4(),
        "service": service,
        "queue": "provisioner",
        "message_id": str(uuid4()),
        "name": "bay.authorities.ready",
        "version": 1,
        "body": looks_at(),
        "headers": "{}",
        "reason": "failed 5 times, last: OSError: away",
        **other,
    }
    await system.sql(_INSERT, *made.values())
    return str(made["id"])


async def on_the_bus(system: System, message_id: str) -> list[Any]:
    """The rows that the Postgres bus has of a message; nobody reads the provisioner's queue here."""
    return await system.sql("SELECT queue, name, version, body FROM bus_messages WHERE id = $1", UUID(message_id))


async def published(system: System, message_id: str) -> list[Any]:
    """The same, once it has come there."""
    async with asyncio.timeout(_PATIENCE):
        while not (found := await on_the_bus(system, message_id)):
            await asyncio.sleep(0.05)
    return found


def resend(system: System, ident: str) -> httpx.Response:
    return system.call("POST", f"/v1/dead_letters/{ident}/actions/resend", user="admin")


async def test_the_newest_come_first_and_pages_miss_none(system: System, service: str) -> None:
    letters = [await letter(system, service) for _ in range(5)]
    seen: list[str] = []
    path = f"/v1/dead_letters?service={service}&limit=2"
    while path:
        page = system.call("GET", path, user="admin").json()
        assert len(page["dead_letters"]) <= 2
        seen += [one["id"] for one in page["dead_letters"]]
        path = page.get("next", "").removeprefix(system.api_url)
    assert seen == letters[::-1]


async def test_filters(system: System, service: str) -> None:
    plain = await letter(system, service)
    other = await letter(system, service, name="bay.created", queue="scaler")
    sent = await letter(system, service)
    await system.sql("UPDATE dead_letters SET requeued_at = now() WHERE id = $1", UUID(sent))

    def listed(query: str) -> set[str]:
        answer = system.call("GET", f"/v1/dead_letters?service={service}{query}", user="admin")
        return {one["id"] for one in answer.json()["dead_letters"]}

    assert listed("") == {plain, other, sent}
    assert listed("&name=bay.created") == {other}
    assert listed("&resent=true") == {sent}
    assert listed("&resent=false") == {plain, other}


async def test_one_is_shown_whole(system: System, service: str) -> None:
    body = looks_at()
    ident = await letter(system, service, body=body, headers='{"traceparent": "00-1"}')
    found = system.call("GET", f"/v1/dead_letters/{ident}", user="admin").json()
    assert (found["body"], found["headers"], found["obstacle"]) == (body, {"traceparent": "00-1"}, None)
    assert found["created_at"].endswith("+00:00")
    assert found["resent_at"] is None
    listed = system.call("GET", f"/v1/dead_letters?service={service}", user="admin").json()["dead_letters"][0]
    assert found.keys() - listed.keys() == {"body", "headers", "obstacle"}


async def test_resend_publishes_the_same_message_once(system: System, service: str) -> None:
    message, body = str(uuid4()), looks_at()
    ident = await letter(system, service, message_id=message, body=body)
    answer = resend(system, ident)
    assert answer.status_code == 202
    assert answer.json()["resent_at"] is not None
    rows = await published(system, message)
    assert [tuple(row) for row in rows] == [("jeroboam.provisioner", "bay.authorities.ready", 1, body.encode())]
    again = resend(system, ident)
    assert again.status_code == 409
    assert detail(again).startswith("It was sent again at ")
    assert len(await on_the_bus(system, message)) == 1


async def test_of_two_at_once_one_sends(system: System, service: str) -> None:
    message = str(uuid4())
    ident = await letter(system, service, message_id=message)
    answers = await asyncio.gather(*(asyncio.to_thread(resend, system, ident) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert len(await published(system, message)) == 1


async def test_two_letters_about_one_message_can_both_be_sent(system: System, service: str) -> None:
    """A worker that dies after it wrote the letter lets the message die again."""
    message = str(uuid4())
    for ident in [await letter(system, service, message_id=message) for _ in range(2)]:
        assert resend(system, ident).status_code == 202
    assert 1 <= len(await published(system, message)) <= 2


@pytest.mark.parametrize("removed", [True, False], ids=["the relay removes it", "the relay died"])
async def test_the_row_of_the_first_sending_may_be_there_still(system: System, service: str, removed: bool) -> None:
    """Either way one row is published: the first one, or, when its relay took it away just now, another."""
    message = uuid4()
    ident = await letter(system, service, message_id=str(message))
    await system.sql(
        "INSERT INTO outbox (id, service, name, version, body) VALUES ($1, 'nobody', 'bay.authorities.ready', 1, '{}')",
        message,
    )
    async with _holding(system, message) as (relay, transaction):
        sending = asyncio.create_task(asyncio.to_thread(resend, system, ident))
        await _waits_for_a_lock(system)
        if removed:
            await relay.execute("DELETE FROM outbox WHERE id = $1", message)
            await transaction.commit()
        else:
            await transaction.rollback()
        assert (await sending).status_code == 202
    if removed:
        assert len(await published(system, str(message))) == 1
    else:
        left = await system.sql("SELECT service FROM outbox WHERE id = $1", message)
        assert [row["service"] for row in left] == ["nobody"]


@asynccontextmanager
async def _holding(system: System, message: UUID) -> AsyncIterator[tuple[Any, Any]]:
    """A relay in the midst of its work."""
    relay = await asyncpg.connect(system.dsn)
    try:
        transaction = relay.transaction()
        await transaction.start()
        await relay.execute("SELECT FROM outbox WHERE id = $1 FOR UPDATE", message)
        yield relay, transaction
    finally:
        await relay.close()


async def _waits_for_a_lock(system: System) -> None:
    waiting = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query ILIKE '%INTO outbox%'"
    )
    async with asyncio.timeout(_PATIENCE):
        while not await system.sql(waiting):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"body": '{"operation_id": "8a1e'}, "No service can read it (bay.authorities.ready v1: "),
        ({"body": '{"token": "s3cr3t"}'}, "No service can read it"),
        ({"name": "bay.exploded"}, "unknown message 'bay.exploded'"),
        ({"version": 99}, "unknown version 99"),
        ({"message_id": "not-a-uuid"}, "it lacks its id, its name or its version"),
        ({"message_id": None, "name": None, "version": None}, "it lacks its id, its name or its version"),
        ({"queue": "certs"}, "The queue certs does not take bay.authorities.ready"),
        (
            {
                "name": "certificate.sign.requested",
                "queue": "certs",
                "body": json.dumps({"bay_id": str(uuid4()), "sign_request_id": str(uuid4()), "reply_to": "x"}),
            },
            "Nobody waits for it any more, since certificate.sign.requested is asked again",
        ),
    ],
    ids=["cut", "fields", "unknown", "version", "id", "nothing", "queue", "expired"],
)
async def test_what_cannot_help_is_refused(
    system: System, service: str, columns: dict[str, object], words: str
) -> None:
    ident = await letter(system, service, **columns)
    assert words in system.call("GET", f"/v1/dead_letters/{ident}", user="admin").json()["obstacle"]
    answer = resend(system, ident)
    assert answer.status_code == 409
    assert words in detail(answer)
    assert "s3cr3t" not in answer.text
    (row,) = await system.sql("SELECT requeued_at FROM dead_letters WHERE id = $1", UUID(ident))
    assert row["requeued_at"] is None


async def test_drop(system: System, service: str) -> None:
    ident, message = await letter(system, service), str(uuid4())
    path = f"/v1/dead_letters/{ident}"
    assert system.call("DELETE", path, user="admin").status_code == 204
    for method, below in (("DELETE", ""), ("GET", ""), ("POST", "/actions/resend")):
        gone = system.call(method, path + below, user="admin")
        assert gone.status_code == 404
        assert detail(gone) == f"Dead letter {ident} could not be found."
    sent = await letter(system, service, message_id=message)
    assert resend(system, sent).status_code == 202
    assert system.call("DELETE", f"/v1/dead_letters/{sent}", user="admin").status_code == 204
    assert len(await published(system, message)) == 1
    await system.sql("DELETE FROM bus_messages WHERE id = $1", UUID(message))


@pytest.mark.parametrize("user", ["demo", "reader"])
async def test_for_administrators_only(system: System, service: str, user: str) -> None:
    ident = await letter(system, service)
    for method, path, rule in (
        ("GET", "", "get_all"),
        ("GET", f"/{ident}", "get"),
        ("GET", f"/{uuid4()}", "get"),
        ("POST", f"/{ident}/actions/resend", "resend"),
        ("DELETE", f"/{ident}", "delete"),
    ):
        refused = system.call(method, f"/v1/dead_letters{path}", user=user)
        assert refused.status_code == 403
        assert detail(refused) == f"Policy doesn't allow dead_letter:{rule} to be performed."
    assert system.call("GET", f"/v1/dead_letters/{ident}", user=None).status_code == 401


def test_what_is_asked_wrongly(system: System) -> None:
    for path in ("/v1/dead_letters/nonsense", f"/v1/dead_letters/{uuid4()}", f"/v1/dead_letters?marker={uuid4()}"):
        assert system.call("GET", path, user="admin").status_code == 404
    for query in ("limit=0", "marker=x", "resent=maybe", "sort_key=id", "service=a&service=b"):
        assert system.call("GET", f"/v1/dead_letters?{query}", user="admin").status_code == 400
    assert system.call("GET", "/dead_letters/", user="admin", version="14").status_code == 200
