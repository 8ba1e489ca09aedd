"""Who may do what: oslo.policy over Magnum's rules (`policy_rules`) and an operator's file (`policy_file`).

A decision follows from the rule, the caller's user, project, domains and roles, and the row's project and user alone,
so it is kept: asking oslo.policy anew costs a third of a millisecond, since it inspects the signature of every check
each time. The file is looked at on each call (one `stat`, as oslo.policy does) and read again when it is another.
Projects are separated in the queries (`Policy.scope`), so what is not seen is not found either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import structlog
from oslo_config import cfg
from oslo_policy import policy as oslo

from services.api import policy_file
from services.api.policy_file import BrokenPolicy
from services.api.policy_rules import ALL_PROJECTS, DEFAULTS
from shared.domain.errors import Forbidden
from shared.openstack.validate import Caller

_log = structlog.get_logger(__name__)

_KEPT: Final = 10_000
"""Decisions that are kept at most; all are let go then, which costs less than to know the oldest."""


class _Version(NamedTuple):
    """What tells one state of a file from the next."""

    changed_ns: int
    size: int
    inode: int


class _Question(NamedTuple):
    """All that a decision depends on."""

    rule: str
    roles: frozenset[str]
    caller_user: str
    caller_project: str
    user_domain: str
    project_domain: str
    project_id: str
    user_id: str


class Policy:
    """The policy of a process.

    Args:
        path: the operator's file; None = the defaults.

    Raises:
        BrokenPolicy: the file cannot be used; the process must not start. A file that breaks later is logged, and the
            rules stay as they were.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._decisions: dict[_Question, bool] = {}
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[], use_env=False)  # no sys.argv, no files of its own
        self._enforcer = oslo.Enforcer(conf, use_conf=False)
        self._version = self._look()
        self._load()

    def enforce(self, caller: Caller, rule: str, *, project_id: str | None = None, user_id: str | None = None) -> None:
        """Let the caller pass or not. `project_id` and `user_id` are the row's; absent: the caller's own.

        Raises:
            Forbidden: with the rule's name, as Magnum says it.
            KeyError: there is no such rule.
        """
        if not self.allows(caller, rule, project_id=project_id, user_id=user_id):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")

    def allows(self, caller: Caller, rule: str, *, project_id: str | None = None, user_id: str | None = None) -> bool:
        """Whether the caller may do it. Raises KeyError when there is no such rule."""
        self._refresh()
        question = _Question(
            rule,
            caller.roles,
            caller.user_id,
            caller.project_id,
            caller.user_domain_id,
            caller.project_domain_id,
            caller.project_id if project_id is None else project_id,
            caller.user_id if user_id is None else user_id,
        )
        decision = self._decisions.get(question)
        if decision is None:
            decision = self._decide(question)
            if len(self._decisions) >= _KEPT:
                self._decisions.clear()
            self._decisions[question] = decision
        return decision

    def scope(self, caller: Caller, rule: str) -> str | None:
        """The project whose rows the caller reaches; None = every project's.

        Raises:
            ValueError: the rule is none that widens a view ("…_all_projects").
        """
        if not rule.endswith(ALL_PROJECTS):
            raise ValueError(f"{rule} does not say who reaches all projects")
        return None if self.allows(caller, rule) else caller.project_id

    def _decide(self, question: _Question) -> bool:
        if question.rule not in DEFAULTS:
            raise KeyError(question.rule)
        target = {
            "project_id": question.project_id,
            "user_id": question.user_id,
            "trustee_user_id": "",  # there are no trustees here
            "trustee_domain_id": "",
        }
        credentials = {
            "user_id": question.caller_user,
            "project_id": question.caller_project,
            "tenant_id": question.caller_project,
            "roles": sorted(question.roles),
            "is_admin": "admin" in question.roles,
            "domain_id": question.user_domain,
            "user_domain_id": question.user_domain,
            "project_domain_id": question.project_domain,
        }
        return bool(self._enforcer.enforce(question.rule, target, credentials))

    def _refresh(self) -> None:
        """Read the file again if it is another one than before; once for each version, however broken it is."""
        if self._path is None or (version := self._look()) == self._version:
            return
        self._version = version
        try:
            self._load()
        except BrokenPolicy as error:
            _log.error("the policy stays as it was", reason=str(error))
        else:
            _log.info("policy read again", file=str(self._path))

    def _load(self) -> None:
        self._enforcer.set_rules(policy_file.read(self._path), use_conf=False)
        self._decisions.clear()

    def _look(self) -> _Version | None:
        """The file's version, taken before it is read, so that a write meanwhile makes another. None: it is gone."""
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return _Version(found.st_mtime_ns, found.st_size, found.st_ino)
