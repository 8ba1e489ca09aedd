"""Rotation of a cluster's certificate authority and of its cloud credential (contract §1.14, §1.15).

No flow rotates anything yet, so both end in a refusal here, after everything that Magnum looks at before.
"""

from __future__ import annotations

from typing import NoReturn

from services.api.factory import Context
from services.api.request import Facts
from services.api.usecases import one_cluster
from shared.domain.errors import InvalidInput


async def credential(context: Context, facts: Facts, ident: str) -> NoReturn:
    """Give the cluster's nodes another credential. A member of the project may; an administrator as such may not.

    Raises:
        NotFound, Conflict: there is no such cluster, or several.
        InvalidInput: its driver has no flow for it, as so far none has.
    """
    await one_cluster.seen(context, facts.caller, ident, "credential:rotate")
    raise InvalidInput("Rotating the credential is not supported by this driver.")


async def authority(context: Context, facts: Facts, ident: str) -> NoReturn:
    """Give the cluster another certificate authority.

    Raises:
        NotFound, Conflict: there is no such cluster, or several.
        InvalidInput: it has none, or its driver has no flow for it, as so far none has.
    """
    bay = await one_cluster.seen(context, facts.caller, ident, "certificate:rotate_ca")
    if bay.spec.get("tls_disabled"):
        raise InvalidInput("Rotating the CA certificate on a non-TLS cluster is not supported.")
    raise InvalidInput("Rotating the CA certificate is not supported by this driver.")
