"""User-data of this driver's nodes: data in one environment file, scripts that read it, one MIME text per role."""

from __future__ import annotations

import json

from shared.drivers.common import sources
from shared.drivers.common.labels import checked
from shared.drivers.contract import BayFacts, Role
from shared.drivers.k8s_fedora_atomic import labels
from shared.drivers.rendering import (
    check_user_data,
    cloud_config,
    file_entry,
    multipart,
    package_text,
    package_texts,
    plain,
    shell_environment,
)

COMMON = "shared.drivers.common"
OWN = "shared.drivers.k8s_fedora_atomic"
LOGIN = "minion"
"""The guide's login name for this image."""
CONFIG = "/etc/jeroboam"

UNITS: dict[Role, str] = {
    "master": "etcd flanneld docker kube-apiserver kubelet",
    "worker": "flanneld docker kubelet",
}
"""systemd units that a ready node runs; kube-controller-manager, kube-scheduler and kube-proxy are containers."""
RESTART_UNITS: dict[Role, str] = {
    "master": "etcd flanneld kube-apiserver kubelet",
    "worker": "flanneld kubelet",
}
"""What reads certificates only at its start; kube-proxy and the like are replaced through their manifests."""

_BASE = frozenset({"NODE_NAME", "SIGNAL_COMMAND", "PUBLIC_ADDRESS", "PRIVATE_ADDRESS", "MASTER_ADDRESS"})
_SECRET = frozenset({"NODE_SECRET"})
_VOLUME = frozenset({"DOCKER_VOLUME"})
_CREDENTIAL = frozenset({"APPLICATION_CREDENTIAL_ID", "APPLICATION_CREDENTIAL_SECRET"})


def wait_seconds(facts: BayFacts) -> int:
    """How long Heat waits for a node: the bay's timeout; 2 h when it has none. Heat takes 1 to 43200 s."""
    return min(facts.timeout_minutes * 60, 43_200) if facts.timeout_minutes else 7200


def render(facts: BayFacts, role: Role, *, cloud_provider: bool) -> str:
    """Give the user-data of one role, with what differs per server left to Heat as `@@NAME@@`."""
    parts = [("00-files.yaml", "text/cloud-config", cloud_config(_config(facts, role, cloud_provider)))]
    scripts = package_texts(COMMON, "payload", ".sh") | package_texts(OWN, "payload", ".sh")
    other = ".worker.sh" if role == "master" else ".master.sh"
    parts += [
        (name, "text/x-shellscript", text)
        for name, text in sorted(scripts.items())
        if name[0].isdigit() and not name.endswith(other)
    ]
    expected = _BASE | _VOLUME
    expected |= frozenset() if facts.tls_disabled else _SECRET
    expected |= _CREDENTIAL if cloud_provider else frozenset()
    return check_user_data(multipart(parts), expected)


def _config(facts: BayFacts, role: Role, cloud_provider: bool) -> dict[str, object]:
    user: dict[str, object] = {
        "name": LOGIN,
        "gecos": "Kubernetes",
        "groups": "wheel,adm,systemd-journal",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "shell": "/bin/bash",
        "lock_passwd": True,
    }
    if facts.ssh_public_key:
        user["ssh_authorized_keys"] = [plain(facts.ssh_public_key.strip(), "keypair_id")]
    return {"users": [user], "write_files": _files(facts, role, cloud_provider)}


def _files(facts: BayFacts, role: Role, cloud_provider: bool) -> list[dict[str, str]]:
    def own(name: str) -> dict[str, str]:
        return file_entry(f"{CONFIG}/{name}", package_text(OWN, "payload", name))

    files = [
        file_entry(f"{CONFIG}/bay.env", shell_environment(_environment(facts, role, cloud_provider))),
        file_entry(f"{CONFIG}/lib.sh", package_text(COMMON, "payload", "lib.sh")),
        file_entry(f"{CONFIG}/signal-command", "@@SIGNAL_COMMAND@@\n"),
        own("write-manifests"),
        own("check-node"),
    ]
    if facts.cloud_ca_pem:
        files.append(file_entry(f"{CONFIG}/cloud-ca.pem", facts.cloud_ca_pem, "0644"))
    if not facts.tls_disabled:
        files += [
            file_entry(f"{CONFIG}/node-secret", "@@NODE_SECRET@@\n"),
            file_entry(f"{CONFIG}/ca.pem", facts.ca_pem, "0644"),
            file_entry(f"{CONFIG}/node-agent", package_text(COMMON, "node_agent.sh"), "0700"),
            own("install-certificates"),
        ]
        for unit in ("jeroboam-agent.service", "jeroboam-agent.timer"):
            files.append(file_entry(f"/etc/systemd/system/{unit}", package_text(COMMON, "payload", unit), "0644"))
    if cloud_provider:
        credential = {name: f"@@{name.removeprefix('JB_')}@@" for name in sorted(f"JB_{n}" for n in _CREDENTIAL)}
        files.append(file_entry(f"{CONFIG}/cloud-credential", shell_environment(credential)))
    return files


