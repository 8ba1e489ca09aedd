"""The servers of the simulated cloud as machines for the lab, and bays that only their nodes' own signals complete."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from tests.support.jobs import control, reason, settled
from tests.support.lab import image
from tests.support.lab.dress import IMAGES, Image, dresser
from tests.support.lab.lab import Lab
from tests.support.lab.network import GATEWAY
from tests.support.lab.node import Machine

_FIND_LIMIT = 90.0


def lab_for(stack: LocalStack) -> Lab:
    """A lab whose nodes reach the gateway and the cloud of this stack."""
    return Lab([stack.api_port, stack.cloud_port])


@dataclass(frozen=True)
class Wanted:
    """A bay to be made in the lab.

    `baymodel` and `bay` are the bodies of the API's requests; `without` names programs that the nodes' image lacks.
    """

    image: str
    baymodel: Mapping[str, object]
    bay: Mapping[str, object]
    without: tuple[str, ...] = ()
    edit: Callable[[str, str], str] = lambda _name, user_data: user_data
    """Changes the user-data of the server of that name on its way to the node."""

    @property
    def servers(self) -> int:
        """How many servers it has."""
        counts = (self.bay.get("master_count", 1), self.bay.get("node_count", 1))
        return sum(count for count in counts if isinstance(count, int))


async def create(stack: LocalStack, lab: Lab, client: JeroboamClient, wanted: Wanted) -> str:
    """Ask for the bay and boot its servers as the cloud shows them; gives the bay's uuid while its nodes start.

    From here on the simulated cloud leaves it to the nodes to signal. Raises LabError and TimeoutError.
    """
    await image.layers(*IMAGES[wanted.image].layers)
    await control(stack, "/heat/behaviours", "POST", {"effect": "never_signal"})
    model = await client.create_baymodel(wanted.baymodel)
    bay = await client.create_bay({"baymodel_id": model.uuid, **wanted.bay})
    await boot(stack, lab, bay, wanted)
    return bay


async def boot(stack: LocalStack, lab: Lab, bay: str, wanted: Wanted) -> None:
    """Boot the servers of the bay that do not run yet, each when the cloud shows it, until there are enough."""
    clothes = IMAGES[wanted.image]
    dress = dresser(clothes, wanted.without)
    async with asyncio.timeout(_FIND_LIMIT), asyncio.TaskGroup() as tasks, stack.client("admin") as administrator:
        begun = set(lab.nodes)
        while len(begun) < wanted.servers:
            for server in await servers_of(stack, administrator, bay):
                if server["name"] not in begun:
                    begun.add(server["name"])
                    tasks.create_task(lab.boot(machine_of(server, stack, clothes, dress, wanted.edit)))
            await asyncio.sleep(0.2)


async def outcome(client: JeroboamClient, bay: str, seconds: float = 150.0) -> tuple[str, str]:
    """The bay's status and its reason, once nothing is under way. Raises TimeoutError."""
    status = await settled(client, bay, seconds=seconds)
    return status, await reason(client, bay) if status else ""


async def servers_of(stack: LocalStack, administrator: JeroboamClient, bay: str) -> list[dict[str, Any]]:
    """Those of the bay that Nova shows as active with all their volumes: with user-data as Heat has filled it in."""
    call = administrator.session.call
    volumes = [one["id"] for one in (await control(stack, "/state?kind=volume"))["records"].get("volume", [])]
    as_text = {"OpenStack-API-Version": "compute 2.3"}  # from here on administrators are shown the user-data
    reply = await call("compute", "GET", "/servers/detail", params={"all_tenants": "true"}, headers=as_text)
    servers: Iterable[dict[str, Any]] = json.loads(reply.body)["servers"]
    ours = [one for one in servers if one["metadata"].get("jeroboam_bay") == bay and one["status"] == "ACTIVE"]
    return [one for one in ours if all(each in _volumes(one) for each in volumes if each in _user_data(one))]


def _volumes(server: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one["id"] for one in server["os-extended-volumes:volumes_attached"])


def _user_data(server: dict[str, Any]) -> str:
    return base64.b64decode(server["OS-EXT-SRV-ATTR:user_data"]).decode()


def machine_of(
    server: dict[str, Any],
    stack: LocalStack,
    clothes: Image,
    dress: Callable[[Path], None],
    edit: Callable[[str, str], str],
) -> Machine:
    """A server of Nova's as a machine of the lab."""
    addresses = [one for listed in server["addresses"].values() for one in listed]
    user_data = _user_data(server)
    for port in (stack.api_port, stack.cloud_port):  # a node's own loopback is another one
        user_data = user_data.replace(f"//127.0.0.1:{port}/", f"//{GATEWAY}:{port}/")
    return Machine(
        name=server["name"],
        server_id=server["id"],
        address=next(one["addr"] for one in addresses if one["OS-EXT-IPS:type"] == "fixed"),
        user_data=edit(server["name"], user_data),
        volumes=_volumes(server),
        layers=clothes.layers,
        dress=dress,
        read_only=clothes.read_only,
    )
