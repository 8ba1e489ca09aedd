"""Bad requests and what Magnum says to them: the door, bodies, looking up, and pages (contract §1.4 to §1.9)."""

from __future__ import annotations

from typing import Final

from tests.api.fidelity.calls import NODES
from tests.api.fidelity.messages_clusters import BAD, CREATING, PATCHING, RESIZING
from tests.api.fidelity.messages_rest import CERTIFICATES, CLOUD, LIMITS, NODEGROUPS, TEMPLATES
from tests.api.fidelity.model import Answer, Call, refused
from tests.api.harness import MODEL, VERSION

SCALARS: Final = "(<class 'str'>, <class 'int'>, <class 'bool'>, <class 'float'>)"
WORD: Final = "container-infrastructure-management"
RANGE: Final = f"The supported version range is: [{WORD} 1.1, {WORD} 1.14]."
NAMED: Final = "it names the field that is wrong, not the whole body"
NO_500: Final = "Magnum crashes; the mistake is the caller's"
LIBERTY: Final = "the word of 2015, which who asks for bays knows"

_TEMPLATE: Final = {"cluster_template_id": "{template}"}


def _versioned(header: str, text: str) -> Call:
    return refused("GET /v1/clusters", 406, text, headers={VERSION: header}, note=f"`{VERSION}: {header}`")


_DOOR: Final = (
    refused("GET /v1/clusters", 401, None, user=None, note="no token"),
    refused("GET /v1/clusters", 406, None, headers={"Accept": "application/xml"}, note="`Accept: application/xml`"),
    _versioned("compute 1.1", "Invalid service type for OpenStack-API-Version header"),
    _versioned("container-infra x", "Invalid value for OpenStack-API-Version header"),
    _versioned(
        "container-infra 1.99",
        f"Version 1.99 was requested but the minor version is not supported by this service. {RANGE}",
    ),
    _versioned(
        "container-infra 2.0",
        f"Mutually exclusive versions requested. Version 2.0 requested but not supported by this service. {RANGE}",
    ),
    refused("GET /v1/nope", 404, "", note="no such path"),
    refused("HEAD /v1/clusters", 405, ""),
    refused("OPTIONS /v1/clusters", 405, ""),
    refused("PUT /v1/clusters/{cluster}", 405, ""),
    refused("POST /v1/clusters/{cluster}/actions/explode", 405, "", body={}),
)


def _new(body: dict[str, object], text: str, **more: object) -> Call:
    return refused("POST /v1/clusters", 400, text, body={**_TEMPLATE, **body}, **more)  # type: ignore[arg-type]


def _unknown(path: str, argument: str, at: int = 14) -> Call:
    text = f"Unknown attribute for argument {argument}: foo"
    return refused(f"POST /v1/{path}", 400, text, body={"foo": 1}, at=at)


def _no_body(request: str, argument: str, *, at: int = 14, user: str = "demo") -> Call:
    return refused(request, 400, f'Missing argument: "{argument}"', at=at, user=user, note="no body")


def _taken(body: dict[str, object], note: str) -> Call:
    """Leniency: at 1.1 the answer is the whole bay."""
    taken = {1: Answer(201, "bay", location=True)}
    return Call("POST /v1/bays", taken, body={"baymodel_id": "{template}", **body}, at=(1,), note=note)


