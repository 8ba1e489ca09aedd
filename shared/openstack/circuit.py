"""A circuit per cloud service: after 20 failures in a row one call per 5 s goes through as a probe, the rest wait.

A failure is no answer, a 5xx or rubbish; any other answer shows that the service is alive and closes the circuit.
A call that is held back raises `CircuitOpen`, which spends no attempt (architecture, Retries).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.openstack.errors import CircuitOpen
from shared.runtime.telemetry import CIRCUIT_OPEN


class Circuit:
    """Counts failures in a row. `probe_every` is in seconds; `clock` is monotonic."""

    def __init__(
        self,
        service: str,
        *,
        threshold: int = 20,
        probe_every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self._threshold = threshold
        self._probe_every = probe_every
        self._clock = clock
        self._failures = 0
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self._failures >= self._threshold

    def admit(self) -> None:
        """Let a call through.

        Raises:
            CircuitOpen: it is held back.
        """
        if not self.is_open:
            return
        now = self._clock()
        if now < self._next_probe:
            raise CircuitOpen(self.service, self._next_probe - now)
        # This call is the probe. A probe that is cancelled or hangs does not block the next one.
        self._next_probe = now + self._probe_every

    def succeeded(self) -> None:
        """The service answered."""
        if self.is_open:
            CIRCUIT_OPEN.labels(self.service).set(0)
        self._failures = 0

    def failed(self) -> None:
        """The service failed."""
        self._failures += 1
        if self._failures == self._threshold:
            CIRCUIT_OPEN.labels(self.service).set(1)
            self._next_probe = self._clock() + self._probe_every


@dataclass(slots=True)
class Gate:
    """What all calls of this process to one service share: a limit on how many run at once, and the circuit."""

    circuit: Circuit
    slots: asyncio.Semaphore


@dataclass(slots=True)
class Gates:
    """The gate of each service, made at first use."""

    at_once: int = 64
    probe_every: float = 5.0
    _made: dict[str, Gate] = field(default_factory=dict)

    def of(self, service: str) -> Gate:
        """The gate of a service."""
        gate = self._made.get(service)
        if gate is None:
            circuit = Circuit(service, probe_every=self.probe_every)
            gate = self._made[service] = Gate(circuit, asyncio.Semaphore(self.at_once))
        return gate
