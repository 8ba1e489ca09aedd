"""Schemathesis over the running gateway's own document, with Postgres, the workers and the simulated cloud behind.

`make fuzz` runs 10,000 cases; JEROBOAM_FUZZ_CASES says how many are run here (2,000 unless set).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from tests.fuzz.campaign import Campaign

CASES = int(os.environ.get("JEROBOAM_FUZZ_CASES", "2000"))
ROOM = {"JEROBOAM_BAYS_PER_PROJECT": "40"}
"""Cases are many and bays are real: the quota is met, but not by half of all requests."""
SECONDS = 60 + CASES * 0.12


@pytest.mark.timeout(SECONDS + 120)
async def test_no_answer_is_outside_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with LocalStack(tmp_path, speed=0, time_scale=0.2, extra_environment=ROOM) as stack:
        api_url = stack.api_url.removesuffix("/v1")
        campaign = Campaign(api_url, stack.keystone_url, CASES, SECONDS)
        findings = await asyncio.to_thread(campaign.run)
    with capsys.disabled():
        print(
            f"\n{findings.table()}\nfuzz: {findings.cases} cases of {CASES} asked for, {len(findings.found)} findings"
        )
    if findings.found:
        pytest.fail("\n\n".join(one.text() for one in findings.found.values()), pytrace=False)
    assert findings.cases >= CASES, f"only {findings.cases} of {CASES} cases were run in {SECONDS:.0f} s"
