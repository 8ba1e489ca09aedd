"""hyperkube: controller-manager, scheduler and proxy, in containers on real nodes, processes of kubelet here.

Each checks its flags, speaks to kube-apiserver as it is told to, and stays.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress

from .checks import bay_has_tls, die, issued, need, own_addresses, pair, private, readable, subject_is
from .flags import Flags, parse, whole
from .kubeconfig import read
from .web import Client, serve

COMMON = "kubeconfig master v vmodule kube-api-burst kube-api-qps feature-gates log-flush-frequency"
BOOLEANS = "logtostderr alsologtostderr profiling leader-elect"
KNOWN = {
    "controller-manager": (
        "address bind-address port secure-port allocate-node-cidrs cloud-config cloud-provider cluster-cidr "
        "cluster-name root-ca-file service-account-private-key-file service-cluster-ip-range "
        "node-monitor-grace-period node-monitor-period pod-eviction-timeout terminated-pod-gc-threshold "
        "authentication-kubeconfig authorization-kubeconfig client-ca-file cluster-signing-cert-file "
        "cluster-signing-key-file controllers requestheader-client-ca-file external-cloud-volume-plugin "
        "node-cidr-mask-size"
    ),
    "scheduler": (
        "address bind-address port secure-port algorithm-provider policy-config-file scheduler-name "
        "authentication-kubeconfig authorization-kubeconfig config"
    ),
    "proxy": (
        "bind-address cluster-cidr hostname-override healthz-bind-address healthz-port proxy-mode proxy-port-range "
        "iptables-sync-period conntrack-max config oom-score-adj masquerade-all metrics-bind-address "
        "conntrack-max-per-core"
    ),
}
MORE_BOOLEANS = "use-service-account-credentials masquerade-all cleanup-iptables enable-dynamic-provisioning"
PORTS = {"controller-manager": 10252, "scheduler": 10251, "proxy": 0}


def main(name: str, arguments: list[str]) -> None:
    """As `hyperkube PART …`, or as the part's own program."""
    if name == "hyperkube":
        need(arguments, "hyperkube needs the name of a part")
        name, *arguments = arguments
    part = name.removeprefix("kube-")
    need(part in KNOWN, f"hyperkube has no part {part}")
    flags = parse(arguments, f"{COMMON} {KNOWN[part]}", booleans=f"{BOOLEANS} {MORE_BOOLEANS}")
    _check_files(flags)
    server, client = _api(part, flags)
    _wait(server, client)
    port = 0 if "authorization-kubeconfig" in flags else whole(flags, "port", PORTS[part])
    if port:
        address = flags.get("address", "0.0.0.0")
        need(address == "127.0.0.1" or not bay_has_tls(), f"{part} would show its plain port {port} on {address}")
        serve(address, port, lambda _question: (200, "ok"))
    print(f"{part} speaks to {server}")
    root = readable(flags["root-ca-file"]).read_text() if "root-ca-file" in flags else ""  # read at the start only
    while True:
        if root and "authorization-kubeconfig" in flags:
            _lead(server, client, root)
        time.sleep(1)


def _lead(server: str, client: Client, root: str) -> None:
    """The one that leads gives pods its own --root-ca-file to trust; when it ends, another one leads."""
    me, now = socket.gethostname(), time.time()
    with suppress(OSError, ValueError):
        items = json.loads(client.ask("GET", f"{server}/stand-in/objects")[1])["items"]
        lease = next((one["data"] for one in items if one["kind"] == "Lease"), {"holder": me, "until": 0})
        if lease["holder"] != me and float(str(lease["until"])) > now:
            return
        objects: list[tuple[str, str, str, object]] = [
            ("Lease", "kube-system", "kube-controller-manager", {"holder": me, "until": now + 5}),
            *(("ConfigMap", space, "kube-root-ca.crt", {"ca.crt": root}) for space in ("kube-system", "kube-flannel")),
        ]
        for kind, namespace, name, data in objects:
            body = {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "data": data}
            client.ask("POST", f"{server}/stand-in/objects", body)


def _check_files(flags: Flags) -> None:
    if "service-account-private-key-file" in flags:
        private(flags["service-account-private-key-file"])
    if "root-ca-file" in flags:
        readable(flags["root-ca-file"])
    if flags.get("cloud-provider") == "openstack":
        private(flags.get("cloud-config", ""))
    if "cluster-signing-key-file" in flags:
        pair(flags.get("cluster-signing-cert-file", ""), flags["cluster-signing-key-file"])
        issued(flags["cluster-signing-cert-file"], flags["cluster-signing-cert-file"], "any")


def _api(part: str, flags: Flags) -> tuple[str, Client]:
    """Where kube-apiserver is, and how it is spoken to: --master overrides the server of --kubeconfig."""
    if "kubeconfig" in flags:
        config = read(flags["kubeconfig"])
        if "authorization-kubeconfig" in flags:
            subject_is(config.subject, f"CN=system:kube-{part}")
        return flags.get("master", config.server), config.client
    master = flags.get("master", "")
    need(master, "neither --master nor --kubeconfig is given")
    host = master.split("//")[-1].split(":")[0]
    need(master.startswith("http://"), f"{master} needs a kubeconfig")
    local = host in {"localhost", *own_addresses()}
    need(local or not bay_has_tls(), f"{master} would be spoken to without TLS")
    return master, Client()


def _wait(server: str, client: Client, seconds: int = 300) -> None:
    said = "nothing"
    for _ in range(seconds):
        try:
            status, said = client.ask("GET", f"{server}/healthz")
            if status == 200:
                return
        except OSError as error:
            said = str(error)
        time.sleep(1)
    die(f"kube-apiserver at {server}: {said}")
