"""Bad requests for everything else and what Magnum says to them (contract §1.12 to §1.18)."""

from __future__ import annotations

from typing import Any, Final

from tests.api.fidelity.messages_clusters import BAD, op
from tests.api.fidelity.model import Answer, Call, hiding_all_but_the_first, refused
from tests.api.harness import MODEL


def _model(body: dict[str, object], status: int, text: str, **more: Any) -> Call:
    more.setdefault("note", ", ".join(f"`{name}` `{value}`" for name, value in body.items()))
    return refused("POST /v1/clustertemplates", status, text, body={**MODEL, **body}, **more)


def _retouch(path: str, items: object, status: int, text: str, **more: Any) -> Call:
    return refused(f"PATCH /v1/clustertemplates/{path}", status, text, body=items, **more)


_UNPUBLISHED: Final = "Not authorized to set public or hidden flag for cluster template."
_IN_USE: Final = "ClusterTemplate {template} is referenced by one or multiple clusters."
_INTERNAL: Final = ("created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id", "cluster_distro")
_MANDATORY: Final = (
    *("image_id", "coe", "server_type", "tls_disabled", "public", "registry_enabled", "network_driver", "hidden"),
)

_WRONG: Final[tuple[tuple[str, object, str], ...]] = (
    ("coe", None, "Requested COE type Unset is not supported."),
    (
        "network_driver",
        "docker",
        "Network driver type docker is not supported, expecting a flannel/calico/cilium/unspecified network driver.",
    ),
    (
        "volume_driver",
        "rexray",
        "Volume driver type rexray is not supported, expecting a cinder/unspecified volume driver.",
    ),
    (
        "dns_nameserver",
        "abc",
        "Expected a single dns address or comma separated dns list, but received abc.",
    ),
    (
        "docker_volume_size",
        2,
        "docker volume size 2 GB is not valid, expecting minimum value 3GB for devicemapper storage driver.",
    ),
    ("image_id", "fedora-k8s-ironic", "Cluster type (vm, fedora, kubernetes) not supported."),
)
"""In Magnum's order: of several that are wrong it tells the first."""


def _wrong(names: tuple[tuple[str, object, str], ...], note: str) -> Call:
    """All of these wrong at once, in a template that names Magnum's former storage driver, which has a least size."""
    body = {name: value for name, value, _ in names}
    return _model({**body, "docker_storage_driver": "devicemapper"}, 400, names[0][2], note=note)


TEMPLATES: Final = (
    Call(
        "POST /v1/clustertemplates",
        {14: Answer(201, "clustertemplate", location=True)},
        body={**MODEL, "name": "1 of any form"},
        at=(14,),
        note="`name` `1 of any form`",
    ),
    _model({"coe": None}, 400, "Requested COE type Unset is not supported."),
    _model(
        {"coe": "foo"},
        400,
        BAD.format("coe", "foo", "Value should be one of: kubernetes"),
        ours=Answer(400, text=BAD.format("coe", "foo", "Value should be one of: kubernetes, swarm, swarm-mode, mesos")),
        why="Magnum has one engine left; here are those of the guide, and Swarm mode",
    ),
    _model({"image_id": None}, 400, BAD.format("image_id", "None", "Mandatory field missing.")),
    refused(
        "POST /v1/baymodels",
        400,
        BAD.format("keypair_id", "None", "Mandatory field missing."),
        body={**MODEL, "keypair_id": None},
        at=10,
        note="`keypair_id` `None`",
    ),
    _model({"image_id": "nope"}, 400, "Image nope could not be found."),
    _model({"flavor_id": "nope"}, 400, "Unable to find flavor nope."),
    _model({"external_network_id": "nope"}, 400, "Unable to find external network nope."),
    *(_wrong((one,), f"`{one[0]}` `{one[1]}`") for one in _WRONG[1:]),
    *(
        _wrong(_WRONG[place:], f"{', '.join(f'`{name}`' for name, _, _ in _WRONG[place:])} all wrong")
        for place in range(len(_WRONG) - 1)
    ),
    _model({"public": True}, 403, _UNPUBLISHED),
    _model({"hidden": True}, 403, _UNPUBLISHED),
    _model({}, 403, "Policy doesn't allow clustertemplate:create to be performed.", user="reader", note="by a reader"),
    *hiding_all_but_the_first(
        [
            _retouch(
                "{other}",
                op("replace", f"/{name}", value="x"),
                400,
                f"'/{name}' is an internal attribute and can not be updated",
            )
            for name in _INTERNAL
        ],
        f"replace {', '.join(f'`/{name}`' for name in _INTERNAL)}",
    ),
    *hiding_all_but_the_first(
        [
            _retouch(
                "{other}", op("remove", f"/{name}"), 400, f"'/{name}' is a mandatory attribute and can not be removed"
            )
            for name in _MANDATORY
        ],
        f"remove {', '.join(f'`/{name}`' for name in _MANDATORY)}",
    ),
    refused(
        "PATCH /v1/baymodels/{other}",
        400,
        "'/keypair_id' is a mandatory attribute and can not be removed",
        body=op("remove", "/keypair_id"),
        at=10,
    ),
    _retouch("{other}", op("replace", "/public", value=True), 403, _UNPUBLISHED),
    _retouch(
        "{published}",
        op("replace", "/name", value="x"),
        403,
        "Policy doesn't allow clustertemplate:update to be performed.",
        user="alt",
        note="public, of another project",
    ),
    _retouch("{template}", op("replace", "/docker_volume_size", value=9), 400, _IN_USE, note="in use"),
    refused("DELETE /v1/clustertemplates/{template}", 400, _IN_USE, note="in use"),
    _retouch("{nobody}", {"name": "x"}, 400, "…Value not a valid list: {'name': 'x'}", note="no such template"),
)


