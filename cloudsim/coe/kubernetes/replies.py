"""Kubernetes' refusals, in its own words: objects of kind Status."""

from __future__ import annotations

from typing import Any

from cloudsim.coe.wire import Reply, as_json

Object = dict[str, Any]
"""A Kubernetes object as it is on the wire."""


class Refused(Exception):
    """A refusal that is answered as a Status."""

    def __init__(self, status: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.details = status, reason, message, details

    def reply(self) -> Reply:
        """As it is answered."""
        body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": self.message, "reason": self.reason}
        body |= {"details": self.details} if self.details is not None else {}
        return as_json(body | {"code": self.status}, self.status)


def success(status: int = 200, details: Object | None = None) -> Reply:
    """It is done, and there is no object to show."""
    body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    body |= {"details": details} if details else {}
    return as_json(body | ({"code": status} if status != 200 else {}), status)


def not_found(resource: str, group: str, name: str) -> Refused:
    """No object of that name."""
    full = f"{resource}.{group}" if group else resource
    details = {"name": name, **({"group": group} if group else {}), "kind": resource}
    return Refused(404, "NotFound", f'{full} "{name}" not found', details)


def exists(resource: str, group: str, name: str) -> Refused:
    """The name is taken."""
    full = f"{resource}.{group}" if group else resource
    details = {"name": name, **({"group": group} if group else {}), "kind": resource}
    return Refused(409, "AlreadyExists", f'{full} "{name}" already exists', details)


def conflict(resource: str, name: str) -> Refused:
    """Somebody else has changed it since it was read."""
    told = f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified; '
    told += "please apply your changes to the latest version and try again"
    return Refused(409, "Conflict", told, {"name": name, "kind": resource})


def bad_request(message: str) -> Refused:
    """What was sent is none."""
    return Refused(400, "BadRequest", message)
