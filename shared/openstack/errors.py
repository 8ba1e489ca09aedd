"""What goes wrong with the cloud, told in the cloud's own words, always as one `CloudError`.

    CloudError
    ├── CircuitOpen     the call never left us: the service failed too often in a row; no attempt is spent
    ├── Rubbish         an answer that is not what the API promises; what it did is unknown, so look before acting
    └── RoleMissing     our service user has no role in the project; names the command that grants it

The sorting (architecture, Retries): no answer, 408, 409, 429, 5xx and rubbish may be tried again; other 4xx may not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from shared.domain.errors import CloudError

_RETRYABLE = frozenset({408, 409, 425, 429})
_LONGEST = 600
_TITLES = {
    "key-manager": "Barbican",
    "load-balancer": "Octavia",
    "identity": "Keystone",
    "orchestration": "Heat",
    "compute": "Nova",
    "network": "Neutron",
    "image": "Glance",
    "volumev3": "Cinder",
}


class CircuitOpen(CloudError):
    """Calls to this service are held back after many failures in a row; `retry_after` says when a probe is due."""

    def __init__(self, service: str, retry_after: float) -> None:
        super().__init__(
            f"{title(service)} failed many times in a row; calls are held back until it answers again.",
            service=service,
            retryable=True,
            retry_after=max(retry_after, 0.1),
            counts=False,
        )


class Rubbish(CloudError):
    """An answer whose body is not what the API promises. Nothing of the body is quoted: it may be anything."""

    def __init__(self, service: str, what: str, *, status: int | None = None, resource: str | None = None) -> None:
        super().__init__(
            f"{title(service)} gave an answer that makes no sense: {what}.",
            service=service,
            status=status,
            retryable=True,
            resource=resource,
        )


class RoleMissing(CloudError):
    """Our service user cannot act in this project until the operator grants a role."""

    def __init__(self, *, project_id: str, user: str, user_domain: str, role: str, status: int) -> None:
        grant = f"openstack role add --user {user} --user-domain {user_domain}"
        # One sentence: Magnum's clients show an error up to the first full stop, and the command is what helps.
        super().__init__(
            f"The service user {user} has no role in project {project_id} (or that is gone or disabled); the operator "
            f"grants it with: {grant} --project {project_id} {role} (or for every project of a domain: {grant} "
            f"--domain DOMAIN --inherited {role}).",
            service="identity",
            status=status,
            retryable=False,
            resource=f"project {project_id}",
        )


def title(service: str) -> str:
    """The name that people know a service by ("Heat" for "orchestration")."""
    return _TITLES.get(service, service)


def no_answer(service: str, why: str, *, resource: str | None = None) -> CloudError:
    """The service did not answer. Whether the call took effect is unknown: look before acting again."""
    return CloudError(f"{title(service)} did not answer: {why}.", service=service, retryable=True, resource=resource)


def refused(
    service: str, status: int, headers: Mapping[str, str], body: bytes, *, resource: str | None = None, hide: str = ""
) -> CloudError:
    """The error for an answer with a bad status; `hide` (our token) is blotted out, should the cloud have echoed it."""
    said = words(body) or "no reason given"
    if hide:
        said = said.replace(hide, "***")
    wait = retry_after(headers.get("Retry-After"))
    return CloudError(
        f"{title(service)} answered {status}: {said}",
        service=service,
        status=status,
        # 413 is Cinder's for too many requests and for a used-up quota, which says "Retry-After: 0".
        retryable=retryable(status) or (status == 413 and bool(wait)),
        resource=resource,
        retry_after=wait,
    )


def retryable(status: int) -> bool:
    """Whether the same call may go through later."""
    return status in _RETRYABLE or status >= 500


def retry_after(value: str | None) -> float | None:
    """`Retry-After` in seconds from now: a number or an HTTP date; None when absent or unreadable."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def words(body: bytes) -> str:
    """The sentence for people inside an error body of any OpenStack service; "" when there is none.

    The shapes: Heat and Keystone `{"error": {"message"}}`, Neutron `{"NeutronError": {"message"}}`, Nova and Cinder
    `{"itemNotFound": {"message"}}`, newer services `{"errors": [{"detail"}]}`, Barbican `{"title", "description"}`,
    Glance `{"message"}` or a web page.
    """
    try:
        found = _search(orjson.loads(body))
    except orjson.JSONDecodeError:
        found = _page_text(body)
    return " ".join((found or "").split())[:_LONGEST]


def _search(data: object) -> str | None:
    if isinstance(data, str):
        return data
    if isinstance(data, list):
        return next(filter(None, map(_search, data)), None)
    if not isinstance(data, dict):
        return None
    for key in ("message", "detail", "explanation", "faultstring", "description", "title"):
        value = data.get(key)
        # Heat wraps: the outer "explanation" is a formula, the inner error.message says what is wrong.
        if isinstance(value, str) and value and not isinstance(data.get("error"), dict):
            return value
    return next(filter(None, (_search(value) for value in data.values() if isinstance(value, dict | list))), None)


def _page_text(body: bytes) -> str:
    page = body[:20_000].decode(errors="replace")
    page = re.sub(r"(?is)<(head|script|style)\b.*?</\1>", " ", page)
    return re.sub(r"<[^>]{0,500}>", " ", page)
