"""Which PodDisruptionBudget keeps a pod. No network.

Kubernetes' answer to an eviction names the budget in new versions alone, so the budgets of the pod's namespace are
matched with its labels as the API server does
(https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from shared.coe.reading import Doc, docs, inner, items, maybe, number, short, text, texts

UNKNOWN: Final = "a PodDisruptionBudget allows no disruption now"
"""What is said where its name cannot be found out."""
_MOST_MATCHES: Final = 200_000
"""Pods times budgets that are looked at for one bay."""


def kept_by(budgets: Iterable[Doc], labels: Mapping[str, str], *, empty_selects: bool) -> str:
    """Why a pod with these labels is kept, as words for people; `empty_selects`: whether an empty selector means every
    pod, as it does since policy/v1. Raises LookupError or TypeError for budgets that are none."""
    found = [
        one for one in budgets if _selects(inner(one, "spec").get("selector"), labels, empty_selects=empty_selects)
    ]
    tight = [one for one in found if number(inner(one, "status"), "disruptionsAllowed") < 1]
    names = sorted(text(inner(one, "metadata"), "name") for one in tight or found)
    if not names:
        return UNKNOWN
    word = "PodDisruptionBudget" if len(names) == 1 else "PodDisruptionBudgets"
    return short(f"{word} {', '.join(names)} {'allows' if len(names) == 1 else 'allow'} no disruption now")


class Kept:
    """Which pods the budgets of all namespaces keep now: those that one without room selects, or several, whose pods no
    eviction moves."""

    def __init__(self, budgets: Iterable[Doc], *, empty_selects: bool) -> None:
        """Raises LookupError or TypeError for budgets that are none."""
        self._empty_selects = empty_selects
        self._budgets: dict[str, list[tuple[Doc | None, bool]]] = {}
        self._left = _MOST_MATCHES
        for one in budgets:
            rule = inner(one, "spec").get("selector"), number(inner(one, "status"), "disruptionsAllowed") < 1
            self._budgets.setdefault(maybe(inner(one, "metadata"), "namespace"), []).append(rule)

    def keeps(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod is kept; taken for granted where there is too much to be looked at. Raises as above."""
        here = self._budgets.get(namespace, [])
        self._left -= len(here)
        if self._left < 0:
            return bool(here)
        found = [tight for rule, tight in here if _selects(rule, labels, empty_selects=self._empty_selects)]
        return any(found) or len(found) > 1


def _selects(selector: Doc | None, labels: Mapping[str, str], *, empty_selects: bool) -> bool:
    if not selector:
        return selector is not None and empty_selects
    wanted = texts(inner(selector, "matchLabels"))
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(one, labels) for one in docs(selector.get("matchExpressions"))
    )


def _holds(expression: Doc, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(text(expression, "key")), items(expression.get("values"))
    match maybe(expression, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
