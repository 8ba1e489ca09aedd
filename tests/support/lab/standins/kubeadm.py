"""kubeadm, as far as nodes ask for it: versions, images, the manifests of etcd and the control plane, what comes last.

Manifests have the flags of the real one; certificates must all be there, for it makes none ("external CA").
"""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from . import external_ca
from .checks import die, issued, need, pair, private, readable, subject_is, wanted_version
from .flags import parse
from .kubeconfig import read

CONFIGURATION = "kubeadm.k8s.io/v1beta4"
FIELDS = {
    "InitConfiguration": "localAPIEndpoint nodeRegistration bootstrapTokens certificateKey patches skipPhases timeouts",
    "ClusterConfiguration": (
        "clusterName kubernetesVersion controlPlaneEndpoint imageRepository certificatesDir networking etcd apiServer "
        "controllerManager scheduler dns proxy featureGates encryptionAlgorithm"
    ),
}
MANIFESTS = Path("/etc/kubernetes/manifests")
CONFS = Path("/etc/kubernetes")


def main(name: str, arguments: list[str]) -> None:
    """As `kubeadm`."""
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))
    command = " ".join(words)
    rest = arguments[len(words) :]
    if words[:1] == ["version"]:
        need(arguments[1:] == ["-o", "short"], f"unexpected {arguments}")
        print(wanted_version())
        return
    flags = parse(rest, "config kubernetes-version image-repository v")
    if command == "config images list":
        repository = flags.get("image-repository", "registry.k8s.io")
        print(f"{repository}/kube-apiserver:{flags['kubernetes-version']}\n{repository}/pause:3.10")
        return
    config = Config(flags.get("config", ""))
    if command.startswith("init "):
        external_ca.check(config.certificates)
    match command:
        case "config images pull":
            print("[config/images] Pulled")
        case "init phase etcd local":
            config.write("etcd", "etcd", _etcd(config), ["/var/lib/etcd", f"{config.certificates}/etcd"])
        case "init phase control-plane all":
            _control_plane(config)
        case "init phase mark-control-plane" | "init phase upload-config all" | "init phase addon all":
            _as_administrator(config, command)
        case _:
            die(f"kubeadm has no command {command!r}")


class Config:
    """A configuration file with its documents, checked."""

    def __init__(self, path: str) -> None:
        documents = [one for one in yaml.safe_load_all(private(path).read_text()) if one]
        for one in documents:
            if one["apiVersion"] == CONFIGURATION:
                known = set(FIELDS[one["kind"]].split()) | {"apiVersion", "kind"}
                need(set(one) <= known, f"{one['kind']}: unknown fields {sorted(set(one) - known)}")
        found = {one["kind"]: one for one in documents}
        need({"InitConfiguration", "ClusterConfiguration"} <= set(found), f"{path} lacks a kind: {sorted(found)}")
        self.cluster: Any = found["ClusterConfiguration"]
        init: Any = found["InitConfiguration"]
        self.node: str = init["nodeRegistration"]["name"]
        self.address: str = init["localAPIEndpoint"]["advertiseAddress"]
        self.port: int = init["localAPIEndpoint"]["bindPort"]
        self.patches: str = init.get("patches", {}).get("directory", "")
        self.certificates: str = self.cluster["certificatesDir"]
        need(isinstance(self.port, int), f"bindPort {self.port!r} is no number")

    def extra(self, *path: str) -> dict[str, str]:
        """The extraArgs of a part."""
        part = self.cluster
        for name in path:
            part = (part or {}).get(name)
        listed = (part or {}).get("extraArgs") or []
        need(all(set(one) == {"name", "value"} for one in listed), f"extraArgs of {path} are no names and values")
        need(all(isinstance(one["value"], str) for one in listed), f"extraArgs of {path} have values that are no texts")
        return {one["name"]: one["value"] for one in listed}

    def write(self, name: str, program: str, flags: dict[str, str], mounts: list[str]) -> None:
        """A static pod's manifest."""
        container = {
            "name": name,
            "image": f"{self.cluster['imageRepository']}/{name}:{self.cluster['kubernetesVersion']}",
            "command": [program, *(f"--{flag}={value}" for flag, value in sorted(flags.items()))],
            "volumeMounts": [{"name": f"v{i}", "mountPath": path} for i, path in enumerate(mounts)],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "labels": {"component": name, "tier": "control-plane", **self._more_labels(name)},
                "name": name,
                "namespace": "kube-system",
            },
            "spec": {
                "containers": [container],
                "hostNetwork": True,
                "volumes": [{"name": f"v{i}", "hostPath": {"path": path}} for i, path in enumerate(mounts)],
            },
        }
        unfinished = CONFS / f"{name}.unfinished"
        unfinished.touch(0o600)
        unfinished.write_text(yaml.safe_dump(pod))
        unfinished.rename(MANIFESTS / f"{name}.yaml")

    def _more_labels(self, name: str) -> dict[str, str]:
        """Those of the patch for this pod, which is all that patches are for here."""
        path = Path(self.patches, f"{name}+strategic.yaml")
        if not self.patches or not path.exists():
            return {}
        patch = yaml.safe_load(readable(str(path)).read_text())
        need(set(patch) == {"metadata"} and set(patch["metadata"]) == {"labels"}, f"{path} patches more than labels")
        return dict(patch["metadata"]["labels"])


