"""A node's user-data: facts in one environment file, numbered scripts that read it, secrets in files of their own.

In a driver's `payload/`, a file whose name starts with a digit is a part that cloud-init runs, in order of names; any
other lies in /etc/jeroboam under its name. `.master` and `.worker` before `.sh`, or at the end, say for which role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

from shared.drivers.contract import BayFacts, Role
from shared.drivers.rendering import (
    PACKED,
    archive,
    check_user_data,
    cloud_config,
    file_entry,
    multipart,
    package_text,
    packed,
    placeholders,
    plain,
    shell_environment,
)

COMMON: Final = "shared.drivers.common"
MARK: Final = "magnum.openstack.org"
"""Before the labels that Magnum's clients know nodes by."""
CONFIG: Final = "/etc/jeroboam"
ARCHIVE: Final = f"{CONFIG}/files.tar"
"""All files that are the same on every node of a role, packed together: Nova takes 64 KiB of user-data."""
_UNPACK: Final = f"#!/bin/sh\n# The node's files that hold nothing of its own.\nexec tar -xf {ARCHIVE} -C /\n"
LONGEST_WAIT: Final = 43_200
"""Seconds; Heat's most for a wait condition."""
NO_TIMEOUT_WAIT: Final = 7200

_BOTH: Final = frozenset(
    {"NODE_NAME", "NODE_INDEX", "NODE_SECRET", "SIGNAL_COMMAND", "PUBLIC_ADDRESS", "PRIVATE_ADDRESS", "API_ADDRESS"}
    | {"SIGNAL_COMMAND_ESCAPED"}
    | {"MASTER_ADDRESSES", "DOCKER_VOLUME", "CA_PEM", "APPLICATION_CREDENTIAL_ID", "APPLICATION_CREDENTIAL_SECRET"}
)
FILLED_IN: Final[Mapping[Role, frozenset[str]]] = {
    "master": _BOTH | {"API_PUBLIC_ADDRESS", "ETCD_VOLUME"},
    "worker": _BOTH,
}
"""The `@@NAME@@` that Heat replaces, by common/heat/{master,worker}.yaml."""


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What a driver puts on the nodes of one role."""

    package: str
    """The driver's package, whose payload/ it is."""
    login: str
    """Name of the user who gets the bay's public key."""
    units: str
    """systemd units that a ready node runs, separated by spaces."""
    restart_units: str = ""
    """Those that read certificates only at their start."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The driver's own `JB_*`; values may hold `@@NAME@@`."""
    dns_names: tuple[str, ...] = ()
    """Names in the node's certificate beside its own."""
    ip_addresses: tuple[str, ...] = ()
    credential: bool = False
    """Whether the node gets the bay's application credential."""
    node_key: str = "ec-p256"
    """rsa2048 where something is encrypted to it and the image's OpenSSL may be older than 1.0.2."""
    user: Mapping[str, object] = field(default_factory=dict)
    """What differs from the usual in the login's cloud-config entry."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """More cloud-config."""
    shared_payloads: tuple[str, ...] = ()
    """Further packages whose payload/ is taken as well; the driver's own files win over these by name."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """More files of /etc/jeroboam, by name: those that the driver makes anew for each bay."""


def wait_seconds(facts: BayFacts) -> int:
    """How long Heat waits for a node, from the bay's create_timeout."""
    return min(60 * facts.timeout_minutes, LONGEST_WAIT) if facts.timeout_minutes else NO_TIMEOUT_WAIT


def mime(facts: BayFacts, role: Role, payload: Payload) -> str:
    """The user-data as cloud-init takes it: files that are the node's own one by one, the others in an archive, and the
    parts. Raises InvalidInput when it is too long for Nova."""
    entries = files(facts, role, payload)
    same = [entry for entry in entries if is_same(entry)]
    own = [entry for entry in entries if entry not in same]
    own.append({**file_entry(ARCHIVE, archive(same)), "encoding": PACKED})
    config = {"users": [_user(facts, payload)], "write_files": own, **payload.extra}
    parts = [("00-files.yaml", "text/cloud-config", cloud_config(config))]
    parts.append(("05-unpack.sh", "text/x-shellscript", _UNPACK))
    parts += [(name, "text/x-shellscript", text) for name, text in scripts(role, payload).items()]
    return check_user_data(multipart(parts), FILLED_IN[role], room(facts))


