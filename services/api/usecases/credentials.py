"""The application credential of a bay's nodes, where its driver needs one (architecture, Who holds which credential).

    1. Commit the intent: the name, which follows from bay and generation, and whose it will be.
    2. Make it with the caller's own token, restricted, with access rules.
    3. Seal its secret for the provisioner; it is stored in the transaction that accepts the bay, or the rotation.

A gateway that dies between 1 and 3 leaves an intent that nothing uses, which the provisioner's sweep revokes. When the
request is refused after 2, the credential is taken back here, and the sweep covers a failure of that.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

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
"""That of the credential which a bay is born with; every rotation adds one."""

CANNOT: Final = (
    "The nodes of this bay use the cloud (volume_driver, cloud_provider_enabled) and need an application credential, "
    "which your token may not make: it comes from a trust or from an application credential itself. Log in with a "
    "password, or with an unrestricted application credential, and ask again"
)
OR_WITHOUT: Final = "; or use a baymodel without volume_driver"


@dataclass(frozen=True)
class NodeCredential:
    """A made and sealed credential, to be stored with what uses it."""

    bay_id: UUID
    generation: int
    id: str
    sealed: bytes = field(repr=False)


async def make(context: Context, facts: Facts, bay_id: UUID, rules: Rules) -> NodeCredential:
    """Steps 1 to 3 for a new bay; `rules` are what its driver asks for.

    Raises:
        InvalidInput: this token may not make one.
        Unavailable: the operator gave the gateway no key to seal with.
        CloudError: Keystone failed or did not answer.
    """
    seal_key(context)
    async with context.engine.begin() as conn:
        await intend(conn, facts, bay_id, GENERATION)
    return await make_intended(context, facts, bay_id, GENERATION, rules)


def seal_key(context: Context) -> str:
    """The public half of the provisioner's key. Raises Unavailable when there is none."""
    if context.seal_public_key is None:
        raise Unavailable("Nodes cannot be given a cloud credential here: JEROBOAM_SEAL_PUBLIC_KEY_FILE is not set.")
    return context.seal_public_key


async def intend(conn: AsyncConnection, facts: Facts, bay_id: UUID, generation: int) -> None:
    """Step 1, in the caller's transaction."""
    name = names.credential_name(bay_id, generation)
    await stacks.intend_credential(conn, bay_id=bay_id, generation=generation, name=name, user_id=facts.caller.user_id)


async def make_intended(context: Context, facts: Facts, bay_id: UUID, generation: int, rules: Rules) -> NodeCredential:
    """Steps 2 and 3, once the intent is committed. Raises what `make` raises."""
    failpoint.hit("api:credential_intended")
    name = names.credential_name(bay_id, generation)
    try:  # 2
        made = await context.cloud_of(facts.caller, facts.token).keystone.create_application_credential(
            facts.caller.user_id,
            name,
            roles=_roles(facts.caller.roles),
            access_rules=[AccessRule(**rule) for rule in rules],
            description=f"Nodes of bay {bay_id}",
        )
    except CloudError as error:
        if error.status in (401, 403):  # surely nothing was made
            async with context.engine.begin() as conn:
                await stacks.forget_intent(conn, bay_id, generation)
            raise InvalidInput(f"{CANNOT}{OR_WITHOUT if generation == GENERATION else ''}.") from error
        raise
    failpoint.hit("api:credential_made")
    sealed = seal(seal_key(context), made.secret.encode(), name.encode())  # 3
    return NodeCredential(bay_id, generation, made.id, sealed)


async def keep(conn: AsyncConnection, credential: NodeCredential) -> None:
    """Store it, in the transaction that accepts what uses it. Raises Conflict when that comes too late."""
    await stacks.keep_credential(
        conn,
        bay_id=credential.bay_id,
        generation=credential.generation,
        credential_id=credential.id,
        sealed=credential.sealed,
    )


async def take_back(context: Context, facts: Facts, credential: NodeCredential) -> None:
    """The request was refused after all. What fails here is left to the sweep."""
    with contextlib.suppress(CloudError):
        keystone = context.cloud_of(facts.caller, facts.token).keystone
        await keystone.delete_application_credential(facts.caller.user_id, credential.id)


def _roles(roles: frozenset[str]) -> list[str]:
    """As little as can be: `member` if the caller has it, else all of theirs but `admin`, else all.

    With `member` goes the role that Octavia's own policy asks of whoever makes a load balancer.
    """
    if "member" in roles:
        return sorted({"member", "load-balancer_member"} & roles)
    return sorted(roles - {"admin"} or roles)
