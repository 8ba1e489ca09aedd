"""Disruption budgets, and evictions that respect them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cloudsim.coe.kubernetes import pods
from cloudsim.coe.kubernetes.objects import Objects, labels_of
from cloudsim.coe.kubernetes.replies import Object, Refused, bad_request
from cloudsim.coe.kubernetes.selectors import chosen

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay


def refresh(objects: Objects, budget: Object) -> None:
    """Count anew what the budget allows."""
    matched = _matched(objects, budget)
    healthy = sum(pods.is_ready(pod) and not pods.ending(pod) for pod in matched)
    expected, desired = _wanted(objects, budget, matched)
    allowed = max(0, healthy - desired) if expected > 0 else 0
    objects.status(
        budget,
        currentHealthy=healthy,
        desiredHealthy=desired,
        expectedPods=expected,
        disruptionsAllowed=allowed,
        observedGeneration=budget["metadata"]["generation"],
    )


def _matched(objects: Objects, budget: Object) -> list[Object]:
    namespace, selector = budget["metadata"]["namespace"], budget["spec"].get("selector")
    found = [pod for pod in objects.all("pods", namespace) if not pods.over(pod)]
    return [pod for pod in found if chosen(selector, labels_of(pod))]


def _wanted(objects: Objects, budget: Object, matched: list[Object]) -> tuple[int, int]:
    """How many pods there should be, and how many of them healthy."""
    from cloudsim.coe.kubernetes.controllers import scale_of  # noqa: PLC0415  (controllers refresh budgets)

    least, most = budget["spec"].get("minAvailable"), budget["spec"].get("maxUnavailable")
    scales = dict(filter(None, (scale_of(objects, pod) for pod in matched)))
    alone = sum(scale_of(objects, pod) is None for pod in matched)
    if most is not None:
        expected = sum(scales.values()) + alone
        return expected, max(0, expected - _share(most, expected))
    if isinstance(least, str):
        expected = sum(scales.values()) + alone
        return expected, _share(least, expected)
    return len(matched), int(least or 0)


def _share(value: object, whole: int) -> int:
    """A number, or a percentage rounded up."""
    text = str(value)
    return math.ceil(whole * int(text.removesuffix("%")) / 100) if text.endswith("%") else int(text)


def evict(bay: KubernetesBay, pod: Object, body: Object, *, dry: bool) -> None:
    """End a pod if its budget allows that.

    Raises:
        Refused: 429 the budget does not; 500 there are several budgets; 400 the body is about another pod.
    """
    name = (body.get("metadata") or {}).get("name", "")
    if name != pod["metadata"]["name"]:
        raise bad_request("name in URL does not match name in Eviction object")
    options = body.get("deleteOptions") or {}
    dry = dry or bool(options.get("dryRun"))
    if not pods.over(pod) and not pods.ending(pod) and pod["status"]["phase"] != "Pending":
        _ask(bay, pod, dry=dry)
    if not dry:
        pods.end(bay, pod, options.get("gracePeriodSeconds"))


def _ask(bay: KubernetesBay, pod: Object, *, dry: bool) -> None:
    budgets = [one for one in bay.objects.all("poddisruptionbudgets") if pod in _matched(bay.objects, one)]
    if not budgets:
        return
    if len(budgets) > 1:
        told = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise Refused(500, "InternalError", told)
    budget = budgets[0]
    refresh(bay.objects, budget)
    status = budget["status"]
    if not pods.is_ready(pod) and bay.release >= (1, 26):
        always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always or status["currentHealthy"] >= status["desiredHealthy"] > 0:
            return
    if status["disruptionsAllowed"] < 1:
        raise _too_many(budget)
    if not dry:
        bay.objects.status(budget, disruptionsAllowed=status["disruptionsAllowed"] - 1)


def _too_many(budget: Object) -> Refused:
    name, status = budget["metadata"]["name"], budget["status"]
    needs, has = status["desiredHealthy"], status["currentHealthy"]
    told = f"The disruption budget {name} needs {needs} healthy pods and has {has} currently"
    details = {"causes": [{"reason": "DisruptionBudget", "message": told}]}
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return Refused(429, "TooManyRequests", message, details)
