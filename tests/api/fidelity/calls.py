"""A good request to every endpoint, and what Magnum answers at every microversion: bays, clusters and templates."""

from __future__ import annotations

from typing import Any, Final

from tests.api.fidelity.model import Answer, Call, Differs
from tests.api.harness import MODEL

NAMES: Final = "bays and baymodels are here at every microversion; Magnum took them away with release 17"
PLACE: Final = "a `Location` as well, of what was made"
OURS: Final = "ours: [what goes beyond](#beyond-magnum)"
DRIVER: Final = "[no driver here has a way to do it yet](#not-yet)"

NODES: Final = [{"op": "replace", "path": "/node_count", "value": 2}]
RENAME: Final = [{"op": "replace", "path": "/tags", "value": "a"}]
NO_ZERO: Final = "Resizing a nodegroup to zero is not supported in the provided microversion."
NO_ROLLBACK: Final = 'Unknown argument: "rollback"'
NO_TEMPLATE: Final = "ClusterTemplate zzz could not be found."

GONE: Final = Answer(404)
BAY: Final = Answer(200, "bay")
ACCEPTED: Final = Answer(202, "uuid")
PLACED: Final = Answer(202, "uuid", location=True)
DELETED: Final = Answer(204)
TEMPLATE: Final = Answer(200, "clustertemplate")
BAYMODEL: Final = Answer(200, "baymodel")
CLUSTERS: Final = Answer(200, "cluster, brief", many="clusters")
BAYS: Final = Answer(200, "bay, brief", many="bays")


def gated(since: int, name: str) -> dict[int, Answer]:
    """Magnum's answer below the microversion with which a method came."""
    text = f"Version 1.… was requested but the requested API {name} is not supported for this version."
    return {1: Answer(406, text=text)} if since > 1 else {}


def _old(request: str, *answers: tuple[int, Answer], **more: Any) -> Call:
    """A call of a bay or baymodel: from 1.11 on Magnum has none, and we answer as before."""
    magnum = dict(answers)
    last = magnum[max(magnum)]
    ours = {11: Differs(last, NAMES), **more.pop("ours", {})}
    return Call(request, {**magnum, 11: GONE}, ours, **more)


_BODY: Final = {"cluster_template_id": "{template}"}
_OLD_BODY: Final = {"baymodel_id": "{template}"}

BAY_CALLS: Final = (
    _old("GET /v1/bays", (1, BAYS)),
    _old("GET /v1/bays/detail", (1, Answer(200, "bay", many="bays"))),
    _old("GET /v1/bays/{cluster}", (1, BAY)),
    _old("GET /v1/bays/{failed}", (1, Answer(200, "bay, failed")), note="status `CREATE_FAILED`"),
    _old(
        "POST /v1/bays",
        (1, Answer(201, "bay", location=True)),
        (2, ACCEPTED),
        ours={2: Differs(PLACED, PLACE), 11: Differs(PLACED, NAMES)},
        body=_OLD_BODY,
    ),
    _old("PATCH /v1/bays/{cluster}", (1, BAY), (2, ACCEPTED), body=NODES, given="settled"),
    _old(
        "PATCH /v1/bays/{cluster}/?rollback=True",
        (1, Answer(400, text=NO_ROLLBACK)),
        (3, ACCEPTED),
        body=NODES,
        given="settled",
    ),
    _old("DELETE /v1/bays/{fresh}", (1, DELETED), given="fresh"),
)

BAYMODEL_CALLS: Final = (
    _old("GET /v1/baymodels", (1, Answer(200, "baymodel", many="baymodels"))),
    _old("GET /v1/baymodels/detail", (1, Answer(200, "baymodel", many="baymodels"))),
    _old("GET /v1/baymodels/{template}", (1, BAYMODEL)),
    _old("POST /v1/baymodels", (1, Answer(201, "baymodel", location=True)), body=MODEL),
    _old("PATCH /v1/baymodels/{template}", (1, BAYMODEL), body=RENAME),
    _old("DELETE /v1/baymodels/{unused}", (1, DELETED), given="unused"),
)

