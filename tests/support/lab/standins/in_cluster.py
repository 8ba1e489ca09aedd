"""Pods that speak to kube-apiserver from within the cluster: each trusts what it was given when it started.

That is what client-go before 0.36 does, and so kube-proxy, flannel and most others in bays.
"""

from __future__ import annotations

import ssl
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .web import Client

_PODS = Path("/run/in-cluster")


@dataclass(frozen=True)
class _Pod:
    revision: str
    authority: Path


class Daemons:
    """The pods of DaemonSets on one node."""

    def __init__(self) -> None:
        self._running: dict[str, _Pod] = {}

    def look(self, objects: list[dict[str, Any]], api: str) -> str:
        """Start what is new, or has another revision; why one does not work, or nothing."""
        published = {one["namespace"]: one["data"] for one in objects if one["name"] == "kube-root-ca.crt"}
        for one in (one for one in objects if one["kind"] == "DaemonSet" and one["namespace"] in published):
            pod, wanted = self._running.get(one["name"]), one.get("revision", "")
            if pod is None or pod.revision != wanted:
                given = published[one["namespace"]]["ca.crt"]
                self._running[one["name"]] = _Pod(wanted, _kept(f"{one['name']}-{wanted or 'first'}", given))
        troubles = [(name, _trouble(api, pod.authority)) for name, pod in self._running.items()]
        return "; ".join(f"{name} does not trust kube-apiserver: {said}" for name, said in troubles if said)

    def revisions(self) -> dict[str, str]:
        """Of those that run."""
        return {name: pod.revision for name, pod in self._running.items()}


def _kept(pod: str, pem: str) -> Path:
    """What the pod was given when it started: pods go on while kubelet starts again."""
    path = _PODS / f"{pod}.pem"
    _PODS.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(pem)
    return path


def _trouble(api: str, authority: Path) -> str:
    """What speaks against the certificate of kube-apiserver; nothing when nobody answers."""
    try:
        Client(str(authority)).ask("GET", f"{api}/readyz")
    except urllib.error.URLError as error:
        return str(error.reason) if isinstance(error.reason, ssl.SSLCertVerificationError) else ""
    except OSError:
        return ""
    return ""
