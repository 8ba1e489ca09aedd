"""Nova v2.1, as our client and Heat's templates use it."""

from __future__ import annotations

import base64
from typing import Final

from scripts.record_answers.conversations.network import NOBODY, make
from scripts.record_answers.talk import Json, Talk

V: Final = "/v2.1"
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHtu9h+++y4SmROJwVDcL7JSsy/x2VFMzfhbiqHorvqf rec@rec"
"""A public key whose private half was thrown away when it was made."""


def at(version: str) -> dict[str, str]:
    """The headers for a microversion, as our client sends them."""
    return {"OpenStack-API-Version": f"compute {version}", "X-OpenStack-Nova-API-Version": version}


def versions(talk: Talk) -> None:
    """What is there without a token, and what microversions do."""
    talk.ask("GET", "/", who="nobody")
    talk.ask("GET", f"{V}/", who="nobody")
    talk.ask("GET", f"{V}/flavors", who="nobody")
    talk.ask("GET", f"{V}/flavors", who="wrong-token")
    talk.ask("GET", f"{V}/nonsense")
    talk.ask("GET", f"{V}/os-server-groups", headers=at("2.64"))
    talk.ask("GET", f"{V}/os-server-groups", headers=at("2.999"))
    talk.ask("GET", f"{V}/os-server-groups", headers=at("nonsense"))
    talk.ask("GET", f"{V}/os-availability-zone", sample=("availabilityZoneInfo",))


def flavors(talk: Talk) -> None:
    """Flavors."""
    flavor = talk.named("<flavor:m1.small>")
    talk.ask("GET", f"{V}/flavors", sample=("flavors",))
    talk.ask("GET", f"{V}/flavors/detail", sample=("flavors",))
    talk.ask("GET", f"{V}/flavors/detail?limit=1", sample=("flavors", "flavors_links"))
    talk.ask("GET", f"{V}/flavors/{flavor}")
    talk.ask("GET", f"{V}/flavors/m1.small")
    talk.ask("GET", f"{V}/flavors/{NOBODY}")


def keypairs(talk: Talk) -> None:
    """Key pairs, which belong to users."""
    pair = {"name": "rec-key", "public_key": KEY}
    talk.ask("POST", f"{V}/os-keypairs", {"keypair": pair})
    talk.remove(f"{V}/os-keypairs/rec-key")
    talk.ask("POST", f"{V}/os-keypairs", {"keypair": pair})
    talk.ask("POST", f"{V}/os-keypairs", {"keypair": pair | {"name": "rec-bad", "public_key": "nonsense"}})
    talk.ask("GET", f"{V}/os-keypairs")
    talk.ask("GET", f"{V}/os-keypairs/rec-key")
    talk.ask("GET", f"{V}/os-keypairs/rec-key", headers=at("2.2"))
    talk.ask("GET", f"{V}/os-keypairs/rec-key", who="reader")
    talk.ask("GET", f"{V}/os-keypairs/none")
    talk.ask("DELETE", f"{V}/os-keypairs/rec-key")
    talk.ask("DELETE", f"{V}/os-keypairs/rec-key")
    talk.ask("POST", f"{V}/os-keypairs", {"keypair": pair}, headers=at("2.2"))
    talk.ask("DELETE", f"{V}/os-keypairs/rec-key", headers=at("2.2"))


def _network(talk: Talk) -> str:
    """A network with a subnet, not written down: its conversation is another."""
    net = talk.ask("POST", "/v2.0/networks", {"network": {"name": "rec-net"}}, service="network").body["network"]["id"]
    talk.remove(f"/v2.0/networks/{net}", service="network")
    make(talk, "subnets", "subnet", {"network_id": net, "cidr": "10.77.0.0/24", "ip_version": 4})
    return str(net)


def _server(talk: Talk, net: str, name: str, **more: Json) -> Json:
    body = {"name": name, "flavorRef": talk.named("<flavor:m1.small>"), "imageRef": talk.named("<image:cirros>")}
    return {"server": body | {"networks": [{"uuid": net}]} | more}


