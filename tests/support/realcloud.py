"""A real OpenStack for tests: one that is there, named by JEROBOAM_TEST_CLOUD, or one that a command starts.

`JEROBOAM_TEST_CLOUD` is a name in clouds.yaml, which is found at OS_CLIENT_CONFIG_FILE, here, or in
~/.config/openstack. `JEROBOAM_TEST_CLOUD_START` is a command that has the cloud running when it returns; it is run once
a test process, and may write that file. Who sets it stops the cloud, as .ci/run does.

Tests that need an administrator use `JEROBOAM_TEST_CLOUD_ADMIN`, another name in that file, where it is set.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr

from shared.openstack.auth import Credential
from shared.openstack.cloud import Cloud, CloudConfig
from shared.runtime.egress import EgressPolicy

NAME, ADMIN, START = "JEROBOAM_TEST_CLOUD", "JEROBOAM_TEST_CLOUD_ADMIN", "JEROBOAM_TEST_CLOUD_START"
_START_LIMIT = 1200.0
_LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))


class NoCloud(Exception):
    """No cloud was named and none can be started; the message says what would help."""


@dataclass(frozen=True)
class RealCloud:
    """Where it is, and as whom and in which project the tests use it."""

    name: str
    credential: Credential

    @property
    def on_loopback(self) -> bool:
        """Whether the whole cloud is on this machine, and nothing but this machine may be dialled."""
        return _is_loopback(urlsplit(self.credential.url).hostname or "")

    @property
    def egress(self) -> EgressPolicy:
        """What its clients may dial: a cloud on loopback is held to loopback."""
        return _LOOPBACK if self.on_loopback else EgressPolicy()

    def open(self, call_limit: float = 60.0) -> Cloud:
        """The cloud by our own clients."""
        return Cloud(CloudConfig(self.credential, call_limit=call_limit), self.egress)


def real_cloud() -> RealCloud:
    """The cloud of the tests, started on first use where that was asked for.

    Raises:
        NoCloud: none is named.
        RuntimeError: it did not start, or is not in clouds.yaml.
    """
    return _cloud(os.environ.get(NAME, ""))


def admin_cloud() -> RealCloud:
    """The same cloud as an administrator; raises as `real_cloud` does. Whether it is one, Keystone must be asked."""
    return _cloud(os.environ.get(ADMIN, "") or os.environ.get(NAME, ""))


@cache
def _started() -> None:
    """Run the command, once a process."""
    if command := os.environ.get(START, ""):
        subprocess.run(shlex.split(command), check=True, timeout=_START_LIMIT)


def _cloud(name: str) -> RealCloud:
    if not name and not os.environ.get(START, ""):
        raise NoCloud(f"set {NAME} to a name in clouds.yaml, or {START} to a command that starts a cloud")
    _started()
    clouds = _clouds()
    name = name or next(iter(clouds))
    if name not in clouds:
        raise RuntimeError(f"clouds.yaml has no cloud named {name}; it has: {', '.join(clouds)}.")
    return RealCloud(name, _credential(clouds[name]))


def _clouds() -> dict[str, dict[str, Any]]:
    given = os.environ.get("OS_CLIENT_CONFIG_FILE")
    places = [Path(given)] if given else [Path("clouds.yaml"), Path.home() / ".config/openstack/clouds.yaml"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise RuntimeError(f"There is no clouds.yaml; looked for {', '.join(map(str, places))}.")
    clouds: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text())["clouds"]
    return clouds


def _credential(entry: dict[str, Any]) -> Credential:
    auth, url = entry["auth"], str(entry["auth"]["auth_url"]).rstrip("/")
    return Credential(
        url=url if url.endswith("/v3") else f"{url}/v3",
        username=auth["username"],
        password=SecretStr(auth["password"]),
        user_domain=auth.get("user_domain_name", "Default"),
        service_project=auth["project_name"],
        region=entry.get("region_name", "RegionOne"),
        interface=entry.get("interface", "public"),
        cafile=entry.get("cacert"),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
