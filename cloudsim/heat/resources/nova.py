"""OS::Nova types.

A server's node comes to life with it: after the boot it signals the wait handles that its user-data names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim.heat.errors import ResourceFailure
from cloudsim.heat.resources import block_devices
from cloudsim.heat.resources.base import Kind, Props, Stored, Waiting, find, physical_name, same_list, same_map
from cloudsim.heat.resources.plain import config_text
from cloudsim.heat.resources.waits import SIGNAL_PATH
from cloudsim.heat.stack import FAILED, Resource
from cloudsim.world import Record, ServerSpec

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine

SIGNAL_SECONDS = 0.5  # from ACTIVE to the end of cloud-init
_SIGNALS = re.compile(re.escape(SIGNAL_PATH) + r"([0-9a-f]{32})")
_POLICIES = {"flavor": "flavor_update_policy", "image": "image_update_policy", "user_data": "user_data_update_policy"}


class Server(Stored):
    """OS::Nova::Server."""

    record_kind = "server"

    @override
    def check(self, name: str, props: Props) -> None:
        """There is one thing to boot from."""
        block_devices.check(name, props)

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Boot, and be complete when it is ACTIVE."""
        user_data = config_text(engine, props["user_data"]) if props.get("user_data") else None
        server = engine.world.boot_server(resource.stack.project_id, self._spec(engine, resource, props, user_data))
        resource.physical_id = server.id
        tokens = tuple(dict.fromkeys(_SIGNALS.findall(user_data or "")))
        # The node lives by itself, whatever becomes of the engine.
        engine.world.clock.call_later(
            engine.world.settings.boot_seconds, partial(self._booted, engine, server.id, tokens)
        )
        return partial(self._boot, engine, resource)

    def _booted(self, engine: Engine, server_id: str, tokens: tuple[str, ...]) -> None:
        server = engine.world.store.get("server", server_id)
        if server is not None and server.get("status") != "ERROR":
            for token in tokens:
                self._signal_later(engine, server_id, token)
            if not tokens:
                engine.world.joined.add(server_id)

    def _spec(self, engine: Engine, resource: Resource, props: Props, user_data: str | None) -> ServerSpec:
        project_id = resource.stack.project_id
        networks = props.get("networks") or ()
        ports = [network["port"] for network in networks if network.get("port")]
        others = [network.get("network") or network.get("uuid") for network in networks if not network.get("port")]
        hints = props.get("scheduler_hints") or {}
        image = find(engine, "image", props["image"], project_id).id if props.get("image") else None
        return ServerSpec(
            name=props.get("name") or physical_name(resource),
            flavor=find(engine, "flavor", props["flavor"]).id,
            image=image,
            user_id=resource.stack.user_id,
            key_name=props.get("key_name"),
            ports=ports,
            networks=[find(engine, "network", wanted, project_id).id for wanted in others if wanted],
            user_data=user_data,
            user_data_like=resource.stack.root.files.packed(),
            metadata=same_map(tuple((key, str(value)) for key, value in (props.get("metadata") or {}).items())),
            tags=same_list(tuple(str(tag) for tag in props.get("tags") or ())),
            security_groups=[str(group) for group in props.get("security_groups") or ()],
            group=hints.get("group"),
            availability_zone=props.get("availability_zone") or None,
            block_devices=block_devices.devices(engine, project_id, props),
        )

    async def _boot(self, engine: Engine, resource: Resource) -> None:
        await engine.world.clock.sleep(engine.world.settings.boot_seconds)
        server = self.record(resource)
        if server is None:
            raise ResourceFailure("NotFound", f"No server with a name or ID of '{resource.physical_id}' exists.")
        if server.get("status") == "ERROR":
            raise ResourceFailure(
                "ResourceInError", 'Went to status ERROR due to "Message: No valid host was found. , Code: 500"'
            )

    @staticmethod
    def _signal_later(engine: Engine, server_id: str, token: str) -> None:
        """The node's last part of cloud-init, unless a behaviour keeps it from that."""
        from cloudsim.heat.lifecycle import path_of  # noqa: PLC0415  (lifecycle drives kinds)

        handle = engine.handles.get(token)
        if handle is None:
            return
        rule = engine.behaviours.take(
            ("never_signal", "fail_signal"), handle.type, path_of(handle), handle.stack.root.name, "CREATE"
        )
        if rule is not None and rule.effect == "never_signal":
            return
        details = {"status": "FAILURE", "reason": rule.reason} if rule else {"status": "SUCCESS"}

        def signal() -> None:
            if rule is None and engine.world.store.get("server", server_id) is not None:
                engine.world.joined.add(server_id)
            if token in engine.handles:
                engine.signal(handle, details)

        engine.world.clock.call_later(SIGNAL_SECONDS, signal)

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Rename, resize, rebuild, retag, swap ports."""
        server = self.record(resource)
        if server is None:
            raise ResourceFailure("NotFound", f"No server with a name or ID of '{resource.physical_id}' exists.")
        fresh: dict[str, Any] = {}
        if "name" in changed and props.get("name"):
            fresh["name"] = props["name"]
        if "metadata" in changed:
            fresh["metadata"] = {key: str(value) for key, value in (props.get("metadata") or {}).items()}
        if "tags" in changed:
            fresh["tags"] = list(props.get("tags") or ())
        if "flavor" in changed:
            fresh["flavor_id"] = find(engine, "flavor", props["flavor"]).id
        if "image" in changed:
            fresh["image_id"] = find(engine, "image", props["image"], resource.stack.project_id).id
        engine.world.store.update(server, **fresh)
        if "networks" in changed:
            self._swap_ports(engine, server, props)
        return None

    @staticmethod
    def _swap_ports(engine: Engine, server: Record, props: Props) -> None:
        store = engine.world.store
        wanted = {network["port"] for network in props.get("networks") or () if network.get("port")}
        for port in store.find("port", device_id=server.id):
            if port.id not in wanted and not port.get("made_by_nova"):
                store.update(port, device_id="", device_owner="")
        for port_id in wanted:
            port = find(engine, "port", port_id)
            store.update(port, device_id=server.id, device_owner="compute:nova")

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Delete the server; its node is gone with it."""
        engine.world.delete_server(resource.physical_id or "")
        return None

    @override
    def replaces(self, changed: frozenset[str], props: Props) -> bool:
        """By the property table, and by the three update policies; changed user-data replaces unless told otherwise."""
        if super().replaces(changed, props):
            return True
        defaults = {"user_data": "REPLACE"}
        return any(
            name in changed and (props.get(policy) or defaults.get(name)) == "REPLACE"
            for name, policy in _POLICIES.items()
        )

    @override
    def ignores(self, props: Props) -> frozenset[str]:
        """Changed user-data, when its policy says so."""
        return frozenset({"user_data"}) if props.get("user_data_update_policy") == "IGNORE" else frozenset()

    @override
    def spoil(self, engine: Engine, resource: Resource) -> None:
        """A server that failed is in ERROR."""
        server = self.record(resource)
        if server is not None:
            engine.world.store.update(server, status="ERROR")

    @override
    def broken(self, resource: Resource) -> bool:
        """A failed server is replaced when it is gone or in ERROR; one that runs is kept."""
        server = self.record(resource)
        return resource.status == FAILED and (server is None or server.get("status") == "ERROR")

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """Addresses come from the ports."""
        server = self.record(resource)
        if server is None:
            return None
        if name == "first_address":
            return next((ip["ip_address"] for ip in _ips(resource, server)), "")
        if name == "networks":
            return _networks(resource, server)
        if name == "addresses":
            found = _networks(resource, server)
            return {
                net: [{"addr": addr, "version": 4, "OS-EXT-IPS:type": "fixed"} for addr in ips]
                for net, ips in found.items()
            }
        if name in {"accessIPv4", "accessIPv6"}:
            return ""
        if name == "instance_name":
            return f"instance-{server.id[:8]}"
        return super().value_of(resource, name)


