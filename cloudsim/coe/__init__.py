"""Bays' own API endpoints: Kubernetes, Docker, Mesos and Marathon as they are on the wire, with state.

No container runs. What a client sees (nodes, work, room, refusals) follows from what was asked before.
"""

from cloudsim.coe.endpoints import CoeEndpoints, Endpoint
from cloudsim.coe.tls import Identity

__all__ = ["CoeEndpoints", "Endpoint", "Identity"]
