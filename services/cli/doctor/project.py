"""One project in which bays are to be built: Heat's ways there, and what baymodels can name."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from services.cli.doctor.cloud import Patient, is_refusal
from services.cli.doctor.findings import Area, Finding
from shared.domain.errors import CloudError
from shared.drivers.registry import DRIVERS
from shared.openstack.cloud import ProjectCloud

HEAT: Final = Area("heat")
CONTENT: Final = Area("project")
_TEMPLATE: Final = """heat_template_version: 2018-03-02
resources:
  members:
    type: OS::Heat::ResourceGroup
    properties: {count: 0, resource_def: {type: OS::Nova::Server}}
  secret: {type: OS::Heat::RandomString}
"""
_MADE_WITHIN: Final = 60.0
"""Seconds; an engine that works makes the tiny stack in a few."""
_TINY: Final = "heat_template_version: 2018-03-02\nresources: {secret: {type: OS::Heat::RandomString}}\n"


async def heat(patient: Patient, cloud: ProjectCloud, place: str, *, make: bool) -> list[Finding]:
    """Whether Heat takes our templates there, and how it lets us follow stacks. `make`: a stack is made and deleted."""
    grant = f"openstack role add {patient.user} --domain DOMAIN --inherited member"
    try:
        await cloud.heat.validate(_TEMPLATE, {}, {})
        found = [HEAT.ok(f"it validates our kind of template in {place}")]
    except CloudError as error:
        return [HEAT.missing(f"{place}: {error.message}", grant if is_refusal(error) else "")]
    if make:
        found.append(await _makes(patient, cloud, place))
    else:
        found.append(HEAT.ok("whether it makes stacks for us, and their trust, is tried with --make-stack only"))
    try:
        await patient.own.heat.list_cloud()
        found.append(HEAT.ok("its stacks:global_index is allowed: all stacks are listed with one call"))
    except CloudError as error:
        if not is_refusal(error):
            raise
        found.append(HEAT.ok("its stacks:global_index is not allowed, as by default: one call a project"))
    return found


async def _makes(patient: Patient, cloud: ProjectCloud, place: str) -> Finding:
    name = f"jeroboam-doctor-{secrets.token_hex(4)}"
    try:
        stack_id = await cloud.heat.create(
            name=name, template=_TINY, timeout_mins=5, tags=("doctor",), files={}, environment={}, parameters={}
        )
        status = await _settled(cloud, stack_id)
    except CloudError as error:
        todo = (
            "Heat makes a trust with our token: see [DEFAULT] trusts_delegated_roles in heat.conf; when it names "
            f"heat_stack_owner: openstack role add {patient.user} --domain DOMAIN --inherited heat_stack_owner"
        )
        return HEAT.missing(f"it makes no stack for us in {place}: {error.message}", todo)
    finally:
        left = await cloud.heat.find_stack(name)
        if left is not None:
            await cloud.heat.delete(left.id)
    if status != "CREATE_COMPLETE":
        text = f"it took a stack from us in {place}, which is {status} after {_MADE_WITHIN:g} s at most"
        return HEAT.missing(
            f"{text}; it was deleted again", "openstack orchestration service list; read heat-engine's log"
        )
    return HEAT.ok(f"it made a stack for us in {place}, which was deleted again")


async def _settled(cloud: ProjectCloud, stack_id: str) -> str:
    """The stack's status once it is COMPLETE or FAILED, or that of the last look."""
    status = "CREATE_IN_PROGRESS"
    try:
        async with asyncio.timeout(_MADE_WITHIN):
            while status.endswith("_IN_PROGRESS"):
                shown = await cloud.heat.show(stack_id)
                status = "gone" if shown is None else shown.status
                if status.endswith("_IN_PROGRESS"):
                    await asyncio.sleep(1.0)
    except TimeoutError:
        return status
    return status


async def images(_patient: Patient, cloud: ProjectCloud, _place: str) -> list[Finding]:
    """Whether each driver finds an image, by its property os_distro."""
    there = {one.maybe("os_distro") for one in await cloud.session.pages("image", "/images", "images")}
    found = []
    distros = {driver.key[1] for driver in DRIVERS}
    for distro in sorted(distros):
        kinds = " or ".join(sorted({driver.key[2] for driver in DRIVERS if driver.key[1] == distro}))
        if distro in there:
            found.append(CONTENT.ok(f"an image has os_distro={distro} ({kinds})"))
        else:
            todo = f"openstack image set --property os_distro={distro} IMAGE"
            found.append(CONTENT.warning(f"no image has os_distro={distro}: no bays of {kinds} on it", todo))
    if there & distros:
        return found
    todo = "openstack image create --public --disk-format qcow2 --property os_distro=ubuntu --file FILE NAME"
    return [CONTENT.missing("no image has an os_distro of a driver's: no bay can be made", todo)]


async def flavor(patient: Patient, cloud: ProjectCloud, _place: str) -> list[Finding]:
    """Whether the flavor is there that baymodels without one get."""
    name = patient.settings.default_flavor
    if await cloud.nova.find_flavor(name) is not None:
        return [CONTENT.ok(f"the flavor {name} is there, for baymodels that name none")]
    todo = f"openstack flavor create --vcpus 1 --ram 2048 --disk 20 {name} (or set JEROBOAM_DEFAULT_FLAVOR)"
    return [CONTENT.warning(f"no flavor {name}, for baymodels that name none", todo)]


async def network(_patient: Patient, cloud: ProjectCloud, _place: str) -> list[Finding]:
    """Whether there is an external network."""
    there = await cloud.session.pages("network", "/networks", "networks", params={"router:external": "True"})
    if there:
        return [CONTENT.ok(f"external network {there[0].text('name')} is there")]
    todo = "openstack network create --external --provider-network-type flat --provider-physical-network PHYSNET public"
    return [CONTENT.missing("there is no external network, which every baymodel names", todo)]


async def room(_patient: Patient, cloud: ProjectCloud, place: str) -> list[Finding]:
    """Whether Nova has room for a bay at all; each bay's need is judged when it is asked for."""
    limits = await cloud.nova.limits()
    full = [
        f"{name} ({one.used} of {one.limit})"
        for name, one in sorted(limits.items())
        if one.limit is not None and one.used >= one.limit
    ]
    if full:
        todo = "openstack quota set --instances N --cores N --ram N --server-groups N PROJECT"
        return [CONTENT.warning(f"no room is left in {place}: {', '.join(full)}", todo)]
    return [CONTENT.ok(f"there is room for servers in {place}")]