def _group(body: dict[str, object], status: int, text: str | None, **more: Any) -> Call:
    request = more.pop("request", "POST /v1/clusters/{cluster}/nodegroups")
    return refused(request, status, text, body={"name": "m3", **body}, **{"given": "settled", **more})


def _regroup(items: object, status: int, text: str | None, **more: Any) -> Call:
    group = more.pop("group", "default-worker")
    request = f"PATCH /v1/clusters/{{cluster}}/nodegroups/{group}"
    return refused(request, status, text, body=items, **{"given": "settled", **more})


NODEGROUPS: Final = (
    _group({"role": "master"}, 400, "Creating master nodegroups is currently not supported."),
    _group(
        {"name": "default-worker"},
        409,
        "A node group with name default-worker already exists in the cluster {named}",
    ),
    _group(
        {"node_count": 3, "min_node_count": 5, "max_node_count": 2},
        409,
        "max_node_count for m3 is invalid (min_node_count (5) should be less or equal to max_node_count (2)).",
    ),
    _group({"node_count": 3, "max_node_count": 2}, 409, None),
    _group({}, 409, "Cluster API address is not available yet", request="POST /v1/clusters/{plain}/nodegroups"),
    _group({"node_count": 0}, 400, "Resizing a nodegroup to zero is not supported in the provided microversion.", at=9),
    _group({"node_labels": {"kubernetes.io/role": "x"}}, 400, None),
    _group({"node_taints": [{"key": "a", "effect": "Nope"}]}, 400, None),
    _regroup(
        op("replace", "/node_count", value=3), 400, "'/node_count' is an internal attribute and can not be updated"
    ),
    _regroup(op("replace", "/node_labels", value={"a": "b"}), 400, None, group="default-master"),
    refused(
        "GET /v1/clusters/{cluster}/nodegroups",
        406,
        "Version 1.8 was requested but the requested API delete is not supported for this version.",
        at=8,
        ours=Answer(
            406, text="Version 1.8 was requested but the requested API get_all is not supported for this version."
        ),
        why="the method that was asked for",
    ),
    _group({}, 403, "Policy doesn't allow nodegroup:create to be performed.", user="reader", note="by a reader"),
)

CERTIFICATES: Final = (
    refused("GET /v1/certificates/zzz", 404, "Cluster zzz could not be found."),
    refused(
        "POST /v1/certificates", 400, "Cluster zzz could not be found.", body={"cluster_uuid": "zzz", "csr": "{csr}"}
    ),
    refused(
        "POST /v1/certificates",
        400,
        BAD.format("csr", "", "Value should have a minimum character requirement of 1"),
        body={"cluster_uuid": "{cluster}", "csr": ""},
    ),
    refused(
        "PATCH /v1/certificates/{plain}",
        400,
        "Rotating the CA certificate on a non-TLS cluster is not supported.",
        note="a cluster without TLS",
    ),
    refused(
        "GET /v1/certificates/{cluster}",
        403,
        "Policy doesn't allow certificate:get to be performed.",
        user="reader",
        note="by somebody else of the project",
    ),
    refused(
        "PATCH /v1/credentials/{cluster}",
        403,
        "Policy doesn't allow credential:rotate to be performed.",
        user="admin",
        note="by an administrator of another project",
    ),
)

LIMITS: Final = (
    refused("GET /v1/quotas", 403, "Policy doesn't allow quota:get_all to be performed.", note="by a member"),
    refused("GET /v1/quotas/{theirs}/Cluster", 403, "Not authorized.", note="another project's, by a member"),
    refused(
        "POST /v1/quotas",
        404,
        "The project_id x could not be found.",
        body={"project_id": "x", "resource": "Cluster", "hard_limit": 5},
        user="admin",
    ),
    refused(
        "POST /v1/quotas",
        409,
        None,
        body={"project_id": "{limited}", "hard_limit": 5},
        user="admin",
        given="limit_set",
        note="a second one for the project",
    ),
    refused(
        "POST /v1/quotas",
        400,
        BAD.format("hard_limit", "-1", "Value should be greater or equal to 0"),
        body={"project_id": "{limited}", "hard_limit": -1},
        user="admin",
    ),
)

CLOUD: Final = (
    refused("GET /v1/stats?type=bay", 400, "Invalid stats type. Allowed values are 'cluster'"),
    refused("GET /v1/stats?project_id={theirs}", 403, "Not authorized.", note="another project's, by a member"),
    refused(
        "GET /v1/mservices", 403, "Policy doesn't allow magnum-service:get_all to be performed.", note="by a member"
    ),
)
