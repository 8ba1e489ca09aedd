"""Settings that every service reads from its environment (prefix ``JEROBOAM_``); each subclasses `CommonSettings`.

Built once in a process's `main` and passed down. Times that tests must shrink come from `Timing`, never from literals.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class Timing:
    """The protocol's times in seconds (architecture.md, rules 2 and 3), already multiplied by the time scale."""

    lease: float
    heartbeat: float
    cancel_after: float
    call_limit: float
    quarantine: float
    sweep: float

    @classmethod
    def scaled(cls, scale: float) -> Timing:
        """The design's times × `scale`."""
        return cls(
            lease=60 * scale,
            heartbeat=15 * scale,
            cancel_after=40 * scale,
            call_limit=30 * scale,
            quarantine=30 * scale,
            sweep=5 * scale,
        )


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
OptionalPath = Annotated[Path | None, BeforeValidator(_blank_is_none)]
OptionalPort = Annotated[Annotated[int, Field(ge=0, le=65535)] | None, BeforeValidator(_blank_is_none)]
OptionalText = Annotated[str | None, BeforeValidator(_blank_is_none)]


class CommonSettings(BaseSettings):
    """The settings that all services share. URLs may carry a password and are therefore kept out of `repr`."""

    model_config = SettingsConfigDict(env_prefix="JEROBOAM_", extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: str = Field(repr=False, description="postgresql://role[:password]@host:port/db or …@/db?host=/dir")
    amqp_url: OptionalText = Field(default=None, repr=False, description="absent: the Postgres-backed bus")
    keystone_url: str = Field(description="ends in /v3")
    service_username: str = "jeroboam"
    service_password: SecretStr
    service_user_domain: str = "Default"
    service_project: str = "service"
    region: str = "RegionOne"
    egress_allow: Networks = Field(default=(), description="CIDRs that may be dialled; empty: all but the denied ones")
    egress_deny: Networks = Field(default=(), description="CIDRs of our own control plane, never dialled")
    log_level: str = "INFO"
    metrics_host: str = Field(default="127.0.0.1", description="address that the metrics endpoint listens on")
    metrics_port: OptionalPort = Field(default=None, description="absent: no metrics endpoint")
    failpoint_dir: OptionalPath = Field(default=None, description="absent: fail-points are off")
    ready_file: OptionalPath = Field(default=None, description="there while database and bus answer; for health checks")
    time_scale: float = Field(default=1.0, gt=0, le=10)
    host_name: OptionalText = Field(
        default=None, description="how this host is called in notifications and mservices; absent: the machine's name"
    )
    notifications: bool = Field(default=False, description="tell of every bay's changes as Magnum does (CADF)")
    notification_amqp_url: OptionalText = Field(
        default=None, repr=False, description="broker of the notifications, amqp(s)://…; absent: that of amqp_url"
    )
    notification_exchange: str = Field(default="magnum", min_length=1, description="Magnum's control_exchange")
    notification_topic: str = Field(
        default="notifications", min_length=1, description="queues are TOPIC.info and TOPIC.error"
    )
    notification_durable: bool = Field(
        default=False, description="as the listeners' amqp_durable_queues; matters where we make exchange and queues"
    )
    notification_quorum: bool = Field(default=False, description="as the listeners' rabbit_quorum_queue; is durable")
    notification_auto_delete: bool = Field(default=False, description="as the listeners' amqp_auto_delete")

    @property
    def host_or_machine(self) -> str:
        """How this host is called: the setting, else the machine's name."""
        return self.host_name or socket.gethostname()

    @property
    def notification_url(self) -> str | None:
        """The broker that notifications go to; None when they are off."""
        return (self.notification_amqp_url or self.amqp_url) if self.notifications else None

    @model_validator(mode="after")
    def _notifications_have_a_broker(self) -> Self:
        if not self.notifications:
            return self
        if self.notification_url is None:
            raise ValueError(
                "JEROBOAM_NOTIFICATIONS is on and there is no broker to send them to: "
                "set JEROBOAM_NOTIFICATION_AMQP_URL (or JEROBOAM_AMQP_URL)"
            )
        if not self.notification_url.startswith(("amqp://", "amqps://")):
            raise ValueError("notifications need a broker URL that begins with amqp:// or amqps://")
        return self

    @property
    def timing(self) -> Timing:
        """The protocol's times under this process's time scale."""
        return Timing.scaled(self.time_scale)


SettingsT = TypeVar("SettingsT", bound=CommonSettings)


def load(kind: type[SettingsT]) -> SettingsT:
    """The settings of a process, from its environment.

    Whoever starts a process is told which variable is missing or wrong, by its name and without its value, and the
    process exits with status 2. `--help` says where the settings are described.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        raise SystemExit(f"{(kind.__doc__ or '').strip()}\nAll settings are environment variables: docs/settings.md")
    try:
        return kind()
    except ValidationError as error:
        for one in error.errors(include_input=False, include_url=False):
            where = f"JEROBOAM_{str(one['loc'][0]).upper()}: " if one["loc"] else ""
            sys.stderr.write(f"{where}{one['msg']}\n")
        sys.stderr.write("All settings are environment variables: docs/settings.md\n")
        raise SystemExit(2) from None
