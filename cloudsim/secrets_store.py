"""Barbican v1: secrets of a project. Payloads are bytes here, whatever their content type says.

As the real one answers (Barbican 23): names are not unique, times are whole seconds, a payload is given as bytes, or as
text where it is some, and a secret of another project is 403, not 404. A role that may write is needed for everything.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from cloudsim.auth import Caller, ProjectCaller, world_of
from cloudsim.errors import ApiFault
from cloudsim.http import Body, announcing, answer, base_url, empty
from cloudsim.store import Record

KIND: Final = "secret"
TYPES: Final = ("symmetric", "passphrase", "private", "public", "certificate", "opaque")
_BYTES: Final = "application/octet-stream"
_TEXT: Final = "text/plain"
_UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_CONTENT_TYPE: Final = "payload_content_type"
_LARGEST_REQUEST: Final = 25_000
_DEFAULT_PAGE, _LARGEST_PAGE = 10, 100

router = APIRouter(prefix="/key-manager", route_class=announcing("key-manager 1.0"))


async def _writer(request: Request, caller: ProjectCaller) -> Caller:
    """A caller who may use secrets at all."""
    if not caller.roles & {"member", "admin"}:
        raise _forbidden("Secret creation" if request.method == "POST" else "Secret(s) retrieval")
    return caller


Writer = Annotated[Caller, Depends(_writer)]


@router.get("")
@router.get("/")
async def versions(request: Request) -> Response:
    """Which versions there are; 300 as the real one answers."""
    links = [{"rel": "self", "href": f"{base_url(request)}/key-manager/v1/"}]
    links.append({"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"})
    types = [{"base": "application/json", "type": "application/vnd.openstack.key-manager-v1+json"}]
    version = {"id": "v1", "status": "stable", "links": links, "media-types": types}
    return answer({"versions": {"values": [version]}}, 300)


@router.post("/v1/secrets")
async def create(request: Request, caller: Writer) -> Response:
    """Make a secret, with a payload or without."""
    body = await _read(request)
    kind = body.get(_CONTENT_TYPE)
    if body.get("payload") is not None and not kind:
        raise _schema("If 'payload' is supplied, 'payload_content_type' must also be supplied.", _CONTENT_TYPE)
    if body.get("secret_type", "opaque") not in TYPES:
        raise _schema(f"{body['secret_type']!r} is not one of {list(TYPES)}", "secret_type")
    if body.get("payload_content_encoding") not in (None, "base64"):
        raise _schema(f"{body['payload_content_encoding']!r} is not one of ['base64']", "payload_content_encoding")
    attrs = {
        "name": body.get("name"),
        "secret_type": body.get("secret_type", "opaque"),
        "creator_id": caller.user_id,
        "content_type": kind,
        "payload": _payload(body),
    }
    record = world_of(request).store.create(KIND, caller.project_id, attrs)
    ref = _ref(request, record)
    return answer({"secret_ref": ref}, 201, {"Location": ref})


@router.get("/v1/secrets")
async def secrets(request: Request, caller: Writer) -> Response:
    """The project's secrets, of one name when `name` is given, `limit` of them from `offset` on."""
    params = request.query_params
    found = world_of(request).store.list(KIND, caller.project_id)
    found = [one for one in found if "name" not in params or one.get("name") == params["name"]]
    start, most = int(params.get("offset", "0")), min(int(params.get("limit", _DEFAULT_PAGE)), _LARGEST_PAGE)
    body: Body = {"secrets": [_secret(request, one) for one in found[start : start + most]], "total": len(found)}
    if start + most < len(found):
        rest = {key: value for key, value in params.items() if key not in ("limit", "offset")}
        query = urlencode({"limit": most, "offset": start + most, **rest})
        body["next"] = f"{base_url(request)}/key-manager/v1/secrets?{query}"
    return answer(body)


@router.get("/v1/secrets/{secret_id}")
async def show(request: Request, secret_id: str, caller: Writer) -> Response:
    """A secret without its payload."""
    return answer(_secret(request, _visible(request, secret_id, caller, "Secret retrieval")))


@router.get("/v1/secrets/{secret_id}/payload")
async def payload(request: Request, secret_id: str, caller: Writer) -> Response:
    """What is in a secret."""
    record = _visible(request, secret_id, caller, "Secret payload retrieval")
    if record.get("payload") is None:
        raise ApiFault(404, "Not Found. Sorry but your secret has no payload.")
    held, wanted = record.get("payload"), request.headers.get("accept", "*/*")
    if wanted not in (_BYTES, _TEXT, "*/*") or (wanted == _TEXT and not _is_text(held)):
        raise ApiFault(406, "Secret payload retrieval issue seen - Wrong payload content-type.")
    return Response(held, headers={"Content-Type": wanted})


@router.delete("/v1/secrets/{secret_id}")
async def delete(request: Request, secret_id: str, caller: Writer) -> Response:
    """Delete a secret for good."""
    store = world_of(request).store
    _visible(request, secret_id, caller, "Secret deletion")
    store.delete(KIND, secret_id)
    return empty()


async def _read(request: Request) -> dict[str, Any]:
    try:
        body = json.loads((await request.body())[:_LARGEST_REQUEST])
    except ValueError:
        raise ApiFault(400, "Malformed JSON") from None
    if not isinstance(body, dict):
        raise _schema(f"{body!r} is not of type 'object'", "None")
    return body


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _payload(body: Body) -> bytes | None:
    text = body.get("payload")
    if text is None:
        return None
    return base64.b64decode(text) if body.get("payload_content_encoding") else str(text).encode()


def _schema(why: str, field: str) -> ApiFault:
    return ApiFault(400, f"Provided object does not match schema 'Secret': {why}. Invalid property: '{field}'")


def _forbidden(what: str) -> ApiFault:
    return ApiFault(403, f"{what} attempt not allowed - please review your user/project privileges")


def _visible(request: Request, secret_id: str, caller: Caller, what: str) -> Record:
    record = world_of(request).store.get(KIND, secret_id)
    if record is None:
        known_form = _UUID4.fullmatch(secret_id) is not None
        raise ApiFault(404, "Secret not found." if known_form else "Not Found. Provided secret id is invalid.")
    if record.project_id != caller.project_id:
        raise _forbidden(what)
    return record


def _ref(request: Request, record: Record) -> str:
    return f"{base_url(request)}/key-manager/v1/secrets/{record.id}"


def _secret(request: Request, record: Record) -> Body:
    made = world_of(request).clock.iso(record.created_at).removesuffix("Z")
    body = {name: record.get(name) for name in ("name", "secret_type", "creator_id")}
    body |= dict.fromkeys(("expiration", "algorithm", "bit_length", "mode"))
    if record.get("payload") is not None:
        body["content_types"] = {"default": record.get("content_type")}
    return body | {"created": made, "updated": made, "status": "ACTIVE", "secret_ref": _ref(request, record)}
