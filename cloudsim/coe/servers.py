"""A bay's machines as its stack has them: servers that bear the bay's id in their metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cloudsim.coe.bay import Machine, Source, State
from cloudsim.store import Record

if TYPE_CHECKING:
    from cloudsim.world import World


def source(world: World, bay: str) -> Source:
    """Looks anew whenever somebody looks at the bay: servers come after their node's signal to Heat, with their
    flavor's cores and memory, fall silent when they are not ACTIVE, and are missing once they are deleted."""
    projects: dict[str, str] = {}

    def look() -> Iterator[Machine]:
        for server in world.store.list("server", projects.get(bay)):
            if (server.get("metadata") or {}).get("jeroboam_bay") == bay:
                projects[bay] = server.project_id
                if server.id in world.joined:
                    yield _machine(world, server)

    return look


def _machine(world: World, server: Record) -> Machine:
    metadata = server.get("metadata")
    flavor = world.store.get("flavor", server.get("flavor_id"))
    state: State = "well" if server.get("status") == "ACTIVE" else "silent"
    ports = world.store.find("port", device_id=server.id)
    addresses = [one["ip_address"] for port in ports for one in port.get("fixed_ips", ())]
    role = str(metadata.get("jeroboam_role", "worker"))
    return Machine(
        name=str(server.get("name")),
        address=addresses[0] if addresses else "",
        cpu=float(flavor.get("vcpus", 1)) if flavor else 1.0,
        memory=int(flavor.get("ram", 1024)) if flavor else 1024,
        role=role,
        state=state,
        labels=(("magnum.openstack.org/role", role),),
        id=server.id,
        boots=int(server.get("reboots") or 0),
    )
