"""The same for everything else that Magnum has or had, and for what only we have."""

from __future__ import annotations

from typing import Final

from services.api.routers.leftovers import GONE as WENT
from services.api.usecases.rotate import NONE_THERE
from tests.api.fidelity.calls import (
    ACCEPTED,
    BAY_CALLS,
    BAYMODEL_CALLS,
    CLUSTER_CALLS,
    DELETED,
    DRIVER,
    OURS,
    PLACE,
    TEMPLATE_CALLS,
    gated,
)
from tests.api.fidelity.model import Answer, Call, Differs

_ROOT: Final = (
    Call("GET /", {1: Answer(200, "root")}, user=None, note="without a token"),
    Call("GET /v1", {1: Answer(200, "version 1")}, user=None, note="without a token"),
    Call("GET /healthcheck", {1: Answer(200)}, user=None, note="without a token"),
)

_GROUPS: Final = "/v1/clusters/{cluster}/nodegroups"
_GROUP: Final = Answer(202, "nodegroup")
_LISTED: Final = Answer(200, "nodegroup, brief", many="nodegroups")
_UNDER_9: Final = gated(9, "get_all")[1]

_NODEGROUPS: Final = (
    *(
        Call(
            f"GET {_GROUPS}{query}",
            {**gated(9, "delete"), 9: _LISTED},
            {
                1: Differs(_UNDER_9, "Magnum's sentence names another method than the one that was asked for"),
                9: None,
            },
        )
        for query in ("", "?role=worker")
    ),
    Call(f"GET {_GROUPS}/default-worker", {**gated(9, "get_one"), 9: Answer(200, "nodegroup")}),
    Call(
        f"POST {_GROUPS}",
        {**gated(9, "post"), 9: _GROUP},
        body={"name": "more"},
        given="settled",
    ),
    Call(
        f"PATCH {_GROUPS}/default-worker",
        {**gated(9, "patch"), 9: _GROUP},
        body=[{"op": "replace", "path": "/max_node_count", "value": 5}],
        given="settled",
    ),
    Call(
        f"PATCH {_GROUPS}/default-worker",
        {14: _GROUP},
        {14: Differs(Answer(400, text="Setting node_labels is not supported by this driver."), DRIVER)},
        body=[{"op": "replace", "path": "/node_labels", "value": {"disk": "fast"}}],
        given="settled",
        at=(14,),
        note="`node_labels`",
    ),
    Call(
        f"DELETE {_GROUPS}/default-worker",
        {**gated(9, "delete"), 9: Answer(400, text="Deleting a default nodegroup is not supported.")},
        note="a default one",
    ),
)

_SIGNED: Final = Answer(201, "certificate")

_CERTIFICATES: Final = (
    Call("GET /v1/certificates/{cluster}", {1: Answer(200, "authority")}),
    Call("GET /v1/certificates/{cluster}?ca_cert_type=etcd", {1: Answer(200, "authority")}),
    Call("POST /v1/certificates", {1: _SIGNED}, body={"cluster_uuid": "{cluster}", "csr": "{csr}"}),
    Call(
        "POST /v1/certificates",
        {1: _SIGNED, 11: Answer(400, text="Unknown attribute for argument certificate: bay_uuid")},
        {11: Differs(_SIGNED, "clients of 2015 and 2016 know no other name, at whatever microversion")},
        body={"bay_uuid": "{cluster}", "csr": "{csr}"},
        note="`bay_uuid` for `cluster_uuid`",
    ),
    Call("PATCH /v1/certificates/{fresh}", {1: ACCEPTED}, given="fresh"),
    Call("GET /v1/certificates", {1: Answer(405, text="")}),
    Call(
        "PATCH /v1/credentials/{cluster}",
        {**gated(12, "patch"), 12: ACCEPTED},
        {12: Differs(Answer(400, text=NONE_THERE), "only nodes that use the cloud hold a credential; then it is 202")},
        given="settled",
    ),
)

_QUOTA: Final = "/v1/quotas/{limited}/Cluster"
_LIMIT: Final = {"project_id": "{limited}", "resource": "Cluster", "hard_limit": 7}

