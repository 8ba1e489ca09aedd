"""Every cloud-config part, by cloud-init's own schema and its own program."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tests.payloads.rendered import Node
from tests.payloads.tools import clean, cloud_init_schema

WORLD_READABLE = re.compile(r"0[0-7]00|0644|0755")


def test_schema(nodes: tuple[Node, ...]) -> None:
    schema = cloud_init_schema()
    if schema is None:
        pytest.skip("NOT RUN: payloads (cloud-init's schema is missing, and apt-get to fetch it)")
    validator = jsonschema_rs.validator_for(json.loads(schema.read_text()))
    for node in nodes:
        for config in node.cloud_configs:
            faults = [
                f"{fault.instance_path}: {fault.message[:300]}"
                for fault in validator.iter_errors(yaml.safe_load(config))
            ]
            assert not faults, node.name


def test_cloud_inits_own_program(nodes: tuple[Node, ...], tmp_path: Path) -> None:
    """The richest bay of each driver, by `cloud-init schema`; it takes a second for each."""
    cloud_init_schema()
    program = shutil.which("cloud-init")
    if program is None:
        pytest.skip("NOT RUN: payloads (cloud-init is missing; its schema was used alone)")
    for node in nodes:
        if node.case == "everything":
            for config in node.cloud_configs:
                (tmp_path / "config").write_text(config)
                clean(program, "schema", "--config-file", str(tmp_path / "config"))


def test_what_the_schema_cannot_say(nodes: tuple[Node, ...]) -> None:
    for node in nodes:
        for config in node.cloud_configs:
            read = yaml.safe_load(config)
            paths = [entry["path"] for entry in read["write_files"]]
            assert len(paths) == len(set(paths)), node.name
            for user in read["users"]:
                assert user["lock_passwd"] is True
                assert not user.keys() & {"passwd", "plain_text_passwd", "hashed_passwd"}
            for entry in read["write_files"]:
                assert entry["path"].startswith("/etc/")
                assert WORLD_READABLE.fullmatch(entry["permissions"]), entry["path"]
                assert all(type(value) is str for value in entry.values())


def test_login_has_the_callers_key_and_nothing_else(nodes: tuple[Node, ...]) -> None:
    for node in nodes:
        for config in node.cloud_configs:
            (user,) = yaml.safe_load(config)["users"]
            (key,) = user["ssh_authorized_keys"]
            assert key == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample jérôme@example.org"
