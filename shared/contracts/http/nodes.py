"""Bodies of the nodes' own calls (docs/driver-contract.md, "The wire between node agent and API")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field
from typing_extensions import override

from shared.contracts.http.base import WireBody
from shared.contracts.http.certificates import CSR_BYTES
from shared.contracts.http.values import LARGEST
from shared.domain.errors import InvalidInput
from shared.domain.healing import OLD_AGENT

SECRET: Final = (16, 255)
"""Characters of a node's secret, least and most."""


class NodeCertificateCreate(WireBody):
    """POST /v1/bays/{bay}/node-certificates. A node that has a certificate already shows that instead of a secret."""

    argument: ClassVar[str] = "node_certificate"

    server_id: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    secret: Annotated[str | None, Field(min_length=SECRET[0], max_length=SECRET[1])] = None
    role: Literal["master", "worker"]
    csr: Annotated[str, Field(min_length=1, max_length=CSR_BYTES)]

    @classmethod
    @override
    def read(cls, data: object) -> Self:
        """As every body; but a refused secret is not repeated, since nodes log what they are told."""
        try:
            return super().read(data)
        except InvalidInput as error:
            if error.field != "secret":
                raise
            raise InvalidInput(f"The secret must be a text of {SECRET[0]} to {SECRET[1]} characters.") from None


class NodeCertificateOut(BaseModel):
    """What a node gets."""

    pem: str
    """Its own certificate, of the profile "node"."""
    certificates: Mapping[str, str]
    """Every certificate by profile, all for the same key."""
    authorities: Mapping[str, str]
    """The bay's authorities by kind."""
    shared: str | None = None
    """CMS EnvelopedData for the node's own certificate: JSON of file names and what is in them."""


class NodeSelfOut(BaseModel):
    """What is wanted of a node."""

    revision: str
    ca_pem: str
    """The authorities of the cluster itself to trust now, one after the other."""
    authorities: Mapping[str, str]
    """By kind, the same for each authority of the bay; `kubernetes` is `ca_pem`."""
    renew: bool
    operation_active: bool
    credential_generation: int = 0
    """Of the cloud credential that waits for this node, encrypted to its certificate; 0: none does."""
    masters: tuple[str, ...] = ()
    """To masters: the private addresses of all that stay, in their order; empty where the node knows best."""
    leaving: str | None = None
    """To a master: the private address of the one that it is to take out of the bay's store; its own when it leaves."""


class NodeCredentialOut(BaseModel):
    """The bay's cloud credential for one node."""

    generation: int
    sealed: str
    """CMS EnvelopedData for the node's own certificate: JSON of `id`, `secret` and `generation`."""


class NodeReport(WireBody):
    """What a node says of itself."""

    argument: ClassVar[str] = "report"

    healthy: bool
    revision: Annotated[str, Field(max_length=64)]
    units: Annotated[
        dict[Annotated[str, Field(max_length=255)], Annotated[str, Field(max_length=64)]], Field(max_length=64)
    ] = Field(default_factory=dict)
    credential_generation: Annotated[int | None, Field(ge=0, le=LARGEST)] = None
    """Of the cloud credential that it uses, once it was given another one than it was born with."""
    parted: Annotated[str | None, Field(max_length=64)] = None
    """The address of the master that it was to take out of the bay's store, once that one is out."""
    problem: Annotated[str | None, Field(max_length=500)] = None
    """Why it has not done what is wanted of it."""
    next_within: Annotated[int, Field(ge=30, le=3600)] = OLD_AGENT
    """Seconds within which it reports again; it counts as silent 90 s after that."""
