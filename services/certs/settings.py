"""What the certificate authority reads from its environment, besides what all services read."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from shared.runtime.settings import CommonSettings, OptionalPath, OptionalText


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
    certificate_days: int = Field(default=5 * 365, ge=1, le=36500, description="validity of authorities and leaves")
    node_certificate_days: int = Field(default=365, ge=1, le=36500, description="validity of the nodes' certificates")
    key_cache_size: int = Field(default=256, ge=1, le=100_000, description="authorities whose key stays in memory")
    key_pool_size: int = Field(
        default=4, ge=0, le=100, description="RSA keys made in advance; the masters of a Kubernetes bay share one"
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

    @model_validator(mode="after")
    def _one_master_key(self) -> Self:
        given = sum(one is not None for one in (self.master_key_file, self.master_key, self.master_key_secret))
        if given > 1 or (given == 0 and self.certificate_store == "database"):
            raise ValueError(
                "set exactly one of JEROBOAM_MASTER_KEY_FILE, JEROBOAM_MASTER_KEY and JEROBOAM_MASTER_KEY_SECRET "
                "(or none, with JEROBOAM_CERTIFICATE_STORE=barbican)"
            )
        return self