_BODIES: Final = (
    _new({"name": "1abc"}, BAD.format("name", "1abc", "Value should match the pattern ^[a-zA-Z][a-zA-Z0-9_.-]*$")),
    _new(
        {"name": "a" * 243},
        BAD.format("name", "a" * 243, "Value should have a maximum character requirement of 242"),
        note="`name` of 243 letters",
    ),
    _new({"name": ""}, BAD.format("name", "", "Value should have a minimum character requirement of 1")),
    _new({"node_count": -1}, BAD.format("node_count", "-1", "Value should be greater or equal to 0")),
    refused(
        "POST /v1/bays",
        400,
        BAD.format("node_count", "0", "Value should be greater or equal to 1"),
        body={"baymodel_id": "{template}", "node_count": 0},
        at=10,
    ),
    refused(
        "POST /v1/clustertemplates",
        400,
        BAD.format("apiserver_port", "70000", "Value should be lower or equal to 65535"),
        body={**MODEL, "apiserver_port": 70000},
    ),
    refused(
        "POST /v1/clustertemplates",
        400,
        BAD.format("server_type", "x", "Value should be one of: …m, …m"),
        body={**MODEL, "server_type": "x"},
        note="`server_type` `x`; in Magnum the order changes",
    ),
    refused(
        "POST /v1/clusters",
        400,
        BAD.format("cluster_template_id", "None", "Mandatory field missing."),
        body={},
    ),
    _new({"uuid": "x"}, BAD.format("uuid", "x", "Cannot set read only field.")),
    _unknown("clusters", "cluster"),
    _unknown("clustertemplates", "cluster_template"),
    _unknown("bays", "bay", at=10),
    _unknown("baymodels", "baymodel", at=10),
    refused("GET /v1/clusters?foo=1", 400, 'Unknown argument: "foo"'),
    _no_body("POST /v1/clusters", "cluster"),
    _no_body("POST /v1/clustertemplates", "cluster_template"),
    _no_body("POST /v1/bays", "bay", at=10),
    _no_body("POST /v1/baymodels", "baymodel", at=10),
    _no_body("POST /v1/certificates", "certificate"),
    _no_body("POST /v1/quotas", "quota", user="admin"),
    _no_body("POST /v1/clusters/{cluster}/nodegroups", "nodegroup"),
    _no_body("PATCH /v1/clusters/{cluster}", "patch"),
    refused("POST /v1/clusters", 400, "Request is not in valid JSON format", raw=b"{", note="`{`"),
    _new(
        {"node_count": "abc"},
        BAD.format("cluster", "{…}", "invalid literal for int() with base 10: 'abc'"),
        ours=Answer(400, text=BAD.format("node_count", "abc", "invalid literal for int() with base 10: 'abc'")),
        why=NAMED,
    ),
    _new({"labels": "a=b"}, BAD.format("labels", "a=b", "Value not a valid dict: a=b")),
    _new(
        {"labels": {"a": {}}},
        BAD.format("labels", "{'a': {}}", f"Wrong type. Expected '{SCALARS}', got '<class 'dict'>'"),
    ),
    refused(
        "POST /v1/clusters",
        500,
        None,
        body=[],
        ours=Answer(400, text=BAD.format("cluster", "[]", "Value not a valid dict: []")),
        why=NO_500,
    ),
    refused(
        "POST /v1/clustertemplates",
        500,
        None,
        body={**MODEL, "tls_disabled": "maybe"},
        ours=Answer(400, text=BAD.format("tls_disabled", "maybe", "Value should be one of: true, false")),
        why=NO_500,
        note='`{"tls_disabled": "maybe"}`',
    ),
    _taken({"node_count": "2"}, "`node_count` as text"),
    _taken({"floating_ip_enabled": "yes"}, "`floating_ip_enabled` as a word"),
    _taken({"labels": {"a": 1, "b": True, "c": 1.5}}, "`labels` with a number and a boolean"),
    _taken({"discovery_url": None, "docker_volume_size": None}, "null, which is as if it were absent"),
)


def _missing(path: str, text: str, **more: object) -> Call:
    return refused(f"GET /v1/{path}", 404, text, **more)  # type: ignore[arg-type]


def _several(path: str, word: str, many: str, **more: object) -> Call:
    text = f"Multiple {many} exist with same name. Please use the {word} uuid instead."
    return refused(f"GET /v1/{path}/{{twins}}", 409, text, note="a name of two", **more)  # type: ignore[arg-type]


_LOOKING_UP: Final = (
    _missing("clusters/nope", "Cluster nope could not be found."),
    _missing(
        "bays/nope",
        "Cluster nope could not be found.",
        at=10,
        ours=Answer(404, text="Bay nope could not be found."),
        why=LIBERTY,
    ),
    _missing("clustertemplates/nope", "ClusterTemplate nope could not be found."),
    _missing("baymodels/nope", "ClusterTemplate nope could not be found.", at=10),
    _missing("clusters/{cluster}/nodegroups/nope", "Nodegroup nope could not be found."),
    _several("clusters", "cluster", "clusters"),
    _several(
        "bays",
        "cluster",
        "clusters",
        at=10,
        ours=Answer(409, text="Multiple bays exist with same name. Please use the bay uuid instead."),
        why=LIBERTY,
    ),
    _several("clustertemplates", "ClusterTemplate", "ClusterTemplates"),
    _several("baymodels", "ClusterTemplate", "ClusterTemplates", at=10),
    _missing(f"clusters/{'c' * 32}", f"Cluster {'c' * 32} could not be found.", note="a name that looks like a uuid"),
    _missing("clusters/{cluster}", "Cluster … could not be found.", user="alt", note="of another project"),
    _missing(
        "clustertemplates/{hidden}",
        "ClusterTemplate … could not be found.",
        note="public, but hidden, of another project",
    ),
    refused("PATCH /v1/clusters/nope", 404, "Cluster nope could not be found.", body=NODES),
    refused("DELETE /v1/clusters/nope", 404, "Cluster nope could not be found."),
)


def _page(query: str, text: str | None, status: int = 400) -> Call:
    return refused(f"GET /v1/clusters?{query}", status, text)


_PAGES: Final = (
    _page("limit=0", "Limit must be positive"),
    _page("limit=-1", "Limit must be positive"),
    _page("limit=abc", "…unable to convert to int. …"),
    _page("marker=abc", None),
    _page("marker={nobody}", "Cluster … could not be found.", 404),
    _page("sort_dir=up", "Invalid sort direction: up. Acceptable values are 'asc' or 'desc'"),
    _page("sort_key=nope", 'The sort_key value "nope" is an invalid field for sorting'),
)

MESSAGES: Final[dict[str, tuple[Call, ...]]] = {
    "The door": _DOOR,
    "Bodies": _BODIES,
    "Looking up": _LOOKING_UP,
    "Pages": _PAGES,
    "Creating": CREATING,
    "Patching": PATCHING,
    "Resizing and upgrading": RESIZING,
    "Templates": TEMPLATES,
    "Nodegroups": NODEGROUPS,
    "Certificates": CERTIFICATES,
    "Quotas, stats and services": (*LIMITS, *CLOUD),
}
"""All of them, by the headings of the document."""
