"""What kube-apiserver answers: its health, the nodes, and one path of our own for everything that others apply."""

from __future__ import annotations

import json
from typing import Any

from .store import Store
from .web import Answer, Question, Subject

OPEN = {"/healthz", "/livez", "/readyz", "/version"}
"""What modern Kubernetes shows to those without a certificate; before 1.6 there was no anonymous access."""


class Server:
    """The paths that others ask for. With `judges` it is a modern one, which looks at who asks."""

    def __init__(self, store: Store, *, judges: bool) -> None:
        self._store = store
        self._judges = judges

    def guarded(self, question: Question) -> Answer:
        """Over TLS: nothing but its health for those without a certificate."""
        if not question.client and not (self._judges and question.path.partition("?")[0] in OPEN):
            return 401, _status("Unauthorized", 401)
        return self.answer(question)

    def answer(self, question: Question) -> Answer:
        """Over the loopback's plain port, or after `guarded`."""
        path = question.path.partition("?")[0]
        try:
            match path.strip("/").split("/"):
                case ["healthz" | "livez" | "readyz"]:
                    return (200, "ok") if self._store.healthy() else (500, "etcd failed")
                case ["version"]:
                    return 200, {"gitVersion": "stand-in"}
                case ["api", "v1", "nodes", *name]:
                    return self._nodes(question, *name)
                case ["api", "v1", "namespaces", "kube-system", "pods", *name]:
                    return self._pods(question, *name)
                case ["stand-in", "objects"]:
                    return self._objects(question)
                case _:
                    return 404, _status(f"{path} not found", 404)
        except OSError as error:
            return 500, _status(str(error), 500)

    def _nodes(self, question: Question, name: str = "") -> Answer:
        if question.method == "GET":
            items = [json.loads(text) for text in self._store.listed("minions")]
            if not name:
                return 200, {"kind": "NodeList", "apiVersion": "v1", "items": items}
            found = [one for one in items if one["metadata"]["name"] == name]
            return (200, found[0]) if found else (404, _status(f'nodes "{name}" not found', 404))
        if question.method == "DELETE":
            if self._judges and question.client.get("organizationName") != "system:masters":
                return 403, _status(f"{question.client} may not delete nodes", 403)
            self._store.delete(f"minions/{name}")
            return 200, {}
        node = question.json()
        name = node["metadata"]["name"]
        if self._judges and not _is_node(question.client, name):
            return 403, _status(f"{question.client} may not register node {name}", 403)
        self._store.put(f"minions/{name}", json.dumps({**node, "user": question.client}))
        return 201, node

    def _pods(self, question: Question, name: str = "") -> Answer:
        """Static pods, as their kubelets tell of them."""
        if question.method == "GET":
            items = [json.loads(text) for text in self._store.listed("pods")]
            found = [one for one in items if name in ("", one["metadata"]["name"])]
            if name:
                return (200, found[0]) if found else (404, _status(f'pods "{name}" not found', 404))
            return 200, {"items": found}
        pod = question.json()
        if self._judges and not _is_node(question.client, pod["spec"]["nodeName"]):
            return 403, _status(f"{question.client} may not tell of pods on {pod['spec']['nodeName']}", 403)
        self._store.put(f"pods/{pod['metadata']['name']}", json.dumps(pod))
        return 201, pod

    def _objects(self, question: Question) -> Answer:
        """What others apply, in brief: of a set of pods also which revision, of a ConfigMap also what is in it."""
        if question.method == "GET":
            return 200, {"items": self._briefs()}
        given = question.json()
        metadata = given.get("metadata", {})
        brief = {"kind": given.get("kind", ""), "namespace": metadata.get("namespace", "")}
        brief["name"] = metadata.get("name", "")
        if self._judges and not _may_write(question.client, brief):
            return 403, _status(f"{question.client} may not do this", 403)
        if question.method == "DELETE":
            self._store.delete(f"objects/{'/'.join(brief.values())}")
            return 200, brief
        more = {key: given[key] for key in ("data", "revision") if key in given and given["kind"] != "Secret"}
        self._store.put(f"objects/{'/'.join(brief.values())}", json.dumps({**brief, **more}))
        return 201, brief

    def _briefs(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self._store.listed("objects")]

    def config_map(self, namespace: str, name: str) -> dict[str, str]:
        """What is in it; nothing when there is none. Raises OSError."""
        wanted = {"kind": "ConfigMap", "namespace": namespace, "name": name}.items()
        found = [
            one for one in self._briefs() if wanted <= {key: one[key] for key in ("kind", "namespace", "name")}.items()
        ]
        return dict(found[0].get("data", {})) if found else {}

    def keep_config_map(self, namespace: str, name: str, data: dict[str, str]) -> None:
        """Write it. Raises OSError."""
        brief = {"kind": "ConfigMap", "namespace": namespace, "name": name}
        self._store.put(f"objects/{'/'.join(brief.values())}", json.dumps({**brief, "data": data}))


def _may_write(client: Subject, brief: dict[str, str]) -> bool:
    of_manager = brief["kind"] == "Lease" or brief["name"] == "kube-root-ca.crt"
    manager = client.get("commonName") == "system:kube-controller-manager"
    return client.get("organizationName") == "system:masters" or (manager and of_manager)


def _is_node(client: Subject, name: str) -> bool:
    administrator = client.get("organizationName") == "system:masters"
    by_name = client.get("commonName") == f"system:node:{name}" and client.get("organizationName") == "system:nodes"
    return administrator or by_name


def _status(message: str, code: int) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
