"""What the certificate authority reads from its environment, besides what all services read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from services.certs.client_policy import ClientPolicy, parse_patterns
from shared.runtime.settings import CommonSettings, Networks, OptionalPath, OptionalText


def _parts(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_parts)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_parts)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
Hours = Annotated[Annotated[int, Field(ge=1, le=24 * 36500)] | None, BeforeValidator(_blank_is_none)]


class CertsSettings(CommonSettings):
    """Exactly one of `master_key_file`, `master_key` and `master_key_secret` must be given, none or one with keys in
    Barbican."""

    certificate_store: Literal["database", "barbican"] = Field(
        default="database",
        description="where new authorities' keys go: database (under the master key) or barbican. Older ones stay "
        "where they are and can be used as long as the master key is given and Barbican is there",
    )
    master_key_file: OptionalPath = Field(default=None, description="32 bytes in base64; mode 0600")
    master_key: SecretStr | None = Field(default=None, description="the same as text, where a file is not possible")
    master_key_secret: OptionalText = Field(
        default=None, description="address of the Barbican secret that holds it: 32 bytes, as they are or in base64"
    )
    other_master_key_files: Paths = Field(
        default=(),
        description="further master keys that are only opened with, while one is exchanged for another; files, "
        "separated by commas",
    )
    other_master_keys: Secrets = Field(default=(), description="the same as texts, separated by commas")
    other_master_key_secrets: Texts = Field(default=(), description="the same as addresses in Barbican")
    certificate_days: int = Field(default=5 * 365, ge=1, le=36500, description="validity of authorities and leaves")
    node_certificate_days: int = Field(default=365, ge=1, le=36500, description="validity of the nodes' certificates")
    client_certificate_hours: Hours = Field(
        default=None,
        description="validity of the certificates that people ask for without saying how long; absent: "
        "certificate_days, as in Magnum",
    )
    client_certificate_max_hours: Hours = Field(
        default=None, description="the most that they can ask for; absent: certificate_days"
    )
    owner_subjects: OptionalText = Field(
        default=None,
        description="the subjects that people's certificates may have: patterns as CN=*,O=dev-*, separated by "
        "semicolons; absent: every one, as in Magnum (docs/operator-guide/day-2.md)",
    )
    owner_networks: Networks = Field(
        default=(), description="CIDRs whose addresses people's certificates may name besides their bay's own"
    )
    expiry_days: int = Field(
        default=30, ge=1, le=3650, description="so long before a bay's authorities end it is told that they do"
    )
    key_cache_size: int = Field(default=256, ge=1, le=100_000, description="authorities whose key stays in memory")
    key_pool_size: int = Field(
        default=32, ge=0, le=100, description="RSA keys made in advance; the masters of a Kubernetes bay share one"
    )
    key_cache_seconds: float = Field(default=300.0, gt=0, le=86_400)

    @property
    def validity(self) -> timedelta:
        """How long what we sign is valid."""
        return timedelta(days=self.certificate_days)

    @property
    def node_validity(self) -> timedelta:
        """How long a node's certificates are valid; it renews them when a third of that is left."""
        return timedelta(days=self.node_certificate_days)

    @property
    def clients(self) -> ClientPolicy:
        """What certificates may say that are not nodes', and for how long."""
        return ClientPolicy(
            subjects=parse_patterns(self.owner_subjects or ""),
            networks=self.owner_networks,
            usual=_hours(self.client_certificate_hours),
            longest=_hours(self.client_certificate_max_hours),
        )

    @property
    def warn_before(self) -> timedelta:
        """How long before the end of an authority it is told."""
        return timedelta(days=self.expiry_days)

    @field_validator("owner_subjects")
    @classmethod
    def _patterns_can_be_read(cls, text: str | None) -> str | None:
        parse_patterns(text or "")
        return text

    @model_validator(mode="after")
    def _one_master_key(self) -> Self:
        given = sum(one is not None for one in (self.master_key_file, self.master_key, self.master_key_secret))
        if given > 1 or (given == 0 and self.certificate_store == "database"):
            raise ValueError(
                "set exactly one of JEROBOAM_MASTER_KEY_FILE, JEROBOAM_MASTER_KEY and JEROBOAM_MASTER_KEY_SECRET "
                "(or none, with JEROBOAM_CERTIFICATE_STORE=barbican)"
            )
        return self


def _hours(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(hours=number)
