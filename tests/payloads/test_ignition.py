"""Every user-data that is Ignition's, and the checker itself."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.payloads import ignition
from tests.payloads.rendered import Node


def test_it_is_valid(nodes: tuple[Node, ...]) -> None:
    for node in nodes:
        assert bool(node.cloud_configs) != bool(node.ignition), f"{node.name} is neither cloud-config nor Ignition"
        if node.ignition is not None:
            ignition.check(node.ignition)
            for path, entry in node.files.items():
                assert entry.mode & 0o022 == 0, path


GOOD: dict[str, Any] = {
    "ignition": {"version": "3.3.0"},
    "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 A"]}]},
    "storage": {
        "files": [
            {"path": "/etc/a", "mode": 384, "contents": {"source": "data:,a%20b%0A"}},
            {"path": "/etc/b", "contents": {"source": "data:;base64," + base64.b64encode(b"b\n").decode()}},
        ],
        "links": [{"path": "/etc/c", "target": "/etc/a"}],
    },
    "systemd": {
        "units": [
            {
                "name": "a.service",
                "enabled": True,
                "contents": "[Service]\nExecStart=/a\n[Install]\nWantedBy=x.target\n",
            },
            {"name": "docker.service", "dropins": [{"name": "p.conf", "contents": "[Service]\n"}]},
        ]
    },
}


def test_a_good_one_passes_and_is_read() -> None:
    ignition.check(GOOD)
    assert ignition.files(GOOD) == {"/etc/a": ("a b\n", 0o600), "/etc/b": ("b\n", 0o644)}
    assert set(ignition.units(GOOD)) == {"a.service", "docker.service.d/p.conf"}


def put(*way: Any) -> Callable[[Any], None]:
    """Sets the last at the place that the others lead to."""
    *steps, last, value = way

    def change(config: Any) -> None:
        for step in steps:
            config = config[step]
        config[last] = value

    return change


FILE = ("storage", "files", 0)
UNIT = ("systemd", "units", 0)


@pytest.mark.parametrize(
    "change",
    [
        put("ignition", "version", "3.9.0"),
        put("ignition", "version", 3),
        put("write_files", []),
        put(*FILE, "path", "etc/a"),
        put(*FILE, "path", "/etc/../a"),
        put(*FILE, "path", "/etc/b"),
        put(*FILE, "mode", "0600"),
        put(*FILE, "mode", 600000),
        put(*FILE, "owner", "root"),
        put(*FILE, "filesystem", "root"),
        put(*FILE, "contents", {"source": "http://127.0.0.1/a"}),
        put(*FILE, "contents", {"source": "data:,a b"}),
        put(*FILE, "contents", {"source": "data:,a%2"}),
        put(*FILE, "contents", {"source": "data:;base64,a b"}),
        put(*FILE, "contents", "a"),
        put(*UNIT, "name", "a"),
        put(*UNIT, "name", "docker.service"),
        put(*UNIT, "enable", True),
        put(*UNIT, "contents", "[Service]\nExecStart=/a\n"),
        put("systemd", "units", 1, "dropins", 0, "name", "p"),
        put("passwd", "users", 0, "name", ""),
    ],
)
def test_what_ignition_would_not_take_is_found(change: Callable[[Any], None]) -> None:
    config = copy.deepcopy(GOOD)
    change(config)
    with pytest.raises(ignition.Wrong):
        ignition.check(config)
