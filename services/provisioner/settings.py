"""What the provisioner reads from its environment, besides what all services read."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import CommonSettings, OptionalPath, OptionalText


class ProvisionerSettings(CommonSettings):
    """Times are in seconds and follow `time_scale` where they belong to the protocol."""

    seal_private_key_file: OptionalPath = Field(
        default=None, description="opens the nodes' cloud credentials that the gateway sealed; mode 0600"
    )
    api_url: OptionalText = Field(
        default=None, description="our API as nodes reach it, ending in /v1; absent: the public one of the catalog"
    )
    node_sources_file: OptionalPath = Field(default=None, description="overrides of images and packages nodes use")
    first_certificate_minutes: float = Field(
        default=60.0, ge=0, description="how long after its server was made a node may ask for its first certificates"
    )
    poll_seconds: float = Field(default=1.0, gt=0, le=60, description="between looks at a stack that is young")
    sweep_minutes: float = Field(
        default=10.0, ge=2, description="between two searches for what no bay owns; younger things may still be late"
    )
