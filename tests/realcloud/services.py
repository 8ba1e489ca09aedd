"""Our four services as processes over a real RabbitMQ and a real Postgres, with a real cloud beneath them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.programs import HOST, ServicePrograms
from services.cli.stack import as_role, role_passwords
from services.cli.supervisor import Supervisor
from services.cli.workspace import Workspace
from shared.db import migrate
from tests.realcloud.premises import ServiceUser
from tests.support.realcloud import RealCloud
from tests.support.servers import fresh_database, rabbitmq_url

ADDRESS = "JEROBOAM_TEST_API_HOST"
"""The address of this machine on which the cloud's servers reach our API; not needed where none boots."""

NOTIFICATIONS = "JEROBOAM_TEST_HEAT_NOTIFICATIONS_URL"
"""The broker on which the cloud's Heat notifies, if it does."""

FAULT = "JEROBOAM_TEST_CLOUD_FAULT"
"""A command that breaks the cloud, where tests may: `… kill SERVICE` and `… mend` (tests/realheat/minicloud/fault)."""


_OWN = frozenset({"JEROBOAM_HOST", "JEROBOAM_PORT", "JEROBOAM_PORT_FILE", "JEROBOAM_READY_FILE"})
"""Variables that mean something to one process only."""


@dataclass(frozen=True)
class Services:
    """They run. `database` is an administrator's DSN, `environment` the JEROBOAM_ variables of all of them."""

    supervisor: Supervisor
    database: str
    logs: Path
    environment: Mapping[str, str] = field(repr=False)


def api_host() -> str:
    """The address that the API is to have."""
    return os.environ.get(ADDRESS) or HOST


def _together(programs: ServicePrograms) -> dict[str, str]:
    """The environments of all, the gateway's before the others'."""
    found: dict[str, str] = {}
    for program in reversed(programs.all()):
        found |= {name: value for name, value in program.env.items() if name not in _OWN}
    return found


@asynccontextmanager
async def running(cloud: RealCloud, user: ServiceUser, root: Path, port: int) -> AsyncIterator[Services]:
    """All of them are ready; afterwards none runs."""
    notifications = os.environ.get(NOTIFICATIONS)
    settings = {
        "KEYSTONE_URL": cloud.credential.url,
        "SERVICE_USERNAME": user.name,
        "SERVICE_PASSWORD": user.password,
        "REGION": cloud.credential.region,
        "AMQP_URL": await asyncio.to_thread(rabbitmq_url),
        **({"EGRESS_ALLOW": "127.0.0.0/8"} if cloud.on_loopback else {}),
        **({"HEAT_NOTIFICATIONS_URL": notifications} if notifications else {}),
        **({"STALL_MINUTES": "2"} if os.environ.get(FAULT) else {}),  # a stack whose engine we kill is taken up soon
    }
    workspace = Workspace(root)
    async with fresh_database() as dsn:
        passwords = role_passwords(dsn)
        await asyncio.to_thread(migrate.upgrade, dsn, passwords)
        with workspace.hold():
            keys = workspace.make_secrets()
            programs = ServicePrograms(
                workspace=workspace,
                keys=keys,
                dsn=lambda role: as_role(dsn, role, passwords.get(role)),
                settings=settings,
                api_port=port,
                host=api_host(),
                restart=True,
            )
            supervisor = Supervisor(workspace.logs, workspace.root)
            try:
                await supervisor.start(*programs.all())
                yield Services(
                    supervisor,
                    dsn,
                    workspace.logs,
                    {
                        name: value
                        for one in reversed(programs.all())
                        for name, value in one.env.items()
                        if name not in _OWN
                    },
                )
            finally:
                await supervisor.stop()
