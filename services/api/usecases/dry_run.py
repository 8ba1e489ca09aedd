"""What a bay would be, without making it: the stack is rendered at the door as the provisioner will render it.

Every create is rehearsed, since its size and its quotas are judged by the rendered stack; a dry run shows the
rehearsal and stops. A rehearsal is the real render but for what exists only after acceptance. For that it has
stand-ins, which can be told at sight. They are never in the template; they are in parameters and in the user-data:

- the bay's id, and with it the stack's name, which the parameters `jeroboam_bay` and `node_name_prefix` come from;
- the operation's id (`jeroboam_operation`);
- the authority's certificate (`ca_pem`);
- the nodes' application credential (two hidden parameters), when nodes need one.

Our address as nodes reach it is what the gateway thinks it is; the provisioner may be set to another. Images and
packages are those of this release, where the provisioner may have an overrides file. Both are in the user-data only.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.api.usecases.headroom import group_members
from shared.domain import names
from shared.domain.headroom import NOUNS
from shared.drivers.common.shards import pool_footprint, pool_of, whole_footprint
from shared.drivers.contract import BayFacts, BaySecrets, Driver, RenderedStack
from shared.drivers.footprint import Footprint
from shared.drivers.heat_limits import DEFAULTS, HeatLimits, check_size
from shared.drivers.hot import hidden_parameters
from shared.drivers.rendering import packed
from shared.openstack.headroom import needs
from shared.openstack.nova import Flavor

SECRET: Final = "(secret)"  # noqa: S105 - it says so instead of one
BAY_ID: Final = UUID("ba1ba1ba-0000-4000-8000-000000000000")
OPERATION_ID: Final = UUID("0be7a000-0000-4000-8000-000000000000")
GROUP_ID: Final = UUID("96009000-0000-4000-8000-000000000000")
_CREDENTIAL: Final = "made-at-acceptance"
_LINES: Final = {"ec-p256": 13, "rsa2048": 22}
"""By kind of the authority's key: longer than any real certificate (850 and 1,400 bytes), so that the user-data is not
judged too short."""


def _stand_in(lines: int) -> str:
    """Like a certificate it gets hardly shorter by being packed; unlike one its first line says what it is."""
    digests = (hashlib.sha384(bytes([line])).digest() for line in range(lines))
    text = ["TheCertificateOfTheBaysAuthorityIsMadeAfterAcceptance/Stand/In++", *map(_base64, digests)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *text, "-----END CERTIFICATE-----", ""])


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


_CERTIFICATES: Final = {kind: _stand_in(lines) for kind, lines in _LINES.items()}

_WHY: Final = {
    str(BAY_ID): "the bay's id, chosen at acceptance",
    BAY_ID.hex[:12]: "the stack's name, which ends in the bay's id",
    str(OPERATION_ID): "the id of the operation that makes the bay",
    str(GROUP_ID): "the id of a server group, made before the stack",
    _CREDENTIAL: "the bay's application credential, made at acceptance",
    **dict.fromkeys(
        map(packed, _CERTIFICATES.values()), "the certificate of the bay's authority, made after acceptance"
    ),
}
"""What tells a stand-in, and what it stands for."""


@dataclass(frozen=True)
class Rehearsal:
    """A bay's stack as it would be, and what it would take."""

    stack: RenderedStack
    footprint: Footprint


def rehearse(driver: Driver, facts: BayFacts, limits: HeatLimits = DEFAULTS) -> Rehearsal:
    """Render a bay before it is accepted, and judge its size.

    Args:
        facts: of the bay to be; what is known only later (ids, stack name, certificate) may hold anything.

    Raises:
        InvalidInput: the driver cannot make this bay, or Heat or Nova would refuse it for its size.
    """
    facts = _with_stand_ins(driver, facts)
    stack = driver.render(facts, _secrets(driver, facts))
    counted = whole_footprint(driver, stack, facts.node_count, lambda part, taken: check_size(part, taken, limits))
    return Rehearsal(stack, counted)


def rehearse_pool(driver: Driver, facts: BayFacts, limits: HeatLimits = DEFAULTS) -> Rehearsal:
    """The same of the stacks of a further nodegroup; `facts` are of the bay, with what the group has of its own."""
    stack = pool_of(driver.render(_with_stand_ins(driver, facts), _secrets(driver, facts)))
    counted = pool_footprint(driver, stack, facts.node_count, lambda part, taken: check_size(part, taken, limits))
    return Rehearsal(stack, counted)


def _secrets(driver: Driver, facts: BayFacts) -> BaySecrets:
    if not driver.needs_cloud_credential(facts):
        return BaySecrets()
    return BaySecrets(application_credential_id=_CREDENTIAL, application_credential_secret=_CREDENTIAL)


def preview(
    driver: Driver, facts: BayFacts, rehearsal: Rehearsal, *, warnings: list[str], flavors: Mapping[str, Flavor]
) -> dict[str, object]:
    """The answer to a dry run.

    Args:
        facts: what `rehearse` was given.
        warnings: what the real answer would warn of.
        flavors: by the id or name that the stack names them with.

    Raises:
        KeyError: `flavors` lacks one of the stack's.
    """
    stack, counted = rehearsal.stack, rehearsal.footprint
    hidden = hidden_parameters(stack.template)
    shown = {name: SECRET if name in hidden and value else value for name, value in stack.parameters.items()}
    quotas = needs(counted, flavors, group_members(facts))
    return {
        "driver": driver.name,
        "effective_labels": dict(facts.labels),
        "warnings": list(warnings),
        "template": stack.template,
        "files": stack.files,
        "environment": stack.environment,
        "parameters": shown,
        "resources": dict(sorted(counted.resources.items())),
        "footprint": {
            "servers": dict(counted.servers),
            **{name: quotas.get(name, 0) for name in NOUNS if name != "servers"},
            "volume_types": {name: one._asdict() for name, one in counted.volumes.items() if name},
            "stacks": counted.stacks,
            "resources": counted.total,
        },
        "not_known_yet": list(_not_known_yet(stack)),
    }


def _with_stand_ins(driver: Driver, facts: BayFacts) -> BayFacts:
    groups = names.server_groups(facts.bay_name, facts.master_count, facts.labels)
    return dataclasses.replace(
        facts,
        master_server_group=str(GROUP_ID) if "master" in groups else "",
        worker_server_group=str(GROUP_ID) if "worker" in groups else "",
        bay_id=str(BAY_ID),
        operation_id=str(OPERATION_ID),
        stack_name=names.stack_name(facts.bay_name, BAY_ID, facts.generation),
        ca_pem="" if facts.tls_disabled else _CERTIFICATES[driver.ca_key],
    )


def _not_known_yet(stack: RenderedStack) -> Iterator[dict[str, object]]:
    """Every parameter and file with a stand-in, and what it stands for."""
    for kind, texts in (("parameter", stack.parameters), ("file", stack.files)):
        for name, text in texts.items():
            why = [reason for mark, reason in _WHY.items() if mark in text]
            if kind == "file" and why:
                why.append("our address and the sources of images, where the operator set others for nodes")
            if why:
                yield {kind: name, "why": "; ".join(why)}
