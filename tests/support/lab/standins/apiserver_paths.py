"""What kube-apiserver answers: its health, the nodes, and one path of our own for everything that others apply."""

from __future__ import annotations

import json

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
        node = question.json()
        name = node["metadata"]["name"]
        if self._judges and not _is_node(question.client, name):
            return 403, _status(f"{question.client} may not register node {name}", 403)
        self._store.put(f"minions/{name}", json.dumps({**node, "user": question.client}))
        return 201, node

    def _objects(self, question: Question) -> Answer:
        if question.method == "GET":
            return 200, {"items": [json.loads(text) for text in self._store.listed("objects")]}
        if self._judges and question.client.get("organizationName") != "system:masters":
            return 403, _status(f"{question.client} may not do this", 403)
        given = question.json()
        metadata = given["metadata"]
        brief = {"kind": given["kind"], "namespace": metadata.get("namespace", ""), "name": metadata["name"]}
        self._store.put(f"objects/{'/'.join(brief.values())}", json.dumps(brief))
        return 201, brief


def _is_node(client: Subject, name: str) -> bool:
    administrator = client.get("organizationName") == "system:masters"
    by_name = client.get("commonName") == f"system:node:{name}" and client.get("organizationName") == "system:nodes"
    return administrator or by_name


def _status(message: str, code: int) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
