"""Hostile text in every attribute and label stays data: refused with its field, or exactly itself on the node.

For what is accepted: the user-data parses to the same structure, every file and script is what it is for a harmless
bay, `sh` reads bay.env back to exactly the values, and nothing else ran. Then the node boots (dry), and still nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.errors import InvalidInput
from shared.drivers import registry
from shared.drivers.contract import BayFacts, BaySecrets, Driver
from tests.drivers.cases import CREDENTIAL, SECRET, cases, facts
from tests.payloads import dry_node, ignition
from tests.payloads.rendered import FAST, Node, take_apart, user_data
from tests.payloads.tools import needed

CANARY = "canary"
ENVIRONMENT = "/etc/jeroboam/bay.env"
MARKS = [
    "'", '"', "`", f"`>{CANARY}`", f"$(>{CANARY})", f"';>{CANARY};'", f'";>{CANARY};"', f"\n>{CANARY}\n",
    "\n", "\r\n", "\t", "%", "%s", "%n", "@@", "@@NODE_SECRET@@", "@@X@@", "@", "\\", "\\\\", "\\n", "$",
    "${HOME}", "$HOME", "&", "|", ";", "#", " #", "!", "*", "?", "~", "<", ">", "{", "}", "{{", "}}", "[", "]", ": ",
    "- ", "---\n", "...", "|\n", "\nEOF\n", "\nCONF\n", "\nUNIT\n", "\nPOD\n", '"}]}', "\\u0000", "\x00", "\x7f",
    "\u2028", "é", "日本", "\U0001f4a5", "\nJB_TLS=false\n", "--==", "\n--==jeroboam", "", " ", "a", "0", "http://a",
    "https://b:1", "10.0.0.0/8", "true", "null",
]  # fmt: skip
hostile = st.lists(st.sampled_from(MARKS) | st.text(max_size=3), min_size=1, max_size=5).map("".join)

HARMLESS = re.compile(r"[A-Za-z0-9.:/,-]*")
TEXTS = sorted(field.name for field in dataclasses.fields(BayFacts) if field.type in ("str", "str | None"))
OURS = {"bay_id", "project_id", "generation", "stack_name", "operation_id", "coe", "server_type", "os_distro", "ca_pem"}
OURS |= {"fixed_network_cidrs"}
"""Not the user's: made, looked up or checked by us before a driver is asked, so a hostile one cannot come."""


def fields(driver: Driver) -> list[str]:
    attributes = [name for name in TEXTS if name not in OURS]
    return attributes + [f"labels/{name}" for name in (*driver.label_rules, "unknown", "un'known")]


def bay(driver: Driver, values: Mapping[str, str]) -> BayFacts:
    """The richest bay of the driver, with these values in these fields."""
    given = dict(cases(driver)["everything"])
    given["labels"] = {**given["labels"], **{name[7:]: v for name, v in values.items() if name.startswith("labels/")}}
    return facts(driver, **{**given, **{name: v for name, v in values.items() if not name.startswith("labels/")}})


@cache
def _read(text: str) -> dict[str, object]:
    """A template; the same for nearly all bays."""
    read: dict[str, object] = yaml.load(text, Loader=FAST)
    return read


def rendered(driver: Driver, values: Mapping[str, str]) -> dict[str, Node]:
    """By role. Raises InvalidInput as the driver does."""
    stack = driver.render(bay(driver, values), CREDENTIAL)
    for name, text in (("bay.yaml", stack.template), *stack.files.items()):
        if name.endswith(".yaml"):
            assert "resources" in _read(text), name
    return {role: take_apart(driver, "hostile", role, text) for role, text in user_data(stack).items()}


def accepted(driver: Driver, values: Mapping[str, str]) -> dict[str, Node] | None:
    """None when the driver refuses, which it must do with the field."""
    try:
        driver.validate(bay(driver, values))
        return rendered(driver, values)
    except InvalidInput as refused:
        reason, field = str(refused), refused.field
    assert field, reason
    return None


@cache
def sourced(shell: str, text: str) -> dict[str, str]:
    """The variables that a shell finds in bay.env; fails if it says or makes anything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bay.env").write_text(text)
        script = "set -eu -o allexport; . ./bay.env; /usr/bin/env -0"
        done = subprocess.run(
            [needed(shell), "-c", script],
            cwd=folder,
            env={"PATH": "/nowhere"},
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert [path.name for path in Path(folder).iterdir()] == ["bay.env"]
    pairs = [entry.partition("=") for entry in done.stdout.decode().split("\0")]
    return {name: value for name, _, value in pairs if name.startswith("JB_")}


def expected(name: str, value: str) -> str:
    """How a variable holds an accepted value; what surrounds it does not count in a URL."""
    return value.rstrip("/") if name == "api_url" else value


@cache
def harmless(name: str) -> dict[str, Node]:
    """A driver's richest bay, by role."""
    return rendered(registry.by_name(name), {})


