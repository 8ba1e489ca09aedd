"""How Nova writes servers and flavors."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cloudsim.http import Body
from cloudsim.store import Record
from cloudsim.world import World

_FLAVOR_TEXTS, _FLAVOR_SPECS = (2, 55), (2, 61)
"""From these microversions on flavors show a description, and their extra specs."""
_LOCKED, _DESCRIBED, _TAGGED, _TRUSTED, _GROUPED = (2, 9), (2, 19), (2, 26), (2, 63), (2, 71)
"""From these on servers show whether they are locked, a description, tags, certificates of images, and their groups."""
# From this microversion on a server shows its flavor's facts instead of its id.
_EMBEDDED_FLAVOR = (2, 47)
# From this one on it says whether its volumes are deleted with it.
_FATE_OF_VOLUMES = (2, 3)
_POWER = {"ACTIVE": 1, "REBOOT": 1, "HARD_REBOOT": 1, "SHUTOFF": 4}
_VM_STATES = {
    "ACTIVE": "active",
    "BUILD": "building",
    "REBOOT": "active",
    "HARD_REBOOT": "active",
    "SHUTOFF": "stopped",
}
_PROGRESSING = frozenset({"ACTIVE", "BUILD", "REBOOT", "HARD_REBOOT", "PASSWORD", "REBUILD", "RESIZE", "VERIFY_RESIZE"})
"""In these states a server shows how far its making is."""


def flavor(record: Record, base: str, microversion: tuple[int, int]) -> Body:
    """A flavor in full."""
    facts: Body = {"id": record.id, "name": record.attrs["name"], "links": links(base, "flavors", record.id)}
    facts |= {name: record.attrs[name] for name in ("ram", "disk", "vcpus")}
    facts |= {"swap": "", "rxtx_factor": 1.0, "OS-FLV-EXT-DATA:ephemeral": 0}
    if microversion >= _FLAVOR_TEXTS:
        facts["description"] = None
    if microversion >= _FLAVOR_SPECS:
        facts["extra_specs"] = {}
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
        "hostId": hashlib.sha256(record.project_id.encode()).hexdigest()[:56],
        "created": world.clock.iso(record.created_at),
        "updated": world.clock.iso(attrs.get("launched_at", record.created_at)),
        "key_name": attrs.get("key_name"),
        "image": _image_of(attrs["image_id"], base) if attrs.get("image_id") else "",
        "flavor": _flavor_of(world, record, base, microversion),
        "addresses": addresses(world, record),
        "security_groups": [{"name": name} for name in attrs.get("security_groups") or ["default"]],
        **({"progress": 0} if attrs["status"] in _PROGRESSING else {}),
        "config_drive": "",
        "accessIPv4": "",
        "accessIPv6": "",
    }
    return body | _newer(attrs, microversion) | _extended(world, record, microversion, admin=admin)


def _image_of(image_id: str, base: str) -> Body:
    return {"id": image_id, "links": links(base, "images", image_id)[1:]}


def _newer(attrs: dict[str, Any], microversion: tuple[int, int]) -> Body:
    """What servers show from some microversion on."""
    groups = [attrs["server_group"]] if attrs.get("server_group") else []
    shown = {
        _LOCKED: {"locked": False},
        _DESCRIBED: {"description": attrs["name"]},
        _TAGGED: {"tags": attrs.get("tags", [])},
        _TRUSTED: {"trusted_image_certificates": None},
        _GROUPED: {"server_groups": groups},
    }
    return {name: value for since, facts in shown.items() if since <= microversion for name, value in facts.items()}


def _extended(world: World, record: Record, microversion: tuple[int, int], *, admin: bool) -> Body:
    attrs = record.attrs
    status = attrs["status"]
    attachments = world.store.find("volume_attachment", server_id=record.id)
    body: Body = {
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-STS:vm_state": _VM_STATES.get(status, status.lower()),
        "OS-EXT-STS:task_state": attrs.get("task_state") or ("spawning" if status == "BUILD" else None),
        "OS-EXT-STS:power_state": _POWER.get(status, 0),
        "OS-EXT-AZ:availability_zone": attrs.get("availability_zone", "nova"),
        "os-extended-volumes:volumes_attached": [_volume_of(a, microversion) for a in attachments],
    }
    if status == "ERROR":
        message = "No valid host was found."
        body["fault"] = {"code": 500, "created": world.clock.iso(record.created_at), "message": message}
    launched = attrs.get("launched_at")
    at = None if launched is None else world.clock.iso(launched).removesuffix("Z") + ".000000"
    body |= {"OS-SRV-USG:launched_at": at, "OS-SRV-USG:terminated_at": None}
    if admin and microversion >= _FATE_OF_VOLUMES:
        data = world.server_user_data(record)
        body |= _for_operators(record)
        body["OS-EXT-SRV-ATTR:user_data"] = base64.b64encode(data).decode() if data else None
    return body


def _for_operators(record: Record) -> Body:
    """Where the server runs, and what it was made of."""
    shown = {"host": "cloudsim", "hypervisor_hostname": "cloudsim", "hostname": record.get("name"), "launch_index": 0}
    shown |= {"instance_name": f"instance-{record.id[:8]}", "reservation_id": f"r-{record.id[:8]}"}
    shown |= {"kernel_id": "", "ramdisk_id": "", "root_device_name": "/dev/sda"}
    return {f"OS-EXT-SRV-ATTR:{name}": value for name, value in shown.items()}


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
    return {"addr": address, "version": 4, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac(port)}


def mac(port: Record) -> str:
    """A port's hardware address, which follows from its id."""
    digest = hashlib.sha256(port.id.encode()).hexdigest()
    return "fa:16:3e:" + ":".join(digest[i : i + 2] for i in (0, 2, 4))
