"""What `jeroboam bay config` makes of a bay and a certificate: variables for each shell, files, kubeconfigs."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from services.cli.bay_config import Door, Identity, planned, planned_etcd
from services.cli.files import make_folder, put
from services.cli.kubeconfig import Kubeconfig, NotMerged
from services.cli.shells import Shell, assignments, evaluated, shell_of

IDENTITY = Identity("CA\n", "CERT\n", "KEY\n")
SHELLS = [one for one in ("sh", "bash", "zsh", "csh", "tcsh", "fish", "pwsh") if shutil.which(one)]
AWKWARD = "/srv/o'brien/a b/$HOME/`id`/!!/\\/\"x"


def door(coe: str, address: str, *, secured: bool = True) -> Door:
    return Door("k8sbay", coe, address, secured)


@pytest.mark.parametrize(
    ("program", "shell"),
    [
        (None, Shell.SH),
        ("", Shell.SH),
        ("/bin/zsh", Shell.SH),
        ("/bin/tcsh", Shell.CSH),
        ("/usr/bin/fish", Shell.FISH),
        ("/usr/bin/pwsh", Shell.POWERSHELL),
    ],
)
def test_the_shell_is_known_by_its_name(program: str | None, shell: Shell) -> None:
    assert shell_of(program) is shell


def test_each_shell_has_its_own_words() -> None:
    told = {shell: assignments(shell, {"A": "it's", "B": None}).splitlines() for shell in Shell}
    assert told[Shell.SH] == ["""export A='it'"'"'s'""", "unset B"]
    assert told[Shell.CSH] == ["""setenv A 'it'"'"'s';""", "unsetenv B;"]
    assert told[Shell.FISH] == [r"set -gx A 'it\'s'", "set -e B"]
    assert told[Shell.POWERSHELL] == ["$Env:A = 'it''s'", "Remove-Item Env:B -ErrorAction SilentlyContinue"]


@pytest.mark.parametrize("program", SHELLS)
def test_the_shells_that_are_here_read_them(program: str, tmp_path: Path) -> None:
    """Awkward paths come through `eval` as they are."""
    shell, lines = shell_of(program), tmp_path / "lines"
    lines.write_text(assignments(shell, {"JB_PATH": AWKWARD, "JB_OLD": None}))
    done = subprocess.run(
        [program, "-c", f"{evaluated(shell, f'cat {lines}')}; printenv JB_PATH; printenv JB_OLD"],
        env={**os.environ, "JB_OLD": "of before"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{AWKWARD}\n", done.stderr


def test_swarm_gets_three_files_and_docker_s_variables() -> None:
    plan = planned(door("swarm", "tcp://127.64.0.9:2376"), IDENTITY, Path("/x"))
    assert plan.files == {"ca.pem": "CA\n", "cert.pem": "CERT\n", "key.pem": "KEY\n"}
    assert plan.variables == {
        "DOCKER_HOST": "tcp://127.64.0.9:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "/x",
    }


def test_mesos_gets_an_address_alone() -> None:
    assert planned(door("mesos", "127.64.0.9"), None, Path("/x")).variables == {
        "MARATHON_URL": "http://127.64.0.9:8080"
    }
    plan = planned(door("mesos", "2001:db8::1"), None, Path("/x"))
    assert (plan.files, plan.variables) == ({}, {"MARATHON_URL": "http://[2001:db8::1]:8080"})


def test_etcdctl_gets_its_variables() -> None:
    plan = planned_etcd(IDENTITY, Path("/x"))
    assert plan.variables == {
        "ETCDCTL_API": "3",
        "ETCDCTL_CACERT": "/x/ca.pem",
        "ETCDCTL_CERT": "/x/cert.pem",
        "ETCDCTL_KEY": "/x/key.pem",
    }


def test_no_key_is_in_a_repr() -> None:
    plan = planned(door("swarm", "tcp://127.64.0.9:2376"), IDENTITY, Path("/x"))
    assert "KEY" not in repr(IDENTITY) + repr(plan)


def test_files_are_whole_and_private(tmp_path: Path) -> None:
    """One that cannot be written leaves all as they were, and nothing lies about."""
    folder = tmp_path / "a" / "b"
    make_folder(folder)
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    put({folder / "one": "1", folder / "two": "2"})
    with pytest.raises(FileNotFoundError):
        put({folder / "one": "changed", folder / "missing" / "two": "2"})
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"one": "1", "two": "2"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_a_merge_keeps_out_of_the_way_of_kubectl(tmp_path: Path) -> None:
    """kubectl's lock is honoured; a merge leaves none behind."""
    path, config = tmp_path / "config", Kubeconfig("k8sbay", "https://127.64.0.9:6443", "CA", "CERT", "KEY")
    lock = tmp_path / "config.lock"
    lock.touch()
    with pytest.raises(NotMerged, match="Another program writes"):
        config.merge(path)
    lock.unlink()
    assert config.merge(path) is None
    assert Kubeconfig.read(path) == config
    assert [one.name for one in tmp_path.iterdir()] == ["config"]


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (
            {"contexts": [{"name": "k8sbay", "context": {"cluster": "prod", "user": "prod"}}]},
            "has a context k8sbay already, of cluster prod and user prod",
        ),
        (
            {
                "clusters": [{"name": "k8sbay", "cluster": {"server": "https://127.64.0.9:6443"}}],
                "contexts": [{"name": "k8sbay", "context": {"cluster": "k8sbay", "user": "somebody"}}],
            },
            "has a context k8sbay already, of cluster k8sbay and user somebody",
        ),
        (
            {"users": [{"name": "k8sbay-admin", "user": {"token": "abc"}}]},
            "has a user k8sbay-admin already, but no cluster k8sbay",
        ),
        (
            {
                "clusters": [{"name": "k8sbay", "cluster": {"server": "https://127.64.0.9:6443"}}],
                "users": [{"name": "k8sbay-admin", "user": {"token": "abc"}}],
                "contexts": [{"name": "mine", "context": {"cluster": "prod", "user": "k8sbay-admin"}}],
            },
            "has a user k8sbay-admin already, which its context mine uses for the cluster prod",
        ),
    ],
    ids=["context", "user-of-context", "user", "user-elsewhere"],
)
def test_a_merge_destroys_nothing_of_others_unasked(tmp_path: Path, there: dict[str, object], reason: str) -> None:
    path, config = tmp_path / "config", Kubeconfig("k8sbay", "https://127.64.0.9:6443", "CA", "CERT", "KEY")
    before = yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "prod", **there})
    path.write_text(before)
    with pytest.raises(NotMerged, match=reason) as refused:
        config.merge(path)
    assert "--force" in refused.value.advice
    assert path.read_text() == before
    assert config.merge(path, force=True) == "prod"
    assert Kubeconfig.read(path).key_pem == "KEY"


def test_users_of_one_bay_stand_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "config"
    Kubeconfig("k8sbay", "https://127.64.0.9:6443", "CA", "CERT", "KEY").merge(path)
    before = Kubeconfig("k8sbay", "https://127.64.0.9:6443", "CA", "READS", "KEY", user="reader").merge(path)
    assert before == "k8sbay"
    assert path.read_text().count("client-certificate-data") == 2
    moved = Kubeconfig("k8sbay", "https://127.64.0.10:6443", "CA", "CERT", "KEY")
    with pytest.raises(NotMerged, match="has a cluster k8sbay already"):
        moved.merge(path)
    moved.merge(path, force=True)
    assert "127.64.0.9:" not in path.read_text()
