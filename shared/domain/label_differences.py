"""A bay's labels against those of its template (contract §4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class LabelDifferences(NamedTuple):
    """A bay's labels, and how they came to differ from the template's. All values are text."""

    effective: dict[str, str]
    """What the bay has."""
    added: dict[str, str]
    """The bay's own, which the template lacks."""
    overridden: dict[str, str]
    """The template's values, old ones, of labels to which the bay gave others."""
    skipped: dict[str, str]
    """The template's that the bay does not have."""


def differences(
    template: Mapping[str, object] | None, given: Mapping[str, object] | None, merge: bool
) -> LabelDifferences:
    """What a bay's labels are and what clients are told of them.

    Labels that are given replace the template's map, or with `merge` are laid over it key by key. None and an empty
    map both mean that none were given, as in Magnum: the template's hold. A label given with the template's own value
    differs in nothing and is in none of the lists.
    """
    base, own = _texts(template), _texts(given)
    effective = (base | own if merge else own) if own else base
    return LabelDifferences(
        effective=dict(effective),
        added={name: value for name, value in effective.items() if name not in base},
        overridden={name: old for name, old in base.items() if effective.get(name, old) != old},
        skipped={name: old for name, old in base.items() if name not in effective},
    )


def _texts(labels: Mapping[str, object] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (labels or {}).items()}
