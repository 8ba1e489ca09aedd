"""How Nova writes servers and flavors."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cloudsim.http import Body
from cloudsim.store import Record
from cloudsim.world import World

# From this microversion on a server shows its flavor's facts instead of its id.
_EMBEDDED_FLAVOR = (2, 47)
# From this one on it says whether its volumes are deleted with it.
_FATE_OF_VOLUMES = (2, 3)
_POWER = {"ACTIVE": 1}


def flavor(record: Record, base: str) -> Body:
    """A flavor in full."""
    facts: Body = {"id": record.id, "name": record.attrs["name"], "links": links(base, "flavors", record.id)}
    facts |= {name: record.attrs[name] for name in ("ram", "disk", "vcpus")}
    facts |= {"swap": "", "rxtx_factor": 1.0, "OS-FLV-EXT-DATA:ephemeral": 0, "extra_specs": {}, "description": None}
    return facts | {"os-flavor-access:is_public": True, "OS-FLV-DISABLED:disabled": False}


def links(base: str, collection: str, record_id: str) -> list[Body]:
    """The two links that Nova puts on everything."""
    return [
        {"rel": "self", "href": f"{base}/compute/v2.1/{collection}/{record_id}"},
        {"rel": "bookmark", "href": f"{base}/compute/{collection}/{record_id}"},
    ]


def brief(record: Record, base: str) -> Body:
    """A server in a short list."""
    return {"id": record.id, "name": record.attrs["name"], "links": links(base, "servers", record.id)}


def server(world: World, record: Record, base: str, microversion: tuple[int, int], *, admin: bool) -> Body:
    """A server in full."""
    attrs = record.attrs
    body = brief(record, base) | {
        "status": attrs["status"],
        "tenant_id": record.project_id,
        "user_id": attrs.get("user_id", ""),
        "metadata": attrs.get("metadata", {}),
        "tags": attrs.get("tags", []),
        "hostId": hashlib.sha256(record.project_id.encode()).hexdigest()[:56],
        "created": world.clock.iso(record.created_at),
        "updated": world.clock.iso(attrs.get("launched_at", record.created_at)),
        "key_name": attrs.get("key_name"),
        "image": {"id": attrs["image_id"], "links": []} if attrs.get("image_id") else "",
        "flavor": _flavor_of(world, record, base, microversion),
        "addresses": addresses(world, record),
        "security_groups": [{"name": name} for name in attrs.get("security_groups") or ["default"]],
        "progress": 100 if attrs["status"] == "ACTIVE" else 0,
        "config_drive": "",
        "locked": False,
        "description": None,
        "server_groups": [attrs["server_group"]] if attrs.get("server_group") else [],
    }
    return body | _extended(world, record, microversion, admin=admin)


def _extended(world: World, record: Record, microversion: tuple[int, int], *, admin: bool) -> Body:
    attrs = record.attrs
    status = attrs["status"]
    attachments = world.store.find("volume_attachment", server_id=record.id)
    body: Body = {
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-STS:vm_state": {"ACTIVE": "active", "BUILD": "building"}.get(status, status.lower()),
        "OS-EXT-STS:task_state": attrs.get("task_state") or ("spawning" if status == "BUILD" else None),
        "OS-EXT-STS:power_state": _POWER.get(status, 0),
        "OS-EXT-AZ:availability_zone": attrs.get("availability_zone", "nova"),
        "os-extended-volumes:volumes_attached": [_volume_of(a, microversion) for a in attachments],
    }
    if status == "ERROR":
        message = "No valid host was found."
        body["fault"] = {"code": 500, "created": world.clock.iso(record.created_at), "message": message}
    if admin:
        data = world.server_user_data(record)
        body["OS-EXT-SRV-ATTR:user_data"] = base64.b64encode(data).decode() if data else None
    return body


def _volume_of(attachment: Record, microversion: tuple[int, int]) -> Body:
    shown: Body = {"id": attachment.attrs["volume_id"]}
    if microversion < _FATE_OF_VOLUMES:
        return shown
    return shown | {"delete_on_termination": bool(attachment.get("dies_with_server"))}


def _flavor_of(world: World, record: Record, base: str, microversion: tuple[int, int]) -> Body:
    flavor_id = str(record.get("flavor_id", ""))
    known = world.store.get("flavor", flavor_id)
    if microversion < _EMBEDDED_FLAVOR or known is None:
        return {"id": flavor_id, "links": links(base, "flavors", flavor_id)[1:]}
    facts = {name: known.attrs[name] for name in ("ram", "disk", "vcpus")}
    return {"original_name": known.attrs["name"], "ephemeral": 0, "swap": 0, "extra_specs": {}, **facts}


def addresses(world: World, record: Record) -> dict[str, list[Body]]:
    """Addresses by network name, from the server's ports and the floating addresses that point at them."""
    found: dict[str, list[Body]] = {}
    for port in world.store.find("port", device_id=record.id):
        network = world.store.get("network", port.attrs["network_id"])
        entries = found.setdefault(str(network.attrs.get("name", "")) if network else "", [])
        entries += [_address(ip["ip_address"], "fixed", port) for ip in port.get("fixed_ips", ())]
        floating = world.store.find("floatingip", port_id=port.id)
        entries += [_address(f.attrs["floating_ip_address"], "floating", port) for f in floating]
    return found


def _address(address: str, kind: str, port: Record) -> dict[str, Any]:
    digest = hashlib.sha256(port.id.encode()).hexdigest()
    mac = "fa:16:3e:" + ":".join(digest[i : i + 2] for i in (0, 2, 4))
    return {"addr": address, "version": 4, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}
