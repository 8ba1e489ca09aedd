"""Programs that the checks run, and what to do where one is missing."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.drivers.cases import tool

SCHEMA = "cloudinit/config/schemas/schema-cloud-config-v1.json"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program's end, with standard error in its output."""
    return subprocess.run(
        command, env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=100,
    )  # fmt: skip


def clean(*command: str) -> None:
    """Run a checker that says nothing when it finds nothing."""
    done = run(*command)
    assert done.returncode == 0, done.stdout


def needed(name: str) -> str:
    """A program's path; skips the test, saying so, where there is none."""
    try:
        return tool(name)
    except AssertionError:
        pytest.skip(f"NOT RUN: payloads ({name} is missing)")


@cache
def cloud_init_schema() -> Path | None:
    """cloud-init's own JSON schema: installed, else installed now (root on Debian), else taken out of its package."""
    if found := _installed_schema():
        return found
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        environment = {"RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
        _quietly("apt-get", "update", **environment)
        _quietly("apt-get", "install", "-y", "--no-install-recommends", "cloud-init", **environment)
        return _installed_schema()
    folder = Path(tempfile.mkdtemp(prefix="jeroboam-cloud-init-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _quietly("sh", "-c", 'cd "$1" && apt-get download cloud-init && dpkg-deb -x *.deb .', "sh", str(folder))
    return next(folder.rglob(Path(SCHEMA).name), None)


def _quietly(*command: str, **environment: str) -> None:
    """A failure is seen in what is missing afterwards."""
    subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False, timeout=300)


def _installed_schema() -> Path | None:
    folders = [Path("/usr/lib/python3/dist-packages"), *map(Path, sys.path)]
    return next((folder / SCHEMA for folder in folders if (folder / SCHEMA).exists()), None)
