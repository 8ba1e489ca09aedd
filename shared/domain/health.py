"""How a bay is, from how its nodes are; pure. The words and the form of the reason are Magnum's (contract §6.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Health = Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"]

API: Final = "api"
"""The key of the bay's own API in the reason."""
READY: Final = ".Ready"
"""What the key of a node ends with."""
PROBLEM: Final = ".problem"
"""What the key of a node's problem ends with."""
MANY: Final = 100
"""In a bay of more nodes only those are named that are not well, and no more than these."""
_LONGEST: Final = 500
"""Characters of one problem."""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """A node, as far as its health goes."""

    name: str
    role: str
    healthy: bool
    problem: str | None
    """Why it is not, for people."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is told of a bay."""

    status: Health
    reason: Mapping[str, str]


def conclude(nodes: Sequence[NodeHealth]) -> Conclusion:
    """From what is known of the bay's nodes; a node of which nothing is known yet is not among them.

    The API is well while a master is: what a master calls well has its API answering.
    """
    masters = [node for node in nodes if node.role == "master"]
    reason = {API: _api(masters)} | _told(nodes)
    if any(not node.healthy for node in nodes):
        return Conclusion("UNHEALTHY", reason)
    return Conclusion("HEALTHY" if masters else "UNKNOWN", reason)


def inaccessible(name: str) -> Conclusion:
    """Of a bay whose nodes say nothing and whose API cannot be reached; Magnum's sentence."""
    return Conclusion("UNKNOWN", {API: f"The cluster {name} is not accessible."})


def pulled(found: Mapping[str, str]) -> Conclusion:
    """From what the engine's own API says (shared.coe.port.Coe.health)."""
    ready = [value for key, value in found.items() if key.endswith(READY)]
    well = found.get(API) == "ok" and all(value == "True" for value in ready)
    kept = {key: _short(value) for key, value in found.items()}
    if len(ready) > MANY:
        ill = [key.removesuffix(READY) for key, value in found.items() if key.endswith(READY) and value != "True"]
        names = {key for name in ill[:MANY] for key in (name + READY, name + PROBLEM)}
        kept = {key: value for key, value in kept.items() if key == API or key in names}
        kept["nodes"] = f"{len(ready) - len(ill)} of {len(ready)} are ready"
    return Conclusion("HEALTHY" if well else "UNHEALTHY", kept)


def _api(masters: Sequence[NodeHealth]) -> str:
    if not masters:
        return "No master has reported yet."
    return "ok" if any(master.healthy for master in masters) else "No master is well."


def _told(nodes: Sequence[NodeHealth]) -> dict[str, str]:
    named = nodes if len(nodes) <= MANY else [node for node in nodes if not node.healthy][:MANY]
    told: dict[str, str] = {}
    for node in named:
        told[node.name + READY] = str(node.healthy)
        if node.problem and not node.healthy:
            told[node.name + PROBLEM] = _short(node.problem)
    if len(nodes) > MANY:
        told["nodes"] = f"{sum(node.healthy for node in nodes)} of {len(nodes)} are ready"
    return told


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
