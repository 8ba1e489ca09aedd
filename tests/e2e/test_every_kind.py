"""Every kind of operation, asked for at its door: it comes to its end, or is refused because no driver can do it.

The kinds come from `OperationKind`, so that one that is new has no door here and fails until it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

import pytest
import pytest_asyncio

from services.cli.stack import LocalStack
from shared.domain.operation import FLOWS, OperationKind
from tests.support.jobs import reason, settled
from tests.support.wire import Wire, detail, until_ended, wires

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED: Final = " is not supported by this driver."
WITHIN: Final = 60.0


class Door(NamedTuple):
    """Where a kind is asked for, of which the paths and bodies may name the bay and its template."""

    method: str
    path: str
    body: object = None
    recorded_as: OperationKind | None = None
    """The kind that the operation has when it is not this one."""


_MORE: Final = [{"op": "replace", "path": "/node_count", "value": 2}]

DOORS: Final[dict[OperationKind, Callable[[str, str], Door]]] = {
    OperationKind.CREATE: lambda _bay, model: Door("POST", "/v1/clusters", {"cluster_template_id": model}),
    OperationKind.UPDATE: lambda bay, _model: Door("PATCH", f"/v1/clusters/{bay}", _MORE, OperationKind.RESIZE),
    OperationKind.RESIZE: lambda bay, _model: Door("POST", f"/v1/clusters/{bay}/actions/resize", {"node_count": 3}),
    OperationKind.UPGRADE: lambda bay, model: Door(
        "POST", f"/v1/clusters/{bay}/actions/upgrade", {"cluster_template": model}
    ),
    OperationKind.DELETE: lambda bay, _model: Door("DELETE", f"/v1/clusters/{bay}"),
}


ELSEWHERE: Final = {
    OperationKind.HEAL: "test_heal.py, where nodes fall silent; nobody else asks for it than the scaler",
    OperationKind.RESIZE_MASTERS: "test_masters.py, where nodes take part",
    OperationKind.ROTATE_CREDENTIALS: "test_rotation.py, where nodes take part",
    OperationKind.ROTATE_CA: "test_ca_rotation.py, where nodes take part",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("stack"), speed=40, time_scale=0.1) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(stack: LocalStack) -> AsyncIterator[Wire]:
    async with wires(stack, "demo") as (wire,):
        yield wire


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(demo: Wire) -> str:
    return await demo.template()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(demo: Wire, model: str) -> str:
    """A bay for all that leaves it standing."""
    return await _made(demo, model)


async def _made(demo: Wire, model: str) -> str:
    bay = await demo.create(cluster_template_id=model)
    assert await settled(demo.client, bay, seconds=WITHIN) == "CREATE_COMPLETE", await reason(demo.client, bay)
    return bay


@pytest.mark.parametrize("kind", [kind for kind in OperationKind if kind not in ELSEWHERE])
async def test_it_ends_or_is_refused(demo: Wire, model: str, standing: str, kind: OperationKind) -> None:
    bay = await _made(demo, model) if kind is OperationKind.DELETE else standing
    door = DOORS[kind](bay, model)
    answer = await demo(door.method, door.path, door.body)
    recorded = door.recorded_as or kind
    assert (recorded in FLOWS) == answer.is_success, (answer.status_code, answer.text)
    if not answer.is_success:
        assert answer.status_code == 400
        assert detail(answer).endswith(REFUSED)
    asked = answer.json()["uuid"] if answer.status_code == 202 else bay
    ended = await until_ended(demo, asked, seconds=WITHIN)
    if kind is OperationKind.DELETE:
        assert ended == []
        return
    assert (recorded.value in {one["kind"] for one in ended}) == answer.is_success
    assert {one["state"] for one in ended} == {"done"}
    assert (await demo.get(f"/v1/clusters/{asked}"))["status"].endswith("_COMPLETE")


async def test_the_default_nodegroups_stay(demo: Wire, standing: str) -> None:
    for name in ("default-worker", "default-master"):
        kept = await demo("DELETE", f"/v1/clusters/{standing}/nodegroups/{name}")
        assert (kept.status_code, detail(kept)) == (400, "Deleting a default nodegroup is not supported.")
