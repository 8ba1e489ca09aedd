"""Bodies of /v1/certificates (contract §1.14)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody, bad
from shared.contracts.http.links import Link
from shared.contracts.http.values import Text255

CSR_BYTES = 16 * 1024


class CertificateCreate(WireBody):
    """POST /v1/certificates. Old clients say `bay_uuid`, later ones `cluster_uuid`; both take a name too."""

    argument: ClassVar[str] = "certificate"
    read_only: ClassVar[frozenset[str]] = frozenset({"pem", "links"})

    bay_uuid: Text255 | None = None
    cluster_uuid: Text255 | None = None
    csr: Annotated[str, Field(min_length=1, max_length=CSR_BYTES)]
    ca_cert_type: Text255 | None = None

    @property
    def bay(self) -> str:
        """The bay, by whichever name it was given.

        Raises:
            InvalidInput: neither, or two different ones.
        """
        if self.bay_uuid and self.cluster_uuid and self.bay_uuid != self.cluster_uuid:
            raise bad("cluster_uuid", self.cluster_uuid, f"It differs from bay_uuid '{self.bay_uuid}'.")
        found = self.bay_uuid or self.cluster_uuid
        if found is None:
            raise bad("bay_uuid", None, "Mandatory field missing.")
        return found


class CertificateOut(BaseModel):
    """An authority's certificate (GET), or a signed one (POST, which also has the request)."""

    bay_uuid: str
    cluster_uuid: str
    pem: str
    csr: str | None = None
    links: list[Link]
