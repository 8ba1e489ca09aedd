"""Who may do what in a Kubernetes bay: administrators everything, the scaler what its ClusterRole says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cloudsim.coe.kubernetes.kinds import Version
from cloudsim.coe.kubernetes.replies import Refused
from cloudsim.coe.wire import Caller


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants, as a rule is about it."""

    verb: str
    resource: str = ""
    """With its subresource: `pods/eviction`."""
    group: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    """For what is no resource."""


ADMINISTRATORS: Final = frozenset({"system:masters", "admin"})
"""Groups that may do everything: Kubernetes' own, and the one of our administrators' certificates before RBAC."""
SCALER: Final = "jeroboam:scaler"
RULES: Final[tuple[tuple[str, frozenset[str], frozenset[str]], ...]] = (
    ("", frozenset({"nodes"}), frozenset({"get", "list", "watch", "patch", "delete"})),
    ("", frozenset({"pods"}), frozenset({"get", "list", "watch", "delete"})),
    ("", frozenset({"pods/eviction"}), frozenset({"create"})),
    ("apps", frozenset({"daemonsets", "replicasets", "statefulsets"}), frozenset({"get", "list"})),
    ("policy", frozenset({"poddisruptionbudgets"}), frozenset({"get", "list"})),
)
"""Group, resources and verbs of the scaler's ClusterRole; a test compares them with the manifest."""
PATHS: Final = ("/healthz", "/livez", "/readyz", "/readyz/*", "/version")
"""What is no resource, and may be read."""
DISCOVERY: Final = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/version")
"""What is no resource, and Kubernetes' own role system:discovery lets everybody read who has a certificate."""
_FIRST_RBAC: Final = (1, 6)


def allow(caller: Caller, asked: Asked, release: Version) -> None:
    """Do nothing, or refuse. Releases before RBAC let everybody do everything who has a certificate.

    Raises:
        Refused: 401 for callers without a certificate, 403 for what the caller may not.
    """
    if not caller.name:
        raise Refused(401, "Unauthorized", "Unauthorized")
    if release < _FIRST_RBAC or ADMINISTRATORS & set(caller.groups):
        return
    if _reads(asked, DISCOVERY) or (SCALER in caller.groups and _may(asked)):
        return
    raise _forbidden(caller, asked)


def _may(asked: Asked) -> bool:
    if asked.path:
        return _reads(asked, PATHS)
    return any(
        (asked.group, True, True) == (group, asked.resource in resources, asked.verb in verbs)
        for group, resources, verbs in RULES
    )


def _reads(asked: Asked, paths: tuple[str, ...]) -> bool:
    patterns = (re.escape(path).replace(r"\*", ".*") for path in paths)
    return asked.verb == "get" and any(re.fullmatch(pattern, asked.path) for pattern in patterns)


def _forbidden(caller: Caller, asked: Asked) -> Refused:
    if asked.path:
        return Refused(403, "Forbidden", f'forbidden: User "{caller.name}" cannot {asked.verb} path "{asked.path}"', {})
    main = asked.resource.partition("/")[0]
    full = f"{main}.{asked.group}" if asked.group else main
    subject = f'{full} "{asked.name}"' if asked.name else full
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    told = f'{subject} is forbidden: User "{caller.name}" cannot {asked.verb} resource "{asked.resource}"'
    told += f' in API group "{asked.group}" {where}'
    details = {"name": asked.name} if asked.name else {}
    details |= {"group": asked.group} if asked.group else {}
    return Refused(403, "Forbidden", told, details | {"kind": main})
