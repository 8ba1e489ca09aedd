"""`make new-driver` in a copy of the tree: what it makes keeps the contract as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.new_driver.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("shared", "tests/drivers", "tests/__init__.py", "services", "pyproject.toml"):
        source, target = ROOT / folder, tmp_path / folder
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target)
    return tmp_path


def test_a_new_driver_keeps_the_contract(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nomad_debian", "--key", "vm,debian,nomad", "--into", str(copy)]) == 0
    assert "shared/drivers/registry.py" in capsys.readouterr().out
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "nomad_debian"]
    done = subprocess.run(
        [*command, "tests/drivers/test_conformance.py", "tests/drivers/test_footprint.py"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in done.stdout


def test_a_name_or_triple_that_cannot_be_is_told(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["Nomad", "--key", "vm,debian,nomad"], "no name for a folder"),
        (["nomad_debian"], "--key must be"),
        (["mesos_ubuntu", "--key", "vm,debian,nomad"], "exists"),
    ):
        assert main([*arguments, "--into", str(copy)]) == 2
        assert said in capsys.readouterr().err
