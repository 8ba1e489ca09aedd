"""Which objects a selector means: labels in both notations, and fields."""

from __future__ import annotations

import re
from typing import Any

from cloudsim.coe.kubernetes.replies import Object, bad_request

_TERM = re.compile(r"""\s*(?P<not>!)?(?P<key>[\w./-]+)\s*(?P<rest>(==|=|!=)\s*[\w./:-]*|(not)?in\s*\([^)]*\))?\s*""")
_SPLIT = re.compile(r",(?![^(]*\))")


def chosen(selector: Object | None, labels: dict[str, str]) -> bool:
    """By an object with matchLabels and matchExpressions; no selector chooses nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expressed(each, labels) for each in selector.get("matchExpressions") or ())


def _expressed(each: Object, labels: dict[str, str]) -> bool:
    value, values = labels.get(each["key"]), each.get("values") or ()
    match each["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


def labelled(selector: str, labels: dict[str, str]) -> bool:
    """By the text of `labelSelector`.

    Raises:
        Refused: 400, it is none.
    """
    return all(_term(term, labels) for term in _SPLIT.split(selector) if term.strip())


def _term(term: str, labels: dict[str, str]) -> bool:
    found = _TERM.fullmatch(term)
    if found is None:
        raise bad_request(f"unable to parse requirement: {term}")
    key, rest = found["key"], (found["rest"] or "").strip()
    if not rest:
        return (key in labels) != bool(found["not"])
    if "(" in rest:
        inside = {one.strip() for one in rest[rest.index("(") + 1 : -1].split(",")}
        return (labels.get(key) in inside) != rest.startswith("not")
    if rest.startswith("!="):
        return labels.get(key) != rest[2:].strip()
    return labels.get(key) == rest.lstrip("=").strip()


_FIELDS = {
    "nodes": {"metadata.name", "spec.unschedulable"},
    "pods": {"metadata.name", "metadata.namespace", "spec.nodeName", "status.phase", "spec.restartPolicy"},
}


def by_fields(selector: str, resource: str, found: Object) -> bool:
    """By the text of `fieldSelector`.

    Raises:
        Refused: 400, such a field cannot be asked for.
    """
    for term in filter(None, selector.split(",")):
        name, differs, value = re.split(r"(!=|==|=)", term, maxsplit=1) if "=" in term else (term, "", "")
        if name not in _FIELDS.get(resource, {"metadata.name", "metadata.namespace"}):
            raise bad_request(f"field label not supported: {name}")
        if (_field(found, name) == value) == (differs == "!="):
            return False
    return True


def _field(found: Object, path: str) -> str:
    value: Any = found
    for part in path.split("."):
        value = (value or {}).get(part)
    return str(value).lower() if isinstance(value, bool) else str(value or "")
