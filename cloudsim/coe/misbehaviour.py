"""What a bay's API does wrong on demand."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from cloudsim.coe.wire import Answer, Drop, Hang, Reply, Request, as_text

Kind = Literal["hang", "drop", "status", "rubbish", "slow", "certificate", "lie"]
KINDS: tuple[str, ...] = get_args(Kind)
_ids = itertools.count(1)


@dataclass(slots=True)
class Misbehaviour:
    """One rule, for requests whose method and path fit.

    `hang`: no answer. `drop`: the connection is cut. `status`: an error of that `status`, nothing done. `rubbish`: 200
    and no JSON. `slow`: done, and answered `seconds` later. `certificate`: every new connection gets a certificate
    that nobody trusts. `lie`: every node is said to be well.
    """

    kind: Kind
    path: str = ""
    """A regular expression, found anywhere in the path."""
    method: str = ""
    count: int = 0
    """How many requests it strikes; 0: all of them."""
    status: int = 503
    message: str = "the server is currently unable to handle the request"
    seconds: float = 5.0
    struck: int = 0
    id: int = field(default_factory=lambda: next(_ids))

    def __post_init__(self) -> None:
        """Refuse what cannot be played.

        Raises:
            ValueError: for people.
        """
        if self.kind not in KINDS:
            raise ValueError(f"misbehaviour {self.kind!r} is none of {', '.join(KINDS)}")
        re.compile(self.path)

    def strikes(self, request: Request) -> bool:
        """Whether this request is struck; it is counted when it is."""
        if self.method not in ("", request.method) or (0 < self.count <= self.struck):
            return False
        if not re.search(self.path, request.path):
            return False
        self.struck += 1
        return True


class Misbehaviours:
    """A bay's rules, in the order in which they came."""

    def __init__(self) -> None:
        self.rules: list[Misbehaviour] = []

    def add(self, rule: Misbehaviour) -> Misbehaviour:
        """From the next request on."""
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Behave again."""
        self.rules.clear()

    @property
    def lies(self) -> bool:
        """Whether every node is said to be well."""
        return any(rule.kind == "lie" for rule in self.rules)

    @property
    def wrong_certificate(self) -> bool:
        """Whether new connections get a stranger's certificate."""
        return any(rule.kind == "certificate" for rule in self.rules)

    def instead(self, request: Request) -> Answer | None:
        """The answer in place of the real one; None: there is none."""
        for rule in self.rules:
            if rule.kind in ("slow", "certificate", "lie") or not rule.strikes(request):
                continue
            match rule.kind:
                case "hang":
                    return Hang()
                case "drop":
                    return Drop()
                case "rubbish":
                    return Reply(200, b'{"half": ')
                case _:
                    return as_text(rule.message, rule.status)
        return None

    def delay(self, request: Request) -> float:
        """How many seconds the answer is late."""
        return sum(rule.seconds for rule in self.rules if rule.kind == "slow" and rule.strikes(request))
