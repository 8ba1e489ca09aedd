"""What is there: identifiers of real rows, so that cases meet more than 404, and values that the cloud knows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import Final

BAYS: Final = "bays"
MODELS: Final = "models"
GROUPS: Final = "nodegroups"
DEFAULT_GROUPS: Final = ("default-worker", "default-master")
"""Every cluster has these, so a known cluster and one of them belong together."""
PROJECTS: Final = "projects"
FEDERATIONS: Final = "federations"

_COLLECTION: Final = {
    **dict.fromkeys(("bays", "clusters", "certificates", "credentials"), BAYS),
    **dict.fromkeys(("baymodels", "clustertemplates"), MODELS),
    "nodegroups": GROUPS,
    "quotas": PROJECTS,
    "federations": FEDERATIONS,
}
"""What stands in a path after this word."""

REFERENCE: Final = {
    **dict.fromkeys(("baymodel_id", "cluster_template_id", "cluster_template"), MODELS),
    **dict.fromkeys(("bay_uuid", "cluster_uuid", "hostcluster_id"), BAYS),
    "nodegroup": GROUPS,
    "project_id": PROJECTS,
}
"""Attributes that name something of ours."""

_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass
class Known:
    """Identifiers seen in answers, newest last; a few are enough."""

    found: dict[str, list[str]] = field(
        default_factory=lambda: {
            BAYS: [],
            MODELS: [],
            GROUPS: [*DEFAULT_GROUPS],
            PROJECTS: [],
            FEDERATIONS: [],
        }
    )
    most: int = 24

    def learn(self, path: str, answer: object) -> None:
        """Note what an accepted request on this path (the document's, with braces) has made or shown."""
        if not isinstance(answer, dict):
            return
        words = [word for word in path.split("/") if word and not word.startswith("{")]
        kind = next((_COLLECTION[word] for word in reversed(words) if word in _COLLECTION), None)
        if kind is None or "certificates" in words or "quotas" in words:
            return
        for item in (answer, *(one for many in answer.values() if isinstance(many, list) for one in many)):
            if isinstance(item, dict):
                self._add(kind, item.get("uuid"), item.get("name"))

    def _add(self, kind: str, *identifiers: object) -> None:
        shelf = self.found[kind]
        shelf += [one for one in identifiers if isinstance(one, str) and one and one not in shelf]
        del shelf[: -self.most]

    def forget(self, identifier: str) -> None:
        """It has been deleted."""
        for shelf in self.found.values():
            if identifier in shelf:
                shelf.remove(identifier)

    def pick(self, luck: Random, kind: str) -> str | None:
        """One of them; None if none is known."""
        shelf = DEFAULT_GROUPS if kind == GROUPS and luck.random() < 0.7 else self.found[kind]
        return luck.choice(shelf) if shelf else None


def in_path(path: str) -> dict[str, str | None]:
    """Each path parameter and what it names; None = the kind of quota, whose only one is Cluster."""
    named: dict[str, str | None] = {}
    before = ""
    for part in path.split("/"):
        if match := _PARAMETER.fullmatch(part):
            named[match[1]] = _COLLECTION.get(before)
        before = part
    return named
