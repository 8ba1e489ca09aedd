"""Misbehaviour on demand: resources that fail or are slow, nodes that never signal. Set over `/control/heat`.

A rule matches by shell patterns on type, name and the path of names from the root stack (`kube_minions/1/server`); the
first that matches counts, `times` times (for ever when not given).
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

Effect = Literal["fail", "slow", "never_signal", "fail_signal", "wrong_member"]
"""`wrong_member` is a group's: its update takes no notice of who is named to leave, and ends the highest index."""


class Rule(BaseModel):
    """One piece of misbehaviour. `seconds` are simulated, for `slow`: how much longer it takes."""

    model_config = ConfigDict(extra="forbid")

    effect: Effect
    type: str = "*"
    name: str = "*"
    path: str = "*"
    stack: str = "*"
    action: Literal["CREATE", "UPDATE", "DELETE", "*"] = "CREATE"
    reason: str = 'Went to status ERROR due to "Message: No valid host was found. , Code: 500"'
    error_type: str = "ResourceInError"
    seconds: float = Field(default=10.0, ge=0)
    times: int | None = Field(default=None, ge=1)

    def matches(self, type_name: str, path: str, stack: str, action: str) -> bool:
        """Whether it is about this resource and action."""
        name = path.rsplit("/", 1)[-1]
        return (
            self.action in {"*", action}
            and fnmatchcase(type_name, self.type)
            and fnmatchcase(name, self.name)
            and fnmatchcase(path, self.path)
            and fnmatchcase(stack, self.stack)
        )


class Behaviours:
    """The rules in force."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def clear(self) -> None:
        """Everything behaves."""
        self.rules.clear()

    def take(self, effects: tuple[Effect, ...], type_name: str, path: str, stack: str, action: str) -> Rule | None:
        """The first rule with one of these effects that matches; one use of it is spent."""
        for rule in self.rules:
            if rule.effect in effects and rule.matches(type_name, path, stack, action):
                self._spend(rule)
                return rule
        return None

    def _spend(self, rule: Rule) -> None:
        if rule.times is not None:
            rule.times -= 1
            if not rule.times:
                self.rules = [other for other in self.rules if other is not rule]

    def documents(self) -> Iterator[dict[str, Any]]:
        """The rules as JSON."""
        return (rule.model_dump() for rule in self.rules)


control_router = APIRouter()


def _behaviours(request: Request) -> Behaviours:
    from cloudsim.heat.engine import engine_of  # noqa: PLC0415  (the engine reads behaviours)

    return engine_of(request.app.state.world).behaviours


@control_router.get("/behaviours")
async def list_behaviours(request: Request) -> dict[str, Any]:
    """The rules in force."""
    return {"behaviours": list(_behaviours(request).documents())}


@control_router.post("/behaviours", status_code=201)
async def add_behaviour(rule: Rule, request: Request) -> dict[str, Any]:
    """Add a rule after those that are there."""
    _behaviours(request).rules.append(rule)
    return rule.model_dump()


@control_router.delete("/behaviours", status_code=204)
async def clear_behaviours(request: Request) -> None:
    """Drop all rules."""
    _behaviours(request).clear()


@control_router.post("/engine/kill", status_code=204)
async def kill_engine(request: Request) -> None:
    """The engine dies."""
    from cloudsim.heat.engine import engine_of  # noqa: PLC0415

    engine_of(request.app.state.world).die()


@control_router.post("/engine/start", status_code=204)
async def start_engine(request: Request) -> None:
    """Another engine starts."""
    from cloudsim.heat.engine import engine_of  # noqa: PLC0415

    engine_of(request.app.state.world).live()


@control_router.get("/stacks")
async def list_stacks(request: Request) -> dict[str, Any]:
    """Every living stack of every project: id, name, project, parent, status, number of resources."""
    from cloudsim.heat.engine import engine_of  # noqa: PLC0415

    return {"stacks": engine_of(request.app.state.world).summary()}
