"""Exit statuses, and what is said when something is wrong."""

from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal
from tests.clients.support.cloud import Cloud

NO_USER = dict.fromkeys(("OS_USERNAME", "OS_PASSWORD", "OS_USER_DOMAIN_NAME"))


@pytest.mark.parametrize(
    ("command", "code", "advice"),
    [
        ("bay frobnicate", 2, "--help"),
        ("bay list -o xml", 2, "table"),
        ("bay create some", 2, "--baymodel"),
        ("bay create some -b model --label colour", 2, "KEY=VALUE"),
        ("bay create some -b model --node-count 0", 2, "--node-count"),
        ("bay delete still", 2, "--yes"),
        ("scale policy set still", 2, "--max-nodes"),
        ("bay show nobody", 3, "jeroboam bay list"),
        ("bay show a/b", 3, "jeroboam bay list"),
        ("bay create some -b nobody", 3, "jeroboam baymodel list"),
        ("bay create some -b nobody --dry-run", 3, "jeroboam baymodel list"),
        ("baymodel show nobody", 3, "baymodel list"),
        ("scale policy show nobody", 3, "jeroboam bay list"),
        ("bay create 1some -b model", 4, "^[a-zA-Z]"),
        ("bay resize still 5 --nodegroup nobody", 3, "bay list"),
        ("bay list --os-cloud nowhere", 5, "clouds.yaml"),
        ("bay list --endpoint http://127.0.0.1:9", 5, "--endpoint"),
    ],
)
def test_mistakes(terminal: Terminal, bay: str, command: str, code: int, advice: str) -> None:
    said = terminal.run(command)
    assert (said.code, said.out) == (code, ""), said
    assert advice in said.err


@pytest.mark.parametrize(
    ("variables", "advice"),
    [
        ({"OS_AUTH_URL": ""}, "No cloud is configured"),
        ({"OS_PASSWORD": "wrong"}, "openrc"),
        ({"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "ended", **NO_USER}, "openstack token issue"),
        ({"OS_AUTH_URL": "http://127.0.0.1:9/v3"}, "OS_AUTH_URL"),
    ],
    ids=["no cloud", "wrong password", "expired token", "nobody there"],
)
def test_no_way_in(terminal: Terminal, variables: dict[str, str | None], advice: str) -> None:
    said = terminal.run("bay list -o json", variables)
    assert (said.code, said.out) == (5, ""), said
    assert advice in said.err


def test_a_name_of_several_is_answered_by_their_ids(terminal: Terminal, cloud: Cloud, model: str) -> None:
    uuids = [cloud.bay("twin", model), cloud.bay("twin", model)]
    for command in ("bay show twin", "bay delete twin -y", "bay resize twin 2", "bay config twin"):
        said = terminal.run(command)
        assert (said.code, said.out) == (4, ""), said
        assert all(uuid in said.err for uuid in uuids)
    for uuid in uuids:
        terminal.ok(f"bay delete {uuid} -y")


def test_a_baymodel_that_does_not_fit_is_no_matter_of_waiting(terminal: Terminal, cloud: Cloud, bay: str) -> None:
    cloud.template("unfit", coe="swarm")
    said = terminal.run(f"bay upgrade {bay} -b unfit")
    assert (said.code, said.out) == (4, ""), said
    assert "is not valid for upgrade" in said.err
    assert "jeroboam baymodel list" in said.err


def test_what_may_not_be_is_refused(terminal: Terminal, bay: str) -> None:
    said = terminal.run(f"bay delete {bay} -y", user="reader")
    assert said.code == 4, said
    assert "What to do:" in said.err


def test_a_service_that_cannot_just_now_says_when(terminal: Terminal, faults: Cloud, model: str) -> None:
    faults.control("/faults", "POST", {"kind": "status", "status": 503, "service": "compute", "count": 0})
    said = terminal.run(f"bay create waiting -b {model}")
    assert said.code == 5
    assert "Run this again in" in said.err


def test_words_of_others_send_the_terminal_no_commands(terminal: Terminal, faults: Cloud, model: str) -> None:
    reason = "No [bold]host\u001b[2J\u0007."
    broken = {"effect": "fail", "type": "OS::Nova::Server", "reason": reason, "times": 1}
    faults.control("/heat/behaviours", "POST", broken)
    said = terminal.run(f"bay create loud -b {model} --wait")
    assert said.code == 1, said
    assert "No [bold]host" in said.err
    assert "\u001b" not in said.err
    assert "\u001b" not in terminal.ok("bay show loud").out
    terminal.ok("bay delete loud -y --wait")
