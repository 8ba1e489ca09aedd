"""Negotiation of the microversion (contract §1.4)."""

from __future__ import annotations

import re
from typing import Final

from services.api.errors import Unsupported
from shared.domain.errors import NotAcceptable

HEADER: Final = "OpenStack-API-Version"
WORD: Final = "container-infrastructure-management"
"""The service's name in answers, whichever the caller used."""
WORDS: Final = (WORD, "container-infrastructure", "container-infra")
LOWEST: Final = 1
HIGHEST: Final = 14

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})")


def negotiate(header: str | None) -> int:
    """The minor version that the header asks for; without one, the lowest. The major version is 1.

    Raises:
        NotAcceptable: another service's header, or no version in it.
        Unsupported: a version that we do not have.
    """
    if header is None or not header.strip():
        return LOWEST
    asked = [part.split() for part in header.split(",")]
    ours = [words for words in asked if words and words[0].lower() in WORDS]
    if not ours:
        raise NotAcceptable(f"Invalid service type for {HEADER} header")
    if len(ours[-1]) != 2:
        raise NotAcceptable(f"Invalid value for {HEADER} header")
    return _minor(ours[-1][1])


def _minor(text: str) -> int:
    if text.lower() == "latest":
        return HIGHEST
    found = _VERSION.fullmatch(text)
    if found is None:
        raise NotAcceptable(f"Invalid value for {HEADER} header")
    major, minor = int(found[1]), int(found[2])
    if major != 1:
        raise _unsupported(
            f"Mutually exclusive versions requested. Version {text} requested but not supported by this service."
        )
    if not LOWEST <= minor <= HIGHEST:
        raise _unsupported(f"Version {text} was requested but the minor version is not supported by this service.")
    return minor


def _unsupported(sentence: str) -> Unsupported:
    supported = f" The supported version range is: [{WORD} 1.{LOWEST}, {WORD} 1.{HIGHEST}]."
    return Unsupported(sentence + supported, lowest=f"1.{LOWEST}", highest=f"1.{HIGHEST}")


def range_headers() -> dict[str, str]:
    """What every answer below /v1 says of our range."""
    return {
        "OpenStack-API-Minimum-Version": f"{WORD} 1.{LOWEST}",
        "OpenStack-API-Maximum-Version": f"{WORD} 1.{HIGHEST}",
        "Vary": HEADER,
    }
