"""Where the key-encryption key comes from: a file that only we can read, or the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from services.certs.envelope import EnvelopeError, MasterKey
from services.certs.settings import CertsSettings

_LONGEST: Final = 1024


def load_master_key(settings: CertsSettings) -> MasterKey:
    """The master key that the settings name.

    Raises:
        EnvelopeError: the file is missing, can be read by others, or does not hold 32 bytes in base64.
    """
    if settings.master_key_file is not None:
        return MasterKey.from_base64(_read_private(settings.master_key_file))
    if settings.master_key is not None:
        return MasterKey.from_base64(settings.master_key.get_secret_value())
    raise EnvelopeError("No master key is set.")


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
