"""What the OpenAPI document says once for all paths: tags, headers and refusals, each with words and an example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.api.microversion import HEADER, HIGHEST, LOWEST, WORD

ABOUT: Final = (
    "The API of OpenStack Magnum, version 1, at every microversion. The same row is a *bay* and a *cluster*, or a "
    "*baymodel* and a *cluster template*. Changes are accepted at once and done later: a row's `status` tells how far "
    "they are. Paths work with and without a slash at their end, and without `/v1`."
)
TAGS: Final = {
    "root": "What this is, and its versions.",
    "health": "Whether this process is well.",
    "bays": "Clusters under their first name.",
    "baymodels": "Templates for bays.",
    "clusters": "The same rows as bays, under their later name.",
    "clustertemplates": "The same rows as baymodels, under their later name.",
    "nodegroups": "Groups of a cluster's nodes.",
    "certificates": "A cluster's certificate authorities, and certificates signed by them.",
    "credentials": "The cloud credential of a cluster's nodes.",
    "quotas": "How many clusters a project may have.",
    "stats": "How many clusters and nodes there are.",
    "mservices": "The worker processes, and whether they live.",
    "dead_letters": "Messages between our services that could not be handled.",
    "operations": "What is under way in every project.",
    "federations": "Federations, of which there are none.",
    "events": "What happens to a bay, as it happens.",
    "nodes": "What the nodes of bays call; they have no token, but a key of their own.",
    "gone": "What Magnum's API had in 2015 and no longer has.",
}
SECURITY: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Auth-Token",
    "description": "a token of Keystone, scoped to a project",
}
NODE_SECURITY: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Jeroboam-Signature",
    "description": "a signature by the key of a node's certificate; with it go the certificate and the time",
}
VERSION_PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": f"microversion, 1.{LOWEST} to 1.{HIGHEST} or latest; absent: 1.{LOWEST}",
    "schema": {"type": "string"},
    "example": f"{WORD} latest",
}


def _header(description: str, example: object) -> dict[str, Any]:
    kind = "integer" if isinstance(example, int) else "string"
    return {"description": description, "schema": {"type": kind}, "example": example}


REQUEST_ID: Final = {
    "X-OpenStack-Request-ID": _header("by which the logs know this request", "req-5d12f6fd-1a61-4a0e-93dc-3ae8c1a1ad9d")
}
RANGE: Final = {
    "OpenStack-API-Minimum-Version": _header("the lowest microversion", f"{WORD} 1.{LOWEST}"),
    "OpenStack-API-Maximum-Version": _header("the highest microversion", f"{WORD} 1.{HIGHEST}"),
    "Vary": _header("what the answer depends on", HEADER),
}
VERSION: Final = {HEADER: _header("the microversion of this answer", f"{WORD} 1.{HIGHEST}")}
CHALLENGE: Final = {"WWW-Authenticate": _header("where tokens come from", 'Keystone uri="https://cloud.example.org"')}
RETRY_AFTER: Final = {"Retry-After": _header("seconds after which to ask again", 5)}
LOCATION: Final = {
    "Location": _header("where it is", "http://127.0.0.1:9511/v1/bays/0c7d5f8e-8a0b-4c55-9a62-6f7a7bd0d1c3")
}
WARNING: Final = {
    "Warning": _header("what is accepted and has no effect", "299 - \"Label 'x' has no effect with driver y.\"")
}

REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "400": (
        "The request is wrong in itself; the detail names field, value and what is allowed.",
        "Invalid input for field/attribute node_count. Value: '-1'. Value should be greater or equal to 1",
    ),
    "403": (
        "The policy does not allow it, or the project's quota is used up.",
        "Policy doesn't allow cluster:create to be performed.",
    ),
    "404": ("No such thing that the caller may see.", "Cluster k8s could not be found."),
    "405": ("Not with this method.", ""),
    "406": (
        "Not at this microversion, or not in this form. A microversion out of range has a body of its own.",
        "Version 1.1 was requested but the requested API resize is not supported for this version.",
    ),
    "409": (
        "A name means several things, or the state of things does not allow it.",
        "Multiple clusters exist with same name. Please use the cluster uuid instead.",
    ),
    "413": ("The body is too long.", "The body has more than 262144 bytes, which is the most that is taken."),
    "500": (
        "A mistake of ours; the request id finds it in the logs.",
        "Something went wrong here; the request id finds it in our logs.",
    ),
    "503": (
        "We, or the cloud service that is named, cannot answer now; see Retry-After.",
        "The database does not answer now.",
    ),
}
"""Status → words and the detail of an example."""


def refusal(status: str) -> dict[str, Any]:
    """The answer for a status of `REFUSALS`."""
    return refused(status, *REFUSALS[status])


def refused(status: str, words: str, detail: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The answer for a status that a path has words of its own for."""
    code = "server" if status >= "500" else "" if status in ("405", "406") else "client"
    title = detail.partition(".")[0] or "Method Not Allowed"
    item = {"request_id": "", "code": code, "status": int(status), "title": title, "detail": detail, "links": []}
    forms = ["ErrorBody"] if status != "406" else ["ErrorBody", "UnsupportedVersion"]
    references = [{"$ref": f"#/components/schemas/{name}"} for name in forms]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    content = {"application/json": {"schema": schema, "example": {"errors": [item]}}}
    return {"description": words, "content": content} | ({"headers": dict(headers)} if headers else {})


def stranger() -> dict[str, Any]:
    """The answer to who has no token: keystonemiddleware's body."""
    example = {"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires …"}}
    schema = {"$ref": "#/components/schemas/StrangerBody"}
    return {
        "description": "The token is missing, unknown or expired, or may not be used for this path.",
        "content": {"application/json": {"schema": schema, "example": example}},
    }