def servers(talk: Talk) -> None:
    """A server from its boot to its end."""
    net = _network(talk)
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    wanted = _server(talk, net, "rec-node-0", metadata={"jeroboam_bay": "x"}, user_data=data)
    server = talk.ask("POST", f"{V}/servers", wanted).body["server"]["id"]
    talk.remove(f"{V}/servers/{server}", gone=True)
    talk.ask("GET", f"{V}/servers/{server}", until={"server.status": "ACTIVE"})
    talk.ask("GET", f"{V}/servers/{server}", headers=at("2.64"))
    talk.ask("GET", f"{V}/servers/{server}", who="admin", headers=at("2.3"))
    talk.ask("GET", f"{V}/servers")
    talk.ask("GET", f"{V}/servers/detail?name=%5Erec-node")
    talk.ask("GET", f"{V}/servers/detail?name=%5Ebay-other")
    talk.ask("GET", f"{V}/servers/detail?name=%2A")
    talk.ask("GET", f"{V}/servers/{server}/os-interface")
    talk.ask("GET", "/v2.0/ports?device_id=" + server, service="network")
    talk.ask("GET", f"{V}/servers/{server}", who="reader")
    talk.ask("GET", f"{V}/servers/{server}", who="other")
    talk.ask("DELETE", f"{V}/servers/{server}", who="reader")
    talk.ask("DELETE", f"{V}/servers/{server}", who="other")
    talk.ask("GET", f"{V}/servers/detail?all_tenants=1")
    second = talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node-1")).body["server"]["id"]
    talk.remove(f"{V}/servers/{second}", gone=True)
    talk.ask("GET", f"{V}/servers/{second}", until={"server.status": "ACTIVE"})
    talk.ask("GET", f"{V}/servers/detail?limit=1&sort_key=display_name&sort_dir=asc")
    talk.ask("GET", f"{V}/servers/detail?limit=1&sort_key=display_name&sort_dir=asc&marker={server}")
    talk.ask("GET", f"{V}/servers/detail?limit=1&marker={NOBODY}")
    talk.ask("DELETE", f"{V}/servers/{second}")
    talk.ask("DELETE", f"{V}/servers/{server}")
    talk.ask("GET", f"{V}/servers/{server}", until={"status": 404})
    talk.ask("DELETE", f"{V}/servers/{server}")


def actions(talk: Talk) -> None:
    """A server that is restarted, Nova's record of it, and that its port stays as long as it does."""
    net = _network(talk)
    server = talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node-0")).body["server"]["id"]
    talk.remove(f"{V}/servers/{server}", gone=True)
    here, rests = f"{V}/servers/{server}", {"server.OS-EXT-STS:task_state": None}
    act, record = f"{here}/action", f"{here}/os-instance-actions"
    hard, soft = {"reboot": {"type": "HARD"}}, {"reboot": {"type": "SOFT"}}
    talk.ask("GET", here, until={"server.status": "ACTIVE"})
    port = talk.ask("GET", f"/v2.0/ports?device_id={server}", service="network").body["ports"][0]["id"]
    talk.ask("DELETE", f"/v2.0/ports/{port}", service="network")
    talk.ask("GET", record)
    talk.ask("POST", act, hard)
    talk.ask("GET", here, until={"server.status": "ACTIVE", **rests})
    talk.ask("GET", record)
    talk.ask("POST", act, soft)
    talk.ask("GET", here, until={"server.status": "ACTIVE", **rests})
    for who in ("reader", "other"):
        talk.ask("GET", record, who=who)
        talk.ask("POST", act, hard, who=who)
    wrong: tuple[Json, ...] = ({"reboot": {"type": "WARM"}}, {"reboot": {}}, {"reboot": "HARD"}, {"nonsense": {}}, {})
    for body in wrong:
        talk.ask("POST", act, body)
    talk.ask("POST", act, {"os-stop": None})
    talk.ask("GET", here, until={"server.status": "SHUTOFF", **rests})
    talk.ask("POST", act, soft)
    talk.ask("POST", act, hard)
    talk.ask("GET", here, until={"server.status": "ACTIVE", **rests})
    talk.ask("GET", record)
    talk.ask("DELETE", here)
    talk.ask("GET", here, until={"status": 404})
    talk.ask("GET", record)
    talk.ask("POST", act, hard)
    talk.ask("GET", f"{V}/servers/{NOBODY}/os-instance-actions")


