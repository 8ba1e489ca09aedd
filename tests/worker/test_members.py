"""Which members of a stack are no nodes, read from what Heat lists."""

from __future__ import annotations

from services.provisioner.steps.broken import Broken, broken_members
from shared.domain.bay import Node
from shared.openstack.stacks import StackResource

NODES = [Node(f"{role}-{index}", role, index, "n", "a", "p") for role, index in (("master", 0), ("worker", 0))]


def _group(group: str, index: int, status: str, *, server: str | None, server_status: str = "") -> list[StackResource]:
    """A member, and its server if it has got that far."""
    stack = f"bay-1-{group}-xyz"
    member = StackResource(str(index), f"{group}.yaml", status, "", f"id-{group}-{index}", stack, group, None)
    inner = f"{stack}-{index}-abc"
    made = StackResource(
        "server", "OS::Nova::Server", server_status or status, "", server or "", inner, str(index), None
    )
    return [member] if server is None else [member, made]


MASTERS = _group("masters", 0, "UPDATE_COMPLETE", server="master-0")
PORTS = [StackResource("0", "port.yaml", "UPDATE_FAILED", "", "id", "bay-1-ports-xyz", "ports", None)]
STANDS = _group("workers", 0, "UPDATE_COMPLETE", server="worker-0")


def test_what_heat_did_not_finish_is_broken_with_or_without_a_server() -> None:
    listed = [
        *_group("workers", 1, "CREATE_COMPLETE", server="new"),
        *_group("workers", 2, "CREATE_FAILED", server="errs"),
        *_group("workers", 3, "CREATE_FAILED", server="never signalled", server_status="CREATE_COMPLETE"),
        *_group("workers", 4, "INIT_COMPLETE", server=None),
        *_group("workers", 10, "CREATE_IN_PROGRESS", server=""),
    ]
    found = broken_members([*MASTERS, *PORTS, *STANDS, *listed], NODES)
    assert found == Broken(("2", "3", "4", "10"), 3)


def test_a_node_whose_update_failed_is_a_node_still() -> None:
    listed = [*MASTERS, *_group("workers", 0, "UPDATE_FAILED", server="worker-0", server_status="UPDATE_COMPLETE")]
    assert not broken_members(listed, NODES)


def test_a_node_whose_removal_failed_is_none_any_more() -> None:
    listed = [*MASTERS, *_group("workers", 0, "DELETE_FAILED", server="worker-0")]
    assert broken_members(listed, NODES) == Broken(("0",), 1)


def test_a_node_that_was_to_leave_and_did_not_is_none_any_more() -> None:
    """A failed replacement leaves the old one in the group; one that nobody named is a node, whatever is told of it."""
    listed = [*STANDS, *_group("workers", 1, "CREATE_FAILED", server="errs")]
    assert broken_members([*MASTERS, *listed], NODES, {"somebody else"}) == Broken(("1",), 1)
    assert broken_members([*MASTERS, *listed], NODES, {"worker-0"}) == Broken(("0", "1"), 2)


def test_neither_masters_nor_other_groups_are_touched() -> None:
    listed = [*_group("masters", 0, "UPDATE_FAILED", server="master-0"), *PORTS, *STANDS]
    assert not broken_members([*listed, *_group("masters", 1, "CREATE_FAILED", server="m")], NODES)
