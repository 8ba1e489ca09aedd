"""External names, all derived from bay id and generation, so that they are known before the thing exists (rule 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple
from uuid import UUID

TAG = "jeroboam"
"""On every stack of ours."""


def stack_name(bay_name: str, bay_id: UUID, generation: int) -> str:
    """The Heat stack's name: readable first, then unique.

    Heat allows letters, digits, `_`, `-` and `.`, a letter first, 255 characters. The bay's name is cut to 30, as
    Magnum does (contract §2.4), so that server names made from it stay within 63.
    """
    slug = re.sub(r"[^a-zA-Z0-9-]+", "-", bay_name)[:30].strip("-") or "bay"
    if not slug[0].isalpha():
        slug = f"b{slug}"
    return f"{slug}-{bay_id.hex[:12]}-{generation}"


def bay_tag(bay_id: UUID) -> str:
    """The tag by which everything of a bay is found."""
    return f"{TAG}-bay-{bay_id}"


_BAY_TAG: Final = re.compile(rf"{TAG}-bay-([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")


def tagged_bay(tag: str) -> UUID | None:
    """The bay that a tag of ours names; None: it is another tag. Anybody can write a tag, so it is read strictly."""
    match = _BAY_TAG.fullmatch(tag)
    return UUID(match[1]) if match else None


def credential_name(bay_id: UUID, generation: int) -> str:
    """The name of the nodes' application credential."""
    return f"{TAG}-{bay_id}-{generation}"


class ServerGroup(NamedTuple):
    """A server group of Nova's, which keeps servers apart or together by its policy."""

    name: str
    policy: str


_GROUP_LABEL: Final = "server_group_policies"
_MASTERS_POLICY: Final = "soft-anti-affinity"
_GROUP_NAME: Final = re.compile(r"(.+-[0-9a-f]{12}-\d+)-(?:masters|nodes)")


def server_groups(
    stack_name: str, master_count: int, labels: Mapping[str, str]
) -> dict[Literal["master", "worker"], ServerGroup]:
    """The server groups that a bay has, by the role of their members.

    Several masters always have one, so that losing a host does not cost the quorum when it can be helped. Workers have
    one only when the label asks for it, because Nova's default quota is 10 members a group.
    """
    asked = labels.get(_GROUP_LABEL)
    groups: dict[Literal["master", "worker"], ServerGroup] = {}
    if master_count > 1:
        groups["master"] = ServerGroup(f"{stack_name}-masters", asked or _MASTERS_POLICY)
    if asked:
        groups["worker"] = ServerGroup(f"{stack_name}-nodes", asked)
    return groups


def group_owner(name: str) -> str | None:
    """The name of the stack whose bay a server group of this name is of; None: it is no group of ours."""
    match = _GROUP_NAME.fullmatch(name)
    return match[1] if match else None


_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]


def automatic(seed: int, suffix: str) -> str:
    """A name for who gave none: `<greek letter>-<1..24>-<suffix>` (contract §1.10.5)."""
    return f"{_GREEK[seed % 24]}-{seed // 24 % 24 + 1}-{suffix}"
