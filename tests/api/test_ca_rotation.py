"""PATCH /v1/certificates/{bay}, and how far the rotation is and how it is undone."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx
import pytest

from services.api.usecases.rotate_ca import minutes
from shared.domain.rotation import revision_of
from tests.api.harness import System, detail
from tests.api.rotating import Rotating, with_two_generations

NONE: Final = "The certificate authority of this cluster is not being rotated."
KINDS: Final = ("kubernetes", "etcd", "front_proxy")


@pytest.fixture
async def rotating(system: System) -> Rotating:
    return await with_two_generations(system)


def rotate(system: System, bay: str, **other: Any) -> httpx.Response:
    return system.call("PATCH", f"/v1/certificates/{bay}", **other)


def shown(system: System, bay: str, **other: Any) -> httpx.Response:
    return system.call("GET", f"/v1/certificates/{bay}/rotation", **other)


def undo(system: System, bay: str, **other: Any) -> httpx.Response:
    return system.call("DELETE", f"/v1/certificates/{bay}/rotation", **other)


async def asked(system: System, bay: str) -> list[str]:
    rows = await system.sql("SELECT kind FROM operations WHERE bay_id = $1 ORDER BY seq", bay)
    return [row["kind"] for row in rows]


async def end(system: System, bay: str, status: str) -> None:
    """What was under way is over, with that status."""
    await system.sql("UPDATE operations SET state = 'failed', finished_at = now() WHERE bay_id = $1", bay)
    await system.sql("UPDATE bays SET status = $2 WHERE id = $1", bay, status)


@pytest.mark.parametrize(("body", "version"), [(None, "5"), ([], "14"), (None, None), ({"a": 1}, "latest")])
@pytest.mark.parametrize("by", ["uuid", "name"])
async def test_it_is_taken(system: System, by: str, body: object, version: str | None) -> None:
    bay = system.bay(node_count=25)
    answer = rotate(system, bay[by], body=body, version="14" if version == "latest" else version)
    assert (answer.status_code, answer.json()) == (202, {"uuid": bay["uuid"]})
    assert await asked(system, bay["uuid"]) == ["create", "rotate_ca"]
    rows = await system.sql("SELECT state, step, request FROM operations WHERE bay_id = $1 ORDER BY seq", bay["uuid"])
    assert (rows[1]["state"], rows[1]["step"]) == ("queued", "rotate_ca.make")
    assert f'"timeout_minutes": {minutes(1, 25)}' in rows[1]["request"]
    assert system.call("GET", f"/v1/bays/{bay['uuid']}").json()["status"] == "UPDATE_IN_PROGRESS"


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_FAILED"])
async def test_a_bay_that_stands_begins_at_once(system: System, status: str) -> None:
    bay = system.bay()
    await end(system, bay["uuid"], status)
    assert rotate(system, bay["uuid"]).status_code == 202
    assert await asked(system, bay["uuid"]) == ["create", "rotate_ca"]
    told = "SELECT count(*) FROM operations WHERE bay_id = $1 AND kind = 'rotate_ca' AND deadline > now()"
    assert (await system.sql(told, bay["uuid"]))[0]["count"] == 1


async def test_asking_twice_rotates_once(system: System) -> None:
    bay = system.bay()["uuid"]
    answers = await asyncio.gather(*(asyncio.to_thread(rotate, system, bay) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [202] * 3
    assert await asked(system, bay) == ["create", "rotate_ca"]


async def test_one_that_is_under_way_is_told(system: System) -> None:
    bay = system.bay()["uuid"]
    await under_way(system, bay)
    answer = rotate(system, bay)
    assert answer.status_code == 409
    assert detail(answer) == "The certificate authority of this cluster is being rotated already."
    assert await asked(system, bay) == ["rotate_ca"]


async def under_way(system: System, bay: str) -> None:
    """A rotation that nobody leads: its step is another service's."""
    await system.sql("UPDATE operations SET kind = 'rotate_ca' WHERE bay_id = $1", bay)
    await system.sql("UPDATE bays SET status = 'UPDATE_IN_PROGRESS' WHERE id = $1", bay)


