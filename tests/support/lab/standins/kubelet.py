"""kubelet: checks runtime and certificates, runs the static pods' programs, registers its node, tells its health.

One of today is given a file of settings by --config; one of Kubernetes 1.2 has flags for all, and --config is a folder.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .checks import die, issued, names, need, notify, own_addresses, pair, subject_is, wanted_version
from .flags import Flags, parse, whole
from .in_cluster import Daemons
from .kubeconfig import Kubeconfig, read
from .pods import Pods
from .web import Answer, Client, Question, serve

OLD = (
    "address api-servers cadvisor-port cert-dir cgroup-root cloud-config cloud-provider cluster-dns cluster-domain "
    "config container-runtime docker docker-endpoint docker-root healthz-bind-address healthz-port hostname-override "
    "image-gc-high-threshold image-gc-low-threshold kubeconfig max-pods network-plugin network-plugin-dir node-ip "
    "node-labels node-status-update-frequency non-masquerade-cidr pod-cidr pod-infra-container-image port "
    "read-only-port resolv-conf root-dir tls-cert-file tls-private-key-file volume-plugin-dir system-reserved "
    "kube-reserved v vmodule pod-manifest-path"
)
OLD_BOOLEANS = (
    "allow-privileged register-node register-schedulable require-kubeconfig configure-cbr0 enable-server logtostderr "
    "alsologtostderr serialize-image-pulls containerized"
)
NEW = "kubeconfig config hostname-override node-ip node-labels register-with-taints cloud-provider v root-dir cert-dir"
SETTINGS = (
    "staticPodPath containerRuntimeEndpoint cgroupDriver clusterDNS clusterDomain resolvConf authentication "
    "authorization healthzBindAddress healthzPort rotateCertificates tlsCertFile tlsPrivateKeyFile address port "
    "serverTLSBootstrap failSwapOn readOnlyPort maxPods evictionHard shutdownGracePeriod"
)
NETWORK, CLOUD = "flannel", "openstack-cloud-controller-manager"
"""DaemonSets without which a node is not ready, or not taken up by the cloud provider."""


@dataclass(frozen=True)
class Node:
    """What a kubelet is told, whichever way."""

    name: str
    address: str
    api: str
    client: Client
    subject: str
    pods: Path
    health: tuple[str, int]
    register: bool
    judged: bool
    """Whether its node must be ready before anything runs on it."""
    external_cloud: bool = False


def main(name: str, arguments: list[str]) -> None:
    """As `kubelet`."""
    if arguments == ["--version"]:
        print(f"Kubernetes {wanted_version()}")
        return
    node = _modern(arguments) if any(word.startswith("--config=") and _is_file(word) for word in arguments) else None
    node = node or _old(arguments)
    pods, daemons = Pods(node.pods), Daemons()
    serve(*node.health, pods.health)
    notify()
    while True:
        pods.look()
        if node.judged:
            _mirror(node, pods)
        if node.register:
            _register(node, daemons)
        time.sleep(1)


def _is_file(word: str) -> bool:
    return Path(word.partition("=")[2]).is_file()


def _old(arguments: list[str]) -> Node:
    flags = parse(arguments, OLD, booleans=OLD_BOOLEANS)
    if flags.get("container-runtime", "docker") == "docker":
        _listens("/var/run/docker.sock")
    server, client, subject = _api(flags)
    need(whole(flags, "read-only-port", 10255) == 0 or not subject, "the read-only port shows everything without TLS")
    if "tls-cert-file" in flags:
        certificate, key = flags["tls-cert-file"], flags.get("tls-private-key-file", "")
        _serve_pods(flags.get("address", "0.0.0.0"), whole(flags, "port", 10250), certificate, key, client.authority)
    return Node(
        name=flags.get("hostname-override") or socket.gethostname(),
        address=flags.get("address", ""),
        api=server,
        client=client,
        subject=subject,
        pods=Path(flags.get("pod-manifest-path") or flags.get("config", "/nowhere")),
        health=(flags.get("healthz-bind-address", "127.0.0.1"), whole(flags, "healthz-port", 10248)),
        register=flags.get("register-node", "true") == "true",
        judged=False,
    )


def _modern(arguments: list[str]) -> Node:
    flags = parse(arguments, NEW, required="kubeconfig config")
    settings: dict[str, Any] = yaml.safe_load(Path(flags["config"]).read_text())
    need(settings.pop("kind", "") == "KubeletConfiguration", f"{flags['config']} is no KubeletConfiguration")
    need(settings.pop("apiVersion", "") == "kubelet.config.k8s.io/v1beta1", f"{flags['config']}: wrong apiVersion")
    unknown = sorted(set(settings) - set(SETTINGS.split()))
    need(not unknown, f"{flags['config']}: unknown fields {unknown}")
    _listens(str(settings["containerRuntimeEndpoint"]).removeprefix("unix://"))
    authentication = settings.get("authentication", {})
    need(authentication.get("anonymous", {}).get("enabled") is False, "kubelet would answer anonymous clients")
    need(settings.get("authorization", {}).get("mode") == "Webhook", "kubelet would allow everything to everybody")
    config: Kubeconfig = read(flags["kubeconfig"])
    name = flags.get("hostname-override") or socket.gethostname()
    subject_is(config.subject, f"CN=system:node:{name}", "O=system:nodes")
    authority = authentication["x509"]["clientCAFile"]
    certificate, key = settings["tlsCertFile"], settings["tlsPrivateKeyFile"]
    need(name in names(certificate), f"{certificate} is not for {name}")
    _serve_pods("0.0.0.0", 10250, certificate, key, authority, clients=authority)
    return Node(
        name=name,
        address=flags.get("node-ip", ""),
        api=config.server,
        client=config.client,
        subject=config.subject,
        pods=Path(settings["staticPodPath"]),
        health=(settings.get("healthzBindAddress", "127.0.0.1"), settings.get("healthzPort", 10248)),
        register=True,
        judged=True,
        external_cloud=flags.get("cloud-provider") == "external",
    )


def _listens(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect(path)
        except OSError as error:
            die(f"the container runtime does not answer at {path}: {error}")


def _api(flags: Flags) -> tuple[str, Client, str]:
    """kube-apiserver's address, how it is spoken to, and as whom."""
    if "kubeconfig" in flags:
        config = read(flags["kubeconfig"])
        return flags.get("api-servers", config.server).split(",")[0], config.client, config.subject
    server = flags.get("api-servers", "").split(",")[0]
    need(server, "neither --kubeconfig nor --api-servers is given")
    need(server.startswith("http://"), f"{server} needs a kubeconfig")
    return server, Client(), ""


