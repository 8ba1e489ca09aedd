"""The settings that the checks read, and whether each service can read its own."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, SecretStr

from services.cli.doctor.findings import Area, Finding
from shared.runtime.settings import CommonSettings, OptionalPath, OptionalText

AREA: Final = Area("settings")
SERVICES: Final = {
    "api": "ApiSettings",
    "provisioner": "ProvisionerSettings",
    "certs": "CertsSettings",
    "scaler": "ScalerSettings",
}


_OptionalSecret = Annotated[
    SecretStr | None, BeforeValidator(lambda value: None if isinstance(value, str) and not value.strip() else value)
]
"""A blank one is absent: an empty secret file in a container is a set, empty variable."""


class DoctorSettings(CommonSettings):
    """What the services' own settings say, as far as the checks look at it; all of it may be absent."""

    public_url: OptionalText = None
    api_url: OptionalText = None
    default_flavor: str = "m1.small"
    seal_public_key_file: OptionalPath = None
    seal_private_key_file: OptionalPath = None
    certificate_store: str = "database"
    master_key_file: OptionalPath = None
    master_key: SecretStr | None = None
    master_key_secret: OptionalText = None
    heat_notifications_url: _OptionalSecret = Field(default=None, repr=False)
    heat_notifications_exchange: str = "heat"


def read_env_file(path: Path) -> dict[str, str]:
    """The variables in a file of lines `NAME=value`, quoted as a shell does or not at all.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is something else; the message has its number and not its text.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{path}: line {number} is not NAME=value")
        found[name] = "".join(shlex.split(value)) if value[:1] in "'\"" else value
    return found


async def each_service_reads_its_own(services: Iterable[str]) -> list[Finding]:
    """Let every service read its settings, in a process of its own: services know nothing of one another."""
    return [one for found in await asyncio.gather(*map(_reads, services)) for one in found]


async def _reads(service: str) -> list[Finding]:
    kind = SERVICES[service]
    code = f"from shared.runtime.settings import load\nfrom services.{service}.settings import {kind}\nload({kind})"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        env=dict(os.environ),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await child.communicate()
    if child.returncode == 0:
        return [AREA.ok(f"jeroboam-{service} can read its settings")]
    lines = said.decode(errors="replace").strip().splitlines()
    if child.returncode != 2:  # not the refusal of `load`: the last line names the error
        return [
            AREA.missing(f"jeroboam-{service} cannot read its settings: {lines[-1] if lines else 'no reason given'}")
        ]
    told = [line.replace("Value error, ", "", 1) for line in lines[:-1]]  # the last one is about the documentation
    return [AREA.missing(f"jeroboam-{service}: {line}", "see docs/settings.md") for line in told]
