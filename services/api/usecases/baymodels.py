"""Baymodels: made, changed, removed (contract §1.12)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from services.api import policy
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import checks, lookup
from services.api.usecases.lookup import BAYMODEL
from services.api.usecases.patches import PatchItem, Rules, apply_patch
from shared.contracts.http.baymodels import BaymodelCreate
from shared.db.repositories import baymodels, documents
from shared.db.repositories.documents import BAYMODELS, Document
from shared.domain import names
from shared.domain.bay import Baymodel
from shared.domain.errors import Forbidden, InvalidInput
from shared.drivers import registry

RULES: Final = Rules(
    internal=frozenset({"created_at", "id", "links", "updated_at", "uuid", "project_id", "user_id", "cluster_distro"}),
    mandatory=frozenset(
        {"image_id", "coe", "keypair_id", "server_type", "tls_disabled", "public", "registry_enabled", "hidden"}
        | {"network_driver"}
    ),
)
_FREE_WHILE_USED: Final = frozenset({"name", "public", "hidden", "tags"})
_COLUMNS: Final = frozenset({"name", "coe", "image_id", "public"})

_NETWORK_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes": ("flannel", "calico", "cilium"),
    "swarm": ("docker", "flannel"),
    "mesos": ("docker",),
}
_VOLUME_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes": ("cinder",),
    "swarm": ("rexray",),
    "mesos": ("rexray",),
}
_DEVICEMAPPER_GB: Final = 3


async def create(context: Context, facts: Facts, body: BaymodelCreate) -> Document:
    """Make a baymodel; its row as it stands.

    Raises:
        ClientFault: with Magnum's sentence.
        CloudError: the cloud cannot tell whether image and networks are there.
    """
    policy.enforce(facts.caller, "baymodel:create")
    if body.public or body.hidden:
        _check_publish(facts)
    distro = await _check(context, facts, body)
    model = _model(body, distro, uuid4(), facts.caller.project_id, facts.caller.user_id)
    async with context.engine.begin() as conn:
        await baymodels.insert_baymodel(conn, model)
        found = await documents.by_id(await documents.within(conn), BAYMODELS, None, model.id)
    context.committed()
    assert found is not None  # noqa: S101 - written above, in the same transaction
    return found


async def change(context: Context, facts: Facts, ident: str, patch: list[PatchItem]) -> str:
    """Apply a patch; the document as it is then.

    The new version is checked against the cloud while nothing is locked, and written only if the row is still the one
    that was read; else all is done again with the newer row.
    """
    while True:
        row_id, before = await _own(context, facts, ident, "baymodel:update")
        wanted = apply_patch(_attributes(before), patch, RULES)
        changed = {name for name, value in wanted.items() if value != _attributes(before)[name]}
        if changed & {"public", "hidden"} and (wanted["public"] or wanted["hidden"]):
            _check_publish(facts)
        body = BaymodelCreate.read(wanted)
        if changed <= _FREE_WHILE_USED:  # nothing that the cloud knows of
            distro = str(before.attributes["cluster_distro"])
        else:
            distro = await _check(context, facts, body)
        after = _model(body, distro, row_id, before.project_id, before.user_id)
        async with context.engine.begin() as conn:
            locked = await baymodels.lock(conn, row_id)
            if locked is None:
                raise BAYMODEL.missing(ident)
            if locked != before:
                continue
            if not changed <= _FREE_WHILE_USED and await baymodels.in_use(conn, row_id):
                raise _referenced(row_id)
            if changed:
                await baymodels.save(conn, after)
            found = await documents.by_id(await documents.within(conn), BAYMODELS, None, row_id)
        context.committed()
        assert found is not None  # noqa: S101 - locked above
        return found.text


async def remove(context: Context, facts: Facts, ident: str) -> None:
    """Delete a baymodel that no bay uses."""
    row_id, _ = await _own(context, facts, ident, "baymodel:delete")
    async with context.engine.begin() as conn:
        if await baymodels.lock(conn, row_id) is None:
            raise BAYMODEL.missing(ident)
        if await baymodels.in_use(conn, row_id):
            raise _referenced(row_id)
        await baymodels.remove(conn, row_id)
    context.committed()


async def _own(context: Context, facts: Facts, ident: str, rule: str) -> tuple[UUID, Baymodel]:
    """The baymodel, if the caller may change it: a public one of another project can be seen and used only."""
    row_id = (await lookup.find(context.reader, BAYMODEL, facts.caller, ident)).id
    async with context.engine.connect() as conn:
        model = await baymodels.get(conn, row_id)
    if model is None:
        raise BAYMODEL.missing(ident)
    policy.enforce(facts.caller, rule)
    if not facts.caller.is_admin and model.project_id != facts.caller.project_id:
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
    return row_id, model


async def _check(context: Context, facts: Facts, body: BaymodelCreate) -> str:
    """Check everything about a baymodel, in Magnum's order; the distribution that the image says it is."""
    if body.coe is None:
        raise InvalidInput("Requested COE type Unset is not supported.", field="coe")
    _check_drivers(body.coe, body)
    found = await checks.look_up(
        context.cloud_of(facts.caller, facts.token),
        checks.Wishes(
            image=body.image_id,
            flavor=body.flavor_id,
            master_flavor=body.master_flavor_id,
            external_network=body.external_network_id,
            fixed_network=body.fixed_network,
            fixed_subnet=body.fixed_subnet,
        ),
    )
    registry.find(body.server_type, found.os_distro, body.coe)
    return found.os_distro


def _model(body: BaymodelCreate, distro: str, row_id: UUID, project_id: str, user_id: str) -> Baymodel:
    """The checked body as a baymodel, with what was left out filled in."""
    coe = body.coe or ""
    attributes = body.model_dump(exclude={*_COLUMNS, "ssh_authorized_key"})
    attributes["network_driver"] = body.network_driver or _NETWORK_DRIVERS[coe][0]
    attributes["cluster_distro"] = distro
    name = body.name or names.automatic(secrets.randbelow(24 * 24), "model")
    return Baymodel(row_id, project_id, user_id, name, coe, body.image_id, body.public, attributes)


def _check_drivers(coe: str, body: BaymodelCreate) -> None:
    _allowed("Network", body.network_driver, _NETWORK_DRIVERS[coe], "network_driver")
    _allowed("Volume", body.volume_driver, _VOLUME_DRIVERS[coe], "volume_driver")
    size = body.docker_volume_size
    if body.docker_storage_driver == "devicemapper" and size is not None and size < _DEVICEMAPPER_GB:
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


def _check_publish(facts: Facts) -> None:
    if not facts.caller.is_admin:
        raise Forbidden("Not authorized to set public or hidden flag for cluster template.")


def _attributes(model: Baymodel) -> dict[str, object]:
    """All attributes that a patch may name, by their wire names."""
    own = {"name": model.name, "coe": model.coe, "image_id": model.image_id, "public": model.public}
    return {**own, **{name: value for name, value in model.attributes.items() if name != "cluster_distro"}}


def _referenced(row_id: UUID) -> InvalidInput:
    return InvalidInput(f"ClusterTemplate {row_id} is referenced by one or multiple clusters.")
