"""Octavia v2.0, as our client and Heat's templates use it."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.conversations.network import NOBODY, make
from scripts.record_answers.talk import Talk

V: Final = "/v2.0/lbaas"


def _subnet(talk: Talk) -> str:
    net = make(talk, "networks", "network", {"name": "rec-net"})["id"]
    return str(make(talk, "subnets", "subnet", {"network_id": net, "cidr": "10.77.0.0/24", "ip_version": 4})["id"])


def _balancer(talk: Talk, subnet: str, name: str = "rec-lb") -> str:
    body = {"loadbalancer": {"name": name, "vip_subnet_id": subnet, "description": "of the bay x"}}
    made = str(talk.ask("POST", f"{V}/loadbalancers", body).body["loadbalancer"]["id"])
    talk.remove(f"{V}/loadbalancers/{made}?cascade=true", gone=True)
    return made


def _wait(talk: Talk, balancer: str) -> None:
    talk.ask("GET", f"{V}/loadbalancers/{balancer}", until={"loadbalancer.provisioning_status": "ACTIVE"})


def balancers(talk: Talk) -> None:
    """A load balancer from its making to its end. (What is behind one, Heat makes.)"""
    subnet = _subnet(talk)
    talk.ask("GET", "/", who="nobody", sample=("versions",))
    talk.ask("GET", f"{V}/loadbalancers", who="nobody")
    talk.ask("GET", f"{V}/loadbalancers", who="wrong-token")
    one = _balancer(talk, subnet)
    talk.ask("PUT", f"{V}/loadbalancers/{one}", {"loadbalancer": {"name": "rec-lb-x"}})
    talk.ask("DELETE", f"{V}/loadbalancers/{one}")
    _wait(talk, one)
    talk.ask("GET", "/v2.0/ports?device_owner=Octavia", service="network")
    for kind in ("loadbalancers", "listeners", "pools", "healthmonitors"):
        talk.ask("GET", f"{V}/{kind}?project_id={talk.project()}")
    talk.ask("GET", f"{V}/loadbalancers?name=rec-lb")
    talk.ask("GET", f"{V}/loadbalancers?name=rec-none")
    talk.ask("DELETE", f"{V}/loadbalancers/{one}?cascade=true")
    talk.ask("DELETE", f"{V}/loadbalancers/{one}?cascade=true")
    talk.ask("GET", f"{V}/loadbalancers/{one}", until={"status": 404})
    talk.ask("DELETE", f"{V}/loadbalancers/{one}?cascade=true")
    for kind in ("loadbalancers", "listeners", "pools", "healthmonitors"):
        talk.ask("GET", f"{V}/{kind}/{NOBODY}")


def rights(talk: Talk) -> None:
    """What readers and strangers may not; lists of one at a time."""
    subnet = _subnet(talk)
    first = _balancer(talk, subnet, "rec-a")
    _wait(talk, first)
    _wait(talk, _balancer(talk, subnet, "rec-b"))
    sorted_by_name = f"{V}/loadbalancers?limit=1&sort=name:asc"
    talk.ask("GET", sorted_by_name)
    talk.ask("GET", f"{sorted_by_name}&marker={first}")
    body = {"loadbalancer": {"name": "rec-c", "vip_subnet_id": subnet}}
    talk.ask("GET", f"{V}/loadbalancers/{first}", who="reader")
    talk.ask("GET", f"{V}/loadbalancers/{first}", who="other")
    talk.ask("DELETE", f"{V}/loadbalancers/{first}?cascade=true", who="other")
    talk.ask("GET", f"{V}/loadbalancers?project_id={talk.project()}", who="other")
    talk.ask("POST", f"{V}/loadbalancers", {"loadbalancer": {"name": "rec-c", "vip_subnet_id": NOBODY}})
    talk.ask("POST", f"{V}/loadbalancers", {"loadbalancer": {"name": "rec-c"}})
    talk.ask("POST", f"{V}/loadbalancers", {"loadbalancer": body["loadbalancer"] | {"provider": "wrong"}})


def quotas(talk: Talk) -> None:
    """What a project may have, and more than that."""
    project, subnet = talk.project(), _subnet(talk)
    talk.ask("GET", f"{V}/quotas/{project}")
    talk.ask("PUT", f"{V}/quotas/{project}", {"quota": {"loadbalancer": 0, "listener": 3}}, who="admin")
    talk.remove(f"{V}/quotas/{project}", who="admin")
    talk.ask("GET", f"{V}/quotas/{project}")
    talk.ask("GET", f"{V}/quotas/{talk.project('other')}")
    talk.ask("PUT", f"{V}/quotas/{project}", {"quota": {"loadbalancer": 5}})
    talk.ask("POST", f"{V}/loadbalancers", {"loadbalancer": {"name": "rec-lb", "vip_subnet_id": subnet}})


CONVERSATIONS: Final = {"balancers": balancers, "rights": rights, "quotas": quotas}
