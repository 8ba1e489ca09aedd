"""Access rules of application credentials: which method and path of which service a token may be used for.

Patterns, as Keystone documents them: `{name}` and `*` stand for one path segment, `**` for any rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from shared.openstack.answers import Doc

_PIECE = re.compile(r"\{[^}]*\}|\*\*|\*|[^{*]+|\{")


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One rule: this method on paths of this pattern of this service."""

    service: str
    method: str
    path: str

    @classmethod
    def read(cls, app_cred: Doc) -> tuple[AccessRule, ...] | None:
        """The rules of a token's application credential; None: it has none and is not restricted by any."""
        if app_cred.data.get("access_rules") is None:
            return None
        return tuple(
            cls(rule.text("service"), rule.text("method"), rule.text("path")) for rule in app_cred.docs("access_rules")
        )

    def matches(self, path: str) -> bool:
        """Whether the pattern covers this path."""
        return re.fullmatch("".join(_translated(piece) for piece in _PIECE.findall(self.path)), path) is not None


def allowed(rules: Iterable[AccessRule], service: str, method: str, path: str) -> bool:
    """Whether any rule allows the request."""
    return any(rule.service == service and rule.method == method and rule.matches(path) for rule in rules)


def _translated(piece: str) -> str:
    if piece == "**":
        return ".*"
    if piece == "*" or (piece.startswith("{") and piece.endswith("}")):
        return "[^/]+"
    return re.escape(piece)