def _ips(resource: Resource, server: Record) -> list[Mapping[str, str]]:
    ports = resource.stack.engine.world.store.find("port", device_id=server.id)
    return [ip for port in ports for ip in port.get("fixed_ips", ())]


def _networks(resource: Resource, server: Record) -> dict[str, list[str]]:
    """Addresses under each network's name, and under its id as Heat adds it."""
    store = resource.stack.engine.world.store
    found: dict[str, list[str]] = {}
    for port in store.find("port", device_id=server.id):
        network = store.get("network", port.attrs["network_id"])
        for key in (network.get("name") if network else None, port.attrs["network_id"]):
            if key:
                found.setdefault(key, []).extend(ip["ip_address"] for ip in port.get("fixed_ips", ()))
    return found


class ServerGroup(Stored):
    """OS::Nova::ServerGroup."""

    record_kind = "server_group"

    @override
    def attrs(self, engine: Engine, resource: Resource, props: Props) -> dict[str, Any]:
        """Name, policy, owner."""
        policy = (props.get("policies") or ["anti-affinity"])[0]
        return {**super().attrs(engine, resource, props), "policy": policy, "user_id": resource.stack.user_id}

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """As a POST to Nova; raises its refusals."""
        engine.world.quotas.server_group(resource.stack.project_id)
        return super().create(engine, resource, props)


class KeyPair(Kind):
    """OS::Nova::KeyPair. Its id is its name; it belongs to the user."""

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Keep the public key; one is made up when none is given."""
        name, user_id = str(props["name"]), resource.stack.user_id
        resource.physical_id = name
        if engine.world.store.find("keypair", name=name, user_id=user_id):
            raise ResourceFailure("Conflict", f"Key pair '{name}' already exists. (HTTP 409)")
        public_key = props.get("public_key") or f"ssh-rsa AAAA{hashlib.sha256(name.encode()).hexdigest()} {name}"
        fingerprint = hashlib.md5(public_key.encode(), usedforsecurity=False).hexdigest()
        colons = ":".join(fingerprint[i : i + 2] for i in range(0, 32, 2))
        attrs = {"name": name, "user_id": user_id, "public_key": public_key, "fingerprint": colons, "type": "ssh"}
        engine.world.store.create("keypair", resource.stack.project_id, attrs)
        resource.data = True  # ours to delete, unlike one that was there already
        return None

    def _record(self, resource: Resource) -> Record | None:
        user_id = resource.stack.user_id
        return next(
            iter(resource.stack.engine.world.store.find("keypair", user_id=user_id, name=resource.physical_id)), None
        )

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Forget the key."""
        record = self._record(resource)
        if record is not None and resource.data:
            engine.world.store.delete("keypair", record.id)
        return None

    @override
    def exists(self, engine: Engine, resource: Resource) -> bool:
        """Whether the user still has it."""
        return self._record(resource) is not None

    @override
    def value_of(self, resource: Resource, name: str) -> Any:
        """`public_key`; a private key is never kept."""
        record = self._record(resource)
        return record.get("public_key") if record is not None and name == "public_key" else ""
