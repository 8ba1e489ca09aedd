"""Asking pods to leave: evictions, which respect budgets, or deletions, which do not.

Which of the two a server knows is found out with the first pod, newest first:

    policy/v1 eviction        since 1.22
    policy/v1beta1 eviction   1.4 to 1.24
    DELETE of the pod         before: a controller starts it again elsewhere, no budget is there to be asked

https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import orjson

from shared.coe.connect import Answer
from shared.coe.errors import refused, sense, words
from shared.coe.kubernetes_api import Api
from shared.coe.kubernetes_budgets import UNKNOWN, kept_by
from shared.coe.kubernetes_pods import Pod
from shared.coe.kubernetes_wire import OTHERS
from shared.coe.port import Blocker
from shared.coe.reading import doc, inner
from shared.domain.errors import CloudError

_EVICTIONS: Final = ("policy/v1", "policy/v1beta1")
_OVERDUE: Final = timedelta(seconds=30)
"""So long after its grace a pod on a living node is gone; what is there later has a kubelet that does not answer."""
_DOWN: Final = frozenset({401, 502, 503, 504})
"""Statuses that are not about the pod."""


class Leaving:
    """One round over the pods that must leave."""

    def __init__(self, api: Api, *, force: bool, now: datetime | None) -> None:
        self._api = api
        self._force = force
        self._now = now
        self._versions = list(_EVICTIONS)

    async def ask(self, pod: Pod) -> Blocker | None:
        """Ask a pod to leave, where it may; None: it is gone. Raises CloudError where the API cannot be asked."""
        if pod.ends_at is not None:
            return await self._ends(pod, pod.ends_at)
        if self._force:
            return await self._delete(pod, {})
        if not pod.controller:
            return Blocker(pod.told, "nobody would start it again")
        return await self._evict(pod)

    async def _ends(self, pod: Pod, by: datetime) -> Blocker | None:
        if self._now is None or self._now < by + _OVERDUE:
            return Blocker(pod.told, "")
        if self._force:
            return await self._delete(pod, {"gracePeriodSeconds": 0})
        return Blocker(pod.told, "it was told to end and has not; its node may be dead")

    async def _evict(self, pod: Pod) -> Blocker | None:
        while self._versions:
            answer = await self._api.channel.call(
                "POST",
                f"{pod.path}/eviction",
                json={
                    "apiVersion": self._versions[0],
                    "kind": "Eviction",
                    "metadata": {"name": pod.name, "namespace": pod.namespace},
                    "deleteOptions": {"preconditions": {"uid": pod.uid}},
                },
                allow=range(400, 600),
            )
            if 200 <= answer.status < 300:
                return Blocker(pod.told, "")
            if answer.status not in (400, 404) or _about(answer, pod):
                return await self._kept(pod, answer)
            del self._versions[0]  # it does not know this kind of eviction
        return await self._delete(pod, {})

    async def _kept(self, pod: Pod, answer: Answer) -> Blocker | None:
        if answer.status == 404:
            return None
        if answer.status in _DOWN:
            raise refused(answer.service, answer.status, answer.body)
        if answer.status == 429 and b"disruption budget" in answer.body:
            return Blocker(pod.told, await self._budget(pod))
        if answer.status == 429:
            raise refused(answer.service, answer.status, answer.body)  # too many requests
        return Blocker(pod.told, words(answer.body) or f"the API answered {answer.status}")

    async def _budget(self, pod: Pod) -> str:
        version = self._versions[0]
        path = f"/apis/{version}/{pod.inside}/poddisruptionbudgets"
        try:
            budgets = await self._api.list(path, OTHERS)
            with sense(self._api.channel.service):
                return kept_by(budgets.items, pod.labels, empty_selects=version == _EVICTIONS[0])
        except CloudError as error:
            if error.status not in (403, 404):
                raise
            return UNKNOWN

    async def _delete(self, pod: Pod, options: dict[str, object]) -> Blocker | None:
        """Delete exactly this pod, not one of the same name that has come since."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": pod.uid}, **options}
        answer = await self._api.channel.call("DELETE", pod.path, json=body, allow={404, 409})
        return Blocker(pod.told, "") if answer.status < 300 else None


def _about(answer: Answer, pod: Pod) -> bool:
    """Whether a 400 or 404 is about the pod: its own name is in the status' details, where a server without such
    evictions says nothing of it."""
    try:
        return bool(inner(doc(orjson.loads(answer.body)), "details").get("name") == pod.name)
    except (orjson.JSONDecodeError, TypeError):
        return False
