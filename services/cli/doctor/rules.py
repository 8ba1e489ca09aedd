"""Access rules: whether the cloud's services obey those of the nodes' restricted application credentials.

A service whose `[keystone_authtoken]` has no `service_type` cannot tell which rules are about it, and refuses every
call of such a credential with 401, also those that its rules allow. Nodes with volumes or load balancers would be
locked out of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from services.cli.doctor.cloud import IDENTITY, Patient
from services.cli.doctor.findings import Area, Finding
from services.cli.doctor.identity import own_roles
from shared.domain.errors import CloudError
from shared.drivers.common.access import LOAD_BALANCERS, MANAGE_VOLUMES, READ_NODES, together
from shared.openstack.access_rules import AccessRule
from shared.openstack.cloud import ProjectCloud
from shared.openstack.errors import title

AREA: Final = Area("rules")


async def rules(patient: Patient) -> list[Finding]:
    """Make a credential as a bay's nodes get it, in our own project; read with it; delete it again."""
    own, token = patient.own, await patient.cloud.auth.token()
    name = f"jeroboam-doctor-{secrets.token_hex(4)}"
    wanted = [AccessRule(**rule) for rule in together(READ_NODES, LOAD_BALANCERS, MANAGE_VOLUMES)]
    made = await own.keystone.create_application_credential(
        token.user_id, name, roles=_least(await own_roles(patient)), access_rules=wanted
    )
    found = await AREA.guarded(lambda: _tried(patient, made.id, made.secret))
    try:
        await own.keystone.delete_application_credential(token.user_id, made.id)
    except CloudError as error:
        todo = f"openstack application credential delete {name}  # as {patient.settings.service_username}"
        found.append(AREA.warning(f"the credential {name} was not deleted again: {error.message}", todo))
    return found


def _least(roles: set[str]) -> list[str]:
    """The roles that a node's credential gets of its maker's: those for nodes, else all but `admin`, else all."""
    return sorted(_FOR_NODES & roles or roles - {"admin"} or roles)


_FOR_NODES: Final = {"member", "load-balancer_member"}


async def _tried(patient: Patient, credential_id: str, secret: str) -> list[Finding]:
    token = await patient.cloud.auth.token()
    node = patient.cloud.for_caller(await _login(patient.own, credential_id, secret), token.endpoints)
    project = token.project_id or ""
    reads: dict[str, Callable[[], Awaitable[object]]] = {
        "compute": node.nova.servers,
        "network": lambda: node.neutron.items("networks", project_id=project),
        "volumev3": node.cinder.types,
        "load-balancer": lambda: node.octavia.load_balancers(project),
    }
    return [await _obeys(service, read) for service, read in reads.items()]


async def _login(own: ProjectCloud, credential_id: str, secret: str) -> str:
    method = {"id": credential_id, "secret": secret}
    body = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": method}}}
    reply = await own.session.call(IDENTITY, "POST", "/auth/tokens", json=body)
    return reply.headers["X-Subject-Token"]


async def _obeys(service: str, read: Callable[[], Awaitable[object]]) -> Finding:
    """`service` is called as in the catalog, which is also its service_type; `read` is allowed by the nodes' rules."""
    try:
        await read()
    except CloudError as error:
        if error.status != 401:
            return AREA.warning(f"with the rules of a node's credential, {error.message}")
        text = f"{title(service)} refuses credentials with access rules: nodes cannot use it"
        return AREA.warning(text, f"set service_type = {service} in its [keystone_authtoken], and restart it")
    return AREA.ok(f"{title(service)} obeys the access rules of nodes' credentials")