CLUSTER_CALLS: Final = (
    Call("GET /v1/clusters", {1: CLUSTERS}),
    Call("GET /v1/clusters/detail", {1: Answer(200, "cluster", many="clusters")}),
    Call("GET /v1/clusters/{cluster}", {1: Answer(200, "cluster")}),
    Call("GET /v1/clusters/{failed}", {1: Answer(200, "cluster, failed")}, note="status `CREATE_FAILED`"),
    Call(
        "GET /v1/clusters/{cluster}/detail",
        {1: Answer(404, text="The %(name)s resource %(id)s could not be found.")},
        {
            1: Differs(
                Answer(404, text="There is no detail of one cluster: GET /v1/clusters/… shows all of it."),
                "Magnum forgets to fill in its sentence",
            )
        },
    ),
    Call("POST /v1/clusters", {1: ACCEPTED}, {1: Differs(PLACED, PLACE)}, body=_BODY),
    Call(
        "POST /v1/clusters",
        {1: Answer(400, text=NO_ZERO), 10: ACCEPTED},
        {10: Differs(PLACED, PLACE)},
        body={**_BODY, "node_count": 0},
        note="`node_count` 0",
    ),
    Call(
        "POST /v1/clusters",
        {1: Answer(400, text=NO_TEMPLATE), 10: Answer(404, text=NO_TEMPLATE)},
        body={"cluster_template_id": "zzz"},
        note="no such template",
    ),
    Call("PATCH /v1/clusters/{cluster}", {1: ACCEPTED}, body=NODES, given="settled"),
    Call(
        "PATCH /v1/clusters/{cluster}",
        {1: Answer(400, text=NO_ZERO), 10: ACCEPTED},
        body=[{"op": "replace", "path": "/node_count", "value": 0}],
        given="settled",
        note="`node_count` 0",
    ),
    Call(
        "PATCH /v1/clusters/{cluster}",
        {1: ACCEPTED},
        body=[
            {"op": "replace", "path": "/health_status", "value": "UNHEALTHY"},
            {"op": "replace", "path": "/health_status_reason", "value": {"api": "down"}},
        ],
        note="`health_status` and its reason",
    ),
    Call(
        "PATCH /v1/clusters/{cluster}/?rollback=True",
        {1: Answer(400, text=NO_ROLLBACK), 3: ACCEPTED},
        body=NODES,
        given="settled",
    ),
    Call("DELETE /v1/clusters/{fresh}", {1: DELETED}, given="fresh"),
    Call(
        "POST /v1/clusters/{cluster}/actions/resize",
        {**gated(7, "resize"), 7: ACCEPTED},
        body={"node_count": 2},
        given="settled",
    ),
    Call(
        "POST /v1/clusters/{cluster}/actions/resize",
        {**gated(7, "resize"), 7: Answer(400, text=NO_ZERO), 10: ACCEPTED},
        body={"node_count": 0},
        given="settled",
        note="`node_count` 0",
    ),
    Call(
        "POST /v1/clusters/{cluster}/actions/upgrade",
        {
            **gated(7, "upgrade"),
            7: Answer(400, text="Cluster upgrade is not supported in the provided microversion."),
            8: ACCEPTED,
        },
        body={"cluster_template": "{template}"},
        given="settled",
    ),
)

TEMPLATE_CALLS: Final = (
    Call("GET /v1/clustertemplates", {1: Answer(200, "clustertemplate", many="clustertemplates")}),
    Call("GET /v1/clustertemplates/detail", {1: Answer(200, "clustertemplate", many="clustertemplates")}),
    Call("GET /v1/clustertemplates/{template}", {1: TEMPLATE}),
    Call("POST /v1/clustertemplates", {1: Answer(201, "clustertemplate", location=True)}, body=MODEL),
    Call("PATCH /v1/clustertemplates/{template}", {1: TEMPLATE}, body=RENAME),
    Call("DELETE /v1/clustertemplates/{unused}", {1: DELETED}, given="unused"),
)
