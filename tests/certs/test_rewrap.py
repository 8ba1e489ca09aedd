"""The exchange of the master key: every record comes under the new one, whatever happens on the way."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.certs.envelope import Envelope, EnvelopeError, MasterKey
from services.certs.key_store import DatabaseKeys, Keys
from services.certs.rewrap import rewrap
from shared.db.engine import make_engine
from shared.db.repositories import authorities
from shared.db.repositories.authorities import Authority, SealedKey, SecretRef
from tests.certs.process import environment
from tests.certs.requests import csr
from tests.certs.world import MASTER_KEY, ROLE, World, as_role, database_keys, new_bay

OLD = MasterKey.from_base64(MASTER_KEY)
NEW_TEXT = base64.b64encode(os.urandom(32)).decode()
NEW = MasterKey.from_base64(NEW_TEXT)
BOTH = Envelope(NEW, [OLD])
SOME = 7


def quiet(_sentence: str) -> None:
    """Nobody watches."""


async def seal_some(world: World, master: MasterKey = OLD, count: int = SOME) -> list[UUID]:
    """So many more authorities of the bay, with keys under that master key."""
    taken = await world.column("SELECT coalesce(max(generation), 0) FROM authorities")
    first = int(str(taken[0])) + 1
    made = []
    async with world.engine.begin() as conn:
        for generation in range(first, first + count):
            one = Authority(
                uuid4(), world.bay_id, "kubernetes", generation, "PEM", datetime.now(UTC) + timedelta(days=1)
            )
            key = Envelope(master).seal(f"key {one.id}".encode(), bay_id=world.bay_id, authority_id=one.id)
            await authorities.add(conn, one, key)
            made.append(one.id)
    return made


async def under(world: World) -> dict[object, object]:
    """How many are under which master key."""
    rows = await world.rows("SELECT key_id, count(*) FROM authority_keys GROUP BY 1")
    return {row[0]: row[1] for row in rows}


async def opened(world: World, authority_id: UUID, envelope: Envelope, bay_id: UUID | None = None) -> bytes:
    async with world.engine.connect() as conn:
        stored = await authorities.stored_key(conn, authority_id)
    assert isinstance(stored, SealedKey)
    return envelope.open(stored, bay_id=bay_id or world.bay_id, authority_id=authority_id)


async def test_every_record_comes_under_the_new_key_and_nothing_else_changes(world: World) -> None:
    made = await seal_some(world)
    before = await world.rows("SELECT authority_id, sealed FROM authority_keys ORDER BY 1")
    said: list[str] = []

    assert await rewrap(world.engine, BOTH, said.append, batch=3) == []
    assert said == ["3 wrapped anew", "6 wrapped anew", "7 wrapped anew"]
    assert await under(world) == {NEW.id: SOME}
    assert await world.rows("SELECT authority_id, sealed FROM authority_keys ORDER BY 1") == before
    for one in made:
        assert await opened(world, one, Envelope(NEW)) == f"key {one}".encode()
        with pytest.raises(EnvelopeError, match="this process holds"):
            await opened(world, one, Envelope(OLD))
    wrapped = await world.rows("SELECT wrapped_key FROM authority_keys ORDER BY authority_id")
    assert await rewrap(world.engine, BOTH, said.append) == []
    assert await world.rows("SELECT wrapped_key FROM authority_keys ORDER BY authority_id") == wrapped


async def test_certs_signs_before_during_and_after(world: World) -> None:
    await world.make_authorities()
    world.keys = _with_both()

    async def signs() -> None:
        request = await world.ask(csr())
        await world.signer().decide(request)
        assert await world.signed(request)

    await signs()
    assert await rewrap(world.engine, BOTH, quiet, batch=1) == []
    await signs()
    assert await under(world) == {NEW.id: 3}


def _with_both() -> Keys:
    """As a replica has it during the exchange."""
    alone = database_keys()

    async def both() -> Envelope:
        return BOTH

    return Keys(DatabaseKeys(both), DatabaseKeys(both), alone.barbican)


async def test_what_cannot_be_opened_is_named_and_left_and_the_others_go_on(world: World) -> None:
    stranger = MasterKey.from_base64(base64.b64encode(os.urandom(32)).decode())
    good = await seal_some(world)
    (foreign,) = await seal_some(world, stranger, 1)
    broken = sorted(good)[2]
    await world.rows(
        f"UPDATE authority_keys SET wrapped_key = set_byte(wrapped_key, 20, 255 - get_byte(wrapped_key, 20)) "
        f"WHERE authority_id = '{broken}'"
    )

    def of(authority_id: UUID) -> str:
        return f"authority {authority_id} of bay {world.bay_id}"

    failed = await rewrap(world.engine, BOTH, quiet, batch=2)

    assert sorted(failed) == sorted(
        [
            f"{of(broken)}: The key of authority {broken} was changed or belongs elsewhere.",
            f"{of(foreign)}: Sealed under master key {stranger.id}; this process holds {NEW.id}, {OLD.id}.",
        ]
    )
    assert await under(world) == {NEW.id: SOME - 1, OLD.id: 1, stranger.id: 1}


async def test_two_at_once_do_it_once(world: World) -> None:
    made = await seal_some(world, count=40)
    other = make_engine(as_role(world.dsn, ROLE), pool_size=1)
    try:
        outcomes = await asyncio.gather(rewrap(world.engine, BOTH, quiet, batch=3), rewrap(other, BOTH, quiet, batch=4))
    finally:
        await other.dispose()

    assert outcomes[0] + outcomes[1] == []
    assert await under(world) == {NEW.id: 40}
    for one in made:
        assert await opened(world, one, Envelope(NEW)) == f"key {one}".encode()


async def test_a_record_does_not_open_in_another_bays_row(world: World) -> None:
    """The bay and the authority are authenticated with the record, also after it was wrapped anew."""
    (mine,) = await seal_some(world, count=1)
    other_bay = await new_bay(world.dsn, "other")
    theirs = uuid4()
    async with world.engine.begin() as conn:
        one = Authority(theirs, other_bay, "kubernetes", 1, "PEM", datetime.now(UTC))
        await authorities.add(conn, one, Envelope(OLD).seal(b"theirs", bay_id=other_bay, authority_id=theirs))

    for _ in range(2):
        envelope = Envelope(OLD, [NEW])
        for bay_id, authority_id in ((world.bay_id, theirs), (other_bay, mine)):
            with pytest.raises(EnvelopeError, match="changed or belongs elsewhere"):
                await opened(world, authority_id, envelope, bay_id)
        assert await opened(world, theirs, envelope, other_bay) == b"theirs"
        assert await rewrap(world.engine, BOTH, quiet) == []

    await world.rows(
        f"UPDATE authority_keys mine SET wrapped_key = theirs.wrapped_key, sealed = theirs.sealed "
        f"FROM authority_keys theirs WHERE mine.authority_id = '{mine}' AND theirs.authority_id = '{theirs}'"
    )
    with pytest.raises(EnvelopeError, match="changed or belongs elsewhere"):
        await opened(world, mine, BOTH)
    with pytest.raises(EnvelopeError, match="changed or belongs elsewhere"):
        await _with_both().open(await _stored(world, mine), await _public(world, mine))


async def _stored(world: World, authority_id: UUID) -> SealedKey:
    async with world.engine.connect() as conn:
        stored = await authorities.stored_key(conn, authority_id)
    assert isinstance(stored, SealedKey)
    return stored


async def _public(world: World, authority_id: UUID) -> Authority:
    async with world.engine.connect() as conn:
        found = await authorities.get(conn, authority_id)
    assert found is not None
    return found


class TestCommand:
    """`jeroboam certs rewrap`, as operators run it."""

    async def run(self, world: World, home: Path, *arguments: str) -> tuple[int | None, str]:
        """Exit status and output; the new key is the current one, the old one is held besides."""
        settings = {**environment(world, home), **_swapped(world, home)}
        return await _command(settings, "-m", "services.certs", "rewrap", *arguments)

    async def test_check_tells_and_changes_nothing(self, world: World, tmp_path: Path) -> None:
        await seal_some(world)
        status, output = await self.run(world, tmp_path, "--check")

        assert status == 1
        assert sorted(output.splitlines()) == sorted(
            [
                f"master key {NEW.id} (for new keys): 0",
                f"master key {OLD.id} (held): {SOME}",
                f"{SOME} still under another master key",
            ]
        )
        assert await under(world) == {OLD.id: SOME}

    async def test_it_is_done_and_says_so(self, world: World, tmp_path: Path) -> None:
        await seal_some(world)
        status, output = await self.run(world, tmp_path, "--batch=5")

        assert (status, output.splitlines()) == (
            0,
            [
                "5 wrapped anew",
                "7 wrapped anew",
                f"master key {NEW.id} (for new keys): {SOME}",
                "All are under the master key for new keys.",
            ],
        )

    async def test_the_command_line_hands_it_on(self, world: World, tmp_path: Path) -> None:
        await seal_some(world, NEW, 1)
        settings = {**environment(world, tmp_path), **_swapped(world, tmp_path)}

        status, output = await _command(settings, "-m", "services.cli", "certs", "rewrap", "--check")
        assert (status, output.splitlines()[-1]) == (0, "All are under the master key for new keys.")

    @pytest.mark.parametrize(("point", "done"), [("certs:rewrapping", 0), ("certs:rewrapped", 3)])
    async def test_killed_in_the_middle_it_goes_on_where_it_was(
        self, world: World, tmp_path: Path, point: str, done: int
    ) -> None:
        made = await seal_some(world)
        (tmp_path / point).touch()

        status, _ = await _command(
            {**environment(world, tmp_path), **_swapped(world, tmp_path)}, "-m", "services.certs", "rewrap", "--batch=3"
        )
        assert status == -signal.SIGKILL
        assert await under(world) == {OLD.id: SOME - done} | ({NEW.id: done} if done else {})
        for one in made:
            assert await opened(world, one, BOTH) == f"key {one}".encode()
        assert (await self.run(world, tmp_path))[0] == 0
        assert await under(world) == {NEW.id: SOME}

    async def test_without_the_old_key_it_says_which_is_missing(self, world: World, tmp_path: Path) -> None:
        await seal_some(world)
        settings = {**environment(world, tmp_path), **_swapped(world, tmp_path), "JEROBOAM_OTHER_MASTER_KEY_FILES": ""}
        status, output = await _command(settings, "-m", "services.certs", "rewrap")

        assert status == 1
        assert f"master key {OLD.id} (NOT HELD HERE): {SOME}" in output.splitlines()
        assert await under(world) == {OLD.id: SOME}
        assert NEW_TEXT not in output

    async def test_keys_in_barbican_need_nothing(self, world: World, tmp_path: Path) -> None:
        one = Authority(uuid4(), world.bay_id, "kubernetes", 1, "PEM", datetime.now(UTC))
        async with world.engine.begin() as conn:
            await authorities.add(conn, one, SecretRef("http://127.0.0.1/secrets/1"))

        status, output = await self.run(world, tmp_path)
        assert (status, output.strip()) == (
            0,
            "Nothing to do: no key lies in the database, 1 in Barbican, under its own keys.",
        )

    async def test_a_key_that_others_can_read_is_refused(self, world: World, tmp_path: Path) -> None:
        settings = {**environment(world, tmp_path), **_swapped(world, tmp_path)}
        Path(settings["JEROBOAM_OTHER_MASTER_KEY_FILES"]).chmod(0o644)

        status, output = await _command(settings, "-m", "services.certs", "rewrap")
        assert status == 2
        assert "chmod it to 0600" in output
        status, output = await _command(settings, "-m", "services.certs")  # the service neither
        assert status == 1
        assert "chmod it to 0600" in output


def _swapped(world: World, home: Path) -> dict[str, str]:
    new = home / "new.key"
    if not new.exists():
        new.touch(0o600)
        new.write_text(NEW_TEXT)
    old = environment(world, home)["JEROBOAM_MASTER_KEY_FILE"]
    return {"JEROBOAM_OTHER_MASTER_KEY_FILES": old, "JEROBOAM_MASTER_KEY_FILE": str(new)}


async def _command(settings: dict[str, str], *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=settings, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.decode()