_QUOTAS: Final = (
    Call("GET /v1/quotas?all_tenants=True", {1: Answer(200, "quota", many="quotas")}, user="admin", given="limit_set"),
    Call(f"GET {_QUOTA}", {1: Answer(200, "quota")}, user="admin", given="limit_set"),
    Call("GET /v1/quotas/{project}/Cluster", {1: Answer(200, "quota, unset")}, note="by a member; nobody has set one"),
    Call(
        "POST /v1/quotas",
        {1: Answer(201, "quota")},
        {1: Differs(Answer(201, "quota", location=True), PLACE)},
        body=_LIMIT,
        user="admin",
        given="limit_unset",
    ),
    Call(f"PATCH {_QUOTA}", {1: Answer(202, "quota")}, body={"hard_limit": 8}, user="admin", given="limit_set"),
    Call(f"DELETE {_QUOTA}", {1: DELETED}, user="admin", given="limit_set"),
)

_CLOUD: Final = (
    Call("GET /v1/stats", {1: Answer(200, "stats")}),
    Call("GET /v1/stats?project_id={theirs}&type=cluster", {1: Answer(200, "stats")}, user="admin"),
    Call("GET /v1/mservices", {1: Answer(200, "mservice", many="mservices")}, user="admin"),
)

_FEDERATION: Final = {"hostcluster_id": "{cluster}", "properties": {"dns-zone": "example.com."}}
_NO_FEDERATION: Final = Answer(404, text="Federation phi-17-federation could not be found.")

_FEDERATIONS: Final = (
    Call("GET /v1/federations", {1: Answer(200, "federations")}),
    Call("GET /v1/federations/detail", {1: Answer(200, "federations")}),
    Call("POST /v1/federations", {1: ACCEPTED}, body=_FEDERATION, note="and none is made"),
    Call("GET /v1/federations/{fed}", {1: _NO_FEDERATION}),
    Call("PATCH /v1/federations/{fed}", {1: _NO_FEDERATION}, body=[{"op": "replace", "path": "/name", "value": "x"}]),
    Call("DELETE /v1/federations/{fed}", {1: _NO_FEDERATION}),
)

_TOLD: Final = "the sentence says where it went"
_LEFT: Final = tuple(
    Call(
        f"GET /v1/{resource}",
        {1: Answer(404, text="")},
        {1: Differs(Answer(404, text=f"{sentence}."), _TOLD)},
    )
    for resource, sentence in WENT.items()
)

_NOTHING: Final = Answer(404, text="")
_BEYOND: Final = (
    *(
        Call(f"GET /v1/{face}/{{cluster}}/{below}", {1: _NOTHING}, {1: Differs(Answer(200), OURS)})
        for face in ("bays", "clusters")
        for below in ("operations", "events", "scaling_policy", "scaling_decisions")
    ),
    *(
        Call(
            f"POST /v1/{face}?dry_run=true",
            {1: Answer(400, text='Unknown argument: "dry_run"')},
            {1: Differs(Answer(200), OURS)},
            body={field: "{template}"},
        )
        for face, field in (("bays", "baymodel_id"), ("clusters", "cluster_template_id"))
    ),
    *(
        Call(f"GET {path}", {1: _NOTHING}, {1: Differs(Answer(200), OURS)}, at=(1,))
        for path in ("/readyz", "/openapi.json", "/docs")
    ),
    *(
        Call(f"GET {path}", {1: _NOTHING}, {1: Differs(Answer(200), OURS)}, user="admin")
        for path in ("/v1/operations", "/v1/dead_letters")
    ),
)

CALLS: Final[dict[str, tuple[Call, ...]]] = {
    "Root": _ROOT,
    "Bays": BAY_CALLS,
    "Baymodels": BAYMODEL_CALLS,
    "Clusters": CLUSTER_CALLS,
    "Cluster templates": TEMPLATE_CALLS,
    "Nodegroups": _NODEGROUPS,
    "Certificates and credentials": _CERTIFICATES,
    "Quotas": _QUOTAS,
    "Stats and services": _CLOUD,
    "Federations": _FEDERATIONS,
    "What was there in 2015": _LEFT,
    "What only we have": _BEYOND,
}
"""All of them, by the headings of the document."""