def _environment(facts: BayFacts, role: Role, cloud_provider: bool) -> dict[str, str]:
    """Everything that the scripts know. Heat fills in the values between `@@`."""
    images = sources.resolve(facts.node_sources)
    port = labels.api_port(facts)
    scheme = "http" if facts.tls_disabled else "https"
    given = {
        "JB_API_URL": facts.api_url.rstrip("/"),
        "JB_BAY_ID": facts.bay_id,
        "JB_KEYSTONE_URL": facts.keystone_url,
        "JB_REGION": facts.region,
        "JB_HTTP_PROXY": facts.http_proxy,
        "JB_HTTPS_PROXY": facts.https_proxy,
        "JB_NO_PROXY": facts.no_proxy,
        "JB_INSECURE_REGISTRY": facts.insecure_registry or "",
        "JB_HYPERKUBE_IMAGE": images["k8s_hyperkube_image"],
        "JB_PAUSE_IMAGE": images["k8s_pause_image"],
    }
    own = {
        "JB_ROLE": role,
        "JB_TLS": "false" if facts.tls_disabled else "true",
        "JB_UNITS": UNITS[role],
        "JB_RESTART_UNITS": RESTART_UNITS[role],
        "JB_WAIT_SECONDS": str(max(60, wait_seconds(facts) - 120)),
        "JB_CLOUD_PROVIDER": "true" if cloud_provider else "false",
        "JB_DOCKER_STORAGE_DRIVER": facts.docker_storage_driver or "devicemapper",
        "JB_FLANNEL_CONFIG": _flannel_config(facts),
        "JB_SERVICE_CIDR": str(labels.SERVICE_NETWORK),
        "JB_API_PORT": str(port),
        "JB_LOCAL_API_PORT": str(port if facts.tls_disabled else 8080),
        "JB_API_SERVER": f"{scheme}://@@MASTER_ADDRESS@@:{port}",
        "JB_NODE_NAME": "@@NODE_NAME@@",
        "JB_PRIVATE_ADDRESS": "@@PRIVATE_ADDRESS@@",
        "JB_MASTER_ADDRESS": "@@MASTER_ADDRESS@@",
        "JB_DOCKER_VOLUME": "@@DOCKER_VOLUME@@",
        "JB_DNS_NAMES": _dns_names(role),
        "JB_IP_ADDRESSES": _ip_addresses(role),
    }
    fields = {name: name.removeprefix("JB_").lower() for name in given}
    return {name: plain(value, fields[name]) for name, value in given.items()} | own


def _dns_names(role: Role) -> str:
    names = ["@@NODE_NAME@@"]
    if role == "master":
        inside = "kubernetes.default"
        names += ["kubernetes", inside, f"{inside}.svc", f"{inside}.svc.cluster.local", "localhost"]
    return " ".join(names)


def _ip_addresses(role: Role) -> str:
    """A node without a floating address has the private one twice, which a certificate may."""
    addresses = ["@@PRIVATE_ADDRESS@@", "@@PUBLIC_ADDRESS@@"]
    if role == "master":
        addresses += ["127.0.0.1", str(labels.SERVICE_NETWORK[1])]
    return " ".join(addresses)


def _flannel_config(facts: BayFacts) -> str:
    config = {
        "Network": checked(labels.RULES, facts.labels, "flannel_network_cidr"),
        "SubnetLen": int(checked(labels.RULES, facts.labels, "flannel_network_subnetlen")),
        "Backend": {"Type": checked(labels.RULES, facts.labels, "flannel_backend")},
    }
    return json.dumps(config)
