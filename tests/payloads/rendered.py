"""Every user-data that drivers render, with Heat's values filled in, taken apart as cloud-init or Ignition would."""

from __future__ import annotations

import base64
import email
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import yaml

from shared.drivers.contract import Driver, RenderedStack
from shared.drivers.rendering import packed
from tests.drivers.cases import ARCHIVE, CA, PAIRS, render, unpacked
from tests.payloads import ignition

FAST: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
UNIT_FOLDER = "/etc/systemd/system"
UNIT_SUFFIXES = (".service", ".timer", ".socket", ".mount", ".path", ".target")
CREDENTIAL_SECRET = "c9-secret_of_the_credential"
NODE_SECRET = "n7-secret-of-the-node"

HEAT: Mapping[str, str] = {
    "NODE_NAME": "web-0c2a1b5e2f9d-1-{role}-0",
    "NODE_INDEX": "0",
    "NODE_SECRET": NODE_SECRET,
    "SIGNAL_COMMAND": "curl -i -X POST -H 'X-Auth-Token: t' -H 'Content-Type: application/json' http://127.0.0.1:8000/s",
    "PUBLIC_ADDRESS": "127.64.0.7",
    "PRIVATE_ADDRESS": "10.0.0.5",
    "MASTER_ADDRESSES": "10.0.0.5",
    "API_ADDRESS": "10.0.0.5",
    "API_PUBLIC_ADDRESS": "127.64.0.9",
    "DOCKER_VOLUME": "",
    "ETCD_VOLUME": "",
    "CA_PEM": packed(CA),
    "APPLICATION_CREDENTIAL_ID": "a1b2c3d4e5f6",
    "APPLICATION_CREDENTIAL_SECRET": CREDENTIAL_SECRET,
}
"""What Heat would put in place of `@@NAME@@`."""


@dataclass(frozen=True)
class File:
    """A file that the user-data writes before anything runs."""

    text: str
    mode: int


@dataclass(frozen=True)
class Node:
    """One role of one bay."""

    driver: Driver
    case: str
    role: str
    text: str = field(repr=False)
    files: Mapping[str, File] = field(repr=False)
    parts: Mapping[str, str] = field(repr=False)
    """Scripts that run at boot, in their order, by name."""
    cloud_configs: tuple[str, ...] = field(default=(), repr=False)
    ignition: dict[str, Any] | None = field(default=None, repr=False)
    units: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By file name; drop-ins as `unit.d/name.conf`."""

    @property
    def name(self) -> str:
        return f"{self.driver.name}-{self.case}-{self.role}"

    @property
    def scripts(self) -> dict[str, str]:
        """All shell text, by name or path: the parts, files that begin with `#!`, and what those source."""
        written = {path: entry.text for path, entry in self.files.items() if entry.text.startswith("#!")}
        sourced = {path: entry.text for path, entry in self.files.items() if path.endswith("/lib.sh")}
        return {**self.parts, **written, **sourced}


def filled(text: str, role: str) -> str:
    """What Heat makes of a user-data."""
    escaped = HEAT["SIGNAL_COMMAND"]
    for sign in ("%", " ", "'", '"', "#", "\\"):
        escaped = escaped.replace(sign, f"%{ord(sign):02X}")
    values = {**HEAT, "SIGNAL_COMMAND_ESCAPED": escaped}
    return re.sub(r"@@([A-Z_]+)@@", lambda found: values[found[1]].replace("{role}", role), text)


def user_data(stack: RenderedStack) -> dict[str, str]:
    """By role. Whatever a driver gives Heat beside templates is user-data, under the name of its role."""
    return {name.partition(".")[0]: text for name, text in stack.files.items() if not name.endswith(".yaml")}


def take_apart(driver: Driver, case: str, role: str, text: str) -> Node:
    """Raises ValueError for what neither cloud-init nor Ignition knows."""
    text = filled(text, role)
    if text.lstrip().startswith("{"):
        return _from_ignition(driver, case, role, text)
    if text.startswith("#cloud-config"):
        return _from_cloud_configs(driver, case, role, text, [text], {})
    message = email.message_from_string(text)
    configs, parts = [], {}
    for part in message.walk():
        kind = part.get_content_type()
        if kind == "text/cloud-config":
            configs.append(str(part.get_payload()))
        elif kind == "text/x-shellscript":
            parts[str(part.get_filename())] = str(part.get_payload())
        elif kind != "multipart/mixed":
            raise ValueError(f"{driver.name} {case} {role}: a part of the kind {kind}")
    return _from_cloud_configs(driver, case, role, text, configs, dict(sorted(parts.items())))


def _from_cloud_configs(
    driver: Driver, case: str, role: str, text: str, configs: list[str], parts: dict[str, str]
) -> Node:
    files = {}
    for config in configs:
        for entry in yaml.load(config, Loader=FAST).get("write_files", []):
            files[entry["path"]] = File(_content(entry), int(entry["permissions"], 8))
    if ARCHIVE in files:  # as after its part, which is tried in tests/drivers/test_authorities.py
        parts.pop("05-unpack.sh")
        for entry in unpacked(files.pop(ARCHIVE).text):
            assert entry["path"] not in files, f"{entry['path']} is written twice"
            files[entry["path"]] = File(entry["content"], int(entry["permissions"], 8))
    units = {path: file.text for path, file in files.items() if path.startswith(f"{UNIT_FOLDER}/")}
    return Node(
        driver, case, role, text, files, parts, tuple(configs),
        units={str(PurePosixPath(path).relative_to(UNIT_FOLDER)): text for path, text in units.items()},
    )  # fmt: skip


def _content(entry: Mapping[str, str]) -> str:
    """As cloud-init reads `encoding`, of which we use one value."""
    match entry.get("encoding"):
        case None:
            return entry["content"]
        case "gz+b64":
            return gzip.decompress(base64.b64decode(entry["content"], validate=True)).decode()
        case other:
            raise ValueError(f"{entry['path']}: the encoding {other}")


def _from_ignition(driver: Driver, case: str, role: str, text: str) -> Node:
    config = json.loads(text)
    files = {path: File(content, mode) for path, (content, mode) in ignition.files(config).items()}
    for one in unpacked(files.pop(ARCHIVE).text):
        files[one["path"]] = File(one["content"], int(one["permissions"], 8))
    numbered = {
        PurePosixPath(path).name: file.text
        for path, file in sorted(files.items())
        if PurePosixPath(path).name[0].isdigit() and file.text.startswith("#!")
    }
    units = {path: file.text for path, file in files.items() if path.startswith(f"{UNIT_FOLDER}/")}
    named = {str(PurePosixPath(path).relative_to(UNIT_FOLDER)): text for path, text in units.items()}
    return Node(
        driver, case, role, text, files, numbered, ignition=config, units={**named, **ignition.units(config)}
    )  # fmt: skip


def nodes_of(driver: Driver) -> tuple[Node, ...]:
    """Every role of every case of a driver; rendered once."""
    return _nodes_of(driver.name)


@cache
def _nodes_of(name: str) -> tuple[Node, ...]:
    return tuple(
        take_apart(driver, case, role, text)
        for driver, case in PAIRS
        if driver.name == name
        for role, text in user_data(render(driver, case)).items()
    )


def distinct(texts: Mapping[str, str]) -> dict[str, str]:
    """The same text once, under the first of its names."""
    first: dict[str, str] = {}
    for name, text in texts.items():
        first.setdefault(text, name)
    return {name: text for text, name in first.items()}
