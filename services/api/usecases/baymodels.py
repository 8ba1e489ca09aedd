"""Templates, under either of their names: made, changed, removed (contract §1.12)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Set
from ipaddress import ip_address
from typing import Final
from uuid import UUID, uuid4

from services.api.faces import TemplateFace
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import checks, lookup
from services.api.usecases.patches import PatchItem, Rules, apply_patch
from services.api.usecases.plan_bay import driver_of
from shared.contracts.http.baymodels import Template
from shared.db.repositories import baymodels, documents
from shared.db.repositories.documents import Document
from shared.domain import names
from shared.domain.bay import Baymodel
from shared.domain.errors import Forbidden, InvalidInput
from shared.drivers.contract import Support

_INTERNAL: Final = frozenset(
    {"created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id", "cluster_distro"}
)
_MANDATORY: Final = frozenset(
    {"image_id", "coe", "server_type", "tls_disabled", "public", "registry_enabled", "hidden", "network_driver"}
)
_FREE_WHILE_USED: Final = frozenset({"name", "public", "hidden", "tags"})
_COLUMNS: Final = frozenset({"name", "coe", "image_id", "public"})

_NETWORK_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes": ("flannel", "calico", "cilium"),
    "swarm": ("docker", "flannel"),
    "swarm-mode": ("docker",),
    "mesos": ("docker",),
}
_VOLUME_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes": ("cinder",),
    "swarm": ("rexray",),
    "swarm-mode": ("rexray",),
    "mesos": ("rexray",),
}
_DEVICEMAPPER_GB: Final = 3
_NULL_IN_MAGNUM: Final = ("external_network_id", "dns_nameserver", "docker_volume_size")
"""Attributes for which Magnum's baymodels hold no default of their own: Heat's templates did."""


async def create(context: Context, facts: Facts, face: TemplateFace, body: Template) -> Document:
    """Make a template; its row as it stands.

    Raises:
        ClientFault: with Magnum's sentence.
        CloudError: the cloud cannot tell whether image and networks are there.
    """
    context.policy.enforce(facts.caller, face.rule("create"))
    if body.public or body.hidden:
        _check_publish(context, facts, face)
    attributes = await _checked(context, facts, body, body.model_fields_set)
    name = body.name or names.automatic(secrets.randbelow(24 * 24), face.suffix)
    model = _model(body, attributes, uuid4(), name, facts.caller.project_id, facts.caller.user_id)
    async with context.engine.begin() as conn:
        await baymodels.insert_baymodel(conn, model)
        found = await documents.by_id(await documents.within(conn), face.shelf, None, model.id)
    context.committed()
    assert found is not None  # noqa: S101 - written above, in the same transaction
    return found


async def change(context: Context, facts: Facts, face: TemplateFace, ident: str, patch: list[PatchItem]) -> Document:
    """Apply a patch; the row as it is then.

    The new version is checked against the cloud while nothing is locked, and written only if the row is still the one
    that was read; else all is done again with the newer row.
    """
    while True:
        before = await _own(context, facts, face, ident, "update")
        after = await _patched(context, facts, face, before, patch)
        async with context.engine.begin() as conn:
            locked = await baymodels.lock(conn, before.id)
            if locked is None:
                raise face.missing(ident)
            if locked != before:
                continue
            changed = _changed(before, after)
            if not changed <= _FREE_WHILE_USED and await baymodels.in_use(conn, before.id):
                raise _referenced(before.id)
            if changed:
                await baymodels.save(conn, after)
            found = await documents.by_id(await documents.within(conn), face.shelf, None, before.id)
        context.committed()
        assert found is not None  # noqa: S101 - locked above
        return found


async def remove(context: Context, facts: Facts, face: TemplateFace, ident: str) -> None:
    """Delete a template that no bay uses."""
    model = await _own(context, facts, face, ident, "delete")
    async with context.engine.begin() as conn:
        if await baymodels.lock(conn, model.id) is None:
            raise face.missing(ident)
        if await baymodels.in_use(conn, model.id):
            raise _referenced(model.id)
        await baymodels.remove(conn, model.id)
    context.committed()


async def _own(context: Context, facts: Facts, face: TemplateFace, ident: str, action: str) -> Baymodel:
    """The template, if the caller may change it: a public one of another project can be seen and used only."""
    scope = context.policy.scope(facts.caller, face.rule(f"{action}_all_projects"))
    row_id = (await lookup.find(context.reader, face, scope, ident)).id
    async with context.engine.connect() as conn:
        model = await baymodels.get(conn, row_id)
    if model is None:
        raise face.missing(ident)
    context.policy.enforce(facts.caller, face.rule(action), project_id=model.project_id, user_id=model.user_id)
    return model


async def _patched(
    context: Context, facts: Facts, face: TemplateFace, before: Baymodel, patch: list[PatchItem]
) -> Baymodel:
    """What the template would be, checked as a new one is as far as the patch touches what the cloud knows of.

    What the patch removes gets its default again, that of the name by which the template is changed; what was absent
    before stays so. A default of the guide's counts as absent, since clients `add` what they did not give.
    """
    current = _attributes(face, before)
    defaults = {name: field.default for name, field in face.new.model_fields.items() if not field.is_required()}
    filled = [name for name in _NULL_IN_MAGNUM if current[name] == defaults[name]]
    wanted = apply_patch({**current, **dict.fromkeys(filled)}, patch, _rules(face))
    removed = {name for name, value in wanted.items() if value is None and current[name] is not None}
    wanted |= {name: defaults[name] for name in removed & defaults.keys()}
    body = face.state.read(wanted)
    changed = {name for name, value in wanted.items() if value != current[name]}
    if changed & {"public", "hidden"} and (body.public or body.hidden):
        _check_publish(context, facts, face)
    if changed <= _FREE_WHILE_USED:
        attributes = _of(body)
    else:
        attributes = await _checked(context, facts, body, body.model_fields_set - removed)
    name = body.name or names.automatic(secrets.randbelow(24 * 24), face.suffix)
    return _model(body, {**before.attributes, **attributes}, before.id, name, before.project_id, before.user_id)


async def _checked(context: Context, facts: Facts, body: Template, said: Set[str]) -> dict[str, object]:
    """The attributes, after everything about a template was checked in Magnum's order.

    Args:
        said: names of what the caller gave; all else is a default, which gives way where the driver cannot have it.
    """
    if body.coe is None:
        raise InvalidInput("Requested COE type Unset is not supported.", field="coe")
    _check_drivers(body.coe, body)
    if "docker_storage_driver" in said:
        _check_volume(body.docker_storage_driver, body.docker_volume_size)
    found = await checks.look_up(
        context.cloud_of(facts.caller, facts.token),
        checks.Wishes(
            image=body.image_id,
            flavor=body.flavor_id,
            master_flavor=body.master_flavor_id,
            external_network=body.external_network_id,
            fixed_network=body.fixed_network,
            fixed_subnet=body.fixed_subnet,
            boots_from_volume=checks.boots_from_volume(body.labels or {}),
        ),
    )
    attributes = _of(body)
    driver = driver_of(attributes, found.os_distro, body.coe)
    attributes |= {name: value for name, value in _fitting(driver.support, body).items() if name not in said}
    _check_volume(attributes["docker_storage_driver"], body.docker_volume_size)
    return {**attributes, "cluster_distro": found.os_distro}


def _of(body: Template) -> dict[str, object]:
    """The body's attributes by their wire names, with what was left out filled in."""
    attributes: dict[str, object] = body.model_dump(exclude={*_COLUMNS, "ssh_authorized_key"})
    attributes["network_driver"] = body.network_driver or _NETWORK_DRIVERS[body.coe or ""][0]
    return attributes


