"""From a bay's row to what a driver renders from, and what of it is put in only on its way to Heat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from services.provisioner.settings import ProvisionerSettings
from shared.db.repositories.stacks import Credential, Render
from shared.domain import names
from shared.domain.bay import Bay, Operation
from shared.domain.errors import CloudError
from shared.domain.queue import node_count_of
from shared.drivers.common.stack import credential_parameters
from shared.drivers.contract import BayFacts, BaySecrets, Role
from shared.openstack.cloud import Cloud
from shared.runtime.sealing import unseal

SEALED = "@sealed@"
"""Stands in a stored render for the secret that is put in only on its way to Heat."""

_IN_USER_DATA = "@@APPLICATION_CREDENTIAL_SECRET@@"
_SPEC = {field.name for field in fields(BayFacts)}


async def api_url(cloud: Cloud, settings: ProvisionerSettings, bay: Bay) -> str:
    """Our API as the bay's nodes reach it: the operator's word, else the catalog's public entry (`…/v1`)."""
    if settings.api_url:
        return settings.api_url
    token = await cloud.auth.token(bay.project_id)
    return token.endpoints.url("container-infra")


def facts_of(
    bay: Bay,
    operation: Operation,
    *,
    settings: ProvisionerSettings,
    api: str,
    ca_pem: str,
    node_sources: Mapping[str, str],
    server_groups: Mapping[Role, str],
) -> BayFacts:
    """Everything that the stack is made from. What was resolved at acceptance is in `bay.spec`, by BayFacts' names.

    `server_groups` are Nova's ids by the role of the members, of those that the bay has.
    """
    own: dict[str, object] = {
        "operation_id": str(operation.id),
        "api_url": api,
        # Not the bay's: that is the owner's last wish, for which a resize may be waiting already.
        "node_count": node_count_of(operation.request),
        "ca_pem": ca_pem,
        "node_sources": node_sources,
        "master_server_group": server_groups.get("master", ""),
        "worker_server_group": server_groups.get("worker", ""),
    }
    return replace(known_facts(bay, settings), **own)  # type: ignore[arg-type] # as BayFacts has them


def known_facts(bay: Bay, settings: ProvisionerSettings) -> BayFacts:
    """What is known of a bay whichever operation it is about."""
    given = {name: value for name, value in bay.spec.items() if name in _SPEC and value is not None}
    own: dict[str, object] = {
        "bay_id": str(bay.id),
        "bay_name": bay.name,
        "project_id": bay.project_id,
        "generation": bay.generation,
        "stack_name": bay.stack_name,
        "operation_id": "",
        "api_url": "",
        "keystone_url": settings.keystone_url,
        "region": settings.region,
        "node_count": bay.node_count,
        "master_count": bay.master_count,
        "timeout_minutes": bay.create_timeout,
    }
    return BayFacts(**(given | own))  # type: ignore[arg-type] # BayFacts' own types were checked when the bay was taken


def groups_of(bay: Bay) -> dict[Role, names.ServerGroup]:
    """The server groups that the bay is to have, by the role of their members."""
    labels = bay.spec.get("labels")
    return names.server_groups(bay.stack_name, bay.master_count, labels if isinstance(labels, Mapping) else {})


def secrets_of(credential: Credential | None) -> BaySecrets:
    """The nodes' credential with its secret left out (`SEALED`)."""
    if credential is None or credential.credential_id is None:
        return BaySecrets()
    return BaySecrets(application_credential_id=credential.credential_id, application_credential_secret=SEALED)


def roles_with_credential(render: Render) -> list[str]:
    """The roles whose nodes were born with the credential: to others it must not be given either."""
    roles: tuple[Role, ...] = ("master", "worker")
    return [role for role in roles if _IN_USER_DATA in render.files.get(f"{role}.user-data", "")]


def newest_parameters(render: Render, newest: Credential | None, private_key: str | None) -> dict[str, str]:
    """The stack parameters with the bay's newest credential; {} for a bay that was rendered without one.

    Raises:
        CloudError: it cannot be opened here.
    """
    if SEALED not in render.parameters.values():
        return {}
    secret = opened_secret(private_key, newest)
    credential_id = None if newest is None else newest.credential_id
    return credential_parameters(
        BaySecrets(application_credential_id=credential_id, application_credential_secret=secret)
    )


def opened_secret(private_key: str | None, credential: Credential | None) -> str:
    """The secret that the gateway sealed for us.

    Raises:
        CloudError: there is none, or no key to open it with.
    """
    if private_key is None or credential is None or credential.sealed is None:
        raise CloudError(
            "The nodes' cloud credential cannot be opened: JEROBOAM_SEAL_PRIVATE_KEY_FILE is not set here.",
            service="provisioner",
        )
    return unseal(private_key, credential.sealed, credential.name.encode()).decode()
