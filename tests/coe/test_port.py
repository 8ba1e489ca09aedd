"""Which of the engine's nodes a server is."""

from __future__ import annotations

import pytest

from shared.coe.port import CoeNode, Look, Resources
from shared.domain.bay import Node


def node(id_: str, name: str = "", *addresses: str, ready: bool = True) -> CoeNode:
    return CoeNode(id_, name or id_, addresses, ready, "", open=True, manager=False, capacity=Resources())


def server(name: str = "w-0", address: str = "", private: str = "") -> Node:
    return Node("id", "worker", 0, name, address, private)


@pytest.mark.parametrize(("address", "private"), [("", ""), ("", "10.0.0.9"), ("172.24.4.9", "")])
def test_no_address_is_nobodys(address: str, private: str) -> None:
    look = Look((node("other", "", ""), node("another", "another", "", "10.0.0.8")), ())
    assert look.find(server(address=address, private=private)) is None


def test_a_server_without_a_name_is_found_by_its_address() -> None:
    nameless = CoeNode("1", "", ("10.0.0.8",), True, "", open=True, manager=False, capacity=Resources())
    look = Look((nameless, node("mine", "mine", "10.0.0.9")), ())
    found = look.find(server("", private="10.0.0.9"))
    assert found is not None
    assert found.id == "mine"


def test_of_several_the_ready_one_is_meant() -> None:
    old, new = node("old", "w-0", "10.0.0.9", ready=False), node("new", "w-0", "10.0.0.9")
    for nodes in ((old, new), (new, old)):
        assert Look(nodes, ()).find(server()) is new
        assert Look(nodes, ()).find(server("else", private="10.0.0.9")) is new
    assert Look((old,), ()).find(server()) is old


def test_a_name_says_more_than_an_address() -> None:
    named, addressed = node("named", "w-0", ready=False), node("addressed", "w-1", "10.0.0.9")
    assert Look((addressed, named), ()).find(server(private="10.0.0.9")) is named