async def test_what_cannot_be_rotated(system: System) -> None:
    bare = system.bay(baymodel_id=system.baymodel(tls_disabled=True)["uuid"])["uuid"]
    mesos = system.baymodel(coe="mesos", image_id="ubuntu-mesos", docker_volume_size=None)["uuid"]
    for bay, sentence in (
        (bare, "Rotating the CA certificate on a non-TLS cluster is not supported."),
        (system.bay(baymodel_id=mesos)["uuid"], "Rotating the CA certificate is not supported by this driver."),
    ):
        for answer in (rotate(system, bay), undo(system, bay)):
            assert (answer.status_code, detail(answer)) == (400, sentence)
        assert await asked(system, bay) == ["create"]
        assert (shown(system, bay).status_code, detail(shown(system, bay))) == (404, NONE)


@pytest.mark.parametrize("status", ["CREATE_FAILED", "DELETE_IN_PROGRESS", "DELETE_FAILED"])
async def test_a_state_that_does_not_take_it(system: System, rotating: Rotating, status: str) -> None:
    await rotating.set("trust")
    await system.sql("UPDATE bays SET status = $2 WHERE id = $1", rotating.uuid, status)
    for answer in (rotate(system, rotating.uuid, version="14"), undo(system, rotating.uuid, version="14")):
        assert answer.status_code == 400
        words = "Rotating the certificate authority of a cluster when status is"
        assert detail(answer) == f'{words} "{status}" is not supported.'
    assert shown(system, rotating.uuid).json()["undone"] is False


async def test_who_may(system: System, rotating: Rotating) -> None:
    await rotating.set("trust")
    for call in (rotate, undo, shown):
        assert call(system, rotating.uuid, user="alt").status_code == 404
        answer = call(system, rotating.uuid, user="reader")
        rule = "certificate:get" if call is shown else "certificate:rotate_ca"
        assert (answer.status_code, detail(answer)) == (403, f"Policy doesn't allow {rule} to be performed.")
        assert call(system, "zzz", version="14").status_code == 404
        assert detail(call(system, "zzz", version="14")) == "Cluster zzz could not be found."
        assert detail(call(system, "zzz")) == "Bay zzz could not be found."
    assert shown(system, rotating.uuid, user="admin").status_code == 200
    assert undo(system, rotating.uuid, user="admin").status_code == 202


@pytest.mark.parametrize("phase", ["trust", "reissue"])
async def test_undone(system: System, rotating: Rotating, phase: str) -> None:
    await rotating.set(phase)
    for _ in range(2):
        answer = undo(system, rotating.bay["name"])
        assert (answer.status_code, answer.json()) == (202, {"uuid": rotating.uuid})
        assert await asked(system, rotating.uuid) == ["create", "rotate_ca"]
    found = shown(system, rotating.uuid).json()
    assert (found["phase"], found["undone"], found["generation"], found["previous"]) == (phase, True, 2, 1)
    answer = rotate(system, rotating.uuid)
    assert answer.status_code == 409
    assert detail(answer).startswith("The last rotation of this cluster's certificate authority was undone")


async def test_what_is_under_way_is_turned_back(system: System, rotating: Rotating) -> None:
    await rotating.set("reissue")
    await under_way(system, rotating.uuid)
    assert undo(system, rotating.uuid).status_code == 202
    assert await asked(system, rotating.uuid) == ["rotate_ca"]
    assert shown(system, rotating.uuid).json()["undone"] is True


async def test_the_last_phase_cannot_be_undone(system: System, rotating: Rotating) -> None:
    await rotating.set("drop")
    answer = undo(system, rotating.uuid)
    assert answer.status_code == 409
    assert "cannot be undone any more" in detail(answer)
    assert shown(system, rotating.uuid).json()["undone"] is False
    assert await asked(system, rotating.uuid) == ["create"]
    assert rotate(system, rotating.uuid).status_code == 202  # but it can be finished


