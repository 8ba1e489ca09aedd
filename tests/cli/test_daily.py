"""A bay's life by `jeroboam` alone."""

from __future__ import annotations

import json

import yaml

from shared.contracts.http.bays import BayBrief, BayFull, OperationOut
from tests.cli.terminal import NO_HEAT, Terminal, ended, told
from tests.clients.support.cloud import Cloud


def test_a_bay_is_made_resized_looked_at_and_deleted(terminal: Terminal, model: str) -> None:
    made = terminal.ok(f"bay create daily -b {model} --node-count 2 --label colour=red --wait")
    assert "CREATE_COMPLETE" in made.out
    assert "Warning: Label 'colour'" in made.err
    assert "✓ Create the Heat stack" in made.err
    assert "✓" not in made.out
    grown = terminal.ok("bay resize daily 3 --wait -o json")
    assert (grown.json["status"], len(grown.json["node_addresses"])) == ("UPDATE_COMPLETE", 3)
    assert "daily" in terminal.ok("bay list").out
    told = terminal.ok("bay operations daily --steps").out
    assert told.index("resize") < told.index("create")
    assert "Create the Heat stack" in told
    history = terminal.ok("bay events daily -o json").json
    assert [one["data"]["became"] for one in history] == [
        *("CREATE_IN_PROGRESS", "CREATE_COMPLETE"),
        *("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
    ]
    assert "update asked" in terminal.ok("bay events daily").out
    assert "The bay is gone." in terminal.ok("bay delete daily --yes --wait").err
    assert terminal.run("bay show daily").code == 3


def test_without_wait_it_comes_back_at_once_and_says_how_to_look(terminal: Terminal, faults: Cloud, model: str) -> None:
    made = terminal.ok(f"bay create hasty -b {model} -o json")
    assert made.json["status"] == "CREATE_IN_PROGRESS"
    assert "jeroboam bay wait hasty" in made.err
    assert terminal.ok("bay wait hasty -o json").json["status"] == "CREATE_COMPLETE"
    faults.control("/faults", "POST", NO_HEAT)  # so that it is still there when the wait begins
    assert "jeroboam bay wait hasty" in terminal.ok("bay delete hasty -y").err
    with terminal.start("bay wait hasty") as process:
        told(process, "Wait for the delete of hasty")
        faults.control("/faults", "DELETE")
        out, err = ended(process)
    assert (process.returncode, out) == (0, ""), err
    assert "The bay is gone." in err
    assert terminal.run("bay wait hasty").code == 3


def test_an_administrator_may_force_a_deletion(terminal: Terminal, cloud: Cloud, model: str) -> None:
    uuid = cloud.bay("stubborn", model)
    refused = terminal.run(f"bay delete {uuid} --force -y")
    assert (refused.code, "delete_force" in refused.err) == (4, True), refused
    assert cloud.settled(uuid) == "CREATE_COMPLETE"
    forced = terminal.run(f"bay delete {uuid} --force -y --wait", user="admin")
    assert (forced.code, "The bay is gone." in forced.err) == (0, True), forced


def test_json_and_yaml_are_the_api_s_bodies(terminal: Terminal, bay: str, model: str) -> None:
    """Programs rely on it: all fields, these names, nothing else on standard output."""
    shown = terminal.ok(f"bay show {bay} -o json")
    assert set(shown.json) == set(BayFull.model_fields)
    assert shown.err == ""
    assert yaml.safe_load(terminal.ok(f"bay show {bay} -o yaml").out) == shown.json
    listed = terminal.ok("bay list -o json").json
    assert all(set(one) == set(BayBrief.model_fields) for one in listed)
    assert all(set(one) == set(OperationOut.model_fields) for one in terminal.ok(f"bay operations {bay} -o json").json)
    assert terminal.ok(f"baymodel show {model} -o json").json["coe"] == "kubernetes"
    assert model in [one["name"] for one in yaml.safe_load(terminal.ok("baymodel list -o yaml").out)]


def test_a_dry_run_makes_nothing(terminal: Terminal, model: str) -> None:
    said = terminal.ok(f"bay create unmade -b {model} --dry-run")
    assert "OS::Nova::Server=2" in said.out
    assert terminal.ok(f"bay create unmade -b {model} --dry-run -o json").json["resources"]["OS::Nova::Server"] == 2
    assert terminal.run("bay show unmade").code == 3


def test_the_scaling_policy_is_put_together_and_taken_away(terminal: Terminal, bay: str) -> None:
    terminal.ok(f"scale policy set {bay} --on --max-nodes 7")
    put = terminal.ok(f"scale policy set {bay} --quiet 100 -o json").json["policy"]
    assert {name: value for name, value in put.items() if value is not None} == {
        "enabled": True,
        "max_node_count": 7,
        "quiet_seconds": 100,
    }
    assert "policy" in terminal.ok(f"scale policy show {bay}").out
    terminal.ok(f"scale policy unset {bay}")
    left = terminal.ok(f"scale policy show {bay} -o json").json
    assert set(left["policy"].values()) == {None}
    assert isinstance(terminal.ok(f"scale decisions {bay} -o json").json, list)


def test_following_tells_each_event_until_the_bay_is_gone(terminal: Terminal, cloud: Cloud, model: str) -> None:
    """A line of JSON for each, as it happens."""
    uuid = cloud.bay("followed", model)
    with terminal.start(f"bay events {uuid} --follow -o json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["event"] == "status"
        cloud.remove(uuid)
        rest = [json.loads(line) for line in process.stdout]
        assert process.wait() == 0
    assert rest[-1] == {"event": "gone", "id": None, "data": {"uuid": uuid}}
    assert any(one["event"] == "operation" and one["data"]["kind"] == "delete" for one in rest)
