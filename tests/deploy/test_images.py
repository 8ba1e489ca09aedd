"""The Dockerfile, the wheel that it installs, and the scripts around them."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from shared.runtime.sealing import public_of
from tests.deploy.files import CLOUD, COMPOSE, DEPLOY, ROOT, load

BIN = Path(sys.executable).parent
DOCKERFILES = [DEPLOY / "Dockerfile", *sorted((DEPLOY / "prove" / "standins").glob("*.Dockerfile"))]
SCRIPTS = [
    DEPLOY / "entrypoint.sh",
    DEPLOY / "make-secrets",
    DEPLOY / "prove" / "prove.sh",
    DEPLOY / "prove" / "bin" / "runc",
    *sorted((DEPLOY / "prove" / "standins").glob("*.sh")),
]


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _tool(name: str) -> Path:
    path = BIN / name
    if not path.exists():
        pytest.skip(f"NOT RUN: deploy ({name} is not installed in this environment)")
    return path


def _names(path: Path) -> str:
    return str(path.relative_to(DEPLOY))


@pytest.mark.parametrize("path", DOCKERFILES, ids=_names)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    assert _run(_tool("hadolint"), path) == ""


@pytest.mark.parametrize("path", SCRIPTS, ids=_names)
def test_scripts_are_clean_and_executable(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    _run(_tool("shellcheck"), path)


@pytest.mark.parametrize("path", [DEPLOY / "make-secrets", DEPLOY / "prove" / "prove.sh"], ids=_names)
def test_help_names_every_option(path: Path) -> None:
    text = _run(path, "--help")
    options = set(re.findall(r"^        (--[a-z-]+)(?: \| -h)?\)", path.read_text(), re.MULTILINE))
    assert options
    assert all(f"  {option}" in text for option in options)


def test_every_target_is_in_the_dockerfile_and_only_the_cloud_has_the_simulation() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    by_name = {stage.split("\n", 1)[0].rpartition(" AS ")[2]: stage for stage in stages}
    for service in load(COMPOSE)["services"].values():
        if "build" in service:
            assert service["build"]["target"] in by_name
    assert [name for name, stage in by_name.items() if "COPY cloudsim" in stage] == ["cloudsim"]
    assert "\nUSER 10001:10001\n" in by_name["runtime"]
    assert not any("\nUSER " in stage for name, stage in by_name.items() if name != "runtime")


def test_secrets_are_private_complete_and_made_once(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("NOT RUN: deploy (make-secrets: openssl is not installed)")
    made = tmp_path / "secrets"
    _run(DEPLOY / "make-secrets", "--dir", made, "--keep-owner")
    first = {path.name: path.read_text() for path in made.iterdir()}
    wanted = {Path(one["file"]).name for file in (COMPOSE, CLOUD) for one in load(file)["secrets"].values()}
    assert set(first) == wanted
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in made.iterdir())
    assert len(base64.b64decode(first["master_key"].strip(), validate=True)) == 32
    assert public_of(first["seal_private_key"].strip()) == first["seal_public_key"].strip()
    for role in ("api", "provisioner", "certs", "scaler"):
        assert f"jb_{role}:{first[f'db_password_{role}'].strip()}@postgres:5432/" in first[f"database_url_{role}"]
    assert first["rabbitmq.conf"].split()[-1] in first["amqp_url"]
    _run(DEPLOY / "make-secrets", "--dir", made, "--keep-owner")
    assert {path.name: path.read_text() for path in made.iterdir()} == first


def test_what_an_older_release_did_not_make_is_added_where_the_rest_is_not_ours_to_read() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("NOT RUN: deploy (make-secrets: openssl is not installed)")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copy(DEPLOY / "make-secrets", place)
        _run(place / "make-secrets", "--keep-owner")
        before = {path.name: path.read_text() for path in (place / "secrets").iterdir()}
        (place / "secrets" / "heat_notifications_url").unlink()
        (place / "secrets" / "postgres_password").chmod(0)
        nobody = 65534 if os.geteuid() == 0 else None  # root can read everything
        if nobody is not None:
            for path in (place, place / "secrets"):
                os.chown(path, nobody, nobody)
        done = [
            subprocess.run(
                [place / "make-secrets", "--keep-owner"],
                capture_output=True, text=True, check=True, user=nobody, group=nobody, cwd=place,
            ).stdout
            for _ in range(2)
        ]  # fmt: skip
        assert "1 made in" in done[0]
        assert ": heat_notifications_url;" in done[0]
        assert "nothing to do" in done[1]
        (place / "secrets" / "postgres_password").chmod(0o600)
        assert {path.name: path.read_text() for path in (place / "secrets").iterdir()} == before


def _content(folder: str) -> set[str]:
    """What of a package must be in the wheel: code, and the files that the code reads."""
    paths = (ROOT / folder).rglob("*")
    return {str(path.relative_to(ROOT)) for path in paths if path.is_file() and "__pycache__" not in path.parts}


def test_wheel_has_the_code_and_its_files_and_nothing_of_the_simulation(tmp_path: Path) -> None:
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--wheel-dir", tmp_path, ROOT)  # fmt: skip
    (wheel,) = tmp_path.glob("jeroboam-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    code = {name for name in names if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in code} == {"shared", "services"}
    missing = (_content("shared") | _content("services")) - code
    assert not missing
    for kind in ("shared/db/migrations/sql/", "/heat/", "/payload/"):
        assert any(kind in name for name in code), kind
