"""Where the key-encryption keys come from: files that only we can read, the environment, or Barbican.

One is for new records. Others may be there to open with, while the records of one are re-wrapped for another
(`rewrap.py`, docs/operator-guide/day-2.md).
"""

from __future__ import annotations

import asyncio
import base64
import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.certs.envelope import KEY_BYTES, Envelope, EnvelopeError, MasterKey
from services.certs.settings import CertsSettings
from shared.domain.errors import CloudError
from shared.openstack.barbican import BarbicanClient

_LONGEST: Final = 1024
_PAUSE: Final = 5.0
"""Seconds for which a failed fetch stands: who waited for it does not wait for one of their own (30 s each)."""


def load_master_key(settings: CertsSettings) -> MasterKey | None:
    """The master key that the settings name; None when it lies in Barbican, or there is none.

    Raises:
        EnvelopeError: the file is missing, can be read by others, or does not hold 32 bytes in base64.
    """
    if settings.master_key_file is not None:
        return MasterKey.from_base64(_read_private(settings.master_key_file))
    if settings.master_key is not None:
        return MasterKey.from_base64(settings.master_key.get_secret_value())
    return None


@dataclass(frozen=True)
class MasterKeys:
    """The master keys that the settings hold themselves; those in Barbican are not among them."""

    newest: MasterKey | None
    """For new records; None: it lies in Barbican, or there is none."""
    others: tuple[MasterKey, ...] = ()


def load_master_keys(settings: CertsSettings) -> MasterKeys:
    """The master key and the others. Raises EnvelopeError as `load_master_key`."""
    files = [MasterKey.from_base64(_read_private(path)) for path in settings.other_master_key_files]
    texts = [MasterKey.from_base64(one.get_secret_value()) for one in settings.other_master_keys]
    return MasterKeys(load_master_key(settings), (*files, *texts))


class EnvelopeSource:
    """The envelope, had by calling this. Master keys in Barbican are fetched at first use and kept in memory."""

    def __init__(
        self,
        master: MasterKey | None,
        secret: str | None,
        barbican: BarbicanClient,
        clock: Callable[[], float] = time.monotonic,
        *,
        others: Iterable[MasterKey] = (),
        other_secrets: Iterable[str] = (),
    ) -> None:
        """`master` is the key for new records, else `secret` the address of the one in Barbican; neither: there is
        none. `others` and `other_secrets` are what can be opened with besides."""
        self._master, self._others, self._other_secrets = master, tuple(others), tuple(other_secrets)
        self._envelope: Envelope | None = None
        self._secret, self._barbican = secret, barbican
        self._lock = asyncio.Lock()
        self._clock = clock
        self._failed: tuple[float, CloudError] | None = None

    async def __call__(self) -> Envelope:
        """The envelope.

        Raises:
            EnvelopeError: there is no master key, or the secret is gone or holds something else.
            CloudError: Barbican cannot be asked now, or refuses.
        """
        async with self._lock:
            if self._envelope is None:
                self._envelope = await self._fetch_or_wait()
            return self._envelope

    async def _fetch_or_wait(self) -> Envelope:
        if self._failed is not None and self._clock() < self._failed[0]:
            raise self._failed[1].with_traceback(None)
        try:
            return await self._fetch()
        except CloudError as error:
            self._failed = self._clock() + _PAUSE, error
            raise

    async def _fetch(self) -> Envelope:
        if self._master is None and self._secret is None:
            raise EnvelopeError("No master key is set, which the keys in the database are sealed under.")
        master = self._master or await self._from_barbican(self._secret or "")
        return Envelope(master, [*self._others, *[await self._from_barbican(one) for one in self._other_secrets]])

    async def _from_barbican(self, secret: str) -> MasterKey:
        payload = await self._barbican.payload(secret)
        if payload is None:
            raise EnvelopeError(f"The master key is not in Barbican: {secret}")
        raw = len(payload) == KEY_BYTES
        return MasterKey.from_base64(base64.b64encode(payload).decode() if raw else payload.decode("ascii", "replace"))


def envelope_source(settings: CertsSettings, masters: MasterKeys, barbican: BarbicanClient) -> EnvelopeSource:
    """The envelope under the master keys that the settings name, wherever they lie."""
    return EnvelopeSource(
        masters.newest,
        settings.master_key_secret,
        barbican,
        others=masters.others,
        other_secrets=settings.other_master_key_secrets,
    )


def _read_private(path: Path) -> str:
    """The file's text. Mode and contents are taken from one open file, so it cannot be swapped in between."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise EnvelopeError(f"{path} has mode {mode:04o}: others could read the master key; chmod it to 0600.")
            return file.read(_LONGEST).decode("ascii", errors="replace")
    except OSError as error:
        raise EnvelopeError(f"The master key file {path} cannot be read: {error.strerror}.") from None
