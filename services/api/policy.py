"""Who may do what: Magnum's own defaults (contract §1.21), under Magnum's names.

A member of the project writes, a reader reads, an administrator does both everywhere. Certificates belong to the user
who made the bay. Projects are separated in the queries (`scope`), so what is not seen is not found either.
"""

from __future__ import annotations

from typing import Final

from shared.domain.errors import Forbidden
from shared.openstack.validate import Caller

_WRITERS: Final = frozenset({"admin", "manager", "member", "_member_"})
_READERS: Final = _WRITERS | {"reader"}

READ_RULES: Final = frozenset(
    f"{resource}:{action}" for resource in ("bay", "baymodel", "certificate") for action in ("get", "get_all", "detail")
)


def enforce(caller: Caller, rule: str, *, owner: str | None = None) -> None:
    """Let the caller pass or not; `owner` is the user who must be the caller, where the rule asks for one.

    Raises:
        Forbidden: with the rule's name, as Magnum says it.
    """
    if caller.is_admin:
        return
    roles = _READERS if rule in READ_RULES else _WRITERS
    if not (roles & caller.roles) or (owner is not None and owner != caller.user_id):
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.")


def scope(caller: Caller) -> str | None:
    """The project whose rows the caller sees; None = all."""
    return None if caller.is_admin else caller.project_id
