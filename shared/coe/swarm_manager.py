"""One manager of docker's swarm mode, over the Docker Engine API."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from shared.coe.connect import Channel
from shared.coe.errors import sense
from shared.coe.reading import Doc, doc, maybe, text
from shared.coe.swarm_state import SwarmNode, Task, read_node, read_nodes, read_tasks
from shared.domain.errors import CloudError

SERVICE: Final = "docker"
_OLDEST: Final = (1, 24)
"""Swarm mode began with it."""
_NEWEST: Final = (1, 44)
"""What this module was written for; a docker that wants more is asked in the oldest version that it has."""
_TRIES: Final = 5
_OUTDATED: Final = b"update out of sequence"
_REFUSALS: Final = frozenset(range(400, 600)) - {401}
"""Statuses of an update that are looked into here. Who is not let in is the channel's business."""


class Manager:
    """Calls to one manager. Every method raises CloudError."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._version = ""

    async def nodes(self) -> list[SwarmNode]:
        """All nodes."""
        answer = await self._get("/nodes")
        with sense(SERVICE):
            return read_nodes(answer)

    async def all(self) -> tuple[list[SwarmNode], list[Task]]:
        """All nodes and tasks. Nodes are asked for last: a task's node is then among them."""
        services, tasks, nodes = await self._get("/services"), await self._get("/tasks"), await self._get("/nodes")
        with sense(SERVICE):
            found = read_nodes(nodes)
            return found, read_tasks(services, tasks, found)

    async def update(self, node: str, change: Callable[[SwarmNode], Doc | None]) -> None:
        """Change a node's specification to what `change` makes of it (None: leave it); one that is gone is left alone.

        An update names the version of the node that it was made from. When somebody else was quicker docker refuses it,
        and the change is made anew from what the node is by then.
        """
        for left in reversed(range(_TRIES)):
            now = await self._node(node)
            wanted = change(now) if now is not None else None
            if now is None or wanted is None:
                return
            answer = await self._channel.call(
                "POST",
                f"{await self._prefix()}{_path(node)}/update",
                params={"version": str(now.version)},
                json=dict(wanted),
                allow=_REFUSALS,
            )
            if 200 <= answer.status < 300:
                return
            if _OUTDATED not in answer.body or not left:
                raise answer.refusal()

    async def remove(self, node: str) -> bool:
        """Whether it is out of the swarm now; one that the managers take for ready stays in it."""
        now = await self._node(node)
        if now is not None and now.seen.ready:
            return False
        if now is not None:
            await self._channel.call("DELETE", await self._prefix() + _path(node), allow={404})
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._channel.close()

    async def _node(self, node: str) -> SwarmNode | None:
        answer = await self._channel.call("GET", await self._prefix() + _path(node), allow={404})
        if answer.status == 404:
            return None
        with sense(SERVICE):
            return read_node(doc(answer.json()))

    async def _get(self, path: str) -> object:
        return await self._channel.get(await self._prefix() + path)

    async def _prefix(self) -> str:
        if not self._version:
            answer = await self._channel.get("/version")
            with sense(SERVICE):
                self._version = agreed(doc(answer))
        return f"/v{self._version}"


def agreed(told: Doc) -> str:
    """The API's version that a docker and we both know, from its answer to /version.

    Raises:
        CloudError: it is older than swarm mode.
        LookupError, TypeError, ValueError: it makes no sense.
    """
    newest, oldest = _version(text(told, "ApiVersion")), _version(maybe(told, "MinAPIVersion") or "1.24")
    if newest < _OLDEST:
        raise CloudError(
            f"The bay's Docker speaks API {text(told, 'ApiVersion')}; swarm mode needs 1.24 or later.", service=SERVICE
        )
    return ".".join(map(str, max(oldest, min(newest, _NEWEST))))


def _version(told: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", told)
    if found is None:
        raise ValueError("no version")
    return int(found[1]), int(found[2])


def _path(node: str) -> str:
    return f"/nodes/{quote(node, safe='')}"
