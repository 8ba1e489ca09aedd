"""Judging what somebody else did: as much is told as people read, and nothing is taken for lost that has an owner."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

import pytest

from services.provisioner import drift
from services.provisioner.steps import orphans
from shared.db.repositories.drift import Resting
from shared.db.repositories.drift import Server as Node
from shared.domain.advice import MOST_FAULTS
from shared.openstack.cloud import ProjectCloud
from shared.openstack.nova import Server
from shared.openstack.stacks import StackResource


async def test_of_very_many_ill_servers_as_many_are_named_as_people_read() -> None:
    nodes = tuple(Node(str(at), f"n-{at}", "worker") for at in range(MOST_FAULTS + 7))
    fault = "no " * 1000
    servers = {one.id: Server(one.id, one.name, "ERROR", fault, (), {}, (), "") for one in nodes}
    missing = nodes[-1].id
    del servers[missing]
    found = drift.Found()
    bay = Resting(uuid4(), "i", "s", None, True, 1, {}, nodes)
    await drift._judge_servers(cast("ProjectCloud", None), bay, servers, found)
    assert len(found.reasons) == MOST_FAULTS + 1
    assert found.reasons["cloud.more"].startswith("and 7 more servers")
    assert max(map(len, found.reasons.values())) <= 1000
    assert found.ill


@pytest.mark.parametrize(
    ("status", "physical", "stack", "lost"),
    [
        ("CREATE_IN_PROGRESS", "", "s", True),
        ("CREATE_FAILED", "", "s", True),
        ("CREATE_FAILED", "address", "s", False),
        ("CHECK_FAILED", "", "s", False),
        ("UPDATE_FAILED", "", "s", False),
        ("INIT_COMPLETE", "", "s", False),
        ("CREATE_COMPLETE", "", "s", False),
        ("CREATE_FAILED", "", "", False),
    ],
)
def test_only_an_address_that_was_being_made_can_be_lost(status: str, physical: str, stack: str, lost: bool) -> None:
    one = StackResource("ip", "OS::Neutron::FloatingIP", status, "", physical, "member", "0", None, stack)
    assert orphans._being_made(one) is lost