OF_LABELS = ("nodegroup", "nodegroup_role")
"""A group may have any name; nodes bear what a label may hold of it."""
LABELS_OF_NODES = re.compile(r"(?:[A-Za-z0-9./_-]+=[A-Za-z0-9._-]*(?: (?!$)|$))+")

each_driver = pytest.mark.parametrize("name", [driver.name for driver in registry.DRIVERS])


@each_driver
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(place=st.integers(0, 999), value=hostile)
def test_refused_or_exactly_itself(name: str, place: int, value: str) -> None:
    driver, plain = registry.by_name(name), harmless(name)
    field = fields(driver)[place % len(fields(driver))]
    nodes = accepted(driver, {field: value})
    if nodes is None:
        return
    assert nodes.keys() == plain.keys()
    if HARMLESS.fullmatch(value):
        return  # it may well be meant: another number or network, a driver that is left out
    for role, node in nodes.items():
        check_structure(node, plain[role], field)
        before, after = (sourced("dash", one.files[ENVIRONMENT].text) for one in (plain[role], node))
        assert sourced("bash", node.files[ENVIRONMENT].text) == after
        assert before.keys() == after.keys()
        variable = f"JB_{field.upper()}"
        if variable in after:
            assert after[variable] == expected(field, value)
        changed = {one for one in after if after[one] != before[one]}
        if field in OF_LABELS:
            assert changed <= {"JB_NODE_LABELS"}
            assert LABELS_OF_NODES.fullmatch(after["JB_NODE_LABELS"])
            continue
        assert all(value.strip() in after[one] or not value.strip() for one in changed) or field.startswith("labels/")


def check_structure(node: Node, plain: Node, name: str) -> None:
    """The same files with the same modes and texts, but for what holds values of the bay; the same parts."""
    assert node.parts == plain.parts
    assert node.units.keys() == plain.units.keys()
    switched_on = {"/etc/jeroboam/cloud-ca.pem", "/etc/jeroboam/cloud-credential"}
    assert node.files.keys() - switched_on == plain.files.keys() - switched_on
    for path, file in node.files.items():
        if path in plain.files:
            assert file.mode == plain.files[path].mode, path
            if path not in (ENVIRONMENT, *switched_on):
                assert file.text == plain.files[path].text, (name, path)
    if node.ignition is not None:
        ignition.check(node.ignition)


@each_driver
@pytest.mark.parametrize("value", [f"$(>/{CANARY})`>/{CANARY}`", f"';>/{CANARY};\">/{CANARY};", f"a\n>/{CANARY}\n"])
def test_nothing_runs_at_boot_either(name: str, value: str, tmp_path: Path) -> None:
    """All fields at once that the driver accepts with such a value."""
    if not dry_node.possible():
        pytest.skip("NOT RUN: payloads (no mount namespace for a dry boot)")
    driver = registry.by_name(name)
    taken = {}
    for field in fields(driver):
        for text in (value, f"http://a/{value}"):
            if accepted(driver, {field: text}) is not None:
                taken[field] = text
    for role, node in rendered(driver, taken).items():
        boot = dry_node.boot(node, tmp_path / role)
        assert not list(boot.root.rglob(CANARY)), taken


@pytest.mark.parametrize("secret", ["", "a b", "a'b", "a\nb", "@@NODE_NAME@@", "$(id)"])
def test_malformed_credentials_are_refused_and_not_shown(driver: Driver, secret: str) -> None:
    given = BaySecrets(application_credential_id="abc", application_credential_secret=secret)
    wanted = facts(driver, **cases(driver)["everything"])
    assert SECRET not in repr(CREDENTIAL)
    if driver.needs_cloud_credential(wanted):
        with pytest.raises(ValueError, match="application_credential_secret") as refused:
            driver.render(wanted, given)
        assert not secret or secret not in str(refused.value)


def test_a_stand_in_for_a_sealed_secret_passes(driver: Driver) -> None:
    given = BaySecrets(application_credential_id="abc", application_credential_secret="@sealed@")
    wanted = facts(driver, **cases(driver)["everything"])
    if driver.needs_cloud_credential(wanted):
        assert "@sealed@" in driver.render(wanted, given).parameters.values()


def test_too_much_user_data_is_refused(driver: Driver) -> None:
    dense = "".join(hashlib.sha256(str(number).encode()).hexdigest() + "\n" for number in range(2000))
    with pytest.raises(InvalidInput, match="Nova takes"):
        driver.render(facts(driver, cloud_ca_pem=dense), CREDENTIAL)


def test_no_key_no_entry(driver: Driver) -> None:
    stack = driver.render(facts(driver, ssh_public_key=""), CREDENTIAL)
    for role, text in user_data(stack).items():
        node = take_apart(driver, "no key", role, text)
        assert "ssh_authorized_keys" not in node.text, role
        assert "sshAuthorizedKeys" not in node.text, role


def test_shells_are_here() -> None:
    assert needed("dash")
    assert needed("bash")
