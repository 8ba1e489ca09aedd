"""What goes wrong inside of a bay, always as one `CloudError` that names the engine and is of that bay alone.

    CloudError
    ├── Rubbish      an answer that is not what the API promises; what it did is unknown
    └── NotLetIn     the API does not take our certificate

No answer, 408, 409, 425, 429, 5xx and the two above may be tried again; other 4xx may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import orjson

from shared.domain.errors import CloudError

_TITLES: Final = {"kubernetes": "Kubernetes", "docker": "Docker", "mesos": "Mesos", "marathon": "Marathon"}
_AGAIN: Final = frozenset({408, 409, 425, 429})
_LONGEST: Final = 300
_UNSHOWN: Final = re.compile(r"[^\x20-\x7e]+")


class Rubbish(CloudError):
    """An answer that is not what the API promises. Nothing of it is quoted: it may be anything."""

    def __init__(self, service: str, what: str, *, status: int | None = None) -> None:
        super().__init__(
            f"The bay's {title(service)} gave an answer that makes no sense: {what}.",
            service=service,
            status=status,
            retryable=True,
        )


class NotLetIn(CloudError):
    """The API does not take our certificate, or wants one. The next try comes with a new one."""

    def __init__(self, service: str, why: str, *, status: int | None = None) -> None:
        super().__init__(
            f"The bay's {title(service)} does not take our certificate: {why}.",
            service=service,
            status=status,
            retryable=True,
        )


def title(service: str) -> str:
    """The name that people know an engine by."""
    return _TITLES.get(service, service)


def no_answer(service: str, why: str) -> CloudError:
    """The API did not answer. Whether the call took effect is unknown: look before acting again."""
    return CloudError(f"The bay's {title(service)} did not answer: {why}.", service=service, retryable=True)


def refused(service: str, status: int, body: bytes, *, proven: bool) -> CloudError:
    """The error for an answer with a bad status, with what the API said of it (see `words`)."""
    said = words(body, proven=proven)
    if status == 401:
        return NotLetIn(service, said or "it says that we are nobody", status=status)
    if status < 400:
        return Rubbish(service, f"status {status} where none of the kind was promised", status=status)
    return CloudError(
        f"The bay's {title(service)} answered {status}: {said or 'no reason given'}",
        service=service,
        status=status,
        retryable=status in _AGAIN or status >= 500,
    )


def words(body: bytes, *, proven: bool) -> str:
    """What an error's body says: Kubernetes, Docker and Marathon put it into `message`, Mesos into plain text.

    Nothing is quoted but of a server that has `proven` to be the bay's. Without TLS it may be any server at an address
    that the bay's owner has written into its stack, and reasons are for that owner to read.
    """
    if not proven:
        return ""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = body[:_LONGEST].decode(errors="replace")
    said = found.get("message") if isinstance(found, dict) else found
    return " ".join(_UNSHOWN.sub(" ", said).split())[:_LONGEST] if isinstance(said, str) else ""


@contextmanager
def sense(service: str) -> Iterator[None]:
    """While an answer is read: what is missing in it or of another kind is a `Rubbish` error, not a crash."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Rubbish(service, f"a field is missing or of another kind ({type(error).__name__})") from None
