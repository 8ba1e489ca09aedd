"""The record store: what is found, by index or not, after every kind of change."""

from __future__ import annotations

import time

import pytest

from cloudsim.store import Store


@pytest.fixture
def store() -> Store:
    return Store(time.time)


def test_create_get_list_delete(store: Store) -> None:
    first = store.create("port", "p1", {"network_id": "n1"})
    second = store.create("port", "p2", {"network_id": "n1"}, id="chosen")
    assert second.id == "chosen"
    assert store.get("port", first.id) is first
    assert store.list("port") == [first, second]
    assert store.list("port", "p2") == [second]
    assert store.count("port", "p1") == 1
    assert store.delete("port", first.id) is first
    assert store.delete("port", first.id) is None
    assert store.kinds() == {"port": 1}


def test_an_id_is_given_once(store: Store) -> None:
    store.create("port", "p", {}, id="x")
    with pytest.raises(ValueError, match="port x exists"):
        store.create("port", "p", {}, id="x")


def test_indexes_follow_updates(store: Store) -> None:
    port = store.create("port", "p", {"network_id": "n1", "device_id": ""})
    store.update(port, device_id="s1")
    assert store.find("port", device_id="s1") == [port]
    store.update(port, device_id="")
    assert store.find("port", device_id="s1") == []
    store.delete("port", port.id)
    assert store.find("port", network_id="n1") == []


def test_filters_combine_and_fields_without_an_index_work_too(store: Store) -> None:
    a = store.create("port", "p1", {"network_id": "n", "name": "a"})
    b = store.create("port", "p2", {"network_id": "n", "name": "b"})
    assert store.find("port", network_id="n", name="b") == [b]
    assert store.find("port", name="a") == [a]
    assert store.find("port", project_id="p2") == [b]
    assert store.find("port", network_id="n", project_id="p1") == [a]
    assert store.find("port", **{"router:external": True}) == []


def test_attributes_change_through_the_store_only(store: Store) -> None:
    given = {"name": "a", "tags": []}
    port = store.create("port", "p", given)
    twin = store.create("port", "p", {"name": "b", "tags": ["x"]})
    given["name"] = port.attrs["name"] = "changed"
    assert port.attrs == {"name": "a", "tags": []}
    store.update(port, name="c", status="ACTIVE")
    assert (port.attrs, port.get("status")) == ({"name": "c", "tags": [], "status": "ACTIVE"}, "ACTIVE")
    assert twin.attrs == {"name": "b", "tags": ["x"]}
    assert (twin.get("status"), twin.get("status", "?")) == (None, "?")


def test_a_record_does_not_show_its_attributes_in_its_repr(store: Store) -> None:
    assert "hush" not in repr(store.create("server", "p", {"name": "n", "user_data": "hush"}))
