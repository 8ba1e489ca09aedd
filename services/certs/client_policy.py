"""What the operator lets people's certificates say, and for how long.

Subjects are restricted by patterns over the parts of a subject as RFC 4514 names them (`CN`, `O`, `OU`, …, or a dotted
number). A pattern is a list of parts with commas between, as `CN=*,O=dev-*`; patterns have semicolons between. `*`
stands for any characters, also none; a backslash takes the meaning from the character behind it. A subject matches when
its parts and the pattern's go together one to one, in any order: a second organization, which is a second group, needs
a second part in the pattern. Upper and lower case differ in values. No pattern at all: every subject, as in Magnum.

Some names have rights in every cluster: Kubernetes keeps `system:`, kubeadm `kubeadm:`, and we `jeroboam:`. A value
that begins so is matched only by a pattern that says so itself before its first `*`.

The patterns hold for every certificate that a person asks for, whichever the profile: else `admin` would be a way
around them. And while there are any, people get certificates of the cluster's own authority alone: etcd opens to each
of its authority's, and the front proxy's authority lets its holder name any user at the API server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Self

from services.certs.csr import Pair
from services.certs.refusals import Refused, invalid, shown
from shared.domain import client_profiles

CLUSTER: Final = "kubernetes"
"""The kind of a cluster's own authority."""
_KEPT: Final = ("system:", "kubeadm:", "jeroboam:")
"""How names begin that have rights in a cluster from its birth on."""
_KIND: Final = re.compile(r"[A-Z][A-Z0-9]*|[0-9]+(\.[0-9]+)+")


@dataclass(frozen=True)
class SubjectPattern:
    """One pattern: per part its type and what its value must match."""

    parts: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `CN=*,O=dev-*`. Raises ValueError saying what is wrong."""
        return cls(tuple(_part(one) for one in _split(text, ",")))

    def matches(self, subject: Sequence[Pair]) -> bool:
        """Whether every part of the subject goes with another part of the pattern, and none is left of either."""
        return len(subject) == len(self.parts) and _pair_up(list(subject), list(self.parts))


def parse_patterns(text: str) -> tuple[SubjectPattern, ...]:
    """All patterns of a setting; blank: none. Raises ValueError."""
    return tuple(SubjectPattern.parse(one.strip()) for one in _split(text, ";") if one.strip())


@dataclass(frozen=True)
class ClientPolicy:
    """The operator's settings for certificates that are not nodes'."""

    subjects: tuple[SubjectPattern, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses that an owner's certificate may name besides the bay's own."""
    usual: timedelta | None = None
    """Validity where none is asked for; None: as long as an authority's."""
    longest: timedelta | None = None
    """What may be asked for; None: as long as an authority's."""

    def check_subject(self, subject: Sequence[Pair], authority_kind: str) -> None:
        """Raises Refused for a subject that matches no pattern, and for one that no pattern could hold in bounds."""
        if self.subjects and authority_kind != CLUSTER:
            raise Refused(
                f"This service's operator does not allow people certificates of the {authority_kind} authority.",
                field="ca_cert_type",
            )
        if self.subjects and not any(pattern.matches(subject) for pattern in self.subjects):
            text = ",".join(f"{kind}={value}" for kind, value in subject)
            raise invalid(f"this service's operator does not allow the subject {shown(text)!r}")

    def validity(self, profile: str, asked_seconds: int | None, authority: timedelta) -> timedelta:
        """How long a certificate is to be valid; `authority` is the validity of authorities.

        Raises:
            Refused: it is asked for longer than it may be, or for less than what is of use.
        """
        bounds = [authority, self.longest or authority]
        known = client_profiles.PROFILES.get(profile)
        if known is not None and known.longest is not None:
            bounds.append(known.longest)
        if asked_seconds is None:
            return min(self.usual or authority, *bounds)
        asked, shortest = timedelta(seconds=asked_seconds), client_profiles.SHORTEST
        if not shortest <= asked <= min(bounds):
            raise Refused(
                f"A certificate of profile {profile} can be had for {shortest} to {min(bounds)}, not for {asked}.",
                field="validity",
            )
        return asked


def _split(text: str, at: str) -> Iterator[str]:
    """The text between separators that no backslash stands before; backslashes stay."""
    piece, characters = "", iter(text)
    for character in characters:
        if character == "\\":
            piece += character + next(characters, "")
        elif character == at:
            yield piece
            piece = ""
        else:
            piece += character
    yield piece


def _part(text: str) -> tuple[str, re.Pattern[str]]:
    kind, equals, value = text.strip().partition("=")
    kind = kind.strip().upper()
    if not equals or not value or not _KIND.fullmatch(kind):
        raise ValueError(f"a part of a subject's pattern is TYPE=VALUE, as O=dev-*; this one is {shown(text)!r}")
    return kind, re.compile("".join(_translated(value)), re.DOTALL)


def _translated(value: str) -> Iterable[str]:
    start = "".join(_literally(next(_split(value, "*"))))
    if not start.startswith(_KEPT):
        yield f"(?!{'|'.join(_KEPT)})"
    characters = iter(value)
    for character in characters:
        if character == "*":
            yield ".*"
        else:
            yield re.escape(next(characters, "\\") if character == "\\" else character)


def _literally(text: str) -> Iterable[str]:
    characters = iter(text)
    return (next(characters, "\\") if one == "\\" else one for one in characters)


def _pair_up(subject: list[Pair], parts: list[tuple[str, re.Pattern[str]]]) -> bool:
    """Tries every way: patterns are short, and `check` bounds the subject."""
    if not subject:
        return True
    (kind, value), rest = subject[0], subject[1:]
    return any(
        kind == wanted and pattern.fullmatch(value) is not None and _pair_up(rest, parts[:index] + parts[index + 1 :])
        for index, (wanted, pattern) in enumerate(parts)
    )
