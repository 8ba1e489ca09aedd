"""A dry run foretells the bay: it changes nothing, and only what it says that it cannot know is otherwise then."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.api.usecases import dry_run
from services.cli.stack import LocalStack
from tests.support.jobs import BAYMODEL, control, reason, rows, settled
from tests.support.wire import Wire, database_counts, detail, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACES = {"bays": "baymodel_id", "clusters": "cluster_template_id"}
_BOUNDARY = re.compile(r"(?<===jeroboam-)[0-9a-f]{32}(?===)")

each_face = pytest.mark.parametrize("face", FACES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=40, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(stack: LocalStack) -> AsyncIterator[tuple[Wire, Wire]]:
    """Who makes bays and who only reads, with the same key: key pairs belong to users."""
    async with wires(stack, "demo", "reader") as (demo, reader):
        theirs = await demo.client.session.get("compute", f"/os-keypairs/{BAYMODEL['keypair_id']}")
        assert theirs is not None
        same = {name: theirs.doc("keypair").text(name) for name in ("name", "public_key")}
        await reader.client.session.send("compute", "POST", "/os-keypairs", {"keypair": same})
        yield demo, reader


@each_face
async def test_the_real_bay_is_as_foretold(stack: LocalStack, people: tuple[Wire, Wire], face: str) -> None:
    demo, reader = people
    model = await demo.template(volume_driver="cinder")  # so that nodes get a credential
    body = {"name": "told", FACES[face]: model, "node_count": 2}
    before = await _all_there_is(stack)
    told = await _rehearsed(reader, face, body)
    assert await _all_there_is(stack) == before

    made = await demo("POST", f"/v1/{face}", body)
    assert made.status_code == 202, made.text
    bay = made.json()["uuid"]
    assert await settled(demo.client, bay) == "CREATE_COMPLETE", await reason(demo.client, bay)
    real = await _born_with(stack, bay)
    assert told["template"] == real["template"]
    assert told["environment"] == real["environment"]
    later = {kind: _not_known(told, kind) for kind in ("parameter", "file")}
    assert _differing(told["parameters"], real["parameters"]) == later["parameter"]
    assert _differing(told["files"], real["files"]) == later["file"]
    assert {"jeroboam_bay", "jeroboam_operation"} <= later["parameter"] < real["parameters"].keys()
    await _only_stand_ins_differ(stack, told, real, bay)
    counted = {kind: many for kind, many in told["footprint"]["servers"].items() if many}
    assert sum(counted.values()) == len(await rows(stack, "SELECT FROM nodes WHERE bay_id = $1", UUID(bay)))


async def _only_stand_ins_differ(stack: LocalStack, told: dict[str, Any], real: dict[str, Any], bay: str) -> None:
    """With what was not known put in its place, files are the real ones byte for byte."""
    put_in = {
        str(dry_run.BAY_ID): bay,
        dry_run.BAY_ID.hex[:12]: UUID(bay).hex[:12],
        str(dry_run.OPERATION_ID): real["parameters"]["jeroboam_operation"],
    }
    for name, text in told["files"].items():
        known = text
        for stand_in, value in put_in.items():
            known = known.replace(stand_in, value)
        assert _BOUNDARY.sub("", known) == _BOUNDARY.sub("", real["files"][name]), name


@each_face
async def test_who_reads_may_ask_and_may_not_make(stack: LocalStack, people: tuple[Wire, Wire], face: str) -> None:
    demo, reader = people
    body = {"name": "read", FACES[face]: await demo.template(), "node_count": 1}
    await _rehearsed(reader, face, body)
    before = await _all_there_is(stack)
    refused = await reader("POST", f"/v1/{face}", body)
    word = {"bays": "bay", "clusters": "cluster"}[face]
    assert (refused.status_code, detail(refused)) == (403, f"Policy doesn't allow {word}:create to be performed.")
    missing = await reader("POST", f"/v1/{face}?dry_run=true", {**body, FACES[face]: "nothing"})
    assert missing.status_code == (400 if face == "bays" else 404)
    assert await _all_there_is(stack) == before


async def _rehearsed(reader: Wire, face: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await reader("POST", f"/v1/{face}?dry_run=true", body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def _all_there_is(stack: LocalStack) -> tuple[dict[str, int], dict[str, int]]:
    """How many of everything the cloud and the database have."""
    counts: dict[str, int] = (await control(stack, "/state?records=false"))["counts"]
    return {kind: many for kind, many in counts.items() if kind != "token"}, await database_counts(stack)


async def _born_with(stack: LocalStack, bay: str) -> dict[str, Any]:
    names = ("files", "environment", "parameters")
    columns = ", ".join(f"{name}::text" for name in names)
    (row,) = await rows(stack, f"SELECT template, {columns} FROM stack_renders WHERE bay_id = $1", UUID(bay))
    return {"template": row["template"], **{name: json.loads(row[name]) for name in names}}


def _not_known(told: dict[str, Any], kind: str) -> set[str]:
    assert all(one["why"] for one in told["not_known_yet"])
    return {one[kind] for one in told["not_known_yet"] if kind in one}


def _differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}
