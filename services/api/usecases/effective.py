"""What a new bay will be: the baymodel's attributes under the bay's own, and what the cloud has of them.

The result is `bays.spec`, by the names of `BayFacts`, from which every render of this bay is made (rule 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final
from uuid import UUID

from services.api.faces import Face
from services.api.usecases.checks import Found, Wishes
from shared.contracts.http.base import bad
from shared.contracts.http.bays import NewBay
from shared.domain.bay import Bay, Baymodel
from shared.domain.errors import InvalidInput
from shared.domain.label_differences import LabelDifferences, differences
from shared.drivers.contract import BayFacts

_OWN: Final = (
    *("docker_volume_size", "flavor_id", "master_flavor_id", "fixed_network", "fixed_subnet"),
    *("floating_ip_enabled", "master_lb_enabled"),
)
"""What a bay may say differently from its template, besides labels and key pair."""

_FACTS: Final = {field.name for field in fields(BayFacts)}


@dataclass(frozen=True)
class Place:
    """Where nodes will find things; needed to let the driver judge, not stored."""

    api_url: str
    keystone_url: str
    region: str


def effective(body: NewBay, model: Baymodel, face: Face, *, default_flavor: str) -> dict[str, object]:
    """The baymodel's attributes with the bay's own laid over them.

    Raises:
        InvalidInput: counts that no master group can have.
    """
    given = body.model_dump()
    result: dict[str, object] = {**model.attributes, "coe": model.coe, "image_id": model.image_id}
    result.update({name: given[name] for name in _OWN if given[name] is not None})
    result["labels"] = labels_of(body, model).effective
    result["keypair_id"] = body.own_keypair or result.get("keypair_id")
    result["flavor_id"] = result.get("flavor_id") or default_flavor
    result["master_flavor_id"] = result.get("master_flavor_id") or default_flavor
    result["discovery_url"] = body.discovery_url
    if face.masters_need_balancer and body.master_count > 1 and not result["master_lb_enabled"]:
        raise InvalidInput("master_count must be 1 when master_lb_enabled is False", field="master_count")
    if body.master_count % 2 == 0:
        raise InvalidInput(
            f"master nodegroup size of {body.master_count} is invalid, size cannot be an even number.",
            field="master_count",
        )
    return result


def labels_of(body: NewBay, model: Baymodel) -> LabelDifferences:
    """The bay's labels, and how they differ from its template's."""
    template = model.attributes.get("labels")
    return differences(template if isinstance(template, Mapping) else None, body.labels, body.merges_labels)


def wishes(attributes: Mapping[str, object]) -> Wishes:
    """What of it the cloud must have. A bay needs a way out, so the external network is no longer optional."""
    if not attributes.get("external_network_id"):
        raise bad("external_network_id", None, "The template names none, and a bay needs one.")
    return Wishes(
        image=str(attributes["image_id"]),
        flavor=_text(attributes, "flavor_id"),
        master_flavor=_text(attributes, "master_flavor_id"),
        keypair=_text(attributes, "keypair_id"),
        external_network=_text(attributes, "external_network_id"),
        fixed_network=_text(attributes, "fixed_network"),
        fixed_subnet=_text(attributes, "fixed_subnet"),
    )


def spec_of(attributes: Mapping[str, object], found: Found) -> dict[str, object]:
    """The spec: ids where the cloud gave some, so that a renamed image changes nothing later."""
    spec = {name: value for name, value in attributes.items() if name in _FACTS}
    spec["image_id"] = found.image.id
    spec["os_distro"] = found.os_distro
    spec["fixed_network_cidrs"] = ",".join(found.fixed_cidrs)
    if found.external_network is not None:
        spec["external_network_id"] = found.external_network.id
    if found.keypair is not None:
        spec["keypair_name"] = found.keypair.name
        spec["ssh_public_key"] = found.keypair.public_key.strip()
    return spec


def facts_to_judge(
    spec: Mapping[str, object],
    *,
    bay_id: UUID,
    name: str,
    project_id: str,
    node_count: int,
    master_count: int,
    timeout: int,
    place: Place,
) -> BayFacts:
    """The facts as the driver judges them; what only exists later has stand-ins."""
    values = {key: value for key, value in spec.items() if key in _FACTS and value is not None}
    later: dict[str, object] = {
        "bay_id": str(bay_id),
        "bay_name": name,
        "project_id": project_id,
        "generation": 1,
        "stack_name": name,
        "operation_id": str(bay_id),
        "api_url": place.api_url,
        "keystone_url": place.keystone_url,
        "region": place.region,
        "node_count": node_count,
        "master_count": master_count,
        "timeout_minutes": timeout,
        "ca_pem": "made after acceptance",
    }
    return BayFacts(**(values | later))  # type: ignore[arg-type]  # the names are BayFacts', the bodies checked the types


def facts_of_bay(bay: Bay, node_count: int, place: Place) -> BayFacts:
    """`facts_to_judge` of a bay that stands, with so many workers."""
    return facts_to_judge(
        bay.spec,
        bay_id=bay.id,
        name=bay.name,
        project_id=bay.project_id,
        node_count=node_count,
        master_count=bay.master_count,
        timeout=bay.create_timeout,
        place=place,
    )


def _text(attributes: Mapping[str, object], name: str) -> str | None:
    value = attributes.get(name)
    return None if value is None else str(value)
