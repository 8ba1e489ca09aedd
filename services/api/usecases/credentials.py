"""The application credential of a bay's nodes, where its driver needs one (architecture, Who holds which credential).

    1. Commit the intent: the name, which follows from bay and generation, and whose it will be.
    2. Make it with the caller's own token, restricted, with access rules.
    3. Seal its secret for the provisioner; it is stored in the transaction that accepts the bay.

A gateway that dies between 1 and 3 leaves an intent without a bay, which the provisioner's sweep revokes. When the bay
is refused after 2, the credential is taken back here, and the sweep covers a failure of that.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.api.factory import Context
from services.api.request import Facts
from shared.db.repositories import stacks
from shared.domain import names
from shared.domain.errors import CloudError, InvalidInput, Unavailable
from shared.drivers.common.access import Rules
from shared.openstack.access_rules import AccessRule
from shared.runtime import failpoint
from shared.runtime.sealing import seal

GENERATION: Final = 1

CANNOT: Final = (
    "The nodes of this bay use the cloud (volume_driver, cloud_provider_enabled) and need an application credential, "
    "which your token may not make: it comes from a trust or from an application credential itself. Log in with a "
    "password, or with an unrestricted application credential, and ask again; or use a baymodel without volume_driver."
)


@dataclass(frozen=True)
class NodeCredential:
    """A made and sealed credential, to be stored with the bay."""

    id: str
    sealed: bytes


async def make(context: Context, facts: Facts, bay_id: UUID, rules: Rules) -> NodeCredential:
    """Steps 1 to 3; `rules` are what the bay's driver asks for.

    Raises:
        InvalidInput: this token may not make one.
        Unavailable: the operator gave the gateway no key to seal with.
        CloudError: Keystone failed or did not answer.
    """
    key = context.seal_public_key
    if key is None:
        raise Unavailable("Nodes cannot be given a cloud credential here: JEROBOAM_SEAL_PUBLIC_KEY_FILE is not set.")
    name = names.credential_name(bay_id, GENERATION)
    user_id = facts.caller.user_id
    async with context.engine.begin() as conn:  # 1
        await stacks.intend_credential(conn, bay_id=bay_id, generation=GENERATION, name=name, user_id=user_id)
    failpoint.hit("api:credential_intended")
    try:  # 2
        made = await context.cloud_of(facts.caller, facts.token).keystone.create_application_credential(
            user_id,
            name,
            roles=_roles(facts.caller.roles),
            access_rules=[AccessRule(**rule) for rule in rules],
            description=f"Nodes of bay {bay_id}",
        )
    except CloudError as error:
        if error.status in (401, 403):
            raise InvalidInput(CANNOT) from error
        raise
    failpoint.hit("api:credential_made")
    return NodeCredential(made.id, seal(key, made.secret.encode(), name.encode()))  # 3


async def take_back(context: Context, facts: Facts, credential: NodeCredential) -> None:
    """The bay was refused after all. What fails here is left to the sweep."""
    with contextlib.suppress(CloudError):
        keystone = context.cloud_of(facts.caller, facts.token).keystone
        await keystone.delete_application_credential(facts.caller.user_id, credential.id)


def _roles(roles: frozenset[str]) -> list[str]:
    """As little as can be: `member` if the caller has it, else all of theirs but `admin`, else all."""
    return sorted({"member"} & roles or roles - {"admin"} or roles)
