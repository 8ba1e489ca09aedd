"""--wait and its ends: failed, too late, interrupted, without a stream, overtaken."""

from __future__ import annotations

import signal
from contextlib import ExitStack

from tests.cli.terminal import NO_HEAT, Terminal, ended, told
from tests.clients.support.cloud import Cloud


def test_a_failure_is_told_with_its_reason(terminal: Terminal, faults: Cloud, model: str) -> None:
    broken = {"effect": "fail", "type": "OS::Nova::Server", "reason": "No valid host was found.", "times": 1}
    faults.control("/heat/behaviours", "POST", broken)
    said = terminal.run(f"bay create unlucky -b {model} --wait -o json")
    assert (said.code, said.out) == (1, ""), said
    assert "No valid host was found." in said.err
    assert "jeroboam bay delete unlucky" in said.err
    assert terminal.run("bay wait unlucky").code == 1
    assert "No valid host was found." in terminal.ok("bay operations unlucky").out
    terminal.ok("bay delete unlucky -y --wait")


def test_the_time_is_over_and_the_work_goes_on(terminal: Terminal, faults: Cloud, model: str) -> None:
    faults.control("/faults", "POST", NO_HEAT)
    said = terminal.run(f"bay create late -b {model} --wait --timeout 0")
    assert (said.code, said.out) == (6, ""), said
    assert "The work goes on." in said.err
    faults.control("/faults", "DELETE")
    assert terminal.ok("bay wait late -o json").json["status"] == "CREATE_COMPLETE"
    terminal.ok("bay delete late -y")


def test_ctrl_c_says_that_the_work_goes_on(terminal: Terminal, faults: Cloud, model: str) -> None:
    faults.control("/faults", "POST", NO_HEAT)
    with terminal.start(f"bay create left -b {model} --wait") as process:
        told(process, "✓ Render the Heat template")
        process.send_signal(signal.SIGINT)
        out, err = ended(process)
    assert (process.returncode, out) == (130, ""), err
    assert "Wait again with: jeroboam bay wait left" in err
    assert "Traceback" not in err
    faults.control("/faults", "DELETE")
    terminal.ok("bay wait left")
    terminal.ok("bay delete left -y")


def test_where_streams_are_refused_it_asks(terminal: Terminal, cloud: Cloud, bay: str, model: str) -> None:
    """The project has as many streams as it may have."""
    with ExitStack() as taken:
        for _ in range(2):
            address, headers = f"{cloud.api_url}/bays/{bay}/events", {"X-Auth-Token": cloud.token()}
            assert taken.enter_context(cloud.http.stream("GET", address, headers=headers)).status_code == 200
        assert cloud.call("GET", f"/bays/{bay}/events").status_code == 503
        said = terminal.ok(f"bay create polled -b {model} --wait -o json")
    assert said.json["status"] == "CREATE_COMPLETE"
    assert "✓ Record addresses and servers" in said.err
    terminal.ok("bay delete polled -y --wait")


def test_a_bay_that_is_deleted_meanwhile(terminal: Terminal, faults: Cloud, model: str) -> None:
    faults.control("/faults", "POST", NO_HEAT)
    with terminal.start(f"bay create doomed -b {model} --wait") as process:
        told(process, "✓ Render the Heat template")
        terminal.ok("bay delete doomed -y")
        faults.control("/faults", "DELETE")
        _, err = ended(process)
    assert process.returncode in (1, 3), err
    assert "superseded" in err or "deleted meanwhile" in err


def test_who_waits_for_whatever_is_under_way_waits_for_the_delete_that_overtakes_it(
    terminal: Terminal, faults: Cloud, model: str
) -> None:
    faults.control("/faults", "POST", NO_HEAT)
    terminal.ok(f"bay create overtaken -b {model}")
    with terminal.start("bay wait overtaken") as process:
        told(process, "✓ Render the Heat template")
        terminal.ok("bay delete overtaken -y")
        told(process, "Wait for the delete of overtaken")
        faults.control("/faults", "DELETE")
        out, err = ended(process)
    assert (process.returncode, out) == (0, ""), err
    assert "The bay is gone." in err
    assert terminal.run("bay wait overtaken").code == 3
