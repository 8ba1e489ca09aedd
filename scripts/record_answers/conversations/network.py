"""Neutron v2.0, as our client and Heat's templates use it."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.talk import Json, Talk

V: Final = "/v2.0"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
"""The id of nothing."""


def make(talk: Talk, collection: str, key: str, body: Json, *, who: str = "demo") -> Json:
    """Create something, and delete it at the end."""
    made = talk.ask("POST", f"{V}/{collection}", {key: body}, who=who, service="network").body[key]
    talk.remove(f"{V}/{collection}/{made['id']}", who=who, service="network")
    return made


def versions(talk: Talk) -> None:
    """What is there without a token, and what a token is worth."""
    talk.ask("GET", "/", who="nobody")
    talk.ask("GET", f"{V}/networks", who="nobody")
    talk.ask("GET", f"{V}/networks", who="wrong-token")
    talk.ask("GET", f"{V}/nonsense")
    talk.ask("GET", f"{V}/extensions", sample=("extensions",))


def networks(talk: Talk) -> None:
    """A network, its subnet and its router, in whose way other things stand."""
    net = make(talk, "networks", "network", {"name": "rec-net", "description": "of the bay x"})["id"]
    talk.ask("GET", f"{V}/networks?name=rec-net")
    talk.ask("GET", f"{V}/networks?id={net}")
    talk.ask("GET", f"{V}/networks?name=rec-none")
    talk.ask("GET", f"{V}/networks/{net}")
    talk.ask("PUT", f"{V}/networks/{net}/tags", {"tags": ["jeroboam", "jeroboam-bay-x"]})
    talk.ask("GET", f"{V}/networks?tags=jeroboam,jeroboam-bay-x")
    talk.ask("GET", f"{V}/networks?tags=jeroboam,other")
    talk.ask("GET", f"{V}/networks?router:external=true&name=public")
    subnet = {"network_id": net, "cidr": "10.77.0.0/24", "ip_version": 4, "name": "rec-subnet"}
    made = make(talk, "subnets", "subnet", subnet | {"dns_nameservers": ["8.8.8.8"]})["id"]
    talk.ask("POST", f"{V}/subnets", {"subnet": subnet})
    talk.ask("POST", f"{V}/subnets", {"subnet": subnet | {"cidr": "nonsense"}})
    talk.ask("POST", f"{V}/subnets", {"subnet": subnet | {"network_id": NOBODY}})
    talk.ask("GET", f"{V}/subnets?network_id={net}")
    talk.ask("GET", f"{V}/subnets?id={made}")
    talk.ask("GET", f"{V}/subnets?name=rec-subnet")
    external = {"external_gateway_info": {"network_id": talk.named("<network:public>")}}
    router = make(talk, "routers", "router", {"name": "rec-router"} | external)["id"]
    interface = f"{V}/routers/{router}"
    talk.ask("PUT", f"{interface}/add_router_interface", {"subnet_id": made})
    talk.later(lambda: _detach(talk, router, made))
    talk.ask("PUT", f"{interface}/add_router_interface", {"subnet_id": made})
    talk.ask("PUT", f"{interface}/add_router_interface", {"subnet_id": NOBODY})
    talk.ask("GET", f"{V}/routers?name=rec-router")
    talk.ask("GET", f"{V}/ports?device_id={router}&device_owner=network:router_interface")
    talk.ask("DELETE", f"{V}/networks/{net}")
    talk.ask("DELETE", f"{V}/subnets/{made}")
    talk.ask("DELETE", interface)
    talk.ask("PUT", f"{interface}/remove_router_interface", {"subnet_id": made})
    talk.ask("PUT", f"{interface}/remove_router_interface", {"subnet_id": made})
    talk.ask("PUT", f"{V}/routers/{NOBODY}/remove_router_interface", {"subnet_id": made})
    for kind, one in (("routers", router), ("subnets", made), ("networks", net)):
        talk.ask("DELETE", f"{V}/{kind}/{one}")
        talk.ask("DELETE", f"{V}/{kind}/{one}")
        talk.ask("GET", f"{V}/{kind}/{one}")


def _detach(talk: Talk, router: str, subnet: str) -> None:
    url = talk.cloud.url("network", f"{V}/routers/{router}/remove_router_interface")
    talk.cloud.http.put(url, json={"subnet_id": subnet}, headers={"X-Auth-Token": talk.cloud.token("demo")})


def ports(talk: Talk) -> None:
    """A port, its security group, its floating address."""
    net = make(talk, "networks", "network", {"name": "rec-net"})["id"]
    subnet = make(talk, "subnets", "subnet", {"network_id": net, "cidr": "10.77.0.0/24", "ip_version": 4})["id"]
    router = make(talk, "routers", "router", {"external_gateway_info": {"network_id": talk.named("<network:public>")}})[
        "id"
    ]
    group = make(talk, "security-groups", "security_group", {"name": "rec-group", "description": "d"})["id"]
    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp", "remote_ip_prefix": "0.0.0.0/0"}
    rule |= {"port_range_min": 22, "port_range_max": 22}
    made_rule = make(talk, "security-group-rules", "security_group_rule", rule)["id"]
    talk.ask("POST", f"{V}/security-group-rules", {"security_group_rule": rule})
    talk.ask("POST", f"{V}/security-group-rules", {"security_group_rule": rule | {"security_group_id": NOBODY}})
    port = {"network_id": net, "name": "rec-port", "security_groups": [group], "fixed_ips": [{"subnet_id": subnet}]}
    made = make(talk, "ports", "port", port)["id"]
    talk.ask("POST", f"{V}/ports", {"port": {"network_id": NOBODY}})
    talk.ask("GET", f"{V}/ports?name=rec-port")
    talk.ask("GET", f"{V}/ports?network_id={net}")
    talk.ask("GET", f"{V}/ports/{made}")
    public = talk.named("<network:public>")
    talk.ask("POST", f"{V}/floatingips", {"floatingip": {"floating_network_id": public, "port_id": made}})
    talk.ask("PUT", f"{V}/routers/{router}/add_router_interface", {"subnet_id": subnet})
    talk.later(lambda: _detach(talk, router, subnet))
    address = make(talk, "floatingips", "floatingip", {"floating_network_id": public, "description": "of the bay x"})[
        "id"
    ]
    talk.ask("PUT", f"{V}/floatingips/{address}", {"floatingip": {"port_id": made}})
    talk.ask("GET", f"{V}/floatingips?port_id={made}")
    talk.ask("GET", f"{V}/floatingips?description=of%20the%20bay%20x")
    talk.ask("POST", f"{V}/floatingips", {"floatingip": {"floating_network_id": net}})
    talk.ask("POST", f"{V}/floatingips", {"floatingip": {"floating_network_id": NOBODY}})
    talk.ask("PUT", f"{V}/routers/{router}/remove_router_interface", {"subnet_id": subnet})
    talk.ask("DELETE", f"{V}/security-groups/{group}")
    talk.ask("DELETE", f"{V}/networks/{net}")
    talk.ask("GET", f"{V}/security-groups?name=rec-group")
    talk.ask("DELETE", f"{V}/security-group-rules/{made_rule}")
    talk.ask("PUT", f"{V}/floatingips/{address}", {"floatingip": {"port_id": None}})
    for kind, one in (("floatingips", address), ("ports", made), ("security-groups", group)):
        talk.ask("DELETE", f"{V}/{kind}/{one}")
        talk.ask("DELETE", f"{V}/{kind}/{one}")
        talk.ask("GET", f"{V}/{kind}/{one}")
    talk.ask("GET", f"{V}/security-group-rules/{made_rule}")
    default = talk.ask("GET", f"{V}/security-groups?name=default").body["security_groups"][0]["id"]
    talk.ask("DELETE", f"{V}/security-groups/{default}")


def rights(talk: Talk) -> None:
    """What readers and strangers may not."""
    net = make(talk, "networks", "network", {"name": "rec-net"})["id"]
    talk.ask("POST", f"{V}/networks", {"network": {"name": "rec-net"}}, who="reader")
    talk.ask("DELETE", f"{V}/networks/{net}", who="reader")
    talk.ask("GET", f"{V}/networks/{net}", who="reader")
    talk.ask("GET", f"{V}/networks/{net}", who="other")
    talk.ask("DELETE", f"{V}/networks/{net}", who="other")
    talk.ask("GET", f"{V}/networks?name=rec-net", who="other")
    talk.ask("GET", f"{V}/networks?name=rec-net", who="admin")
    talk.ask("POST", f"{V}/networks", {"network": {"name": "x", "router:external": True}})
    talk.ask("POST", f"{V}/networks", {"network": {"name": "x", "nonsense": True}})
    talk.ask("POST", f"{V}/networks", {"nonsense": {}})
    talk.ask("POST", f"{V}/networks", "no JSON")


def pages(talk: Talk) -> None:
    """Lists of one at a time."""
    first, second = (make(talk, "networks", "network", {"name": f"rec-{n}"})["id"] for n in "ab")
    talk.ask("GET", f"{V}/networks?limit=1&project_id={talk.project()}&sort_key=name&sort_dir=asc")
    talk.ask("GET", f"{V}/networks?limit=1&project_id={talk.project()}&sort_key=name&sort_dir=asc&marker={first}")
    talk.ask("GET", f"{V}/networks?limit=1&project_id={talk.project()}&sort_key=name&sort_dir=asc&marker={second}")
    talk.ask("GET", f"{V}/networks?project_id={talk.project()}&sort_key=name&sort_dir=asc&limit=5")
    talk.ask("GET", f"{V}/networks?name=rec-a&fields=id&fields=name")


def quotas(talk: Talk) -> None:
    """What a project may have, and more than that."""
    project = talk.project()
    limits = {"network": 1, "subnet": 5, "port": 5, "router": 1, "floatingip": 1, "security_group": 2}
    talk.ask("PUT", f"{V}/quotas/{project}", {"quota": limits | {"security_group_rule": 20}}, who="admin", sample=())
    talk.remove(f"{V}/quotas/{project}", who="admin")
    make(talk, "networks", "network", {"name": "rec-net"})
    talk.ask("GET", f"{V}/quotas/{project}/details.json")
    talk.ask("GET", f"{V}/quotas/{project}")
    talk.ask("GET", f"{V}/quotas/{talk.project('other')}/details.json")
    talk.ask("GET", f"{V}/quotas/{talk.project('other')}")
    talk.ask("PUT", f"{V}/quotas/{project}", {"quota": {"network": 100}})
    talk.ask("POST", f"{V}/networks", {"network": {"name": "rec-more"}})


CONVERSATIONS: Final = {
    "versions": versions,
    "networks": networks,
    "ports": ports,
    "rights": rights,
    "pages": pages,
    "quotas": quotas,
}
