"""Whatever arrives can be written down: a letter that could not be written would come back for ever."""

from __future__ import annotations

import pytest

from shared.bus.port import DeadLetter, RawEnvelope
from shared.worker.app import write_dead_letter
from tests.worker.world import World


@pytest.mark.parametrize(
    "raw",
    [
        RawEnvelope("", "", "", b"", {}),
        RawEnvelope("not-a-uuid\0", "bay.\0created", "٣", b"\0\xff\xfe{", {"a\0": "b\0"}),
        RawEnvelope("x" * 10_000, "y" * 10_000, "9" * 50, b"z" * 65_536, {"k" * 10_000: "v" * 10_000}),
    ],
    ids=["empty", "nonsense", "huge"],
)
async def test_a_letter_of_any_kind_is_kept(world: World, raw: RawEnvelope) -> None:
    await write_dead_letter(world.engine, "certs", DeadLetter("certs", raw, "no \0 message", 1))
    async with world.engine.connect() as conn:
        kept = [tuple(row) for row in await conn.exec_driver_sql("SELECT service, queue, reason FROM dead_letters")]
    assert kept == [("certs", "certs", "no \ufffd message")]
