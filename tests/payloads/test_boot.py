"""What the scripts of every node do and write, seen on a dry boot: dry_node.py says how that is done."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.drivers import registry
from tests.payloads import dry_node
from tests.payloads.dry_node import DryNode
from tests.payloads.rendered import CREDENTIAL_SECRET, NODE_SECRET, Node, nodes_of
from tests.payloads.test_yaml import lint
from tests.payloads.tools import needed, run

Boots = dict[str, tuple[Node, DryNode]]

BROKEN = re.compile(
    r"not found$|parameter not set|unbound variable|[Ss]yntax error|[Bb]ad substitution|[Ii]llegal (option|number)"
    r"|unexpected operator|No such file or directory|cannot create|invalid option|unrecognized option|Traceback"
)
WRITTEN_BY_A_SCRIPT = (
    "{extends: default, rules: {line-length: disable, document-start: disable, "
    "indentation: {indent-sequences: whatever}, braces: disable}}"
)
UNIT_NAME = re.compile(r"[A-Za-z0-9@_.-]+\.(?:service|target|socket|mount|timer|slice)")
NOT_HERE = re.compile(r"^\S+: Command \S+ is not executable: No such file or directory$|^$|^Failed to (open|connect)")
SECRETS = ("PRIVATE KEY-----", NODE_SECRET, CREDENTIAL_SECRET)


@pytest.fixture(scope="module", params=[d.name for d in registry.DRIVERS])
def boots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Boots:
    """Every node of a driver after its boot, with bash as /bin/sh."""
    if not dry_node.possible():
        pytest.skip("NOT RUN: payloads (no mount namespace for a dry boot)")
    folder = tmp_path_factory.mktemp(request.param)
    nodes = nodes_of(registry.by_name(request.param))
    return {node.name: (node, dry_node.boot(node, folder / node.name)) for node in nodes}


def faults(boot: DryNode) -> list[str]:
    return [f"{part}: {line}" for part, log in boot.logs.items() for line in log.splitlines() if BROKEN.search(line)]


def test_no_script_stumbles_over_its_own_words(boots: Boots) -> None:
    """A part may end early here, where nothing answers; but not over an unset name or a missing file."""
    for name, (_, boot) in boots.items():
        assert faults(boot) == [], name


def test_nor_with_dash(boots: Boots, tmp_path: Path) -> None:
    for name, (node, boot) in boots.items():
        if node.case in ("default", "everything"):
            assert faults(dry_node.boot(node, tmp_path / name, "dash", boot.missing)) == [], name


def test_the_last_part_tells_heat(boots: Boots) -> None:
    for name, (_, boot) in boots.items():
        signal = json.loads((boot.root / "var/lib/jeroboam/signal.json").read_text())
        assert signal["status"] in ("SUCCESS", "FAILURE"), name
        assert not (boot.root / "etc/jeroboam/signal-command").exists(), name


def test_units_hold(boots: Boots, tmp_path: Path) -> None:
    program = needed("systemd-analyze")
    for name, (_, boot) in boots.items():
        folder = boot.root / "etc/systemd/system"
        units = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for text in (path.read_text() for path in units):
            for path in re.findall(r"^(?:Exec\w+|EnvironmentFile)=[-@:+!]*.*?(/etc/jeroboam/\S+)", text, re.MULTILINE):
                assert (boot.root / path.lstrip("/")).exists() or path.endswith(("proxy.env", "files.tar")), (
                    name,
                    path,
                )
        if not units:
            continue
        names = stand_ins_for_the_images_units(folder, units)
        done = run(program, "--man=no", "verify", *names, SYSTEMD_UNIT_PATH=f"{folder}:")
        said = [line for line in done.stdout.splitlines() if not NOT_HERE.search(line)]
        assert said == [], name


def stand_ins_for_the_images_units(folder: Path, units: list[Path]) -> list[str]:
    """Units that ours name or add to, and that come with the image; gives the names of all that are to be verified."""
    system = [Path("/lib/systemd/system"), Path("/usr/lib/systemd/system")]
    own = {path.name for path in units if path.parent == folder}
    extended = {path.parent.name.removesuffix(".d") for path in units if path.parent.name.endswith(".d")}
    for name in extended.union(*(UNIT_NAME.findall(path.read_text()) for path in units)):
        if name not in own and not any((place / name).exists() for place in system):
            body = "[Service]\nExecStart=/bin/true\n" if name.endswith(".service") else ""
            (folder / name).write_text(f"[Unit]\nDescription=Of the image\n{body}")
    return sorted(own | extended)


def documents(boot: DryNode) -> dict[str, str]:
    """Files that are YAML by their name."""
    return {
        path: file.read_text()
        for path, file in boot.written().items()
        if path.endswith((".yaml", ".yml", ".kubeconfig")) and not path.startswith("/etc/ssl")
    }


def test_yaml_and_json_that_is_written_reads(boots: Boots, tmp_path: Path) -> None:
    texts: dict[str, str] = {}
    for name, (_, boot) in boots.items():
        texts |= {f"{name}{path}".replace("/", "_") + ".yaml": text for path, text in documents(boot).items()}
        for path, file in boot.written().items():
            if path.endswith(".json"):
                assert json.loads(file.read_text()) is not None, (name, path)
    if texts:
        lint(WRITTEN_BY_A_SCRIPT, texts, tmp_path)


def test_manifests_are_kubernetes(boots: Boots) -> None:
    """By Kubernetes' own schemas, strictly. What only its components read (kubeconfig, kubelet's file) has none."""
    try:
        judge: Any = importlib.import_module("kubernetes_validate")
    except ImportError:
        pytest.skip("NOT RUN: payloads (kubernetes-validate is missing)")
    for name, (_, boot) in boots.items():
        for path, text in documents(boot).items():
            for document in yaml.safe_load_all(text):
                if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
                    continue
                try:
                    judge.validate(document, judge.latest_version(), strict=True)
                except judge.SchemaNotFoundError:
                    continue
                except judge.ValidationError as error:
                    pytest.fail(f"{name} {path}: {error}"[:500])


def test_secrets_are_private(boots: Boots) -> None:
    for name, (_, boot) in boots.items():
        for path, file in boot.written().items():
            text = file.read_bytes().decode(errors="replace")
            if any(secret in text for secret in SECRETS):
                assert file.stat().st_mode & 0o077 == 0, (name, path)
        assert (boot.root / "etc/jeroboam/bay.env").stat().st_mode & 0o077 == 0
        assert (boot.root / "var/lib/jeroboam").stat().st_mode & 0o077 == 0


def test_no_secret_on_a_command_line(boots: Boots) -> None:
    for name, (_, boot) in boots.items():
        for call in boot.calls:
            assert NODE_SECRET not in call, name
            assert CREDENTIAL_SECRET not in call, name
