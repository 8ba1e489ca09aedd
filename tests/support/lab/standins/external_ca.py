"""What every phase of kubeadm checks first when there is no authority's key ("external CA").

It takes the first certificate of an authority's file for the only one: what another has signed is refused
(UsingExternalCA). A kubeconfig must have an authority that ca.crt has too (ValidateKubeconfigsForExternalCA).
"""

from __future__ import annotations

import atexit
import base64
import tempfile
from pathlib import Path

import yaml

from .checks import issued, need, pair, pems, private, readable

CONFS = Path("/etc/kubernetes")
KUBECONFIGS = ("admin", "super-admin", "kubelet", "controller-manager", "scheduler")
SIGNED = {"ca": ("apiserver", "apiserver-kubelet-client"), "front-proxy-ca": ("front-proxy-client",)}


def check(pki: str) -> None:
    """End the program unless certificates and kubeconfigs are as kubeadm wants them."""
    for authority, names in SIGNED.items():
        need(not Path(f"{pki}/{authority}.key").exists(), "the authority's key is on this node")
        first = _first(f"{pki}/{authority}.crt")
        for name in names:
            pair(f"{pki}/{name}.crt", f"{pki}/{name}.key")
            issued(f"{pki}/{name}.crt", first, "any")
    ours = set(pems(readable(f"{pki}/ca.crt").read_text()))
    for name in KUBECONFIGS:
        path = CONFS / f"{name}.conf"
        (cluster,) = yaml.safe_load(private(str(path)).read_text())["clusters"]
        given = base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode()
        need(ours & set(pems(given)), f"a kubeconfig file {path} exists already but has got the wrong CA cert")


def _first(path: str) -> str:
    found = pems(readable(path).read_text())
    need(found, f"{path} is no certificate")
    with tempfile.NamedTemporaryFile("w", prefix="first-", delete=False) as file:
        file.write(found[0])
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
