"""What programs beside Magnum's API read from Heat: a node group's stack, and the servers in its `kube_minions`."""

from __future__ import annotations

from typing import Any

from tests.clients.support.cloud import Cloud


class Heat:
    """gophercloud's orchestration client, following redirects as it does."""

    def __init__(self, cloud: Cloud, user: str = "demo") -> None:
        root = cloud.keystone_url.removesuffix("/identity/v3")
        self._url = f"{root}/orchestration/v1/{cloud.project(user)}"
        self._cloud, self._user = cloud, user

    def find(self, stack: str) -> dict[str, Any]:
        """`stacks.Find`: by id alone, which Heat answers with a redirect to name and id."""
        return dict(self._get(f"/stacks/{stack}")["stack"])

    def workers(self, stack: str) -> dict[str, str]:
        """The Nova ids of a bay's workers by their index in the group, from an output of our own template."""
        outputs = {output["output_key"]: output["output_value"] for output in self.find(stack)["outputs"]}
        return dict(outputs["nodes"])

    def workers_as_the_autoscaler_finds_them(self, stack: str) -> dict[str, str]:
        """The same, from the resource `kube_minions`, its own stack, that one's output `refs_map` and its resources."""
        whole = self.find(stack)
        path = f"/stacks/{whole['stack_name']}/{whole['id']}"
        group = self.find(self._get(f"{path}/resources/kube_minions")["resource"]["physical_resource_id"])
        inside = self._get(f"/stacks/{group['stack_name']}/{group['id']}/resources")["resources"]
        running = {one["resource_name"] for one in inside if one["resource_status"].endswith("_COMPLETE")}
        outputs = {output["output_key"]: output["output_value"] for output in group["outputs"]}
        return {index: server for index, server in outputs["refs_map"].items() if index in running}

    def _get(self, path: str) -> Any:
        headers = {"X-Auth-Token": self._cloud.token(self._user), "Accept": "application/json"}
        answer = self._cloud.http.get(f"{self._url}{path}", headers=headers, follow_redirects=True)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()