async def test_one_that_was_undone_is_finished_by_undoing_again(system: System, rotating: Rotating) -> None:
    """Also when it failed in its last phase."""
    await rotating.set("drop", undone=True)
    assert rotate(system, rotating.uuid).status_code == 409
    assert undo(system, rotating.uuid).status_code == 202
    assert await asked(system, rotating.uuid) == ["create", "rotate_ca"]


async def test_there_is_nothing_to_undo(system: System) -> None:
    bay = system.bay()["uuid"]
    for call in (undo, shown):
        answer = call(system, bay)
        assert (answer.status_code, detail(answer)) == (404, NONE)
    assert await asked(system, bay) == ["create"]


async def test_who_has_reached_what(system: System, rotating: Rotating) -> None:
    master = await rotating.node("k8s-master-0", "master")
    quick, ill, silent = [await rotating.node(f"k8s-node-{one}", position=one) for one in range(3)]
    certificates = {one: [rotating.made[kind, one].pem for kind in KINDS] for one in (1, 2)}
    both, new = revision_of(certificates[1] + certificates[2]), revision_of(certificates[2])
    await rotating.turn(master, "trust")
    await rotating.turn(quick, "reissue")
    await rotating.reports(master, both, 1)
    await rotating.reports(quick, new, 2)
    await rotating.reports(ill, new, 2, "etcd is not well")
    reached = {}
    for phase in ("trust", "reissue", "drop"):
        await rotating.set(phase)
        found = shown(system, rotating.uuid).json()
        assert found["phase"] == phase
        assert [node["server_id"] for node in found["nodes"]] == [master, quick, ill, silent]
        assert [node["name"] for node in found["nodes"]] == ["k8s-master-0", *(f"k8s-node-{one}" for one in range(3))]
        assert [node["problem"] for node in found["nodes"]] == [None, None, "etcd is not well", None]
        assert [node["reported_at"] is None for node in found["nodes"]] == [False, False, False, True]
        assert [node["turn"] for node in found["nodes"]] == [phase == "trust", phase == "reissue", False, False]
        reached[phase] = [node["reached"] for node in found["nodes"]]
        assert found["counts"] == {
            "masters": 1,
            "masters_reached": sum(reached[phase][:1]),
            "workers": 3,
            "workers_reached": sum(reached[phase][1:]),
        }
    assert reached == {
        "trust": [True, False, False, False],
        "reissue": [False, True, False, False],
        "drop": [False, True, False, False],
    }
    await rotating.set("reissue", undone=True)
    found = shown(system, rotating.uuid).json()["nodes"]
    assert [node["reached"] for node in found] == [True, False, False, False]
    assert not any(node["turn"] for node in found)


async def test_who_was_given_a_turn_since_it_reported_is_not_done(system: System, rotating: Rotating) -> None:
    """It may be restarting its services at this moment."""
    node = await rotating.node("k8s-node-0")
    await rotating.set("reissue")
    await rotating.reports(node, "0" * 16, 2)
    assert shown(system, rotating.uuid).json()["nodes"][0]["reached"] is True
    await rotating.turn(node, "reissue")
    assert shown(system, rotating.uuid).json()["nodes"][0]["reached"] is False
    await rotating.reports(node, "0" * 16, 2)
    assert shown(system, rotating.uuid).json()["nodes"][0]["reached"] is True


async def test_the_authority_that_is_shown(system: System, rotating: Rotating) -> None:
    for kind in KINDS:
        answer = system.call("GET", f"/v1/certificates/{rotating.uuid}?ca_cert_type={kind}")
        assert answer.json()["pem"] == rotating.pem(kind, 1, 2)
    await rotating.retire(1)
    assert system.call("GET", f"/v1/certificates/{rotating.uuid}").json()["pem"] == rotating.pem("kubernetes", 2)


@pytest.mark.parametrize(
    ("masters", "workers", "most"), [(1, 0, 69), (1, 1, 78), (3, 9, 168), (3, 19, 258), (3, 100, 177), (5, 1000, 195)]
)
def test_how_long_it_may_take(masters: int, workers: int, most: int) -> None:
    assert minutes(masters, workers) == most


