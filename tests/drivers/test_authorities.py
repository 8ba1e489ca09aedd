"""The authorities that new nodes trust: a parameter of the stack, which every update may change."""

from __future__ import annotations

import base64
import email
import gzip
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.drivers import registry
from shared.drivers.common.stack import authority_parameter
from shared.drivers.common.user_data import FILLED_IN
from shared.drivers.contract import Driver
from shared.drivers.rendering import USER_DATA_LIMIT, archive, file_entry
from tests.drivers.agent_pki import Authority
from tests.drivers.cases import (
    ARCHIVE,
    CREDENTIAL,
    FAST,
    PAIRS,
    SECRET,
    cases,
    facts,
    take_apart,
    templates,
    unpacked,
    with_authorities,
)
from tests.drivers.nodes import FILLED

TWO = "".join(Authority("b" * 64, "rsa").pem for _ in range(2))
each_driver = pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)


@each_driver
def test_it_comes_from_the_stacks_parameter_to_every_server(driver: Driver) -> None:
    stack = driver.render(facts(driver, **cases(driver)["default"]), CREDENTIAL)
    found = templates(stack)
    for name in ("bay.yaml", "shard.yaml"):
        assert found[name]["parameters"]["ca_pem"]["default"] == ""
        groups = [one for one in found[name]["resources"].values() if one["type"] == "OS::Heat::ResourceGroup"]
        members = [group["properties"]["resource_def"] for group in groups]
        told = {one["type"]: one["properties"].get("ca_pem") for one in members if "image" in one["properties"]}
        assert told
        assert set(map(str, told.values())) == {"{'get_param': 'ca_pem'}"}
    for name in ("master.yaml", "worker.yaml"):
        replaced = found[name]["resources"]["server"]["properties"]["user_data"]["str_replace"]["params"]
        assert replaced["@@CA_PEM@@"] == {"get_param": "ca_pem"}
        assert found[name]["resources"]["server"]["properties"]["user_data_update_policy"] == "IGNORE"


@each_driver
def test_no_authority_is_in_the_files(driver: Driver) -> None:
    """They are kept as the bay was born (rule 6), and it gets other authorities."""
    stack = driver.render(
        facts(driver, **cases(driver)["default"] | {"ca_pem": TWO, "tls_disabled": False}), CREDENTIAL
    )
    line = TWO.splitlines()[1]
    assert all(line not in text for text in stack.files.values())
    assert stack.parameters["ca_pem"] == authority_parameter(TWO)["ca_pem"]


@pytest.mark.parametrize(("driver", "case"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.name)
def test_two_of_them_are_on_the_node_and_nova_takes_it(driver: Driver, case: str) -> None:
    """A bay is born with one; a node that is made during a rotation gets two."""
    wanted = facts(driver, **cases(driver)[case])
    if wanted.tls_disabled:
        return
    stack = driver.render(wanted, CREDENTIAL)
    values = {name.strip("@"): value for name, value in FILLED.items()} | {
        "CA_PEM": authority_parameter(TWO)["ca_pem"],
        "SIGNAL_COMMAND": "c" * 600,
        "SIGNAL_COMMAND_ESCAPED": "c" * 800,
        "APPLICATION_CREDENTIAL_SECRET": SECRET,
    }
    for role, names in FILLED_IN.items():
        text = stack.files[f"{role}.user-data"]
        for name in names:
            text = text.replace(f"@@{name}@@", values[name])
        entry: dict[str, Any] = take_apart(text).files["/etc/jeroboam/ca.pem"]
        assert (entry["content"], entry["permissions"]) == (TWO, "0644")
        assert len(base64.b64encode(text.encode())) <= USER_DATA_LIMIT


@each_driver
def test_without_tls_there_is_none(driver: Driver) -> None:
    if False in driver.support.tls:
        given = cases(driver)["default"] | {"tls_disabled": True, "ca_pem": ""}
        stack = driver.render(facts(driver, **given), CREDENTIAL)
        assert stack.parameters["ca_pem"] == ""
        assert all("CA_PEM" not in text for name, text in stack.files.items() if name.endswith(".user-data"))


def test_an_archive_is_always_the_same_bytes() -> None:
    entries = [file_entry("/etc/jeroboam/a", "one\n"), file_entry("/etc/systemd/system/b", "two", "0644")]
    assert archive(entries) == archive(entries)
    tar = gzip.decompress(base64.b64decode(archive(entries))).decode()
    assert list(unpacked(tar)) == entries


@each_driver
def test_the_archive_is_unpacked_before_all_other_parts(driver: Driver, tmp_path: Path) -> None:
    stack = driver.render(facts(driver, **cases(driver)["default"]), CREDENTIAL)
    text = stack.files["master.user-data"]
    if text.startswith("{"):
        return  # Ignition writes all files itself
    config, *parts = [one for one in email.message_from_string(text).walk() if not one.is_multipart()]
    assert sorted(str(part.get_filename()) for part in parts)[0] == "05-unpack.sh"
    entries = yaml.load(str(config.get_payload()), Loader=FAST)["write_files"]
    (archived,) = [one for one in entries if one["path"] == ARCHIVE]
    (tmp_path / "files.tar").write_bytes(gzip.decompress(base64.b64decode(archived["content"])))
    part = next(str(one.get_payload()) for one in parts if one.get_filename() == "05-unpack.sh")
    here = part.replace(ARCHIVE, f"{tmp_path}/files.tar").replace("-C /", f"-C {tmp_path}")
    subprocess.run(["/bin/sh", "-c", here], check=True)
    whole = take_apart(with_authorities(stack, "master")).files
    found = {f"/{path.relative_to(tmp_path)}": path for path in tmp_path.rglob("*/*") if path.is_file()}
    assert {"/etc/jeroboam/lib.sh", "/etc/jeroboam/node-agent"} <= found.keys() < whole.keys()
    for path, file in found.items():
        assert (file.read_text(), f"{file.stat().st_mode & 0o777:04o}") == (
            whole[path]["content"],
            whole[path]["permissions"],
        )
