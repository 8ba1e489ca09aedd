"""External names, all derived from bay id and generation, so that they are known before the thing exists (rule 1)."""

from __future__ import annotations

import re
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


def credential_name(bay_id: UUID, generation: int) -> str:
    """The name of the nodes' application credential."""
    return f"{TAG}-{bay_id}-{generation}"


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
