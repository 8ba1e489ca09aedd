"""Bays that the driver tests render, and ways to read what came out."""

from __future__ import annotations

import base64
import dataclasses
import email
import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import yaml

from shared.drivers import registry
from shared.drivers.contract import BayFacts, BaySecrets, Driver, RenderedStack

SECRET = "zq7-secret_of_the_credential"
CREDENTIAL = BaySecrets(application_credential_id="a1b2c3d4e5f6", application_credential_secret=SECRET)
ARCHIVE = "/etc/jeroboam/files.tar"
FAST: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader, where PyYAML has it: templates are read thousands of times, and it takes a tenth of the time."""
CA = "-----BEGIN CERTIFICATE-----\nMIIBexample\n-----END CERTIFICATE-----\n"

BASE = BayFacts(
    bay_id="0c2a1b5e-2f9d-4b5c-9a52-6d6b1d9f1a01",
    bay_name="web",
    project_id="5f1e6c2ab8f54a0e9b5dbb61c54c8a77",
    generation=1,
    stack_name="Web-0c2a1b5e2f9d-1",
    operation_id="77777777-3333-4333-8333-111111111111",
    api_url="http://192.0.2.10:9511/v1",
    keystone_url="http://192.0.2.10:5000/v3",
    region="RegionOne",
    coe="kubernetes",
    server_type="vm",
    os_distro="fedora-atomic",
    node_count=2,
    master_count=1,
    flavor_id="m1.small",
    master_flavor_id="m1.medium",
    image_id="fedora-21-atomic-5",
    external_network_id="public",
    ca_pem=CA,
    keypair_name="testkey",
    ssh_public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample jérôme@example.org",
)


GROUP = "6c1f2d3e-1111-4222-8333-944444444444"
"""A server group, which the provisioner makes before the stack."""


def cases(driver: Driver) -> dict[str, dict[str, Any]]:
    """The bays that a driver is tried with, by name: what differs from BASE, within its table of support."""
    support, start = driver.support, plainest(driver)
    found: dict[str, dict[str, Any]] = {"default": dict(start)}
    if False in support.tls and True in support.tls:
        found["no-tls"] = start | _NO_TLS | {"timeout_minutes": 0}
    if "existing" in support.networks:
        found["existing-network"] = start | {
            "fixed_network": "office",
            "fixed_subnet": "office-v4",
            "floating_ip_enabled": False not in support.floating_ip,
            "labels": _known(driver, {"flannel_network_cidr": "172.20.0.0/15", "flannel_backend": "vxlan"}),
        }
    if 3 in support.master_counts:
        found["three-masters"] = start | {"master_count": 3, "master_server_group": GROUP}
    if 3 in support.master_counts and support.load_balancer:
        found["balanced"] = start | {
            "master_count": 3,
            "master_lb_enabled": True,
            "master_server_group": GROUP,
            "labels": _known(driver, {"master_lb_allowed_cidrs": "203.0.113.0/24", "octavia_provider": "ovn"}),
        }
    found["everything"] = start | _everything(driver)
    return found


def plainest(driver: Driver) -> dict[str, Any]:
    """What must differ from BASE for the driver to make a bay at all."""
    support = driver.support
    place: dict[str, Any] = (
        {} if "new" in support.networks else {"fixed_network": "office", "fixed_subnet": "office-v4"}
    )
    return place | {"floating_ip_enabled": support.floating_ip[0]} | ({} if True in support.tls else _NO_TLS)


_NO_TLS: dict[str, Any] = {"tls_disabled": True, "ca_pem": ""}


def _everything(driver: Driver) -> dict[str, Any]:
    support = driver.support
    given: dict[str, Any] = {
        "volume_driver": support.volume_drivers[0] if support.volume_drivers else None,
        "docker_volume_size": 5 if support.docker_volume else None,
        "docker_storage_driver": support.storage_drivers[-1] if support.storage_drivers else "",
        "http_proxy": "http://proxy.example.org:3128",
        "https_proxy": "http://proxy.example.org:3128",
        "no_proxy": "10.0.0.5,.example.org",
        "dns_nameserver": "8.8.8.8,9.9.9.9",
        "insecure_registry": "registry.example.org:5000" if support.insecure_registry else None,
        "cloud_ca_pem": CA,
        "timeout_minutes": 30,
        "labels": _known(driver, _LABELS) | {"unknown": "kept"},
        "node_sources": {},
        "worker_server_group": GROUP,
    }
    if driver.key[2] == "kubernetes":
        given["apiserver_port"] = 7443
    return given


_LABELS = {
    "flannel_backend": "host-gw",
    "flannel_network_subnetlen": "26",
    "availability_zone": "nova",
    "docker_volume_type": "fast",
    "boot_volume_size": "20",
    "etcd_volume_size": "2",
    "etcd_volume_type": "fast",
    "server_group_policies": "anti-affinity",
    "rexray_preempt": "true",
}


def _known(driver: Driver, labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name in driver.label_rules}


PAIRS = [(driver, case) for driver in registry.DRIVERS for case in cases(driver)]
"""Every driver with every one of its cases."""


def facts(driver: Driver, **changes: Any) -> BayFacts:
    server_type, os_distro, coe = driver.key
    key = {"server_type": server_type, "os_distro": os_distro, "coe": coe}
    return dataclasses.replace(BASE, **(key | plainest(driver) | changes))


def render(driver: Driver, case: str) -> RenderedStack:
    return driver.render(facts(driver, **cases(driver)[case]), CREDENTIAL)


def templates(stack: RenderedStack) -> dict[str, dict[str, Any]]:
    """All templates of a stack by name; the outermost is `bay.yaml`."""
    nested = {name: yaml.load(text, Loader=FAST) for name, text in stack.files.items() if name.endswith(".yaml")}
    return {"bay.yaml": yaml.load(stack.template, Loader=FAST)} | nested


def resources(stack: RenderedStack, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(template, name, resource) of every resource of one type."""
    for template, document in templates(stack).items():
        for name, resource in document["resources"].items():
            if resource["type"] == kind:
                yield template, name, resource


