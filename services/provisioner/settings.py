"""What the provisioner reads from its environment, besides what all services read."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from shared.openstack.notifications import Source
from shared.runtime.settings import CommonSettings, OptionalPath, OptionalText


def _broker_urls(value: SecretStr | None) -> SecretStr | None:
    for url in [] if value is None else value.get_secret_value().split():
        parts = urlsplit(url)
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
            raise ValueError("every URL begins with amqp:// or amqps:// and has a host (Heat's own begins rabbit://)")
    return value


_BrokerUrls = Annotated[SecretStr | None, BeforeValidator(lambda value: value or None), AfterValidator(_broker_urls)]


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
    heat_notifications_url: _BrokerUrls = Field(
        default=None,
        repr=False,
        description="broker that Heat publishes its notifications on, amqp(s)://user:password@host:port/vhost, several "
        "of one cluster separated by spaces; absent: stacks are only polled. Heat needs [oslo_messaging_notifications] "
        "driver = messagingv2, the user configure and write on our queue, read on queue and exchange",
    )
    heat_notifications_exchange: str = Field(default="heat", min_length=1, description="Heat's control_exchange")
    heat_notifications_topic: str = Field(
        default="notifications", min_length=1, description="Heat's [oslo_messaging_notifications] topics, one of them"
    )
    heat_notifications_queue: str = Field(
        default="jeroboam.heat",
        pattern=r"^jeroboam\.",
        description="our own queue there, which all replicas share; of another name for each further installation",
    )
    cloud_wide_listing: bool = Field(
        default=False,
        description="list the stacks of all projects with one call; Heat's policy stacks:global_index must allow it to "
        "the service user, else every project is listed",
    )
    stall_minutes: float = Field(
        default=15.0, gt=0, description="without a change of any resource until a stack under way is taken up again"
    )
    attached_minutes: float = Field(
        default=15.0,
        ge=0,
        description="how long a deletion waits for what the bay's own services made, load balancers above all, before "
        "it asks Heat for the stacks all the same",
    )
    sweep_minutes: float = Field(
        default=10.0, ge=2, description="between two searches for what no bay owns; younger things may still be late"
    )

    @property
    def heat_notifications_source(self) -> Source | None:
        """Where Heat publishes; None when we do not listen."""
        if self.heat_notifications_url is None:
            return None
        return Source(
            urls=tuple(self.heat_notifications_url.get_secret_value().split()),
            exchange=self.heat_notifications_exchange,
            topic=self.heat_notifications_topic,
            queue=self.heat_notifications_queue,
        )
