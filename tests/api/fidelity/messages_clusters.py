"""Bad requests for clusters and what Magnum says to them (contract §1.10, §2.5)."""

from __future__ import annotations

from typing import Any, Final

from tests.api.fidelity.calls import ACCEPTED, NODES
from tests.api.fidelity.model import Answer, Call, hiding_all_but_the_first, refused

BAD: Final = "Invalid input for field/attribute {}. Value: '{}'. {}"
STATE: Final = (
    "Magnum's worker refuses it after the 202, in its log; here the caller reads it "
    "([0007](decisions/0007-patch-from-update-failed-is-refused.md))"
)
BALANCED: Final = {"cluster_template_id": "{balanced}"}


def _new(body: dict[str, object], status: int, text: str, **more: Any) -> Call:
    return refused("POST /v1/clusters", status, text, body={"cluster_template_id": "{template}", **body}, **more)


CREATING: Final = (
    _new({}, 403, "Policy doesn't allow cluster:create to be performed.", user="reader", note="by a reader"),
    refused(
        "POST /v1/clusters",
        403,
        "Resource limit exceeded: You have reached the maximum clusters per project, 0. "
        "You may delete a cluster to make room for a new one.",
        body={"cluster_template_id": "zzz"},
        user="alt",
        given="full",
        note="no quota left, and no such template: the quota comes first",
    ),
    refused("POST /v1/bays", 400, "ClusterTemplate zzz could not be found.", body={"baymodel_id": "zzz"}, at=10),
    _new({"cluster_template_id": "{hidden}"}, 404, "ClusterTemplate … could not be found.", note="a hidden template"),
    _new({"master_count": 0}, 400, BAD.format("master_count", "0", "Value should be greater or equal to 1")),
    _new({"master_count": 3}, 400, "master_count must be 1 when master_lb_enabled is False"),
    _new(
        {**BALANCED, "master_count": 2},
        400,
        "master nodegroup size of 2 is invalid, size cannot be an even number.",
        note='`{"master_count": 2}`, with a load balancer',
    ),
    _new(
        {"foo": 1},
        400,
        "Unknown attribute for argument cluster: foo",
        user="reader",
        note='`{"foo": 1}` by a reader: the body comes first',
    ),
    _new(
        {"cluster_template_id": "zzz", "node_count": 0, "master_count": 3, "flavor_id": "nope"},
        400,
        "ClusterTemplate zzz could not be found.",
        at=9,
        note="template, `node_count`, `master_count` and `flavor_id` all wrong",
    ),
    _new(
        {"node_count": 0, "master_count": 3, "flavor_id": "nope"},
        400,
        "Resizing a nodegroup to zero is not supported in the provided microversion.",
        at=9,
        note="`node_count`, `master_count` and `flavor_id` all wrong",
    ),
    _new(
        {"master_count": 3, "flavor_id": "nope"},
        400,
        "master_count must be 1 when master_lb_enabled is False",
        note="`master_count` and `flavor_id` both wrong",
    ),
    _new({"flavor_id": "nope", "keypair": "nope"}, 400, "Unable to find flavor nope."),
    _new({"flavor_id": "nope"}, 400, "Unable to find flavor nope."),
    _new({"master_flavor_id": "nope"}, 400, "Unable to find flavor nope."),
    _new({"keypair": "nope"}, 404, "Unable to find keypair nope."),
    _new({"fixed_network": "nope"}, 400, "Unable to find fixed network nope."),
    _new({"fixed_subnet": "nope"}, 400, "Unable to find fixed subnet nope."),
    _new(
        {"labels": {"docker_volume_type": "nope"}},
        400,
        "Valid volume type could not be found.",
        ours=Answer(
            400,
            text="Valid volume type could not be found. Label docker_volume_type is 'nope', "
            "and Cinder shows no such type.",
        ),
        why="it names the label",
    ),
)


def _patch(items: object, status: int, text: str | None, **more: Any) -> Call:
    return refused("PATCH /v1/clusters/{cluster}", status, text, body=items, **{"given": "settled", **more})


def op(op: str, path: str, **value: object) -> list[dict[str, object]]:
    return [{"op": op, "path": path, **value}]


def _internal(name: str) -> Call:
    return _patch(
        op("replace", f"/{name}", value="x"), 400, f"'/{name}' is an internal attribute and can not be updated"
    )


_INTERNAL: Final = (
    *("created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id", "api_address", "node_addresses"),
    *("master_addresses", "stack_id", "cluster_id", "ca_cert_ref", "magnum_cert_ref", "etcd_ca_cert_ref"),
    *("front_proxy_ca_cert_ref", "trust_id", "trustee_user_id", "trustee_username", "trustee_password"),
)
_UNPATCHED: Final = "cannot change cluster property(ies) {}."