@dataclass(frozen=True)
class UserData:
    """User-data as cloud-init takes it apart."""

    scripts: dict[str, str]
    config: dict[str, Any]

    @property
    def files(self) -> dict[str, dict[str, str]]:
        return {entry["path"]: entry for entry in self.config["write_files"]}


def user_data(stack: RenderedStack) -> dict[str, UserData]:
    """By role, with the authorities."""
    names = [name.removesuffix(".user-data") for name in stack.files if name.endswith(".user-data")]
    return {role: take_apart(with_authorities(stack, role)) for role in names}


def with_authorities(stack: RenderedStack, role: str) -> str:
    """A role's user-data in which Heat has filled in the authorities, and nothing else."""
    return stack.files[f"{role}.user-data"].replace("@@CA_PEM@@", stack.parameters["ca_pem"])


def take_apart(text: str) -> UserData:
    """MIME parts for cloud-init, or Ignition's JSON in the same terms; packed files are unpacked."""
    return _ignition(json.loads(text)) if text.startswith("{") else _mime(text)


def _mime(text: str) -> UserData:
    scripts: dict[str, str] = {}
    configs: list[dict[str, Any]] = []
    for part in email.message_from_string(text).walk():
        if part.get_content_type() == "text/x-shellscript":
            scripts[str(part.get_filename())] = str(part.get_payload())
        elif part.get_content_type() == "text/cloud-config":
            configs.append(yaml.load(str(part.get_payload()), Loader=FAST))
    (config,) = configs
    for entry in config["write_files"]:
        if entry.pop("encoding", None) == "gz+b64":
            entry["content"] = gzip.decompress(base64.b64decode(entry["content"])).decode()
    (archive,) = [entry for entry in config["write_files"] if entry["path"] == ARCHIVE]
    config["write_files"].remove(archive)
    config["write_files"] += unpacked(archive["content"])
    del scripts["05-unpack.sh"]
    return UserData(scripts=scripts, config=config)


def unpacked(archive: str) -> Iterator[dict[str, str]]:
    """The files of a node's archive, as cloud-config's entries; ours are all ASCII."""
    with tarfile.open(fileobj=io.BytesIO(archive.encode())) as tar:
        for one in tar:
            assert (one.isfile(), one.uid, one.gid, one.mtime) == (True, 0, 0, 0)
            file = tar.extractfile(one)
            assert file is not None
            yield {
                "path": f"/{one.name}",
                "owner": "root:root",
                "permissions": f"{one.mode:04o}",
                "content": file.read().decode(),
            }


def _ignition(document: dict[str, Any]) -> UserData:
    files = {entry["path"]: (_contents(entry["contents"]), entry["mode"]) for entry in document["storage"]["files"]}
    archive, _ = files.pop(ARCHIVE)
    files |= {one["path"]: (one["content"], int(one["permissions"], 8)) for one in unpacked(archive)}
    parts = {path: files.pop(path) for path in list(files) if path.startswith("/etc/jeroboam/parts/")}
    files |= {f"/etc/systemd/system/{unit['name']}": (unit["contents"], 0o644) for unit in document["systemd"]["units"]}
    entries = [
        {"path": path, "owner": "root:root", "permissions": f"{mode:04o}", "content": text}
        for path, (text, mode) in files.items()
    ]
    names = {"sshAuthorizedKeys": "ssh_authorized_keys"}
    users = [{names.get(key, key): value for key, value in user.items()} for user in document["passwd"]["users"]]
    scripts = {path.rpartition("/")[2]: text for path, (text, _) in sorted(parts.items())}
    return UserData(scripts=scripts, config={"users": users, "write_files": entries})


def _contents(contents: dict[str, Any]) -> str:
    head, _, data = contents["source"].partition(",")
    raw = base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    text = (gzip.decompress(raw) if contents.get("compression") == "gzip" else raw).decode()
    return text.replace("@@SIGNAL_COMMAND_ESCAPED@@", "@@SIGNAL_COMMAND@@")


def tool(name: str) -> str:
    """A program: the project's own environment first, then the machine's."""
    here = Path(__import__("sys").executable).parent / name
    found = str(here) if here.exists() else shutil.which(name)
    assert found, f"this test needs {name}"
    return found
