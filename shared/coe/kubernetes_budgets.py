"""Which PodDisruptionBudget keeps a pod. No network.

Kubernetes' answer to an eviction names the budget in new versions alone, so the budgets of the pod's namespace are
matched with its labels as the API server does
(https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from shared.coe.reading import Doc, docs, inner, items, maybe, number, text, texts

UNKNOWN: Final = "a PodDisruptionBudget allows no disruption now"
"""What is said where its name cannot be found out."""


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
    return f"{word} {', '.join(names)} {'allows' if len(names) == 1 else 'allow'} no disruption now"


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
