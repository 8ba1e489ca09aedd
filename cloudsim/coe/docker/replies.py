"""Docker's answers and refusals, in its own words."""

from __future__ import annotations

import json
from typing import Any

from cloudsim.coe.wire import Reply, Request, as_json

Object = dict[str, Any]
"""One of docker's objects as it is on the wire."""
Api = tuple[int, int]
_NAMED_CODES: Api = (1, 30)
"""Since then refusals of the swarm have their codes by name, and an HTTP status of their own."""


class Refused(Exception):
    """A refusal with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def reply(self) -> Reply:
        """As it is answered."""
        return as_json({"message": self.message}, self.status)


def refused(api: Api, status: int, code: tuple[str, int], message: str) -> Refused:
    """A refusal that comes from the swarm; `code` by name and by number."""
    if api >= _NAMED_CODES:
        return Refused(status, f"rpc error: code = {code[0]} desc = {message}")
    return Refused(500, f"rpc error: code = {code[1]} desc = {message}")


def out_of_sequence(api: Api) -> Refused:
    """It was changed since the version that the caller knows."""
    return refused(api, 500, ("Unknown", 2), "update out of sequence")


def read(request: Request) -> Object:
    """The body.

    Raises:
        Refused: 400, it is no JSON object.
    """
    try:
        body = request.json()
    except ValueError as error:
        raise Refused(400, f"invalid JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused(400, "invalid JSON: got no object")
    return body


def filters(request: Request, allowed: frozenset[str]) -> dict[str, list[str]]:
    """The query's filters, in either of the two notations.

    Raises:
        Refused: 400, they are none, or one of them is unknown.
    """
    try:
        told = json.loads(request.query.get("filters") or "{}")
        found = {key: [*value] for key, value in told.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise Refused(400, "invalid filter") from error
    for key in found:
        if key not in allowed:
            raise Refused(400, f"invalid filter '{key}'")
    return found
