"""PATCH in the three notations that Kubernetes takes."""

from __future__ import annotations

from typing import Any, Final

from cloudsim.coe.kubernetes.objects import copied
from cloudsim.coe.kubernetes.replies import Object, Refused, bad_request
from cloudsim.coe.wire import Request

_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_JSON: Final = "application/json-patch+json"
_KEYS: Final = {"containers": "name", "initContainers": "name", "volumes": "name", "conditions": "type"}
"""Lists that a strategic patch merges, and by what; it replaces the others, taints too."""


def patched(old: Object, request: Request) -> Object:
    """What a PATCH makes of an object.

    Raises:
        Refused: 415 for another notation, 400 for what is no patch, 422 for one that does not fit.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip()
    try:
        body = request.json()
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if media == _JSON and isinstance(body, list):
        return _steps(copied(old), body)
    if media in (_MERGE, _STRATEGIC) and isinstance(body, dict):
        merged = _merged(old, body, strategic=media == _STRATEGIC)
        return merged if isinstance(merged, dict) else {}
    if media in (_JSON, _MERGE, _STRATEGIC):
        raise bad_request("error decoding patch: json: cannot unmarshal it into the kind of patch that was said")
    told = "the body of the request was in an unknown format - accepted media types include: "
    raise Refused(415, "UnsupportedMediaType", told + ", ".join((_JSON, _MERGE, _STRATEGIC)))


def _merged(old: Any, patch: Any, *, strategic: bool) -> Any:
    if not isinstance(patch, dict):
        return patch
    found = dict(old) if isinstance(old, dict) else {}
    if strategic and patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif strategic and key in _KEYS and isinstance(value, list):
            found[key] = _merged_list(found.get(key) or [], value, _KEYS[key])
        else:
            found[key] = _merged(found.get(key), value, strategic=strategic)
    return found


def _merged_list(old: list[Object], patch: list[Object], by: str) -> list[Object]:
    found = {one[by]: one for one in old}
    for one in patch:
        if one.get("$patch") == "delete":
            found.pop(one[by], None)
        else:
            found[one[by]] = _merged(found.get(one[by]), one, strategic=True)
    return [*found.values()]


def _steps(found: Object, steps: list[Object]) -> Object:
    for step in steps:
        try:
            _step(found, step)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            told = "the server rejected our request due to an error in our request"
            raise Refused(422, "Invalid", told) from error
    return found


def _step(found: Object, step: Object) -> None:
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:])
    place: Any = found
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    index: Any = last
    if isinstance(place, list):
        index = len(place) if last == "-" else int(last)
    match step["op"]:
        case "add" if isinstance(place, list):
            place.insert(index, step["value"])
        case "add":
            place[index] = step["value"]
        case "replace" if index in place or isinstance(place, list):
            place[index] = step["value"]
        case "remove":
            del place[index]
        case "test":
            if place[index] != step["value"]:
                raise ValueError("the test failed")
        case other:
            raise ValueError(f"cannot {other}")
