"""What each case renders to, as files to be read in review. JEROBOAM_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import base64
import gzip
import os
from pathlib import Path

import pytest
import yaml

from shared.drivers import registry
from shared.drivers.contract import Driver, RenderedStack
from tests.drivers.cases import PAIRS, UserData, cases, render, user_data

DATA = Path(__file__).parent.parent / "data" / "stacks"


def summary(stack: RenderedStack) -> str:
    """Parameters, and per role what differs from case to case: the environment file and the list of files."""
    nodes = {
        role: {
            "scripts": list(node.scripts),
            "files": {path: entry["permissions"] for path, entry in node.files.items()},
            "environment": node.files["/etc/jeroboam/bay.env"]["content"].splitlines(),
        }
        for role, node in user_data(stack).items()
    }
    document = {
        "parameters": {**stack.parameters, **_unpacked(stack.parameters)},
        "environment": stack.environment,
        "files": sorted(stack.files),
        "nodes": nodes,
    }
    return yaml.safe_dump(document, sort_keys=False, width=1000)


def _unpacked(parameters: dict[str, str]) -> dict[str, str]:
    """How it is packed may differ between machines."""
    packed = base64.b64decode(parameters.get("ca_pem", ""))
    return {"ca_pem": gzip.decompress(packed).decode()} if packed else {}


def whole(node: UserData) -> str:
    """All that a node is given, unpacked."""
    files = [f"==== {path} ({entry['permissions']})\n{entry['content']}" for path, entry in node.files.items()]
    return "\n".join([*files, *(f"==== {name}\n{text}" for name, text in node.scripts.items())])


def expected(driver: Driver, case: str) -> dict[str, str]:
    stack = render(driver, case)
    files = {f"{case}.yaml": summary(stack)}
    if case == "default":
        files |= {f"{case}.{role}.user-data": whole(node) for role, node in user_data(stack).items()}
    return files


@pytest.mark.parametrize(("driver", "case"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.name)
def test_golden(driver: Driver, case: str) -> None:
    folder = DATA / driver.name
    for name, text in expected(driver, case).items():
        path = folder / name
        if os.environ.get("JEROBOAM_UPDATE_GOLDEN") == "1":
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing; JEROBOAM_UPDATE_GOLDEN=1 writes it"
        assert path.read_text() == text, f"{name} differs; if that is meant, JEROBOAM_UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
def test_no_golden_file_without_a_case(driver: Driver) -> None:
    wanted = {name for case in cases(driver) for name in expected(driver, case)}
    assert {path.name for path in (DATA / driver.name).iterdir()} == wanted
