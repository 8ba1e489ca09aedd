"""REX-Ray, the volume driver of Swarm and Mesos bays: payload pieces, no driver of its own.

REX-Ray's Cinder client logs in with a name and a password and cannot use an application credential. No password of
anybody may be on a node, so the node has a stand-in for Keystone on its loopback: it takes a password that only this
node knows, logs in at the real Keystone with the bay's restricted application credential, and hands the token on.
"""

from __future__ import annotations

from typing import Final

from shared.drivers.common import sources
from shared.drivers.common.labels import truth
from shared.drivers.contract import BayFacts, Driver, Role

PACKAGE: Final = "shared.drivers.rexray"
LABELS: Final = ("rexray_preempt", "rexray-preempt")


def wanted(facts: BayFacts, role: Role) -> bool:
    """Whether nodes of this role mount volumes for containers."""
    return facts.volume_driver == "rexray" and role == "worker"


def environment(driver: Driver, facts: BayFacts) -> dict[str, str]:
    """What the payload reads."""
    preempt = any(truth(driver.label_rules, facts.labels, name) for name in LABELS)
    return {
        "JB_REXRAY_PREEMPT": "true" if preempt else "false",
        "JB_REXRAY_URL": sources.resolve(facts.node_sources)["rexray_url"],
        "JB_PROJECT_ID": facts.project_id,
    }
