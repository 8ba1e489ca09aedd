"""`python -m services.certs rewrap`: bring every record under the master key that new ones are sealed under.

Only the data keys, 32 bytes each, are wrapped anew; what they encrypt, the keys of authorities, is neither read nor
written. It goes in batches, one transaction each, so that it can be killed at any point and run again, twice at once,
and beside the service, whose replicas hold the old master key too until nothing is under it any more:

    1. Hold the next records that are under another master key, in the order of their ids.
    2. Wrap their data keys anew. One that cannot be opened is named and left as it is.
    3. Commit. A record is under the old key or under the new one, never between; both open at any time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from services.certs.envelope import Envelope, EnvelopeError
from services.certs.master_key import envelope_source, load_master_keys
from services.certs.settings import CertsSettings
from shared.db.engine import make_engine
from shared.db.repositories import wrapped_keys
from shared.db.repositories.wrapped_keys import Wrapped
from shared.domain.errors import CloudError
from shared.openstack.cloud import Cloud
from shared.runtime import failpoint
from shared.runtime.settings import load

BATCH: Final = 500
Say = Callable[[str], None]


@dataclass(frozen=True)
class Stand:
    """How many keys are under each master key, by its id, and how many lie in Barbican."""

    counts: Mapping[str, int]
    in_barbican: int

    def elsewhere(self, newest: str) -> int:
        """How many are under another master key than that."""
        return sum(number for key_id, number in self.counts.items() if key_id != newest)


async def stand_of(engine: AsyncEngine) -> Stand:
    """Where the exchange is."""
    async with engine.connect() as conn:
        return Stand(await wrapped_keys.counts(conn), await wrapped_keys.in_barbican(conn))


async def rewrap(engine: AsyncEngine, envelope: Envelope, say: Say, batch: int = BATCH) -> list[str]:
    """Wrap every data key anew; what could not be, a sentence each. Safe to repeat, and to run twice at once."""
    failed: list[str] = []
    done, after = 0, None
    while True:
        async with engine.begin() as conn:
            held = await wrapped_keys.hold_batch(conn, envelope.key_id, after, batch)  # 1
            changed = []
            for one in held:
                try:
                    changed.append(_anew(envelope, one))  # 2
                except EnvelopeError as error:
                    failed.append(f"authority {one.authority_id} of bay {one.bay_id}: {error}")
            await wrapped_keys.rewrite(conn, changed)
            failpoint.hit("certs:rewrapping")
        failpoint.hit("certs:rewrapped")  # 3
        if not held:
            return failed
        after, done = held[-1].authority_id, done + len(changed)
        say(f"{done} wrapped anew")


def _anew(envelope: Envelope, one: Wrapped) -> Wrapped:
    record = envelope.rewrap(one.record, bay_id=one.bay_id, authority_id=one.authority_id)
    return Wrapped(one.authority_id, one.bay_id, record)


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status: 0 when every key is under the newest master key, 1 when some are not, 2 when it
    could not be tried."""
    parser = argparse.ArgumentParser(
        prog="jeroboam certs rewrap",
        description="Bring every authority's key in the database under the master key that the settings name. Takes "
        "the settings of certs from the environment; older master keys are JEROBOAM_OTHER_MASTER_KEY_FILES, "
        "_KEYS or _KEY_SECRETS.",
    )
    parser.add_argument("--check", action="store_true", help="only tell which master keys are in use")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"keys in one transaction (default {BATCH})")
    wanted = parser.parse_args(arguments)
    if wanted.batch < 1:
        parser.error("--batch must be at least 1")
    settings = load(CertsSettings)
    failpoint.configure(settings.failpoint_dir)
    try:
        return asyncio.run(_run(settings, check=wanted.check, batch=wanted.batch))
    except (EnvelopeError, CloudError) as error:
        _say(f"jeroboam certs rewrap: {error}")
        return 2


async def _run(settings: CertsSettings, *, check: bool, batch: int) -> int:
    masters = load_master_keys(settings)
    engine, cloud = make_engine(settings.database_url, pool_size=1), Cloud.from_settings(settings)
    try:
        found = await stand_of(engine)
        if not found.counts:
            _say(f"Nothing to do: no key lies in the database, {found.in_barbican} in Barbican, under its own keys.")
            return 0
        envelope = await envelope_source(settings, masters, cloud.for_service().barbican)()
        failed = [] if check else await rewrap(engine, envelope, _say, batch)
        found = await stand_of(engine)
    finally:
        await engine.dispose()
        await cloud.close()
    for sentence in failed:
        _say(f"left as it was: {sentence}")
    _show(found, envelope)
    return 1 if found.elsewhere(envelope.key_id) else 0


def _show(found: Stand, envelope: Envelope) -> None:
    for key_id in sorted({envelope.key_id, *found.counts}):
        use = "for new keys" if key_id == envelope.key_id else "held" if envelope.holds(key_id) else "NOT HELD HERE"
        _say(f"master key {key_id} ({use}): {found.counts.get(key_id, 0)}")
    if found.in_barbican:
        _say(f"in Barbican, under its own keys: {found.in_barbican}")
    left = found.elsewhere(envelope.key_id)
    _say(f"{left} still under another master key" if left else "All are under the master key for new keys.")


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
