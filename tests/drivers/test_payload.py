"""Static checks of everything that runs on nodes, and that outside values stay data there."""

from __future__ import annotations

import configparser
import hashlib
import inspect
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.contract import BaySecrets, Driver
from tests.drivers.cases import CREDENTIAL, PAIRS, SECRET, UserData, cases, facts, render, tool, user_data

DRIVERS = Path(__file__).parents[2] / "shared" / "drivers"
SHELL = sorted(path for path in DRIVERS.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh"))
SHELL += [DRIVERS / "common" / "payload" / "lib.sh"]
YAMLLINT = (
    "{extends: default, rules: {line-length: {max: 140}, braces: {max-spaces-inside: 0}, document-start: disable}}"
)

each_driver = pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
each_pair = pytest.mark.parametrize(
    ("driver", "case"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.name
)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def nodes(driver: Driver, case: str) -> list[UserData]:
    return list(user_data(render(driver, case)).values())


def test_scripts_are_found() -> None:
    assert len(SHELL) > 10


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_is_clean(script: Path) -> None:
    run(tool("shellcheck"), "-s", "sh", str(script))
    run(tool("bash"), "-n", str(script))
    run(tool("sh"), "-n", str(script))


def test_agent_is_short() -> None:
    assert len((DRIVERS / "common" / "node_agent.sh").read_text().splitlines()) <= 250


@each_driver
def test_templates_pass_yamllint(driver: Driver) -> None:
    run(tool("yamllint"), "-s", "-d", YAMLLINT, str(Path(inspect.getfile(type(driver))).parent / "heat"))


@each_pair
def test_rendered_scripts_are_shell(driver: Driver, case: str) -> None:
    for node in nodes(driver, case):
        written = {path: e["content"] for path, e in node.files.items() if e["content"].startswith("#!/bin/sh")}
        for name, text in (node.scripts | written).items():
            assert complaints(text) == "", name


@cache
def complaints(script: str) -> str:
    """What bash says of it; most scripts are the same in every case."""
    return subprocess.run([tool("bash"), "-n"], input=script, capture_output=True, text=True, check=False).stderr


@each_pair
def test_cloud_config_is_what_cloud_init_knows(driver: Driver, case: str) -> None:
    for node in nodes(driver, case):
        assert node.config.keys() <= {"users", "write_files"}
        for user in node.config["users"]:
            assert user.keys() <= {"name", "gecos", "groups", "sudo", "shell", "lock_passwd", "ssh_authorized_keys"}
            # Ignition's login is the image's own, which has no password.
            assert user.get("lock_passwd", driver.name == "k8s_coreos") is True
        assert len(node.files) == len(node.config["write_files"])
        for path, entry in node.files.items():
            assert entry.keys() == {"path", "owner", "permissions", "content"}
            assert path.startswith("/etc/")
            assert re.fullmatch(r"0[0-7]00|0644", entry["permissions"])
            assert all(type(value) is str for value in entry.values())


@each_pair
def test_systemd_units_are_whole(driver: Driver, case: str) -> None:
    for node in nodes(driver, case):
        units = {path: e["content"] for path, e in node.files.items() if path.startswith("/etc/systemd/system/")}
        tls = not facts(driver, **cases(driver)[case]).tls_disabled
        assert ("/etc/systemd/system/jeroboam-agent.timer" in units) == tls
        for path, content in units.items():
            unit = configparser.ConfigParser(interpolation=None, strict=False)
            unit.read_string(content)
            assert unit["Unit"]["Description"]
            if path.endswith(".timer"):
                assert f"/etc/systemd/system/{unit['Timer']['Unit']}" in units
                assert unit["Install"]["WantedBy"]
            elif path.endswith(".socket"):
                assert unit["Socket"]["ListenStream"].startswith("127.0.0.1:")
                assert path.replace(".socket", "@.service") in units
            elif " /etc/jeroboam/" in unit["Service"]["ExecStart"]:
                program = unit["Service"]["ExecStart"].split()[1]
                assert program in node.files


@each_pair
def test_scripts_name_only_files_that_are_there(driver: Driver, case: str) -> None:
    """`sh /etc/jeroboam/X` and `. /etc/jeroboam/X` in any script that the case runs."""
    for node in nodes(driver, case):
        texts = list(node.scripts.values()) + [entry["content"] for entry in node.files.values()]
        called = {name for text in texts for name in re.findall(r"^ *(?:sh|\.) (/etc/jeroboam/[a-z.-]+)", text, re.M)}
        optional = {f"/etc/jeroboam/{name}" for name in ("node-agent", "cloud-credential", "proxy.env")}
        assert called - optional <= node.files.keys()
        given = facts(driver, **cases(driver)[case])
        assert ("/etc/jeroboam/node-agent" in node.files) == (not given.tls_disabled)
        if not driver.needs_cloud_credential(given):
            assert "/etc/jeroboam/cloud-credential" not in node.files


HOSTILE = [
    "'; touch /tmp/x; '",
    "$(id)",
    "`id`",
    '"',
    "a b",
    "a\\b",
    "a\nJB_TLS=false",
    "@@NODE_SECRET@@",
    "x\x00y",
    "ä",
]


@each_driver
@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "field", ["http_proxy", "no_proxy", "insecure_registry", "region", "api_url", "ssh_public_key"]
)
def test_hostile_values_are_refused_or_stay_data(driver: Driver, field: str, value: str) -> None:
    try:
        stack = driver.render(facts(driver, **{field: value}), CREDENTIAL)
    except InvalidInput:
        return
    for node in user_data(stack).values():
        if field == "ssh_public_key":
            assert node.config["users"][0]["ssh_authorized_keys"] == [value.strip()]
            continue
        environment = node.files["/etc/jeroboam/bay.env"]["content"]
        script = f'{environment}\nprintf %s "$JB_{field.upper()}"'
        assert run(tool("sh"), "-c", script) == value


@each_driver
@pytest.mark.parametrize("secret", ["", "a b", "a'b", "a\nb", "@@NODE_NAME@@"])
def test_malformed_credentials_are_refused_and_not_shown(driver: Driver, secret: str) -> None:
    if not driver.support.volume_drivers:
        return
    given = BaySecrets(application_credential_id="abc", application_credential_secret=secret)
    with pytest.raises(ValueError, match="application_credential_secret") as refused:
        driver.render(facts(driver, **cases(driver)["everything"]), given)
    assert not secret or secret not in str(refused.value)
    assert SECRET not in repr(CREDENTIAL)


@each_driver
def test_a_stand_in_for_a_sealed_secret_passes(driver: Driver) -> None:
    if not driver.support.volume_drivers:
        return
    given = BaySecrets(application_credential_id="abc", application_credential_secret="@sealed@")
    stack = driver.render(facts(driver, **cases(driver)["everything"]), given)
    assert "@sealed@" in stack.parameters.values()


@each_driver
def test_too_much_user_data_is_refused(driver: Driver) -> None:
    noise = "".join(hashlib.sha512(str(number).encode()).hexdigest() for number in range(1000))  # cannot be packed well
    with pytest.raises(InvalidInput, match="Nova takes"):
        driver.render(facts(driver, cloud_ca_pem=noise), CREDENTIAL)


@each_driver
def test_public_key_reaches_the_login_user(driver: Driver) -> None:
    key = facts(driver).ssh_public_key
    for node in nodes(driver, "default"):
        (user,) = node.config["users"]
        assert user["ssh_authorized_keys"] == [key]
    without = driver.render(facts(driver, ssh_public_key=""), CREDENTIAL)
    for node in user_data(without).values():
        assert "ssh_authorized_keys" not in yaml.safe_dump(node.config)
