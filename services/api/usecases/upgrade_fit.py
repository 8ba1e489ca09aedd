"""Whether a template fits a cluster that is to become like it, and what the new nodes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.faces import CLUSTERTEMPLATE
from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import checks
from services.api.usecases.checks import Found, Wishes
from services.api.usecases.effective import spec_of
from services.api.usecases.lookup import as_uuid
from services.api.usecases.nodegroup_new import OF_A_GROUP
from services.api.usecases.plan_bay import driver_of
from shared.db.repositories import baymodels, nodegroups
from shared.db.repositories.nodegroups import GONE, MASTER, Nodegroup
from shared.domain.bay import Bay, Baymodel
from shared.domain.errors import Conflict, InvalidInput, NotFound
from shared.domain.queue import DEFAULT_WORKERS
from shared.domain.scaling_labels import SCALING
from shared.domain.upgrade import OLD_MASTERS, VERSION_LABEL, laid_over, minor_step, skew
from shared.drivers import registry
from shared.drivers.contract import Driver

_MUST_MATCH: Final = ("server_type", "network_driver", "tls_disabled")
_OWN: Final = ("docker_volume_size", "flavor_id", "master_flavor_id", "fixed_network", "fixed_subnet")
_OWN_SWITCHES: Final = ("floating_ip_enabled", "master_lb_enabled")
OF_NODES: Final = ("image_id", "flavor_id", "docker_volume_size")
"""What an upgrade changes, beside labels."""
_SHARED_WITH_MASTERS: Final = ("image_id", "docker_volume_size")
_NOT_COMPARED: Final = frozenset({"labels", "keypair_name", "ssh_public_key", "discovery_url", OLD_MASTERS})
_OF_SCALING: Final = frozenset(label.name for label in SCALING)
MASTERS_STAY: Final = "masters cannot be upgraded yet; name nodegroup default-worker to upgrade only the workers"


@dataclass(frozen=True)
class Target:
    """What the nodes of a group are to become like."""

    bay: Bay
    group: Nodegroup
    model: Baymodel
    attributes: Mapping[str, object]
    """The template's under what the cluster's owner chose differently."""
    labels: Mapping[str, str]
    spec: dict[str, object] = field(default_factory=dict)
    """By the names of the bay's spec, or of the group's row; filled in when the cloud was asked."""
    changes: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    """What differs, old and new."""

    @property
    def driver(self) -> Driver:
        """Of the cluster."""
        return registry.by_name(self.bay.driver)

    @property
    def release(self) -> tuple[str, str]:
        """Which release of the engine nodes have and are to have; empty for a driver that has but one."""
        return _label(self.driver, _texts(self.bay.spec.get("labels"))), _label(self.driver, self.labels)

    def wishes(self) -> Wishes:
        """What the cloud must have of it."""
        names = ("external_network_id", "fixed_network", "fixed_subnet")
        network, fixed, subnet = (_text(self.attributes.get(name)) for name in names)
        return Wishes(
            image=str(self.attributes["image_id"]),
            flavor=_text(self.attributes.get("flavor_id")),
            master_flavor=_text(self.attributes.get("master_flavor_id")),
            external_network=network,
            fixed_network=fixed,
            fixed_subnet=subnet,
            boots_from_volume=checks.boots_from_volume(self.labels),
        )


async def template_of(
    context: Context, facts: Facts, conn: AsyncConnection, ident: str, bay: Bay
) -> tuple[Baymodel, Baymodel]:
    """The template that the caller means and may see, and the cluster's own."""
    scope = context.policy.scope(facts.caller, CLUSTERTEMPLATE.rule("get_one_all_projects"))
    found = await baymodels.find(conn, scope, baymodel_id=as_uuid(ident), name=ident)
    if len(found) > 1:
        raise CLUSTERTEMPLATE.ambiguous()
    if not found:
        raise CLUSTERTEMPLATE.missing(ident)
    return found[0], await baymodels.get(conn, bay.baymodel_id) or found[0]


async def group_of(conn: AsyncConnection, bay: Bay, ident: str | None) -> Nodegroup:
    """The workers' group that is meant."""
    group = await nodegroups.get(conn, bay.id, ident or DEFAULT_WORKERS)
    if group is None:
        raise NotFound(f"Nodegroup {ident} could not be found.", field="nodegroup")
    if group.wanted == GONE:
        raise InvalidInput(f"Nodegroup {group.name} is being deleted.", field="nodegroup")
    return group


def meant(bay: Bay, group: Nodegroup, model: Baymodel, old: Baymodel, *, default_flavor: str) -> Target:
    """Whether the group could become like the template, as far as that is seen without the cloud.

    Raises:
        Conflict: with the first thing that does not fit.
    """
    if not group.is_default and model.id != bay.baymodel_id:
        raise unfit("a nodegroup can only be upgraded to the cluster's own template, upgrade the cluster first")
    _check_kind_of(bay, model)
    if group.role == MASTER:
        raise unfit(MASTERS_STAY)
    to, was = _whole(model, default_flavor), _whole(old, default_flavor)
    if not group.is_default:
        return Target(bay, group, model, to | {"image_id": bay.spec["image_id"]}, _labels_of_group(bay, group))
    own = {
        name: to.get(name) if bay.spec.get(name) == was.get(name) else bay.spec.get(name)
        for name in (*_OWN, *_OWN_SWITCHES)
    }
    labels = laid_over(_texts(bay.spec.get("labels")), _texts(was.get("labels")), _texts(to.get("labels")))
    return Target(bay, group, model, to | own, _texts(labels))


