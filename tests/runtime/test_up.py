"""What `jeroboam up` passes on of the caller's environment."""

from __future__ import annotations

from pathlib import Path

from services.cli.up import passed_on


def test_some_settings_reach_the_services_and_the_others_stay_outside() -> None:
    told = {
        "JEROBOAM_BUSY": "refuse",
        "JEROBOAM_POLICY_FILE": "policy.yaml",
        "JEROBOAM_LOG_LEVEL": "",
        "JEROBOAM_DATABASE_URL": "postgresql://elsewhere/",
        "PATH": "/bin",
    }
    assert passed_on(told) == {"JEROBOAM_BUSY": "refuse", "JEROBOAM_POLICY_FILE": str(Path.cwd() / "policy.yaml")}
