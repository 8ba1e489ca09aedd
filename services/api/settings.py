"""What the gateway reads from its environment, besides what all services read."""

from __future__ import annotations

from pydantic import Field

from shared.domain.queue import Busy
from shared.runtime.settings import CommonSettings, Networks, OptionalPath, OptionalText


class ApiSettings(CommonSettings):
    """Settings of the gateway."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=9511, ge=0, le=65535, description="0: any free one, see port_file")
    port_file: OptionalPath = Field(default=None, description="the port is written here once it listens")
    public_url: OptionalText = Field(default=None, description="base of links; absent: as the request says")
    pool_size: int = Field(default=10, ge=2, le=100, description="database connections that write")
    read_pool_size: int = Field(default=4, ge=1, le=100, description="database connections that only read")
    bays_per_project: int = Field(default=20, ge=0, description="Magnum's default quota")
    busy: Busy = Field(default="queue", description="a change of a busy bay: queue it, or refuse it as Magnum does")
    max_limit: int = Field(default=1000, ge=1, le=10_000, description="longest page of a list")
    events_streams: int = Field(
        default=200, ge=0, le=10_000, description="event streams at a time, a quarter of them for one project"
    )
    refused_csrs: int = Field(
        default=20,
        ge=1,
        description="certificate requests of one token that may be refused within refused_csr_seconds; more get 429",
    )
    refused_csr_seconds: float = Field(
        default=10.0, gt=0, le=86_400, description="also how often refused ones are counted into the audit trail"
    )
    owner_networks: Networks = Field(
        default=(),
        description="CIDRs whose addresses people's certificates may name besides their bay's own; give certs the same",
    )
    seal_public_key_file: OptionalPath = Field(
        default=None, description="the provisioner's public key, base64; needed for bays whose nodes use the cloud"
    )
    policy_file: OptionalPath = Field(
        default=None, description="oslo.policy file, YAML or JSON (docs/policy.yaml.sample); absent: Magnum's defaults"
    )
    default_flavor: str = Field(default="m1.small", description="for baymodels that name none, as Heat's templates do")

    @property
    def seal_public_key(self) -> str | None:
        """The key, None when no file is named. Raises OSError for one that cannot be read."""
        return None if self.seal_public_key_file is None else self.seal_public_key_file.read_text().strip()