def is_same(entry: Mapping[str, str]) -> bool:
    """Whether a file is the same on every node of a role, so that it may lie in the archive."""
    return not placeholders(entry["content"]) and not entry["path"].endswith(".pem")


def room(facts: BayFacts) -> int:
    """How many bytes what Heat fills in may take: two authorities, as during a rotation, and 2 KiB for all else."""
    return 2048 + 2 * len(packed(facts.ca_pem))


def scripts(role: Role, payload: Payload) -> dict[str, str]:
    """The numbered parts of a role, by name and in order."""
    return {name: text for name, text in sorted(_payload(role, payload)) if name[0].isdigit()}


def files(facts: BayFacts, role: Role, payload: Payload) -> list[dict[str, str]]:
    """All files of a node but the numbered parts, as cloud-config's write_files."""
    entries = [
        file_entry(f"{CONFIG}/bay.env", shell_environment(environment(facts, role, payload))),
        file_entry(f"{CONFIG}/lib.sh", package_text(COMMON, "payload", "lib.sh")),
        file_entry(f"{CONFIG}/signal-command", "@@SIGNAL_COMMAND@@\n"),
    ]
    own = {name: text for name, text in sorted(_payload(role, payload)) if not name[0].isdigit()}
    own.pop("lib.sh")
    units = {name: own.pop(name) for name in list(own) if name.endswith((".service", ".timer", ".socket"))}
    if facts.tls_disabled:
        own.pop("install-certificates", None)
        units = {name: text for name, text in units.items() if not name.startswith("jeroboam-agent")}
    else:
        entries += _tls_files()
    entries += [file_entry(f"{CONFIG}/{name}", text) for name, text in [*own.items(), *payload.texts.items()]]
    entries += [file_entry(f"/etc/systemd/system/{name}", text, "0644") for name, text in units.items()]
    if facts.cloud_ca_pem:
        entries.append(file_entry(f"{CONFIG}/cloud-ca.pem", facts.cloud_ca_pem, "0644"))
    if payload.credential:
        names = ("APPLICATION_CREDENTIAL_ID", "APPLICATION_CREDENTIAL_SECRET")
        credential = {f"JB_{name}": f"@@{name}@@" for name in names}
        entries.append(file_entry(f"{CONFIG}/cloud-credential", shell_environment(credential)))
        if not facts.tls_disabled:
            entries.append(file_entry(f"{CONFIG}/take-credential", package_text(COMMON, "take_credential.sh")))
    return entries


def environment(facts: BayFacts, role: Role, payload: Payload) -> dict[str, str]:
    """Everything that the scripts know."""
    given = {
        "JB_API_URL": facts.api_url.rstrip("/"),
        "JB_BAY_ID": facts.bay_id,
        "JB_KEYSTONE_URL": facts.keystone_url,
        "JB_REGION": facts.region,
        "JB_HTTP_PROXY": facts.http_proxy,
        "JB_HTTPS_PROXY": facts.https_proxy,
        "JB_NO_PROXY": facts.no_proxy,
        "JB_INSECURE_REGISTRY": facts.insecure_registry or "",
        "JB_DISCOVERY_URL": facts.discovery_url or "",
    }
    fields = {name: name.removeprefix("JB_").lower() for name in given}
    own = {
        "JB_ROLE": role,
        "JB_TLS": "false" if facts.tls_disabled else "true",
        "JB_UNITS": payload.units,
        "JB_RESTART_UNITS": payload.restart_units,
        "JB_WAIT_SECONDS": str(max(60, wait_seconds(facts) - 120)),
        "JB_NODE_KEY": payload.node_key,
        "JB_CLOUD": "true" if payload.credential else "false",
        "JB_NODE_NAME": "@@NODE_NAME@@",
        "JB_NODE_INDEX": "@@NODE_INDEX@@",
        "JB_NODE_NAME_PREFIX": facts.stack_name.lower(),
        "JB_NODE_LABELS": " ".join(f"{name}={value}" for name, value in node_labels(facts, role).items()),
        "JB_NODE_TAINTS": " ".join(map(taint, facts.node_taints)) if role == "worker" else "",
        "JB_PRIVATE_ADDRESS": "@@PRIVATE_ADDRESS@@",
        "JB_PUBLIC_ADDRESS": "@@PUBLIC_ADDRESS@@",
        "JB_MASTER_ADDRESSES": "@@MASTER_ADDRESSES@@",
        "JB_API_ADDRESS": "@@API_ADDRESS@@",
        "JB_DOCKER_VOLUME": "@@DOCKER_VOLUME@@",
        "JB_ETCD_VOLUME": "@@ETCD_VOLUME@@" if role == "master" else "",
        "JB_DNS_NAMES": " ".join(("@@NODE_NAME@@", *payload.dns_names)),
        "JB_IP_ADDRESSES": " ".join((*_addresses(role), *payload.ip_addresses)),
    }
    return {name: plain(value, fields[name]) for name, value in given.items()} | own | dict(payload.environment)


