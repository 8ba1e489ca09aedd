"""Bodies of /v1/certificates (contract §1.14), and what a query may add to them beyond Magnum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, Field

from shared.contracts.http.base import WireBody, bad
from shared.contracts.http.links import Link
from shared.contracts.http.values import Text255
from shared.domain.client_profiles import PUBLIC

CSR_BYTES: Final = 16 * 1024
"""The longest CSR; one with an RSA key of 8192 bits and a hundred names has 8 KiB."""

BODY_BYTES: Final = 2 * CSR_BYTES
"""The longest body with one: line ends are longer in JSON, and the bay has a name."""

MOST_HOURS: Final = (2**31 - 1) // 3600
"""What can be asked for, 68 years: the seconds of it fit into the database's integers. How much is given is the
authority's to say."""


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


@dataclass(frozen=True)
class CertificateWish:
    """What kind of certificate is wanted; without a word of it, what Magnum gives."""

    profile: str = PUBLIC[0]
    validity_seconds: int | None = None
    """None: as long as the settings say."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> CertificateWish:
        """The wish in `profile` and `hours`. Raises InvalidInput."""
        profile, hours = query.get("profile", PUBLIC[0]), query.get("hours")
        if profile not in PUBLIC:
            raise bad("profile", profile, f"Value should be one of: {', '.join(PUBLIC)}")
        if hours is None:
            return cls(profile)
        if not (hours.isascii() and hours.isdigit() and len(hours) <= 6 and 1 <= int(hours) <= MOST_HOURS):
            raise bad("hours", hours, f"Value should be a whole number, 1 to {MOST_HOURS}.")
        return cls(profile, int(hours) * 3600)


class CertificateOut(BaseModel):
    """An authority's certificate (GET), or a signed one (POST, which also has the request)."""

    bay_uuid: str
    cluster_uuid: str
    pem: str
    csr: str | None = None
    links: list[Link]