def _fitting(support: Support, body: Template) -> dict[str, object]:
    """Defaults as a driver can have them: bare metal has no volumes of Cinder, containerd no devicemapper."""
    known = support.storage_drivers
    usual = body.docker_storage_driver
    return {
        "docker_volume_size": body.docker_volume_size if support.docker_volume else None,
        "docker_storage_driver": known[0] if known and usual not in known else usual,
    }


def _model(
    body: Template, attributes: Mapping[str, object], row_id: UUID, name: str, project_id: str, user_id: str
) -> Baymodel:
    return Baymodel(row_id, project_id, user_id, name, body.coe or "", body.image_id, body.public, attributes)


def _changed(before: Baymodel, after: Baymodel) -> set[str]:
    """The names of what differs."""
    own = {name for name in _COLUMNS if getattr(before, name) != getattr(after, name)}
    names_ = before.attributes.keys() | after.attributes.keys()
    return own | {name for name in names_ if before.attributes.get(name) != after.attributes.get(name)}


def _rules(face: TemplateFace) -> Rules:
    return Rules(_INTERNAL, _MANDATORY | {"keypair_id"} if face.needs_keypair else _MANDATORY)


def _check_drivers(coe: str, body: Template) -> None:
    _allowed("Network", body.network_driver, _NETWORK_DRIVERS[coe], "network_driver")
    _allowed("Volume", body.volume_driver, _VOLUME_DRIVERS[coe], "volume_driver")
    _check_dns(body.dns_nameserver)


def _check_volume(storage_driver: object, size: int | None) -> None:
    if storage_driver == "devicemapper" and size is not None and size < _DEVICEMAPPER_GB:
        raise InvalidInput(
            f"docker volume size {size} GB is not valid, expecting minimum value {_DEVICEMAPPER_GB}GB for "
            "devicemapper storage driver.",
            field="docker_volume_size",
        )


def _allowed(word: str, value: str | None, allowed: tuple[str, ...], field: str) -> None:
    if value is not None and value not in allowed:
        names_ = "/".join((*allowed, "unspecified"))
        raise InvalidInput(
            f"{word} driver type {value} is not supported, expecting a {names_} {word.lower()} driver.", field=field
        )


def _check_dns(given: str | None) -> None:
    """One address of a name server, or several separated by commas."""
    try:
        for part in given.split(",") if given else ():
            ip_address(part.strip())
    except ValueError:
        raise InvalidInput(
            f"Expected a single dns address or comma separated dns list, but received {given}.", field="dns_nameserver"
        ) from None


def _check_publish(context: Context, facts: Facts, face: TemplateFace) -> None:
    if not context.policy.allows(facts.caller, face.rule("publish")):
        raise Forbidden("Not authorized to set public or hidden flag for cluster template.")


def _attributes(face: TemplateFace, model: Baymodel) -> dict[str, object]:
    """All attributes that a patch may name, by their wire names."""
    own = {name: getattr(model, name) for name in _COLUMNS}
    return {name: own[name] if name in own else model.attributes.get(name) for name in face.state.model_fields}


def _referenced(row_id: UUID) -> InvalidInput:
    return InvalidInput(f"ClusterTemplate {row_id} is referenced by one or multiple clusters.")
