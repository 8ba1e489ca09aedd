"""The stack's folder: one stack at a time, secrets for the owner only, files that clients can read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from services.cli.access import write_access
from services.cli.kubeconfig import Kubeconfig
from services.cli.stack import LocalStack
from services.cli.workspace import Workspace, WorkspaceBusy


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_stack_at_a_time(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.hold(), pytest.raises(WorkspaceBusy, match="already runs"), workspace.hold():
        pytest.fail("two stacks had one folder")
    with workspace.hold():
        assert workspace.logs.is_dir()


def test_what_an_earlier_stack_left_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.hold():
        (workspace.logs / "old.log").touch()
    (tmp_path / "kubeconfig").touch()
    with workspace.hold():
        assert list(workspace.logs.iterdir()) == []
    assert (tmp_path / "kubeconfig").exists()


def test_secrets_are_new_and_private(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.hold():
        first = workspace.make_secrets()
        before = [path.read_text() for path in (first.master_key_file, first.seal_public_key_file)]
        assert mode(first.master_key_file) == mode(first.seal_private_key_file) == 0o600
        second = workspace.make_secrets()
        after = [path.read_text() for path in (second.master_key_file, second.seal_public_key_file)]
    assert not set(before) & set(after)


def test_folders_made_on_the_way_are_private_too(tmp_path: Path) -> None:
    with Workspace(tmp_path / "above" / "stack").hold():
        assert (mode(tmp_path / "above"), mode(tmp_path / "above" / "stack")) == (0o700, 0o700)


def test_programs_get_a_home_inside_the_folder_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "mine")
    environment = Workspace(tmp_path).environment()
    assert "OS_PASSWORD" not in environment
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        assert Path(environment[name]).is_relative_to(tmp_path)


def test_clients_find_four_clouds(tmp_path: Path) -> None:
    api, control = "http://127.0.0.1:9511/v1", "http://127.0.0.1:9510/control"
    write_access(tmp_path, "http://127.0.0.1:9510/identity/v3", api=api, control=control)
    assert f"export JEROBOAM_API={api}\n" in (tmp_path / "openrc").read_text()
    clouds = yaml.safe_load((tmp_path / "clouds.yaml").read_text())["clouds"]
    assert {name: cloud["auth"]["project_name"] for name, cloud in clouds.items()} == {
        "demo": "demo",
        "alt": "alt",
        "reader": "demo",
        "admin": "admin",
    }
    assert "export OS_USERNAME=demo\n" in (tmp_path / "openrc").read_text()
    assert "export OS_PROJECT_NAME=demo\n" in (tmp_path / "openrc.reader").read_text()
    files = {path.name: mode(path) for path in tmp_path.iterdir()}
    assert files == dict.fromkeys(("clouds.yaml", "openrc", "openrc.alt", "openrc.reader", "openrc.admin"), 0o600)


def test_a_kubeconfig_reads_back_as_it_was_written(tmp_path: Path) -> None:
    config = Kubeconfig("k8sbay", "https://127.64.0.9:6443", "CA", "CERT", "KEY")
    config.write(tmp_path / "kubeconfig")
    assert Kubeconfig.read(tmp_path / "kubeconfig") == config
    assert mode(tmp_path / "kubeconfig") == 0o600
    assert "KEY" not in repr(config)


def test_the_rabbitmq_bus_needs_an_address(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="amqp_url"):
        LocalStack(tmp_path, bus="rabbitmq")


def test_each_service_gets_its_own_role_and_password(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, database_url="postgresql://boss:p%40ss@db.example:5433/jeroboam?sslmode=require")
    assert stack.dsn("jb_certs") != stack.dsn("jb_api")
    assert stack.dsn("jb_certs").startswith("postgresql://jb_certs:")
    assert stack.dsn("jb_certs").endswith("@db.example:5433/jeroboam?sslmode=require")
    assert "p%40ss" not in stack.dsn("jb_certs")
    trusting = LocalStack(tmp_path, database_url="postgresql://postgres@/postgres?host=/run/sockets")
    assert trusting.dsn("jb_api") == "postgresql://jb_api@/postgres?host=/run/sockets"
