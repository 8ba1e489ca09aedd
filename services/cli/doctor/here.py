"""What is on this side: keys, database, bus."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Final

from services.cli.doctor.findings import Area, Finding
from services.cli.doctor.settings import DoctorSettings
from shared.bus.probe import NotAUrl, broker_says, parts_of
from shared.db.condition import Unreachable, condition_of
from shared.runtime import sealing
from shared.runtime.egress import EgressPolicy, EgressRefused
from shared.runtime.secrets import UnsafeSecretFile, read_secret_file

KEYS: Final = Area("keys")
DATABASE: Final = Area("database")
BUS: Final = Area("bus")
MASTER_KEY_BYTES: Final = 32


def keys(settings: DoctorSettings) -> list[Finding]:
    """The pair by which the gateway seals for the provisioner, and the key that authorities' keys are sealed under."""
    return [*_seal_keys(settings), *_master_key(settings)]


def _seal_keys(settings: DoctorSettings) -> list[Finding]:
    public, private = settings.seal_public_key_file, settings.seal_private_key_file
    if public is None and private is None:
        text = "no seal keys are set: bays whose nodes use the cloud (volume_driver) are refused"
        return [KEYS.warning(text, _HOW_TO_SEAL)]
    if public is None or private is None:
        absent = "JEROBOAM_SEAL_PUBLIC_KEY_FILE" if public is None else "JEROBOAM_SEAL_PRIVATE_KEY_FILE"
        text = f"{absent} is not set here, so it cannot be told whether the seal keys are a pair"
        return [KEYS.warning(text, "run doctor with both, e.g. --env-file with the settings of both services")]
    try:
        sealed = sealing.seal(public.read_text().strip(), b"doctor", b"doctor")
        sealing.unseal(read_secret_file(private), sealed, b"doctor")
    except UnsafeSecretFile as error:
        return [KEYS.missing(str(error), f"chmod 600 {private}" if private.exists() else _HOW_TO_SEAL)]
    except OSError as error:
        return [KEYS.missing(f"{public} cannot be read: {error.strerror}.", _HOW_TO_SEAL)]
    except Exception as error:
        return [KEYS.missing(f"the seal keys are no pair ({type(error).__name__})", _HOW_TO_SEAL)]
    return [KEYS.ok("the seal keys are a pair")]


_HOW_TO_SEAL: Final = (
    "python -c 'from shared.runtime.sealing import generate_keypair; print(*generate_keypair(), sep=\"\\n\")' gives "
    "the public key and then the private one: see docs/operator-guide/install.md"
)


def _master_key(settings: DoctorSettings) -> list[Finding]:
    if settings.master_key_file is None:
        return []
    try:
        usable = is_master_key(read_secret_file(settings.master_key_file).encode())
    except UnsafeSecretFile as error:
        return [KEYS.missing(str(error), f"chmod 600 {settings.master_key_file}, owner: the user of jeroboam-certs")]
    except ValueError:  # no text at all
        usable = False
    if not usable:
        todo = f"umask 077; openssl rand -base64 32 > {settings.master_key_file} (never over one that was used)"
        return [KEYS.missing("the master key must be 32 bytes in base64", todo)]
    return [KEYS.ok("the master key is 32 bytes, for its owner only: keep a copy of it elsewhere")]


def is_master_key(text: bytes) -> bool:
    """Whether jeroboam-certs would take it: 32 bytes in base64."""
    try:
        return len(base64.b64decode(text.strip(), validate=True)) == MASTER_KEY_BYTES
    except binascii.Error:
        return False


async def database(settings: DoctorSettings) -> list[Finding]:
    """Whether it answers, is of this release, and has the roles with their rights."""
    try:
        found = await condition_of(settings.database_url)
    except Unreachable as error:
        return [DATABASE.missing(str(error), "mend JEROBOAM_DATABASE_URL, or start the server")]
    answers = DATABASE.ok(f"Postgres {found.server} answers as {found.user}")
    if found.revision != found.newest:
        text = f"the database is at revision {found.revision or 'none'}, this release needs {found.newest}"
        return [answers, DATABASE.missing(text, "jeroboam db upgrade (as an administrator of the database)")]
    wrong = [DATABASE.missing(one, "jeroboam db upgrade (as an administrator of the database)") for one in found.wrong]
    return [answers, DATABASE.ok(f"its tables are of revision {found.newest}")] + (
        wrong or [DATABASE.ok("each service's role has its rights and no other's")]
    )


async def bus(settings: DoctorSettings) -> list[Finding]:
    """Whether the broker lets us in."""
    if not settings.amqp_url:
        return [BUS.warning("JEROBOAM_AMQP_URL is not set: the bus is in Postgres, which is for one machine")]
    said = await broker_says(settings.amqp_url)
    if said is not None:
        todo = "rabbitmqctl add_vhost jeroboam; rabbitmqctl add_user jeroboam PASSWORD; "
        todo += "rabbitmqctl set_permissions -p jeroboam jeroboam '.*' '.*' '.*'"
        return [BUS.missing(f"RabbitMQ: {said}", todo)]
    return [BUS.ok("RabbitMQ lets us in")]


async def heat_bus(settings: DoctorSettings) -> list[Finding]:
    """Whether Heat's broker lets us in and Heat's exchange is there."""
    area, url = Area("heat"), settings.heat_notifications_url
    if url is None:
        text = "JEROBOAM_HEAT_NOTIFICATIONS_URL is not set: stacks are polled"
        return [area.warning(text, "see docs/operator-guide/heat.md")]
    exchange = settings.heat_notifications_exchange
    urls = url.get_secret_value().split()
    policy = EgressPolicy(allow=settings.egress_allow, deny=settings.egress_deny)
    try:
        for one in map(parts_of, urls):
            await asyncio.to_thread(policy.check, one.hostname or "", one.port or 5672)
    except EgressRefused as error:
        return [area.missing(error.message, "mend JEROBOAM_EGRESS_ALLOW or JEROBOAM_EGRESS_DENY")]
    except NotAUrl as error:
        return [area.missing(f"Heat's notifications: {error}", "mend JEROBOAM_HEAT_NOTIFICATIONS_URL")]
    said = await asyncio.gather(*(broker_says(one, exchange=exchange) for one in urls))
    if all(one is not None for one in said):
        todo = "[oslo_messaging_notifications] driver = messagingv2 in heat.conf, restart heat-engine, make a stack"
        return [area.missing(f"Heat's notifications cannot be heard: {said[0]}", todo)]
    return [area.ok(f"Heat's notifications: the broker lets us in, exchange {exchange} is there")]
