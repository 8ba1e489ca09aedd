"""Bays on a real OpenStack do what was asked for, and leave nothing behind."""

from __future__ import annotations

import base64
import re

import pytest

from shared.pki_client import verify_chain
from tests.realcloud.cells import Cell
from tests.realcloud.life import KEY, Life
from tests.realcloud.nodes import REASON

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_is_made_and_shown(life: Life, cell: Cell) -> None:
    shown = life.created
    assert (shown["status"], shown["node_count"], shown["master_count"]) == ("CREATE_COMPLETE", "1", "1")
    assert shown["uuid"] == life.bay.uuid
    assert re.fullmatch(r"(https://|tcp://)?[0-9.]+(:\d+)?", shown["api_address"])
    assert len(re.findall(r"[0-9]+(?:\.[0-9]+){3}", shown["node_addresses"] + shown["master_addresses"])) == 2


async def test_the_creators_key_is_on_its_nodes(life: Life, cell: Cell) -> None:
    """It travels in the user-data; our service user has no key pair of that name."""
    text = base64.b64decode(life.user_data).decode(errors="replace")
    assert KEY.split()[1] in text


async def test_it_signs(life: Life, cell: Cell) -> None:
    if not cell.tls:
        assert life.issued == {}
        return
    verify_chain(life.certificate, life.authority)
    assert {"ca.pem", "cert.pem", "key.pem"} <= set(life.files)
    shown = {"kubernetes": "KUBECONFIG", "mesos": "None"}.get(cell.coe, "DOCKER_HOST")
    assert shown in life.config


async def test_its_nodes_have_certificates(life: Life, cell: Cell) -> None:
    if not cell.tls or (not life.issued and not life.refusals):  # no TLS, or servers that boot and ask by themselves
        return
    assert life.refusals == {}
    assert {one.id for one in life.grown} <= set(life.issued)
    for issued in life.issued.values():
        verify_chain(issued["pem"], issued["authorities"]["kubernetes"])


async def test_it_grows_and_the_named_node_leaves(life: Life, cell: Cell) -> None:
    assert len(life.grown) == 2
    assert {one.id for one in life.shrunk} == {one.id for one in life.grown} - {life.leaves}


async def test_a_failed_update_is_rolled_back(life: Life, cell: Cell) -> None:
    """The second node tells that it failed, Heat goes back, and the node that was there is the same."""
    assert "was rolled back to 1 nodes" in life.rolled_back["status_reason"]
    assert REASON in life.rolled_back["status_reason"]
    assert life.rolled_back["node_count"] == "1"
    assert [one.id for one in life.after_rollback] == [one.id for one in life.shrunk]


async def test_nothing_is_left(life: Life, cell: Cell) -> None:
    assert life.after == life.before
