"""Static pods as kubelet runs them: each container is a process of the node, begun anew when its manifest changes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from .checks import need, private
from .web import Answer, Question

_PROGRAMS = {
    "/hyperkube": "/usr/lib/standins/bin/hyperkube",
    "etcd": "/usr/bin/etcd",
    **{
        name: f"/usr/lib/standins/bin/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
}
"""What a container's command is here; etcd is the real one."""
_PAUSE = 2.0
_Process = subprocess.Popen[bytes]


class Pods:
    """The pods of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[Path, tuple[str, list[_Process]]] = {}
        self._ended: dict[Path, float] = {}

    def look(self) -> None:
        """Start what is new, changed or has ended, and end what is gone."""
        found = {path: path.read_text() for path in sorted(self._folder.glob("*")) if path.suffix in {".yaml", ".json"}}
        for path, (text, processes) in list(self._running.items()):
            if found.get(path) != text or any(one.poll() is not None for one in processes):
                self._end(path, processes)
        for path in found.keys() - self._running.keys():
            if time.monotonic() - self._ended.get(path, 0.0) > _PAUSE:
                self._running[path] = (found[path], [_start(one) for one in _containers(path, found[path])])

    def mirrors(self, node: str) -> list[dict[str, Any]]:
        """What kubelet tells of those that it runs: with the labels that each was started with."""
        told = []
        for text, processes in self._running.values():
            metadata = yaml.safe_load(text)["metadata"]
            ready = str(all(one.poll() is None for one in processes))
            name = f"{metadata['name']}-{node}"
            told.append(
                {
                    "metadata": {"name": name, "labels": metadata.get("labels", {})},
                    "spec": {"nodeName": node},
                    "status": {"conditions": [{"type": "Ready", "status": ready}]},
                }
            )
        return told

    def health(self, question: Question) -> Answer:
        """`ok` as long as every container runs."""
        ended = [str(path) for path, (_, all_) in self._running.items() if any(one.poll() is not None for one in all_)]
        ended += [str(path) for path in self._ended if path not in self._running]
        waiting = self._folder.is_dir() and not self._running and any(self._folder.iterdir())
        return (500, f"ended: {', '.join(ended)}") if ended or waiting else (200, "ok")

    def _end(self, path: Path, processes: list[_Process]) -> None:
        for process in processes:
            process.terminate()
            process.wait()
        del self._running[path]
        self._ended[path] = time.monotonic()


def _containers(path: Path, text: str) -> list[Any]:
    private(str(path))
    pod = yaml.safe_load(text)
    need(pod.get("kind") == "Pod" and pod.get("apiVersion") == "v1", f"{path} is no pod")
    need(pod["metadata"].get("name") and pod["spec"].get("containers"), f"{path} lacks a name or containers")
    volumes = {one["name"] for one in pod["spec"].get("volumes", [])}
    for container in pod["spec"]["containers"]:
        need(container.get("image"), f"{path} names no image")
        for wanted in container.get("volumeMounts", []):
            need(wanted["name"] in volumes, f"{path} mounts {wanted['name']}, and has no such volume")
        mounted = [str(one["mountPath"]) for one in container.get("volumeMounts", [])]
        for word in container["command"]:
            option, _, value = str(word).partition("=")
            if option.endswith(("-file", "kubeconfig", "-config")) and value.startswith("/"):
                there = any(value == place or value.startswith(f"{place}/") for place in mounted)
                need(there, f"{path}: {value} is not in the container")
    return list(pod["spec"]["containers"])


def _start(container: Any) -> _Process:
    program, *rest = [str(word) for word in (*container["command"], *container.get("args", []))]
    need(program in _PROGRAMS, f"the lab has no program {program}")
    environment = {one["name"]: str(one.get("value", "")) for one in container.get("env", [])}
    return subprocess.Popen([_PROGRAMS[program], *rest], env={**os.environ, **environment})
