"""gophercloud's service client on the wire: its headers, its bodies, the status codes that it takes for success."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import httpx

from tests.clients.replay.decoders import Accepted, Cluster, NodeGroup, NodeGroups, Struct
from tests.clients.support.cloud import WAIT, Cloud

Decoded = TypeVar("Decoded", bound=Struct)
FAILED = ("CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED", "RESUME_FAILED", "ROLLBACK_FAILED")


@dataclass(frozen=True)
class Gopher:
    """`microversion` as a program sets it; none means that no header is sent."""

    cloud: Cloud
    microversion: str | None = None
    user: str = "demo"

    def at(self, microversion: str) -> Gopher:
        """The same client, its microversion set."""
        return replace(self, microversion=microversion)

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One request, whatever the answer."""
        headers = {
            "User-Agent": "gophercloud/v2.8.0",
            "Accept": "application/json",
            "X-Auth-Token": self.cloud.token(self.user),
        }
        if self.microversion is not None:
            headers["OpenStack-API-Version"] = f"container-infra {self.microversion}"
        content = None if body is None else json.dumps(body, separators=(",", ":"))
        if content is not None:
            headers["Content-Type"] = "application/json"
        address = path if path.startswith("http") else f"{self.cloud.api_url}{path}"
        return self.cloud.http.request(method, address, headers=headers, content=content)

    def ask(
        self, into: type[Decoded], method: str, path: str, body: object = None, *, ok: Sequence[int] = (200,)
    ) -> Decoded:
        """One request that must end well, its answer decoded."""
        answer = self.send(method, path, body)
        assert answer.status_code in ok, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return into.model_validate_json(answer.content)

    def delete(self, path: str) -> None:
        """DELETE; 202 and 204 are success."""
        answer = self.send("DELETE", path)
        assert answer.status_code in {202, 204}, answer.text

    # The calls that several programs make.

    def create(self, body: Mapping[str, object]) -> str:
        """`clusters.Create`: 202 only. The uuid."""
        return self.ask(Accepted, "POST", "/clusters", body, ok=(202,)).uuid

    def get(self, cluster: str) -> Cluster:
        """`clusters.Get`."""
        return self.ask(Cluster, "GET", f"/clusters/{cluster}")

    def update(self, cluster: str, *patch: Mapping[str, object]) -> str:
        """`clusters.Update`: 200 and 202."""
        return self.ask(Accepted, "PATCH", f"/clusters/{cluster}", list(patch), ok=(200, 202)).uuid

    def resize(self, cluster: str, **options: object) -> str:
        """`clusters.Resize`: 200 and 202."""
        return self.ask(Accepted, "POST", f"/clusters/{cluster}/actions/resize", options, ok=(200, 202)).uuid

    def groups(self, cluster: str) -> list[NodeGroup]:
        """`nodegroups.List`, all pages."""
        found: list[NodeGroup] = []
        path = f"/clusters/{cluster}/nodegroups"
        while path:
            page = self.ask(NodeGroups, "GET", path)
            found += page.nodegroups
            path = page.next if page.nodegroups else ""
        return found

    def group(self, cluster: str, name: str) -> NodeGroup:
        """`nodegroups.Get`."""
        return self.ask(NodeGroup, "GET", f"/clusters/{cluster}/nodegroups/{name}")

    def wait(self, cluster: str, target: str) -> Cluster:
        """Poll as Terraform does: a failure ends it, everything else but `target` is pending."""
        give_up = time.monotonic() + WAIT
        while time.monotonic() < give_up:
            found = self.get(cluster)
            assert found.status not in FAILED, found.status_reason
            if found.status == target:
                return found
            time.sleep(0.1)
        raise TimeoutError(f"{cluster} is not {target} but {found.status}")

    def wait_gone(self, cluster: str) -> list[str]:
        """Poll until 404; the statuses seen on the way."""
        seen: list[str] = []
        give_up = time.monotonic() + WAIT
        while time.monotonic() < give_up:
            answer = self.send("GET", f"/clusters/{cluster}")
            if answer.status_code == 404:
                return seen
            seen.append(Cluster.model_validate_json(answer.content).status)
            time.sleep(0.1)
        raise TimeoutError(f"{cluster} is still there: {seen[-1]}")
