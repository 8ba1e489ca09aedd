"""Bays as the API would make them: a template over HTTP, a dry run of a bay of it, and what the stack then holds."""

from __future__ import annotations

import base64
import email
import gzip
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import httpx
import yaml

from tests.api.harness import LATEST, System, unique
from tests.drivers.cases import ARCHIVE, unpacked
from tests.guide.facts import Promise

_ENVIRONMENT: Final = "/etc/jeroboam/bay.env"
_STARTED: Final = re.compile(r"^\s*(?:\[.*\|\| )?start_unit ([a-z0-9.@-]+)", re.MULTILINE)
_CONTAINER: Final = re.compile(r"^\s*(?:manifest|container) ([a-z][a-z0-9-]+)", re.MULTILINE)
_NET_CONF: Final = re.compile(r'\{\s*"Network":[^{}]*\{[^{}]*\}[^{}]*\}')
_STATIC_POD: Final = re.compile(r"/etc/kubernetes/manifests/([a-z0-9-]+)\.(?:yaml|json)$")


@dataclass(frozen=True)
class Node:
    """What a server is told at its first boot, by user-data of any of the forms."""

    files: dict[str, str]
    scripts: dict[str, str]
    logins: frozenset[str]

    @property
    def environment(self) -> dict[str, str]:
        """The facts in bay.env."""
        assigned = shlex.split(self.files[_ENVIRONMENT], comments=True)
        pairs = ((name, value) for name, _, value in (word.partition("=") for word in assigned))
        return dict(pairs)

    @property
    def flannel(self) -> dict[str, Any]:
        """What flanneld reads; empty where this node has nothing of it."""
        texts = [self.environment.get("JB_FLANNEL_CONFIG", ""), *self.files.values()]
        found = next(filter(None, map(_NET_CONF.search, texts)), None)
        config: dict[str, Any] = json.loads(found[0]) if found else {}
        return config

    @property
    def units(self) -> frozenset[str]:
        """systemd units that it starts, those of the distribution included."""
        named = [*self.environment["JB_UNITS"].split(), *self._all(_STARTED)]
        return frozenset(name.removesuffix(".service") for name in named)

    @property
    def containers(self) -> frozenset[str]:
        """Containers that it starts by itself."""
        pods = (match[1] for path in self.files if (match := _STATIC_POD.search(path)))
        return frozenset([*pods, *self._all(_CONTAINER)])

    def _all(self, pattern: re.Pattern[str]) -> list[str]:
        return [name for text in (*self.files.values(), *self.scripts.values()) for name in pattern.findall(text)]


@dataclass(frozen=True)
class Rehearsed:
    """A bay that would be made."""

    answer: dict[str, Any]

    @property
    def warnings(self) -> list[str]:
        """What would stand in the header."""
        found: list[str] = self.answer["warnings"]
        return found

    @property
    def parameters(self) -> dict[str, str]:
        """Of the Heat stack."""
        found: dict[str, str] = self.answer["parameters"]
        return found

    def resource(self, name: str) -> dict[str, Any]:
        """A resource of the outermost template."""
        found: dict[str, Any] = yaml.safe_load(self.answer["template"])["resources"][name]
        return found

    @property
    def nodes(self) -> dict[str, Node]:
        """By role."""
        texts = {name: text for name, text in self.answer["files"].items() if name.endswith(".user-data")}
        authority = self.parameters.get("ca_pem", "")
        return {
            name.removesuffix(".user-data"): node(text.replace("@@CA_PEM@@", authority)) for name, text in texts.items()
        }


def node(user_data: str) -> Node:
    """User-data taken apart: MIME parts for cloud-init, or a configuration for Ignition."""
    return _ignition(json.loads(user_data)) if user_data.lstrip().startswith("{") else _mime(user_data)


