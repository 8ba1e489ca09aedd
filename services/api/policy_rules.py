"""The rules of the policy and their defaults, under Magnum's names (contract §1.21, the column "17+").

Written in oslo.policy's language. Differences from Magnum's defaults, all of them on purpose:

- `manager` and `_member_` write like `member`, and whoever writes may read: clouds whose Keystone does not imply
  `reader` from `member` need no policy file.
- A rule of `bay` or `baymodel` refers to the rule of `cluster` or `clustertemplate` of the same name: it is the same
  row, so a file that restricts the one must not leave the other open.
- There are no trustees here: `cluster_user` matches nobody and `deny_cluster_user` everybody, but both can be named.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_WRITES: Final = "(role:member or role:_member_ or role:manager)"
_READS: Final = "(role:reader or role:member or role:_member_ or role:manager)"

BASE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "context_is_admin": "role:admin",
        "admin_api": "rule:context_is_admin",
        "admin_or_owner": "is_admin:True or project_id:%(project_id)s",
        "admin_or_user": "is_admin:True or user_id:%(user_id)s",
        "is_user": "user_id:%(user_id)s",
        "cluster_user": "user_id:%(trustee_user_id)s",
        "deny_cluster_user": "not domain_id:%(trustee_domain_id)s",
        "project_member": f"{_WRITES} and project_id:%(project_id)s",
        "project_reader": f"{_READS} and project_id:%(project_id)s",
        "admin_or_project_reader": "rule:context_is_admin or rule:project_reader",
        "admin_or_project_member": "rule:context_is_admin or rule:project_member",
        "admin_or_project_member_user": "rule:context_is_admin or (rule:project_member and rule:is_user)",
        "admin_or_project_reader_user": "rule:context_is_admin or (rule:project_reader and rule:is_user)",
        "admin_or_project_member_user_or_cluster_user": (
            "rule:context_is_admin or (rule:project_member and (rule:is_user or rule:cluster_user))"
        ),
        "admin_or_project_reader_user_or_cluster_user": (
            "rule:context_is_admin or (rule:project_reader and (rule:is_user or rule:cluster_user))"
        ),
        "project_member_deny_cluster_user": "rule:project_member and rule:deny_cluster_user",
        "project_reader_deny_cluster_user": "rule:project_reader and rule:deny_cluster_user",
        "admin_or_project_member_deny_cluster_user": "rule:admin_or_project_member and rule:deny_cluster_user",
        "admin_or_project_reader_deny_cluster_user": "rule:admin_or_project_reader and rule:deny_cluster_user",
    }
)
"""What the rules of actions are made of."""

_ADMIN: Final = "rule:context_is_admin"
_MEMBER: Final = "rule:admin_or_project_member"
_READER: Final = "rule:admin_or_project_reader"
_MEMBER_NO_NODE: Final = "rule:admin_or_project_member_deny_cluster_user"
_READER_NO_NODE: Final = "rule:admin_or_project_reader_deny_cluster_user"
_MAKER_OR_NODE: Final = "rule:admin_or_project_member_user_or_cluster_user"

ALL_PROJECTS: Final = "_all_projects"
"""How the rules end that widen a caller's view to the whole cloud."""

_WIDE: Final = {f"{action}{ALL_PROJECTS}": _ADMIN for action in ("get_one", "get_all", "detail", "update", "delete")}
_SEEN: Final = dict.fromkeys(("get", "get_all", "detail"), _READER_NO_NODE)

_CLUSTER: Final = {
    "create": _MEMBER_NO_NODE,
    **_SEEN,
    "update": _MEMBER_NO_NODE,
    "delete": _MEMBER_NO_NODE,
    "delete_force": _ADMIN,
    "resize": _MEMBER_NO_NODE,
    "upgrade": _MEMBER_NO_NODE,
    "update_health_status": _MAKER_OR_NODE,
    "dry_run": _READER_NO_NODE,
    **_WIDE,
}
_TEMPLATE: Final = {
    "create": _MEMBER_NO_NODE,
    **_SEEN,
    "update": _MEMBER,
    "delete": _MEMBER,
    "publish": _ADMIN,
    **_WIDE,
}
_WRITTEN: Final = ("create", "update", "delete")

_ACTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "cluster": _CLUSTER,
    "clustertemplate": _TEMPLATE,
    "bay": {action: f"rule:cluster:{action}" for action in _CLUSTER},
    "baymodel": {action: f"rule:clustertemplate:{action}" for action in _TEMPLATE},
    "nodegroup": {**dict.fromkeys(("get", "get_all"), _READER), **dict.fromkeys(_WRITTEN, _MEMBER)},
    "scaling_policy": {"get": _READER, "update": _MEMBER, "delete": _MEMBER},
    "scaling_decision": {"get_all": _READER},
    "certificate": {
        "create": _MAKER_OR_NODE,
        "create_reader": _MAKER_OR_NODE,
        "get": "rule:admin_or_project_reader_user_or_cluster_user",
        "rotate_ca": _MEMBER,
    },
    "credential": {"rotate": "rule:project_member_deny_cluster_user"},
    "quota": {"get": _READER, "get_all": _ADMIN, **dict.fromkeys(_WRITTEN, _ADMIN)},
    "stats": {"get_all": _READER},
    "magnum-service": {"get_all": _ADMIN},
    "dead_letter": dict.fromkeys(("get", "get_all", "resend", "delete"), _ADMIN),
    "operation": {"get_all": _ADMIN},
    "federation": {**_SEEN, **dict.fromkeys(_WRITTEN, _MEMBER_NO_NODE)},
}

DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **BASE,
        **{f"{resource}:{action}": rule for resource, rules in _ACTIONS.items() for action, rule in rules.items()},
    }
)
"""Every rule there is, with its default."""
