"""Which stand-in a program's name means."""

from __future__ import annotations

import importlib
import sys

MODULES = {
    "flanneld": "flanneld",
    "kube-apiserver": "apiserver",
    "kubelet": "kubelet",
    "hyperkube": "hyperkube",
    "kube-controller-manager": "hyperkube",
    "kube-scheduler": "hyperkube",
    "kube-proxy": "hyperkube",
    "kubeadm": "kubeadm",
    "kubectl": "kubectl",
    "mesos-init-wrapper": "mesos",
    "marathon": "mesos",
    "swarm": "swarm",
}
"""Name of a program to the module here that has its `main(name, arguments)`."""


def main(name: str, arguments: list[str]) -> None:
    """Be that program; ends the process."""
    module = importlib.import_module(f".{MODULES[name]}", __package__)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a terminal, a file or a pipe
    module.main(name, arguments)
