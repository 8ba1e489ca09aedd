"""`jeroboam dead` as an administrator runs it, against the running gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest
import yaml

from tests.api.harness import System
from tests.api.test_dead_letters import letter, published, service

__all__ = ["service"]


def dead(system: System, *arguments: str, user: str = "admin") -> subprocess.CompletedProcess[str]:
    """Run it with OS_… variables, as after sourcing an openrc file."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OS_", "JEROBOAM_"))},
        "OS_AUTH_URL": f"{system.cloud_url}/identity/v3",
        "OS_USERNAME": user,
        "OS_PASSWORD": user,
        "OS_PROJECT_NAME": user,
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
    }
    command = [sys.executable, "-m", "services.cli", "dead", *arguments, "--endpoint", system.api_url]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


async def test_list_show_resend_drop(system: System, service: str) -> None:
    message = str(uuid4())
    other, mine = await letter(system, service), await letter(system, service, message_id=message)
    table = dead(system, "list", "--service", service)
    assert table.returncode == 0, table.stderr
    assert [line.split()[0] for line in table.stdout.splitlines()[2:] if line.strip()] == [mine, other]
    assert "failed 5 times" in table.stdout

    shown = json.loads(dead(system, "show", mine, "-o", "json").stdout)
    assert (shown["message_id"], shown["obstacle"]) == (message, None)

    sent = dead(system, "resend", mine)
    assert (sent.returncode, sent.stdout, sent.stderr.strip()) == (0, "", f"Sent again: {mine}")
    assert len(await published(system, message)) == 1
    left = yaml.safe_load(dead(system, "list", "--service", service, "-o", "yaml").stdout)
    assert [one["id"] for one in left] == [other]

    assert dead(system, "drop", mine, other).returncode == 0
    gone = system.call("GET", f"/v1/dead_letters?service={service}", user="admin").json()
    assert gone["dead_letters"] == []


@pytest.mark.parametrize(
    ("columns", "arguments", "user", "status", "words"),
    [
        ({}, ("list",), "demo", 4, "administrators"),
        ({"name": "bay.exploded"}, ("resend",), "admin", 4, "unknown message 'bay.exploded'"),
        ({}, ("show", str(uuid4())), "admin", 3, "jeroboam dead list --all"),
    ],
    ids=["no right", "pointless", "not there"],
)
async def test_refusals_say_what_to_do(
    system: System,
    service: str,
    columns: dict[str, object],
    arguments: tuple[str, ...],
    user: str,
    status: int,
    words: str,
) -> None:
    ident = await letter(system, service, **columns)
    done = dead(system, *arguments, *([ident] if arguments == ("resend",) else []), user=user)
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr
