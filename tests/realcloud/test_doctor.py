"""`jeroboam doctor` in the environment of the services that run here, on a cloud that the operator guide set up."""

from __future__ import annotations

import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, create_subprocess_exec

import pytest

from tests.realcloud.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_is_missing_and_no_secret_is_told(site: Site) -> None:
    (person,) = await site.premises.project("examined", site.domain)
    command = [sys.executable, "-m", "services.cli", "doctor", "--json", "--make-stack", "--project", person.project_id]
    child = await create_subprocess_exec(*command, env=site.services.environment, stdout=PIPE, stderr=DEVNULL)
    said, _ = await child.communicate()
    report = json.loads(said)

    assert [one for one in report["findings"] if one["level"] == "missing"] == []
    assert (child.returncode, report["ok"]) == (0, True)
    told = " / ".join(one["what"] for one in report["findings"] if one["level"] == "ok")
    for words in ("logs in to", "our clock agrees", "it made a stack for us", "each service's role has its rights"):
        assert words in told
    secrets = [value for name, value in site.services.environment.items() if name.endswith(("_PASSWORD", "_URL"))]
    assert not [one for one in secrets if "@" in one and one in said.decode()]
    assert site.services.environment["JEROBOAM_SERVICE_PASSWORD"] not in said.decode()
    if site.premises.cloud.on_loopback:  # others may not obey access rules, which is a warning
        assert [one for one in report["findings"] if one["area"] == "rules" and one["level"] != "ok"] == []