def _etcd(config: Config) -> dict[str, str]:
    place = f"{config.certificates}/etcd"
    for name in ("server", "peer", "healthcheck-client"):
        pair(f"{place}/{name}.crt", f"{place}/{name}.key")
        issued(f"{place}/{name}.crt", f"{place}/ca.crt", "sslclient" if "client" in name else "sslserver")
    here = config.address
    return {
        "name": config.node,
        "data-dir": config.cluster["etcd"]["local"]["dataDir"],
        "advertise-client-urls": f"https://{here}:2379",
        "listen-client-urls": f"https://127.0.0.1:2379,https://{here}:2379",
        "listen-peer-urls": f"https://{here}:2380",
        "initial-advertise-peer-urls": f"https://{here}:2380",
        "initial-cluster": f"{config.node}=https://{here}:2380",
        "client-cert-auth": "true",
        "cert-file": f"{place}/server.crt",
        "key-file": f"{place}/server.key",
        "trusted-ca-file": f"{place}/ca.crt",
        "peer-client-cert-auth": "true",
        "peer-cert-file": f"{place}/peer.crt",
        "peer-key-file": f"{place}/peer.key",
        "peer-trusted-ca-file": f"{place}/ca.crt",
        **config.extra("etcd", "local"),
    }


def _control_plane(config: Config) -> None:
    pki, network = config.certificates, config.cluster["networking"]
    trust = "/etc/ssl/certs"
    config.write("kube-apiserver", "kube-apiserver", _apiserver(config, pki, network), [pki, trust])
    for name in ("controller-manager", "scheduler"):
        subject_is(read(str(CONFS / f"{name}.conf")).subject, f"CN=system:kube-{name}")
    conf = str(CONFS / "controller-manager.conf")
    manager = {
        **dict.fromkeys(("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"), conf),
        "bind-address": "127.0.0.1",
        "allocate-node-cidrs": "true",
        "client-ca-file": f"{pki}/ca.crt",
        "cluster-cidr": network["podSubnet"],
        "cluster-name": config.cluster["clusterName"],
        "controllers": "*,bootstrapsigner,tokencleaner",
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "root-ca-file": f"{pki}/ca.crt",
        "service-account-private-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": network["serviceSubnet"],
        "use-service-account-credentials": "true",
        **config.extra("controllerManager"),
    }
    config.write("kube-controller-manager", "kube-controller-manager", manager, [pki, trust, conf])
    conf = str(CONFS / "scheduler.conf")
    scheduler = dict.fromkeys(("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"), conf)
    scheduler |= {"bind-address": "127.0.0.1", "leader-elect": "true"}
    config.write("kube-scheduler", "kube-scheduler", scheduler | config.extra("scheduler"), [conf])


def _apiserver(config: Config, pki: str, network: dict[str, str]) -> dict[str, str]:
    readable(f"{pki}/sa.pub")
    private(f"{pki}/sa.key")
    return {
        "advertise-address": config.address,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{pki}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": f"{pki}/etcd/ca.crt",
        "etcd-certfile": f"{pki}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{pki}/apiserver-etcd-client.key",
        "etcd-servers": "https://127.0.0.1:2379",
        "kubelet-client-certificate": f"{pki}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{pki}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{pki}/front-proxy-client.crt",
        "proxy-client-key-file": f"{pki}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(config.port),
        "service-account-issuer": f"https://kubernetes.default.svc.{network['dnsDomain']}",
        "service-account-key-file": f"{pki}/sa.pub",
        "service-account-signing-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": network["serviceSubnet"],
        "tls-cert-file": f"{pki}/apiserver.crt",
        "tls-private-key-file": f"{pki}/apiserver.key",
        **config.extra("apiServer"),
    }


def _as_administrator(config: Config, command: str) -> None:
    """Things that the real one keeps in the cluster, as whoever admin.conf is."""
    admin = read(str(CONFS / "admin.conf"))
    subject_is(admin.subject, "O=system:masters")
    name = command.split()[2]
    made = [("ConfigMap", f"kubeadm-{name}-{config.node}")]
    if name == "addon":
        made += [("DaemonSet", "kube-proxy"), ("Deployment", "coredns")]
    for kind, its_name in made:
        body = {"kind": kind, "metadata": {"name": its_name, "namespace": "kube-system"}}
        try:
            status, text = admin.client.ask("POST", f"{admin.server}/stand-in/objects", body)
        except OSError as error:
            die(f"{command}: {error}")
        need(status == 201, f"{command}: {status} {text[:200]}")