def node_labels(facts: BayFacts, role: Role) -> dict[str, str]:
    """What the COE is to know a node by: Magnum's two labels (contract §6.5), and a nodegroup's own."""
    if role == "master":
        return {f"{MARK}/nodegroup": "default-master", f"{MARK}/role": role}
    own = {name: facts.node_labels[name] for name in sorted(facts.node_labels)}
    return {f"{MARK}/nodegroup": _label(facts.nodegroup), f"{MARK}/role": _label(facts.nodegroup_role)} | own


def _label(text: str) -> str:
    """A name as the value of a label; what a label may not hold becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63].strip("-_.") or "unnamed"


def taint(one: Mapping[str, str]) -> str:
    """A taint as kubelet takes it."""
    return f"{one['key']}={one.get('value', '')}:{one['effect']}"


def _addresses(role: Role) -> tuple[str, ...]:
    """A node without a floating address has the private one twice, which a certificate may."""
    addresses = ("@@PRIVATE_ADDRESS@@", "@@PUBLIC_ADDRESS@@")
    return (*addresses, "@@API_ADDRESS@@", "@@API_PUBLIC_ADDRESS@@", "127.0.0.1") if role == "master" else addresses


def _user(facts: BayFacts, payload: Payload) -> dict[str, object]:
    user: dict[str, object] = {
        "name": payload.login,
        "groups": "adm,systemd-journal",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "shell": "/bin/bash",
        "lock_passwd": True,
        **payload.user,
    }
    if facts.ssh_public_key:
        user["ssh_authorized_keys"] = [plain(facts.ssh_public_key.strip(), "keypair_id")]
    return user


def _tls_files() -> list[dict[str, str]]:
    return [
        file_entry(f"{CONFIG}/node-secret", "@@NODE_SECRET@@\n"),
        {**file_entry(f"{CONFIG}/ca.pem", "@@CA_PEM@@", "0644"), "encoding": PACKED},
        file_entry(f"{CONFIG}/node-agent", package_text(COMMON, "node_agent.sh"), "0700"),
        file_entry(f"{CONFIG}/node-pki", package_text(COMMON, "node_pki.sh")),
    ]


def _payload(role: Role, payload: Payload) -> Iterator[tuple[str, str]]:
    """(name without role, text) of every payload file of a role; later packages' files win."""
    found: dict[str, str] = {}
    other = ".worker" if role == "master" else ".master"
    for package in (COMMON, *payload.shared_payloads, payload.package):
        for entry in resources.files(package).joinpath("payload").iterdir():
            if not entry.is_file() or entry.name.startswith((".", "__")):
                continue
            if not entry.name.removesuffix(".sh").endswith(other):
                name = entry.name if entry.name[0].isdigit() else entry.name.removesuffix(f".{role}")
                found[name] = entry.read_text(encoding="utf-8")
    yield from found.items()