async def previous_ends(rotating: Rotating, when: str) -> None:
    query = "UPDATE authorities SET not_after = now() + $2::text::interval WHERE bay_id = $1 AND generation = 1"
    await rotating.system.sql(query, rotating.uuid, when)


async def test_an_undo_has_all_the_time_that_a_rotation_has(system: System, rotating: Rotating) -> None:
    await rotating.set("reissue")
    await under_way(system, rotating.uuid)
    await system.sql("UPDATE operations SET deadline = now() + interval '1 min' WHERE bay_id = $1", rotating.uuid)
    assert undo(system, rotating.uuid).status_code == 202
    left = "SELECT deadline > now() + interval '50 min' AS enough FROM operations WHERE bay_id = $1"
    assert (await system.sql(left, rotating.uuid))[0]["enough"] is True


@pytest.mark.parametrize("when", ["-1 min", "30 min"])
async def test_nobody_goes_back_to_an_authority_that_ends(system: System, rotating: Rotating, when: str) -> None:
    await rotating.set("reissue")
    await previous_ends(rotating, when)
    answer = undo(system, rotating.uuid)
    assert answer.status_code == 409
    assert "would end before the nodes are back" in detail(answer)
    assert "Ask for the rotation again" in detail(answer)
    assert shown(system, rotating.uuid).json()["undone"] is False
    assert await asked(system, rotating.uuid) == ["create"]


@pytest.mark.parametrize("phase", ["trust", "reissue"])
async def test_one_that_was_undone_goes_forward_where_the_way_back_has_ended(
    system: System, rotating: Rotating, phase: str
) -> None:
    await rotating.set(phase, undone=True)
    await previous_ends(rotating, "-1 min")
    assert undo(system, rotating.uuid).status_code == 409
    assert rotate(system, rotating.uuid).status_code == 202
    assert shown(system, rotating.uuid).json()["undone"] is False
    assert await asked(system, rotating.uuid) == ["create", "rotate_ca"]
    trail = "SELECT detail FROM certificate_audit WHERE bay_id = $1 AND action = 'rotation resumed'"
    assert [row["detail"] for row in await system.sql(trail, rotating.uuid)] == ["generation 2 shall remain after all"]


async def test_one_that_is_led_back_turns_round_with_all_its_time(system: System, rotating: Rotating) -> None:
    await rotating.set("reissue", undone=True)
    await under_way(system, rotating.uuid)
    await system.sql("UPDATE operations SET deadline = now() + interval '1 min' WHERE bay_id = $1", rotating.uuid)
    await previous_ends(rotating, "30 min")
    assert rotate(system, rotating.uuid).status_code == 202
    assert shown(system, rotating.uuid).json()["undone"] is False
    assert await asked(system, rotating.uuid) == ["rotate_ca"]
    left = "SELECT deadline > now() + interval '50 min' AS enough FROM operations WHERE bay_id = $1"
    assert (await system.sql(left, rotating.uuid))[0]["enough"] is True


async def test_in_the_last_phase_the_way_back_is_finished_whatever_ends(system: System, rotating: Rotating) -> None:
    await rotating.set("drop", undone=True)
    await previous_ends(rotating, "30 min")
    assert rotate(system, rotating.uuid).status_code == 409
    assert undo(system, rotating.uuid).status_code == 202


async def test_who_trusts_the_previous_one_alone_is_not_turned_forward(system: System, rotating: Rotating) -> None:
    """Undone in the first phase: nodes that had no turn yet are told at once to trust the previous authority alone."""
    await rotating.set("reissue", undone=True)
    await rotating.turn(await rotating.node("k8s-node-0"), "drop", target=1)
    await previous_ends(rotating, "30 min")
    assert rotate(system, rotating.uuid).status_code == 409
    assert shown(system, rotating.uuid).json()["undone"] is True
    assert undo(system, rotating.uuid).status_code == 202