def _serve_pods(address: str, port: int, certificate: str, key: str, authority: str, clients: str = "") -> None:
    """Port 10250, where kube-apiserver comes for logs and commands. `clients` is who signs those that may."""
    pair(certificate, key)
    if authority:
        issued(certificate, authority, "sslserver")
    own = {one for one in own_addresses() if one.startswith("10.0.")}
    need(own & names(certificate), f"{certificate} is for {sorted(names(certificate))} and not for {sorted(own)}")

    def answer(question: Question) -> Answer:
        return (200, "ok") if question.client or not clients else (401, "Unauthorized")

    serve(address, port, answer, certificate=(certificate, key), client_authority=clients or None)


def _mirror(node: Node, pods: Pods) -> None:
    """Tell of the static pods, so that others see with what they run."""
    for pod in pods.mirrors(node.name):
        _post(node, "/api/v1/namespaces/kube-system/pods", pod)


def _register(node: Node, daemons: Daemons) -> None:
    body: dict[str, Any] = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": node.name}}
    if node.judged:
        reason = daemons.look(_objects(node), node.api)
        there = daemons.revisions()
        if NETWORK not in there:
            reason = "cni plugin not initialized"
        waits = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
        body["metadata"]["annotations"] = {"stand-in/daemons": json.dumps(there)}
        body["spec"] = {"taints": [waits] if node.external_cloud and CLOUD not in there else []}
        condition = {"type": "Ready", "status": str(not reason), "message": reason}
        body["status"] = {"conditions": [condition], "addresses": [{"type": "InternalIP", "address": node.address}]}
    _post(node, "/api/v1/nodes", body)


def _post(node: Node, path: str, body: object) -> None:
    try:
        status, text = node.client.ask("POST", f"{node.api}{path}", body)
    except OSError as error:
        print(f"{node.api}: {error}")
        return
    if status != 201:
        print(f"{node.api}{path}: {status} {text[:300]}")


def _objects(node: Node) -> list[dict[str, Any]]:
    """What has been applied to the bay, as far as kube-apiserver tells."""
    try:
        status, text = node.client.ask("GET", f"{node.api}/stand-in/objects")
    except OSError:
        return []
    items: list[dict[str, Any]] = json.loads(text)["items"] if status == 200 else []
    return items