def _mime(text: str) -> Node:
    scripts: dict[str, str] = {}
    config: dict[str, Any] = {}
    for part in email.message_from_string(text).walk():
        if part.get_content_type() == "text/x-shellscript":
            scripts[str(part.get_filename())] = str(part.get_payload())
        elif part.get_content_type() == "text/cloud-config":
            config = yaml.safe_load(str(part.get_payload()))
    files = {entry["path"]: _unpacked(entry) for entry in config["write_files"]}
    files |= {entry["path"]: entry["content"] for entry in unpacked(files.pop(ARCHIVE))}
    return Node(files, scripts, frozenset(user["name"] for user in config["users"] if isinstance(user, dict)))


def _unpacked(entry: dict[str, str]) -> str:
    content = entry["content"]
    return gzip.decompress(base64.b64decode(content)).decode() if entry.get("encoding") == "gz+b64" else content


def _written(entry: dict[str, str]) -> str:
    match entry.get("encoding", ""):
        case "":
            return entry["content"]
        case "b64" | "base64":
            return base64.b64decode(entry["content"]).decode()
        case _:
            return gzip.decompress(base64.b64decode(entry["content"])).decode()


def _ignition(config: dict[str, Any]) -> Node:
    files = {entry["path"]: _content(entry["contents"]) for entry in config["storage"]["files"]}
    files |= {entry["path"]: entry["content"] for entry in unpacked(files.pop(ARCHIVE))}
    units = {f"/etc/systemd/system/{unit['name']}": unit.get("contents", "") for unit in config["systemd"]["units"]}
    return Node(files | units, {}, frozenset(user["name"] for user in config["passwd"]["users"]))


def _content(contents: dict[str, Any]) -> str:
    head, _, data = contents["source"].partition(",")
    raw = base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    return (gzip.decompress(raw) if contents.get("compression") == "gzip" else raw).decode()


def bare(promise: Promise) -> dict[str, object]:
    """The least that makes a template for one of the guide's drivers; a template's own default where it fits."""
    server_type, _, coe = promise.driver.key
    body: dict[str, object] = {"coe": coe, "image_id": promise.image, "keypair_id": "testkey"}
    return body if server_type == "vm" else {**body, "server_type": server_type, "flavor_id": "baremetal"}


def template(system: System, body: dict[str, object], path: str = "baymodels") -> httpx.Response:
    """The answer to a template that is asked for."""
    return system.call("POST", f"/v1/{path}", {"name": unique("guide"), **body})


def rehearsal(system: System, body: dict[str, object], path: str = "baymodels", **bay: object) -> httpx.Response:
    """The answer to the template if that is refused, else to the dry run of a bay of it."""
    made = template(system, body, path)
    if made.status_code != 201:
        return made
    kind, field = ("bays", "baymodel_id") if path == "baymodels" else ("clusters", "cluster_template_id")
    asked = {"name": unique("guide"), field: made.json()["uuid"], **bay}
    return system.call("POST", f"/v1/{kind}?dry_run=true", asked, headers=LATEST)


def rehearsed(system: System, body: dict[str, object], path: str = "baymodels", **bay: object) -> Rehearsed:
    """A bay that would be made; it must be."""
    answer = rehearsal(system, body, path, **bay)
    assert answer.status_code == 200, answer.text[:300]
    return Rehearsed(answer.json())


def place(system: System, promise: Promise) -> dict[str, object]:
    """An existing network and its subnet, for a driver that makes none."""
    if "new" in promise.driver.support.networks:
        return {}
    made, subnet = network(system)
    return {"fixed_network": made, "fixed_subnet": subnet}


def network(system: System, cidr: str = "10.20.0.0/24") -> tuple[str, str]:
    """A network of the user's own with a subnet: their ids."""
    made = _made(system, "network", {})
    return made, _made(system, "subnet", {"network_id": made, "cidr": cidr, "ip_version": 4})


def _made(system: System, kind: str, body: dict[str, object]) -> str:
    headers = {"X-Auth-Token": system.token("demo")}
    asked = {kind: {"name": unique(kind), **body}}
    answer = httpx.post(f"{system.cloud_url}/network/v2.0/{kind}s", json=asked, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()[kind]["id"])
