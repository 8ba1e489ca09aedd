"""The bays' own APIs on this machine: what the masters of a bay would serve, the simulated cloud serves in their place.

Servers of the simulated cloud do not boot, so nobody would answer at a bay's `api_address`. As soon as a bay is there,
a server's certificate is had from its authority through the public API, as anybody may who has the bay, and handed
to the simulated cloud, which plays the engine at that very address (see cloudsim/README.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from shared.client.api import JeroboamClient
from shared.contracts.http.bays import BayFull
from shared.domain.errors import CloudError
from shared.openstack.transport import Answer
from shared.pki_client import new_key_and_csr

_ENGINES: Final = {"kubernetes": "kubernetes", "swarm": "swarm", "swarm-mode": "docker", "mesos": "mesos"}
_MARATHON: Final = 8080
"""Mesos bays name a host alone."""
_UNBORN: Final = ("CREATE_IN_PROGRESS", "CREATE_FAILED", "DELETE_IN_PROGRESS", "DELETE_FAILED", "DELETE_COMPLETE")


@dataclass(frozen=True)
class _Place:
    host: str
    port: int


class Engines:
    """Those of one person's bays."""

    def __init__(self, client: JeroboamClient, control_url: str) -> None:
        self._client = client
        self._control_url = control_url
        self._open: dict[str, _Place] = {}

    async def look(self) -> None:
        """Open what is not open of the bays that are there, and close what belongs to none any more.

        Raises:
            CloudError: the API does not answer.
        """
        bays = {bay.uuid: bay for bay in await self._client.bays()}
        for gone in self._open.keys() - bays.keys():
            await self._close(self._open.pop(gone))
        for uuid, bay in bays.items():
            if uuid not in self._open and str(bay.status) not in _UNBORN:
                await self._serve(await self._client.bay(uuid))

    async def keep(self, every: float) -> None:
        """Look every so many seconds, for ever. What does not work now is tried again."""
        while True:
            with suppress(CloudError):
                await self.look()
            await asyncio.sleep(every)

    async def _serve(self, bay: BayFull) -> None:
        model = await self._client.baymodel(bay.baymodel_id)
        told = bay.api_address or ""
        address = urlsplit(told if "//" in told else f"//{told}")
        if address.hostname is None or model.coe not in _ENGINES:
            return
        place = _Place(str(address.hostname), address.port or _MARATHON)
        version = (bay.coe_version or "").removeprefix("v")
        opening: dict[str, object] = {"address": place.host, "port": place.port, "bay": bay.uuid}
        opening |= {"engine": _ENGINES[model.coe]}
        if model.coe == "kubernetes" and version[:1].isdigit():
            opening |= {"options": {"version": version}}
        if model.coe != "mesos" and not model.tls_disabled:
            opening |= await self._papers(bay.uuid, place.host)
        await self._close(place)  # of a bay that had this address before
        answer = await self._control("POST", "", opening)
        if answer.status < 300:
            self._open[bay.uuid] = place

    async def _papers(self, bay: str, host: str) -> Mapping[str, str]:
        made = new_key_and_csr("server", addresses=[host])
        issued = await self._client.sign(bay, made.csr_pem)
        authority = await self._client.authority(bay)
        return {"certificate": issued.pem, "key": made.key_pem, "ca": authority.pem}

    async def _close(self, place: _Place) -> None:
        """Whatever is open there; nothing is fine too."""
        await self._control("DELETE", f"/{place.host}/{place.port}")

    async def _control(self, method: str, path: str, body: object = None) -> Answer:
        url = f"{self._control_url}/coe{path}"
        return await self._client.session.transport.send("control", method, url, headers={}, json=body)
