"""All checks, in the order in which one depends on the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from functools import partial

from services.cli.doctor import catalog, here, identity, project, rules, vault
from services.cli.doctor.cloud import Patient
from services.cli.doctor.findings import Area, Finding, Level
from services.cli.doctor.settings import DoctorSettings, each_service_reads_its_own
from shared.openstack.cloud import Cloud
from shared.openstack.keystone import Project


async def examine(
    settings: DoctorSettings, services: Collection[str], wanted: str | None, *, make_stack: bool
) -> AsyncIterator[Finding]:
    """Everything that was found, as it is found.

    Args:
        settings: of the installation.
        services: whose settings are read by the services themselves.
        wanted: name or id of the project that stands for those that get bays; None: any that is granted.
        make_stack: let Heat make a stack there, and Keystone a credential; both are deleted again.
    """
    for found in (await each_service_reads_its_own(services), here.keys(settings)):
        for one in found:
            yield one
    for check in (here.database, here.bus, here.heat_bus):
        for one in await check(settings):
            yield one
    cloud = Cloud.from_settings(settings)
    try:
        async for one in _cloud(Patient(settings, cloud), wanted, make_stack=make_stack):
            yield one
    finally:
        await cloud.close()


async def _cloud(patient: Patient, wanted: str | None, *, make_stack: bool) -> AsyncIterator[Finding]:
    entered = await identity.login(patient)
    for one in entered:
        yield one
    if any(one.level is Level.MISSING for one in entered):
        return
    checks = [(identity.AREA, one) for one in (identity.clock, identity.abilities, identity.projects)]
    checks += [(catalog.AREA, catalog.endpoint), (vault.AREA, vault.vault)]
    checks += [(rules.AREA, rules.rules)] if make_stack else []
    for area, check in checks:
        for one in await area.guarded(partial(check, patient)):
            yield one
    chosen, word = await _chosen(patient, wanted)
    for one in word:
        yield one
    if chosen is not None:
        async for one in _project(patient, chosen, make_stack=make_stack):
            yield one


async def _project(patient: Patient, chosen: Project, *, make_stack: bool) -> AsyncIterator[Finding]:
    cloud, place = patient.cloud.for_project(chosen.id), f"project {chosen.name}"
    for one in await catalog.AREA.guarded(partial(catalog.services, patient, cloud, place)):
        yield one
    for one in await project.HEAT.guarded(partial(project.heat, patient, cloud, place, make=make_stack)):
        yield one
    for check in (project.images, project.flavor, project.network, project.room):
        for one in await project.CONTENT.guarded(partial(check, patient, cloud, place)):
            yield one


async def _chosen(patient: Patient, wanted: str | None) -> tuple[Project | None, list[Finding]]:
    """The project to look at: the one that is wanted, else the first that is granted and not our own."""
    area, own = Area("project"), (await patient.cloud.auth.token()).project_id
    granted = sorted(await patient.granted(), key=lambda one: (one.id == own, one.name))
    if wanted is None:
        return (granted[0] if granted else None), []
    found = next((one for one in granted if wanted in (one.id, one.name)), None)
    if found is not None:
        return found, []
    grant = f"openstack role add {patient.user} --project {wanted} member (or --domain DOMAIN --inherited member)"
    return None, [area.missing(f"our service user has no role in project {wanted}, or there is none", grant)]
