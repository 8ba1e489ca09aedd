"""What is looked up in the cloud with the caller's own token before anything is accepted (contract §2.5).

All questions go out at once. When several answers are bad, the one that stands first in Magnum's order is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from shared.domain.errors import ClientFault, InvalidInput, JeroboamError, NotFound
from shared.drivers import registry
from shared.openstack import octavia
from shared.openstack.catalog import Endpoints
from shared.openstack.cloud import ProjectCloud
from shared.openstack.glance import Image
from shared.openstack.neutron import Network, Subnet
from shared.openstack.nova import Flavor, Keypair

T = TypeVar("T")


@dataclass(frozen=True)
class Wishes:
    """Names or ids, as the user gave them; None = not asked for."""

    image: str
    flavor: str | None = None
    master_flavor: str | None = None
    keypair: str | None = None
    external_network: str | None = None
    fixed_network: str | None = None
    fixed_subnet: str | None = None
    boots_from_volume: bool = False
    """Whether servers have a volume for a root disk, so that flavors need none."""


@dataclass(frozen=True)
class Found:
    """What the cloud has of it."""

    image: Image
    os_distro: str
    flavor: Flavor | None
    master_flavor: Flavor | None
    keypair: Keypair | None
    external_network: Network | None
    fixed_network: Network | None
    fixed_subnet: Subnet | None
    fixed_cidrs: tuple[str, ...] = ()
    """Addresses of the fixed network: of the subnet that was named, else of all of them."""


async def look_up(cloud: ProjectCloud, wishes: Wishes, *, strange_key: bool = False) -> Found:
    """Find everything, or say what is missing; with `strange_key` the key pair may be.

    Raises:
        InvalidInput: something does not exist; for a key pair it is NotFound, as in Magnum.
        Conflict: a name means several things.
        CloudError: a service refused or did not answer; it names the service.
    """
    image, flavor, master_flavor, keypair, external, network, subnet = await together(
        _image(cloud, wishes.image),
        _flavor(cloud, wishes.flavor, diskless=wishes.boots_from_volume),
        _flavor(cloud, wishes.master_flavor, diskless=wishes.boots_from_volume),
        _keypair(cloud, wishes.keypair, may_miss=strange_key),
        _external(cloud, wishes.external_network),
        _network(cloud, wishes.fixed_network),
        _subnet(cloud, wishes.fixed_subnet),
    )
    assert isinstance(image, Image)  # noqa: S101 - what `_image` returns
    found = Found(
        image,
        _distro(image, wishes.image),
        _as(Flavor, flavor),
        _as(Flavor, master_flavor),
        _as(Keypair, keypair),
        _as(Network, external),
        _as(Network, network),
        _as(Subnet, subnet),
    )
    _check_subnet(found, wishes)
    return replace(found, fixed_cidrs=await _cidrs(cloud, found))


async def _cidrs(cloud: ProjectCloud, found: Found) -> tuple[str, ...]:
    if found.fixed_subnet is not None:
        return (found.fixed_subnet.cidr,)
    if found.fixed_network is None:
        return ()
    return tuple(subnet.cidr for subnet in await cloud.neutron.subnets_of(found.fixed_network.id))


def check_balancer(endpoints: Endpoints, attributes: Mapping[str, object]) -> None:
    """Refuse a load balancer before the masters where the caller's catalog has no service that makes one.

    Raises:
        InvalidInput: it has none.
    """
    if attributes.get("master_lb_enabled") and not endpoints.has(octavia.SERVICE):
        raise InvalidInput(
            "master_lb_enabled cannot be true: this cloud has no load balancer service (Octavia).",
            field="master_lb_enabled",
        )


def boots_from_volume(labels: Mapping[str, object]) -> bool:
    """Whether the labels give servers a volume to boot from. What else the label may say, the driver judges."""
    return str(labels.get("boot_volume_size") or "0").strip("0") != ""


async def together(*questions: Awaitable[object]) -> list[object]:
    """The answers to questions that go out at once.

    When several answers are bad, the caller's own mistakes come first, in the order of the questions, and then a
    service that is away: a mistake will not go away by waiting.
    """
    answers = await asyncio.gather(*questions, return_exceptions=True)
    errors = [one for one in answers if isinstance(one, BaseException)]
    for kind in (ClientFault, JeroboamError, BaseException):
        for error in errors:
            if isinstance(error, kind):
                raise error
    return answers


def _as(kind: type[T], value: object) -> T | None:
    return value if isinstance(value, kind) else None


def _distro(image: Image, ident: str) -> str:
    if not image.os_distro:
        known = ", ".join(sorted({distro for _, distro, _ in (driver.key for driver in registry.DRIVERS)}))
        raise InvalidInput(
            f"Image {ident} doesn't contain os_distro field. It chooses the driver; there are drivers for {known}.",
            field="image_id",
        )
    return image.os_distro


def _check_subnet(found: Found, wishes: Wishes) -> None:
    network, subnet = found.fixed_network, found.fixed_subnet
    if network is not None and subnet is not None and subnet.network_id != network.id:
        raise InvalidInput(
            f"Fixed subnet {wishes.fixed_subnet} does not belong to fixed network {wishes.fixed_network}.",
            field="fixed_subnet",
        )


async def _there(found: Awaitable[T | None], error: ClientFault) -> T:
    """What was found; raises `error` when nothing was."""
    got = await found
    if got is None:
        raise error
    return got


async def _image(cloud: ProjectCloud, ident: str) -> Image:
    error = InvalidInput(f"Image {ident} could not be found.", field="image_id")
    return await _there(cloud.glance.find_image(ident), error)


async def _flavor(cloud: ProjectCloud, ident: str | None, *, diskless: bool) -> Flavor | None:
    if ident is None:
        return None
    error = InvalidInput(f"Unable to find flavor {ident}.", field="flavor_id")
    found = await _there(cloud.nova.find_flavor(ident), error)
    if found.disk_gb == 0 and not diskless:
        raise InvalidInput(
            "Flavor with zero root volume size is not supported when boot_volume_size is zero.", field="flavor_id"
        )
    return found


async def _keypair(cloud: ProjectCloud, name: str | None, *, may_miss: bool) -> Keypair | None:
    if name is None:
        return None
    if may_miss:
        return await cloud.nova.keypair(name)
    return await _there(cloud.nova.keypair(name), NotFound(f"Unable to find keypair {name}.", field="keypair_id"))


async def _external(cloud: ProjectCloud, ident: str | None) -> Network | None:
    if ident is None:
        return None
    error = InvalidInput(f"Unable to find external network {ident}.", field="external_network_id")
    return await _there(cloud.neutron.find_external_network(ident), error)


async def _network(cloud: ProjectCloud, ident: str | None) -> Network | None:
    if ident is None:
        return None
    error = InvalidInput(f"Unable to find fixed network {ident}.", field="fixed_network")
    return await _there(cloud.neutron.find_network(ident), error)


async def _subnet(cloud: ProjectCloud, ident: str | None) -> Subnet | None:
    if ident is None:
        return None
    error = InvalidInput(f"Unable to find fixed subnet {ident}.", field="fixed_subnet")
    return await _there(cloud.neutron.find_subnet(ident), error)
