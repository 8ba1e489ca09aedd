"""What kube-apiserver keeps in etcd, over etcd's JSON gateway: masters really share one store, and its TLS is used."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence

from .checks import die
from .web import Client

_PREFIX = "/registry/"


class Store:
    """Texts by key, in the first etcd that answers."""

    def __init__(self, endpoints: Sequence[str], client: Client) -> None:
        self._endpoints = [one.rstrip("/") for one in endpoints]
        self._client = client
        self._said = "nothing"

    def wait(self, seconds: int = 120) -> None:
        """Until etcd is healthy; ends the program when it is not in time."""
        for _ in range(seconds):
            if self.healthy():
                return
            time.sleep(1)
        die(f"etcd at {', '.join(self._endpoints)} is not healthy: {self._said}")

    def healthy(self) -> bool:
        """Whether one of them says that it is; what was said instead is kept for the reason."""
        for endpoint in self._endpoints:
            try:
                _, self._said = self._client.ask("GET", f"{endpoint}/health")
                if json.loads(self._said).get("health") == "true":
                    return True
            except (OSError, ValueError) as error:
                self._said = str(error)
        return False

    def put(self, key: str, value: str) -> None:
        """Keep a text. Raises OSError when no etcd takes it."""
        self._ask("put", {"key": _encoded(_PREFIX + key), "value": _encoded(value)})

    def delete(self, key: str) -> None:
        """Forget a text. Raises OSError when no etcd does."""
        self._ask("deleterange", {"key": _encoded(_PREFIX + key)})

    def listed(self, kind: str) -> list[str]:
        """All texts whose keys begin with `kind/`. Raises OSError."""
        begin = f"{_PREFIX}{kind}/"
        body = {"key": _encoded(begin), "range_end": _encoded(begin[:-1] + chr(ord(begin[-1]) + 1))}
        found = json.loads(self._ask("range", body))
        return [base64.b64decode(one["value"]).decode() for one in found.get("kvs", [])]

    def _ask(self, verb: str, body: dict[str, str]) -> str:
        last = "no etcd was given"
        for endpoint in self._endpoints:
            try:
                status, text = self._client.ask("POST", f"{endpoint}/v3/kv/{verb}", body)
            except OSError as error:
                last = str(error)
                continue
            if status == 200:
                return text
            last = f"{status} {text[:200]}"
        raise OSError(f"etcd: {last}")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