def refusals(talk: Talk) -> None:
    """Servers that Nova does not begin to make."""
    net = _network(talk)
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node", imageRef=NOBODY))
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node", flavorRef=NOBODY))
    talk.ask("POST", f"{V}/servers", _server(talk, NOBODY, "rec-node"))
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node", key_name="none"))
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node", availability_zone="moon"))
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node", user_data="abc"))
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node"), who="reader")
    talk.ask("POST", f"{V}/servers", {"nonsense": {}})
    talk.ask("POST", f"{V}/servers", "no JSON")


def groups(talk: Talk) -> None:
    """Server groups."""
    made = []
    for name in ("rec-a", "rec-b"):
        body = {"server_group": {"name": name, "policy": "soft-anti-affinity"}}
        made.append(talk.ask("POST", f"{V}/os-server-groups", body, headers=at("2.64")).body["server_group"]["id"])
        talk.remove(f"{V}/os-server-groups/{made[-1]}")
    talk.ask("GET", f"{V}/os-server-groups?limit=500&offset=0", headers=at("2.64"))
    talk.ask("GET", f"{V}/os-server-groups?limit=1&offset=1", headers=at("2.64"))
    talk.ask("GET", f"{V}/os-server-groups?limit=500&offset=2", headers=at("2.64"))
    talk.ask("GET", f"{V}/os-server-groups/{made[0]}", headers=at("2.64"))
    talk.ask("GET", f"{V}/os-server-groups/{made[0]}")
    talk.ask("GET", f"{V}/os-server-groups/{made[0]}", who="other")
    bad = {"name": "rec-c", "policy": "nonsense"}
    talk.ask("POST", f"{V}/os-server-groups", {"server_group": bad}, headers=at("2.64"))
    talk.ask("POST", f"{V}/os-server-groups", {"server_group": bad | {"policy": "affinity"}})
    talk.ask(
        "POST",
        f"{V}/os-server-groups",
        {"server_group": bad | {"policy": "affinity"}},
        headers=at("2.64"),
        who="reader",
    )
    talk.ask("DELETE", f"{V}/os-server-groups/{made[0]}", who="other")
    talk.ask("DELETE", f"{V}/os-server-groups/{made[0]}", who="reader")
    talk.ask("DELETE", f"{V}/os-server-groups/{made[0]}")
    talk.ask("DELETE", f"{V}/os-server-groups/{made[0]}")


def quotas(talk: Talk) -> None:
    """What a project may have, and more than that."""
    project, net = talk.project(), _network(talk)
    limits = {"instances": 1, "cores": 2, "ram": 4096, "server_groups": 0, "server_group_members": 10}
    talk.ask("PUT", f"{V}/os-quota-sets/{project}", {"quota_set": limits | {"key_pairs": 5}}, who="admin")
    talk.remove(f"{V}/os-quota-sets/{project}", who="admin")
    server = talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node-0")).body["server"]["id"]
    talk.remove(f"{V}/servers/{server}", gone=True)
    talk.ask("GET", f"{V}/servers/{server}", until={"server.status": "ACTIVE"})
    talk.ask("GET", f"{V}/limits")
    talk.ask("GET", f"{V}/os-quota-sets/{project}")
    talk.ask("GET", f"{V}/os-quota-sets/{project}/detail")
    talk.ask("GET", f"{V}/os-quota-sets/{talk.project('other')}")
    talk.ask("PUT", f"{V}/os-quota-sets/{project}", {"quota_set": {"instances": 9}})
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node-1"))
    talk.ask("POST", f"{V}/servers", _server(talk, net, "rec-node-1", flavorRef=talk.named("<flavor:m1.medium>")))
    body = {"server_group": {"name": "rec-a", "policy": "affinity"}}
    talk.ask("POST", f"{V}/os-server-groups", body, headers=at("2.64"))


CONVERSATIONS: Final = {
    "versions": versions,
    "flavors": flavors,
    "keypairs": keypairs,
    "servers": servers,
    "actions": actions,
    "refusals": refusals,
    "groups": groups,
    "quotas": quotas,
}