def merged(target: Target, found: Found, *, masters_too: bool) -> Target:
    """The same with what the cloud has of it, once it is known that nothing changes which has to stay.

    Raises:
        Conflict: with all that does not fit.
    """
    bay, labels = target.bay, dict(target.labels)
    if not target.group.is_default:
        own: dict[str, object] = {"image_id": found.image.id, "labels": labels}
        changes = {name: (getattr(target.group, name), new) for name, new in own.items()}
        return replace(target, spec=own, changes={k: v for k, v in changes.items() if v[0] != v[1]})
    spec = spec_of({**target.attributes, "labels": labels}, found)
    changed = {
        name: (bay.spec.get(name), spec.get(name))
        for name in sorted({*spec, *bay.spec} - _NOT_COMPARED)
        if (bay.spec.get(name) or None) != (spec.get(name) or None)
    }
    of_labels = _changed_labels(target)
    _check_changed({*changed} - {*OF_NODES, "master_flavor_id"}, of_labels)
    _check_release(target)
    if masters_too:
        _check_masters(bay, spec, changed, of_labels)
    shown = {name: pair for name, pair in changed.items() if name in OF_NODES}
    shown |= {f"labels/{name}": pair for name, pair in of_labels.items()}
    return replace(target, spec={name: spec.get(name) for name in OF_NODES} | {"labels": labels}, changes=shown)


def _check_changed(attributes: set[str], labels: Mapping[str, object]) -> None:
    """Refuse what lies in the network, the masters or the cluster as a whole."""
    free = OF_A_GROUP | _OF_SCALING | {VERSION_LABEL}
    names = sorted(attributes) + sorted(f"label {name}" for name in labels if name not in free)
    if names:
        raise unfit(f"it differs from the cluster in {', '.join(names)}, which an upgrade leaves as it is")


def _check_release(target: Target) -> None:
    was, to = target.release
    if why := skew(was, to):
        raise unfit(why)
    if minor_step(was, to):
        raise unfit(f"it has Kubernetes {to}, the masters have {was}, and nodes must not be newer; {MASTERS_STAY}")


def _check_masters(
    bay: Bay, spec: Mapping[str, object], changed: Mapping[str, object], labels: Mapping[str, object]
) -> None:
    """Refuse what would change the masters, too."""
    kept = bay.spec.get(OLD_MASTERS)
    of_masters = {**bay.spec, **(kept if isinstance(kept, Mapping) else {})}
    names = [name for name in _SHARED_WITH_MASTERS if (of_masters.get(name) or None) != (spec.get(name) or None)]
    names += [name for name in ("master_flavor_id",) if name in changed]
    names += [f"label {name}" for name in sorted(labels) if name not in _OF_SCALING]
    if names:
        raise unfit(f"it has another {', '.join(names)} for masters too, and {MASTERS_STAY}")


def _changed_labels(target: Target) -> dict[str, tuple[object, object]]:
    """Labels that mean something to the driver and take another value, old and new."""
    was, rules = _texts(target.bay.spec.get("labels")), target.driver.label_rules
    pairs = {name: (was.get(name, rule.default), target.labels.get(name, rule.default)) for name, rule in rules.items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _labels_of_group(bay: Bay, group: Nodegroup) -> dict[str, str]:
    """A further group keeps what it may have of its own, and has the rest as its cluster has it now."""
    cluster = {name: value for name, value in _texts(bay.spec.get("labels")).items() if name not in OF_A_GROUP}
    return {**_texts(group.labels), **cluster}


def _check_kind_of(bay: Bay, model: Baymodel) -> None:
    """Whether it is for the same engine, the same driver and the same kind of network.

    Raises:
        Conflict: with the first thing that differs.
    """
    if model.coe != bay.spec["coe"]:
        raise unfit(f"its coe is {model.coe}, the cluster's is {bay.spec['coe']}")
    for name in _MUST_MATCH:
        if model.attributes.get(name) != bay.spec.get(name):
            raise unfit(f"its {name} is {model.attributes.get(name)}, the cluster's is {bay.spec.get(name)}")
    try:
        driver = driver_of(model.attributes, str(model.attributes["cluster_distro"]), model.coe)
    except InvalidInput as error:
        raise unfit(error.message.rstrip(".")) from None
    if driver.name != bay.driver:
        raise unfit(f"it is for driver {driver.name}, the cluster's is {bay.driver}")


def unfit(why: str) -> Conflict:
    """The refusal of a template, in Magnum's words."""
    return Conflict(f"Cluster Template is not valid for upgrade: {why}.", field="cluster_template")


def _whole(model: Baymodel, default_flavor: str) -> dict[str, object]:
    found: dict[str, object] = {**model.attributes, "coe": model.coe, "image_id": model.image_id}
    for name in ("flavor_id", "master_flavor_id"):
        found[name] = found.get(name) or default_flavor
    return found


def _label(driver: Driver, labels: Mapping[str, str]) -> str:
    rule = driver.label_rules.get(VERSION_LABEL)
    return "" if rule is None else labels.get(VERSION_LABEL, rule.default)


def _texts(labels: object) -> dict[str, str]:
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