PATCHING: Final = (
    _patch({"op": "replace"}, 400, "…Value not a valid list: {'op': 'replace'}"),
    _patch(op("replace", "/node_count"), 400, "'add' and 'replace' operations needs value"),
    _patch(op("move", "/node_count"), 400, BAD.format("op", "move", "Value should be one of: replace, add, remove")),
    _patch(
        op("remove", "node_count"),
        400,
        BAD.format("path", "node_count", r"Value should match the pattern ^(/[\w-]+)+$"),
        ours=Answer(
            400, text=BAD.format("path", "node_count", r"Value should match the pattern ^/[\w-]+(/.{1,255})?$")
        ),
        why="names of labels may have dots and slashes",
    ),
    *hiding_all_but_the_first(
        [_internal(name) for name in _INTERNAL], f"replace {', '.join(f'`/{name}`' for name in _INTERNAL)}"
    ),
    _patch(
        op("remove", "/cluster_template_id"),
        400,
        "'/cluster_template_id' is a mandatory attribute and can not be removed",
    ),
    _patch(op("add", "/foo", value=1), 400, "Adding a new attribute /foo to the root of the resource is not allowed."),
    _patch(
        op("add", "/node_count", value=2),
        400,
        "The attribute /node_count has existed, please use 'replace' operation instead.",
    ),
    _patch(
        op("replace", "/foo", value=1),
        400,
        "Couldn't apply patch '[{…}]'. Reason: can't replace a non-existent object 'foo'",
    ),
    _patch(op("replace", "/name", value="x"), 400, _UNPATCHED.format("name")),
    _patch(op("add", "/labels/a", value="b"), 400, _UNPATCHED.format("labels")),
    _patch(op("replace", "/master_count", value=3), 400, _UNPATCHED.format("master_count")),
    _patch(
        op("replace", "/node_count", value="4"),
        400,
        "…'<' not supported between instances of 'str' and 'int'…",
        ours=Answer(
            400, text=BAD.format("node_count", "4", "Wrong type. Expected '<class 'int'>', got '<class 'str'>'")
        ),
        why="it says what is wanted",
    ),
    Call(
        "PATCH /v1/clusters/{cluster}",
        {14: ACCEPTED},
        body=op("remove", "/node_count"),
        given="settled",
        at=(14,),
        note="remove `/node_count`: back to 1",
    ),
    _patch([], 403, "Policy doesn't allow cluster:update to be performed.", user="reader", note="by a reader"),
    *(
        refused(
            "PATCH /v1/clusters/{cluster}",
            202,
            None,
            body=NODES,
            given=given,
            ours=Answer(400, text=f'Updating a cluster when status is "{status}" is not supported.'),
            why=STATE,
            note=f"in `{status}`",
        )
        for given, status in (("broken", "UPDATE_FAILED"), ("never_made", "CREATE_FAILED"))
    ),
    refused(
        "PATCH /v1/bays/{cluster}",
        400,
        'Updating a cluster when status is "UPDATE_FAILED" is not supported.',
        body=NODES,
        at=1,
        given="broken",
        ours=Answer(400, text='Updating a bay when status is "UPDATE_FAILED" is not supported.'),
        why="a bay is called a bay",
        note="in `UPDATE_FAILED`",
    ),
)


def _act(action: str, body: dict[str, object], status: int, text: str | None, **more: Any) -> Call:
    request = f"POST /v1/clusters/{{cluster}}/actions/{action}"
    return refused(request, status, text, body=body, **{"given": "settled", **more})


RESIZING: Final = (
    _act("resize", {}, 400, BAD.format("node_count", "None", "Mandatory field missing.")),
    _act(
        "resize",
        {"node_count": 2, "nodegroup": "default-master"},
        400,
        "Resizing the master nodegroup is not supported by this driver.",
        ours=Answer(400, text="A cluster of this driver has one of these numbers of masters: 1, 3, 5."),
        why="masters may be resized",
        note="to a number that no cluster may have",
    ),
    _act("resize", {"node_count": 1, "nodegroup": "nope"}, 404, "Nodegroup nope could not be found."),
    _act(
        "resize",
        {"node_count": 3},
        400,
        "Resizing default-worker outside the allowed range: min_node_count = 1, max_node_count = 2",
        given="ranged",
        note="`node_count` 3 where 1 to 2 are allowed",
    ),
    Call(
        "POST /v1/clusters/{cluster}/actions/resize",
        {14: ACCEPTED},
        body={"node_count": 2},
        given="broken",
        at=(14,),
        note="in `UPDATE_FAILED`",
    ),
    _act(
        "resize",
        {"node_count": 2},
        202,
        None,
        given="never_made",
        ours=Answer(400, text='Resizing a cluster when status is "CREATE_FAILED" is not supported.'),
        why=STATE,
        note="in `CREATE_FAILED`",
    ),
    _act(
        "upgrade",
        {"cluster_template": "{other}"},
        409,
        "Cluster Template is not valid for upgrade: …",
        note="a template without TLS for a cluster with TLS",
    ),
    _act("upgrade", {}, 400, BAD.format("cluster_template", "None", "Mandatory field missing.")),
)
