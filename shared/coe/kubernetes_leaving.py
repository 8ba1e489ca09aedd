"""Asking pods to leave: evictions, which respect budgets, or deletions, which do not.

Which of the two a server knows is in its discovery document, read at most once a round. Only a server that lists no
evictions there gets deletions: an answer to one eviction says nothing about it, since webhooks refuse pods with any
status, and old servers without any details.

    policy/v1 eviction        since 1.22
    policy/v1beta1 eviction   1.4 to 1.24; before 1.8 the document does not tell the version
    DELETE of the pod         before: a controller starts it again elsewhere, no budget is there to be asked

https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import orjson

from shared.coe.connect import Answer
from shared.coe.errors import sense
from shared.coe.kubernetes_api import Api
from shared.coe.kubernetes_budgets import UNKNOWN, kept_by
from shared.coe.kubernetes_pods import Pod
from shared.coe.kubernetes_wire import OTHERS
from shared.coe.port import Blocker
from shared.coe.reading import Doc, doc, docs, inner, maybe, text
from shared.domain.errors import CloudError

ROUND_SECONDS: Final = 15.0
"""How long a round goes on asking, and the call that it has begun; the next round asks the rest."""
NOT_ASKED: Final = "it has not been asked to leave yet: others came first"

_V1: Final = "policy/v1"
_V1BETA1: Final = "policy/v1beta1"
_NONE: Final = ""
_OVERDUE: Final = timedelta(seconds=30)
"""So long after its grace a pod on a living node is gone; what is there later has a kubelet that does not answer."""
_DOWN: Final = frozenset({401, 502, 503, 504})
"""Statuses that are not about the pod."""


class Leaving:
    """One round over the pods that must leave."""

    def __init__(self, api: Api, *, force: bool, now: datetime | None, seconds: float = ROUND_SECONDS) -> None:
        self._api = api
        self._force = force
        self._now = now
        self._seconds = seconds
        self._version: str | None = None
        self._budgets: dict[str, list[Doc] | None] = {}

    async def ask_all(self, pods: Sequence[Pod]) -> list[Blocker]:
        """Ask them to leave, until the round's time is over; what has not gone, by name. One after another: each
        eviction changes what a budget allows the next. In another order each time: where there are more than a round
        can ask, those that are kept must not hold up the others. Raises CloudError where the API cannot be asked."""
        until, over, told = monotonic() + self._seconds, False, list[Blocker]()
        for pod in random.sample(pods, len(pods)):
            blocker = self._known(pod)
            if blocker is None and over:
                blocker = Blocker(pod.told, NOT_ASKED)
            elif blocker is None:
                blocker = await self._ask(pod)
                over = monotonic() >= until
            told += [blocker] if blocker is not None else []
        return sorted(told, key=lambda one: one.work)

    def _known(self, pod: Pod) -> Blocker | None:
        """What can be said of a pod without asking; None: nothing."""
        overdue = pod.ends_at is not None and self._now is not None and self._now >= pod.ends_at + _OVERDUE
        if pod.ends_at is not None and not overdue:
            return Blocker(pod.told, "")
        if self._force:
            return None
        if overdue:
            return Blocker(pod.told, "it was told to end and has not; its node may be dead")
        return None if pod.controller else Blocker(pod.told, "nobody would start it again")

    async def _ask(self, pod: Pod) -> Blocker | None:
        """Ask a pod to leave; None: it is gone."""
        if self._force:
            return await self._delete(pod, {"gracePeriodSeconds": 0} if pod.ends_at is not None else {})
        return await self._evict(pod)

    async def _evict(self, pod: Pod) -> Blocker | None:
        version = self._version = await _evictions(self._api) if self._version is None else self._version
        if version == _NONE:
            return await self._delete(pod, {})
        answer = await self._api.channel.call(
            "POST",
            f"{pod.path}/eviction",
            json={
                "apiVersion": version,
                "kind": "Eviction",
                "metadata": {"name": pod.name, "namespace": pod.namespace},
                "deleteOptions": {"preconditions": {"uid": pod.uid}},
            },
            allow=range(400, 600),
        )
        if 200 <= answer.status < 300:
            return Blocker(pod.told, "")
        if answer.status in _DOWN:
            raise answer.refusal()
        if answer.status == 404 and _about(answer, pod):
            return None
        if answer.status == 429 and b"disruption budget" in answer.body:
            return Blocker(pod.told, await self._budget(pod, version))
        return Blocker(pod.told, answer.words() or f"the API answered {answer.status}")

    async def _budget(self, pod: Pod, version: str) -> str:
        if pod.inside not in self._budgets:
            self._budgets[pod.inside] = await self._budgets_in(f"/apis/{version}/{pod.inside}/poddisruptionbudgets")
        budgets = self._budgets[pod.inside]
        if budgets is None:
            return UNKNOWN
        with sense(self._api.channel.service):
            return kept_by(budgets, pod.labels, empty_selects=version == _V1)

    async def _budgets_in(self, path: str) -> list[Doc] | None:
        """A namespace's; None: they are not shown to us."""
        try:
            return list((await self._api.list(path, OTHERS)).items)
        except CloudError as error:
            if error.status not in (403, 404):
                raise
            return None

    async def _delete(self, pod: Pod, options: dict[str, object]) -> Blocker | None:
        """Delete exactly this pod, not one of the same name that has come since."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": pod.uid}, **options}
        answer = await self._api.channel.call("DELETE", pod.path, json=body, allow={404, 409})
        return Blocker(pod.told, "") if answer.status < 300 else None


async def _evictions(api: Api) -> str:
    """The version of the evictions that a server takes; empty: it knows none. Raises CloudError where it does not say
    what it has, or says nothing of pods."""
    told = await api.channel.get("/api/v1")
    with sense(api.channel.service):
        known = {text(one, "name"): one for one in docs(doc(told)["resources"])}
        if "pods" not in known:
            raise LookupError("no pods")
        found = known.get("pods/eviction")
        if found is None:
            return _NONE
        group, version = maybe(found, "group"), maybe(found, "version")
    return _V1BETA1 if f"{group}/{version}" in ("/", _V1BETA1) else _V1


def _about(answer: Answer, pod: Pod) -> bool:
    """Whether a 404 is that of the pod: its own name is in the status' details."""
    try:
        return bool(inner(doc(orjson.loads(answer.body)), "details").get("name") == pod.name)
    except (orjson.JSONDecodeError, TypeError):
        return False
