"""The simulated cloud's whole state and the few things that happen in it by themselves.

Attributes are the wire's names. What the routers and helpers of this package read and write (everything else is carried
along):

- server: name, status (BUILD, ACTIVE, ERROR, DELETED), user_id, flavor_id, image_id, key_name, metadata {}, tags [],
  security_groups [name], server_group, availability_zone, user_data (packed, see server_user_data). Addresses come
  from the server's ports.
- port: name, network_id, fixed_ips [{subnet_id, ip_address}], device_id, device_owner, security_groups [id],
  allowed_address_pairs, tags
- network: name, router:external, shared, tags · subnet: name, network_id, cidr, gateway_ip, dns_nameservers, tags
- router: name, external_gateway_info {network_id}, tags · router_interface: router_id, subnet_id, network_id (id is its
  port's id)
- floatingip: floating_network_id, floating_ip_address, port_id, fixed_ip_address, router_id, tags
- security_group: name, description · security_group_rule: security_group_id, direction, protocol, port_range_min/max, …
- server_group: name, policy, user_id · keypair: name, user_id, public_key, fingerprint
- volume: name, size, status, volume_type, metadata, availability_zone, bootable, volume_image_metadata
- volume_attachment: server_id, volume_id, device, dies_with_server
- flavor, image, volume_type: as their services show them · stack: belongs to `cloudsim.heat`
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudsim.attic import Attic, Packed, unpack
from cloudsim.clock import Clock
from cloudsim.coe import CoeEndpoints
from cloudsim.errors import ApiFault
from cloudsim.faults import FaultPlan, new_counter
from cloudsim.identity.state import Identity
from cloudsim.quota import Quotas
from cloudsim.store import Record, Store

__all__ = ["FIRST_FLOATING", "CloudsimSettings", "Record", "ServerSpec", "Store", "World"]

_FLOATING_POOL = ipaddress.ip_network("127.64.0.0/10")
FIRST_FLOATING = 16
"""Place in the pool of the first floating address that is given out."""


@dataclass(slots=True)
class CloudsimSettings:
    """How the simulated cloud behaves. Times are simulated seconds."""

    speed: float = 1.0
    container_url: str = "http://127.0.0.1:9511/v1"
    max_resources_per_stack: int = 1000
    max_template_size: int = 524288
    boot_seconds: float = 3.0
    delete_seconds: float = 0.5
    token_seconds: int = 3600
    keep_user_data: bool = True
    boot_failures: frozenset[str] = frozenset()
    global_stack_list: bool = False
    zones: tuple[str, ...] = ("nova",)
    without: frozenset[str] = frozenset()  # service types that the catalog leaves out
    balancer_seconds: float = 5.0
    first_floating: int = (
        FIRST_FLOATING  # place in the pool of the first floating address; apart from other clouds of the machine
    )
    stuck_balancers: frozenset[str] = frozenset()  # names of load balancers that do not leave their PENDING_ state


@dataclass(slots=True, kw_only=True)
class BlockDevice:
    """A volume that a server has from its boot on: one that is there, or one that Nova makes from an image."""

    volume: str | None = None
    image: str | None = None
    size: int = 0
    volume_type: str | None = None
    boots: bool = False
    dies_with_server: bool = False
    device: str | None = None


@dataclass(slots=True, kw_only=True)
class ServerSpec:
    """What a server is booted from. `ports` are ids of existing ports; for each of `networks` a port is made."""

    name: str
    flavor: str
    image: str | None = None
    user_id: str = ""
    key_name: str | None = None
    ports: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    user_data: str | bytes | None = None
    user_data_like: Sequence[Packed] = ()  # what the user-data was perhaps made from
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    security_groups: list[str] = field(default_factory=list)
    group: str | None = None
    availability_zone: str | None = None
    block_devices: list[BlockDevice] = field(default_factory=list)


class World:
    """One simulated cloud. Lives in one event loop; every mutation is synchronous, so no request sees half a change."""

    def __init__(self, settings: CloudsimSettings | None = None, clock: Clock | None = None) -> None:
        self.settings = settings or CloudsimSettings()
        self.clock = clock or Clock(self.settings.speed)
        self.store = Store(self.clock.now)
        self.quotas = Quotas(self.store)
        self.identity = Identity(self.clock, self.settings)
        self.faults = FaultPlan()
        self.requests = new_counter()
        self.coe = CoeEndpoints()
        # Ids of servers whose node has come to life: it has signalled to Heat, or nobody waited for that.
        self.joined: set[str] = set()
        self._attic = Attic()
        # Set by the Heat simulation: forget a stack and what it holds, silently (the "lose a stack" fault).
        self.on_lose_stack: Callable[[str], Awaitable[None] | None] | None = None
        # Called by `reset`, before the store is emptied, for state that is kept outside it (running tasks).
        self.on_reset: list[Callable[[], None]] = []
        self._next_floating = self.settings.first_floating
        self._next_host: dict[str, int] = {}
        self._load_fixtures()

    def reset(self) -> None:
        """Back to the fixtures, without changing clock speed or settings. Old tokens die."""
        for hook in self.on_reset:
            hook()
        self.clock.reset()
        self.store.clear()
        self.quotas.clear()
        self.identity.reset()
        self.faults = FaultPlan()
        self.requests.clear()
        self.joined.clear()
        self._next_floating, self._next_host = self.settings.first_floating, {}
        self._load_fixtures()

    def _load_fixtures(self) -> None:
        from cloudsim.fixtures import load  # noqa: PLC0415  (fixtures build worlds' records and so import this module)

        load(self)

    def allocate_floating_address(self) -> str:
        """The next address of the external pool 127.64.0.0/10, whose addresses are loopback and can be listened on."""
        for _ in range(_FLOATING_POOL.num_addresses):
            address = str(_FLOATING_POOL[self._next_floating])
            self._next_floating += 1
            if self._next_floating >= _FLOATING_POOL.num_addresses - 1:
                self._next_floating = FIRST_FLOATING
            if not self.store.find("floatingip", floating_ip_address=address):
                return address
        raise ValueError("no floating address is left")

    def allocate_fixed_address(self, subnet_id: str) -> str:
        """A free address of the subnet. Raises KeyError for an unknown subnet, ValueError when it is full."""
        subnet = self.store.get("subnet", subnet_id)
        if subnet is None:
            raise KeyError(subnet_id)
        network = ipaddress.ip_network(subnet.attrs["cidr"])
        last = network.num_addresses - 2
        host = self._next_host.get(subnet_id, 2)
        if host <= last:
            self._next_host[subnet_id] = host + 1
            return str(network[host])
        used = self._addresses_in(subnet_id, subnet.attrs["network_id"])
        for host in range(2, last + 1):
            if str(network[host]) not in used:
                return str(network[host])
        raise ValueError(f"no address is left in subnet {subnet_id}")

    def _addresses_in(self, subnet_id: str, network_id: str) -> set[str]:
        ports = self.store.find("port", network_id=network_id)
        return {ip["ip_address"] for port in ports for ip in port.get("fixed_ips", ()) if ip["subnet_id"] == subnet_id}

    def create_port(self, project_id: str, network_id: str, attrs: dict[str, Any] | None = None) -> Record:
        """A port on a network with one address from its first subnet, unless `attrs` has `fixed_ips`.

        KeyError: no network.
        """
        if self.store.get("network", network_id) is None:
            raise KeyError(network_id)
        body = {"name": "", "network_id": network_id, **(attrs or {})}
        if not body.get("fixed_ips"):
            subnets = self.store.find("subnet", network_id=network_id)
            body["fixed_ips"] = [_fixed_ip(s.id, self.allocate_fixed_address(s.id)) for s in subnets[:1]]
        else:
            body["fixed_ips"] = [self._complete_fixed_ip(network_id, ip) for ip in body["fixed_ips"]]
        return self.store.create("port", project_id, body)

    def _complete_fixed_ip(self, network_id: str, wanted: dict[str, str]) -> dict[str, str]:
        """Fill in the half of subnet and address that the request left out."""
        subnet_id = wanted.get("subnet_id") or self.store.find("subnet", network_id=network_id)[0].id
        return _fixed_ip(subnet_id, wanted.get("ip_address") or self.allocate_fixed_address(subnet_id))

    def boot_server(self, project_id: str, spec: ServerSpec) -> Record:
        """A server in BUILD that becomes ACTIVE (ERROR when its name is in `settings.boot_failures`) after
        `boot_seconds`.

        Raises KeyError for an unknown port or network, ApiFault when a quota is used up, and for a zone, a group or a
        volume that is not there. Deleting it while it builds is fine.
        """
        from cloudsim.networking import default_group  # noqa: PLC0415  (which builds on worlds)

        self._check_place(project_id, spec)
        ports = [self._port(port_id) for port_id in spec.ports]
        attrs = _server_attrs(spec)
        raw = spec.user_data.encode() if isinstance(spec.user_data, str) else spec.user_data
        if raw and self.settings.keep_user_data:
            attrs["user_data"] = self._attic.pack(raw, spec.user_data_like)
        attrs["flavor_id"] = self.resolve("flavor", spec.flavor)
        self.quotas.servers(project_id, attrs["flavor_id"])
        if spec.networks:
            self.quotas.network(project_id, "port")
        attrs["image_id"] = self.resolve("image", spec.image) if spec.image else None
        volumes = [self._device(project_id, device) for device in spec.block_devices]
        server = self.store.create("server", project_id, attrs)
        for port in ports:
            self.store.update(port, device_id=server.id, device_owner="compute:nova")
        for network_id in spec.networks:
            owner = {"device_id": server.id, "device_owner": "compute:nova", "made_by_nova": True}
            owner["security_groups"] = [default_group(self, project_id).id]
            self.create_port(project_id, network_id, owner)
        for number, (device, volume) in enumerate(zip(spec.block_devices, volumes, strict=True)):
            name = device.device or f"/dev/vd{chr(ord('a') + number)}"
            self.attach_volume(project_id, server.id, volume.id, name, dies_with_server=device.dies_with_server)
        self.clock.call_later(self.settings.boot_seconds, lambda: self._booted(server.id))
        return server

    def _check_place(self, project_id: str, spec: ServerSpec) -> None:
        """Zone and group, in Nova's words."""
        if spec.availability_zone and spec.availability_zone not in self.settings.zones:
            raise ApiFault(400, "The requested availability zone is not available", kind="BadRequest")
        if spec.group:
            group = self.store.get("server_group", spec.group)
            if group is None or group.project_id != project_id:
                raise ApiFault(400, f"Instance group {spec.group} could not be found.", kind="BadRequest")
            self.quotas.group_member(project_id, spec.group)

    def _device(self, project_id: str, device: BlockDevice) -> Record:
        """The volume of a block device, made from its image when it is not there; Nova gives such a volume no name."""
        if device.volume is not None:
            found = self.store.get("volume", device.volume)
            if found is None or found.project_id != project_id:
                message = f"Block Device Mapping is Invalid: failed to get volume {device.volume}."
                raise ApiFault(400, message, kind="BadRequest")
            return found
        if not device.size:
            message = "Images with destination_type 'volume' need to have a non-zero size specified"
            raise ApiFault(400, f"Block Device Mapping is Invalid: {message}", kind="BadRequest")
        attrs = {"name": "", "size": device.size, "status": "available", "image": device.image}
        attrs |= {"volume_type": device.volume_type} if device.volume_type else {}
        return self.create_volume(project_id, attrs)

    def _port(self, port_id: str) -> Record:
        port = self.store.get("port", port_id)
        if port is None:
            raise KeyError(port_id)
        return port

    def _booted(self, server_id: str) -> None:
        server = self.store.get("server", server_id)
        if server is not None and server.attrs["status"] == "BUILD":
            failed = server.attrs["name"] in self.settings.boot_failures
            self.store.update(server, status="ERROR" if failed else "ACTIVE", launched_at=self.store.second())

    def delete_server(self, server_id: str) -> None:
        """Delete a server at once; ports that Nova made go with it, others and volumes are let go.

        Unknown ids are ignored.
        """
        if self.store.delete("server", server_id) is None:
            return
        self.joined.discard(server_id)
        for port in self.store.find("port", device_id=server_id):
            if port.get("made_by_nova"):
                self.delete_port(port)
            else:
                self.store.update(port, device_id="", device_owner="")
        for attachment in self.store.find("volume_attachment", server_id=server_id):
            self.detach_volume(attachment)
            if attachment.get("dies_with_server"):
                self.store.delete("volume", attachment.attrs["volume_id"])

    def forget_subnet(self, subnet_id: str) -> None:
        """Delete a subnet and the memory of which addresses were given out."""
        self.store.delete("subnet", subnet_id)
        self._next_host.pop(subnet_id, None)

    def resolve(self, kind: str, reference: str) -> str:
        """The id of a flavor, image, network … given by id or name; what is not found comes back unchanged."""
        if self.store.get(kind, reference) is not None:
            return reference
        named = self.store.find(kind, name=reference)
        return named[0].id if named else reference

    def delete_port(self, port: Record) -> None:
        """Delete a port; a floating address that pointed at it is let go."""
        for floating in self.store.find("floatingip", port_id=port.id):
            self.store.update(floating, port_id=None, fixed_ip_address=None, router_id=None)
        self.store.delete("port", port.id)

    def create_volume(self, project_id: str, attrs: dict[str, Any]) -> Record:
        """A volume; with `image` (an id) one that can be booted from.

        Raises ApiFault when a quota is used up, and when there is no such image or it does not fit.
        """
        if image := attrs.get("image"):
            own = {name: value for name, value in attrs.items() if name != "image"}
            attrs = own | self._of_image(image, int(attrs["size"]))
        wanted = str(attrs.get("volume_type") or "")
        known = self.store.get("volume_type", wanted)
        self.quotas.volumes(project_id, int(attrs["size"]), str(known.get("name")) if known else wanted)
        return self.store.create("volume", project_id, attrs)

    def _of_image(self, image_id: str, size: int) -> dict[str, Any]:
        image = self.store.get("image", image_id)
        if image is None:
            raise ApiFault(400, "Invalid image identifier or unable to access requested image.", kind="BadRequest")
        if size < int(image.get("min_disk") or 0):
            message = f"Volume size {size}GB cannot be smaller than the image minDisk size {image.get('min_disk')}GB."
            raise ApiFault(400, f"Invalid input received: {message}", kind="BadRequest")
        return {"bootable": "true", "volume_image_metadata": {"image_id": image.id, "image_name": image.get("name")}}

    def attach_volume(
        self,
        project_id: str,
        server_id: str,
        volume_id: str,
        device: str = "/dev/vdb",
        *,
        dies_with_server: bool = False,
    ) -> Record:
        """Attach; the volume becomes in-use. Raises KeyError when the volume does not exist."""
        volume = self.store.get("volume", volume_id)
        if volume is None:
            raise KeyError(volume_id)
        attrs: dict[str, Any] = {"server_id": server_id, "volume_id": volume_id, "device": device}
        attrs |= {"dies_with_server": True} if dies_with_server else {}
        attachment = self.store.create("volume_attachment", project_id, attrs)
        self.store.update(volume, status="in-use")
        return attachment

    def detach_volume(self, attachment: Record) -> None:
        """Detach; the volume becomes available again."""
        self.store.delete("volume_attachment", attachment.id)
        volume = self.store.get("volume", attachment.attrs["volume_id"])
        if volume is not None:
            self.store.update(volume, status="available")

    def server_user_data(self, server: Record) -> bytes | None:
        """What the server was booted with, decompressed; None when there was none or it is not kept."""
        packed = server.get("user_data")
        return unpack(packed) if packed else None


def stable_id(kind: str, name: str) -> str:
    """The id of a fixture: the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://cloudsim.invalid/{kind}/{name}"))


def _fixed_ip(subnet_id: str, address: str) -> dict[str, str]:
    return {"subnet_id": subnet_id, "ip_address": address}


def _server_attrs(spec: ServerSpec) -> dict[str, Any]:
    """The server's attributes; what is empty is left out, since at thousands of nodes it would be memory."""
    attrs: dict[str, Any] = {"name": spec.name, "status": "BUILD", "user_id": spec.user_id}
    more = {
        "key_name": spec.key_name,
        "metadata": spec.metadata,
        "tags": spec.tags,
        "security_groups": spec.security_groups,
        "server_group": spec.group,
        "availability_zone": spec.availability_zone,
    }
    return attrs | {name: value for name, value in more.items() if value}
