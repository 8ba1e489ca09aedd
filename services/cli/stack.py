"""The whole system on this machine: database, simulated cloud and the four services, each an OS process of its own.

Used by `demo` and `up`, and by the tests::

    async with LocalStack(tmp_path, speed=20, time_scale=0.1, replicas=2, restart=True) as stack:
        async with stack.client("demo") as client:
            uuid = await client.create_bay({…})
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr

from services.cli.programs import HOST, ServicePrograms
from services.cli.supervisor import Program, Supervisor, http_answers
from services.cli.workspace import Secrets, Workspace
from shared.client.api import JeroboamClient
from shared.client.login import Credentials
from shared.runtime.egress import EgressPolicy
from shared.runtime.ports import free_port
from shared.runtime.postgres import EmbeddedPostgres

BusKind = Literal["postgres", "rabbitmq"]

LOOPBACK = EgressPolicy(allow=(ip_network("127.0.0.0/8"),))
ROLES = ("jb_api", "jb_provisioner", "jb_certs", "jb_scaler")
PROJECT_OF = {"admin": "admin", "demo": "demo", "alt": "alt", "reader": "demo"}
"""The simulated cloud's people and the project that each works in; their password is their name."""


class LocalStack:
    """An async context manager: entered, everything is ready; left, nothing of it is running.

    Args:
        root: the folder for all that is written; what an earlier stack left there goes.
        bus: which bus; "rabbitmq" needs `amqp_url`.
        replicas: processes of each worker, named NAME-1, NAME-2, … (the gateway is `api`, the cloud `cloudsim`).
        database_url: an administrator's DSN of an empty database; None starts an embedded Postgres.
        speed: simulated seconds per second in the simulated cloud; 0 is virtual time.
        time_scale: multiplies the protocol's times (see `shared.runtime.settings.Timing`).
        failpoint_dir: where tests put the names of points at which a process is to kill itself.
        restart: start a service again when it ends by itself.
        on_restart: told in words when a program was started again.
        api_port, cloud_port: 0 chooses free ones; both stay the same over restarts.
    """

    def __init__(
        self,
        root: Path = Path(".jeroboam"),
        *,
        bus: BusKind = "postgres",
        replicas: int = 1,
        amqp_url: str | None = None,
        database_url: str | None = None,
        speed: float = 1.0,
        time_scale: float = 1.0,
        failpoint_dir: Path | None = None,
        restart: bool = False,
        api_port: int = 0,
        cloud_port: int = 0,
        extra_environment: Mapping[str, str] | None = None,
        on_restart: Callable[[str], None] = lambda _words: None,
    ) -> None:
        if bus == "rabbitmq" and not amqp_url:
            raise ValueError("the RabbitMQ bus needs an amqp_url")
        self.workspace = Workspace(root.absolute())
        self._amqp_url = amqp_url if bus == "rabbitmq" else None
        self._replicas = replicas
        self._speed = speed
        self._time_scale = time_scale
        self._failpoint_dir = failpoint_dir
        self._restart = restart
        self._extra = dict(extra_environment or {})
        api_port, cloud_port = api_port or free_port(), cloud_port or free_port()
        self.api_port = api_port
        self.cloud_port = cloud_port
        self.cloud_url = f"http://{HOST}:{cloud_port}"
        self.keystone_url = f"{self.cloud_url}/identity/v3"
        self.control_url = f"{self.cloud_url}/control"
        self.api_url = f"http://{HOST}:{api_port}/v1"
        self.supervisor = Supervisor(self.workspace.logs, self.workspace.root, on_restart=on_restart)
        self.postgres_pid: int | None = None
        self._embedded = database_url is None
        self._admin_dsn = database_url or ""
        self._passwords = role_passwords(self._admin_dsn)
        self._cleanup = AsyncExitStack()

    async def start(self) -> None:
        """Start everything; returns when all is ready. What was started by a start that fails is stopped again.

        Raises:
            WorkspaceBusy, PostgresUnavailable, ProgramFailed: why it cannot.
        """
        from shared.db import migrate  # noqa: PLC0415 - half a second, which commands without a stack need not pay

        try:
            self._cleanup.enter_context(self.workspace.hold())
            keys = self.workspace.make_secrets()
            if self._embedded:
                self._start_postgres()
            self._cleanup.push_async_callback(self.supervisor.stop)  # last in, first out: before the database
            await asyncio.gather(
                self.supervisor.start(self._cloudsim()),
                asyncio.to_thread(migrate.upgrade, self._admin_dsn, self._passwords),
            )
            await self.supervisor.start(*self._services(keys).all())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything, in reverse; doing it twice does no harm."""
        await self._cleanup.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def dsn(self, role: str | None = None) -> str:
        """The database's DSN as an administrator, or as one of `ROLES`."""
        if role is None:
            return self._admin_dsn
        return as_role(self._admin_dsn, role, self._passwords.get(role))

    def client(self, user: str) -> JeroboamClient:
        """A client of the public API as one of `PROJECT_OF` or a newcomer of the simulated cloud; a context manager."""
        credentials = Credentials(username=user, password=SecretStr(user), project=PROJECT_OF.get(user, user))
        return JeroboamClient.connect(self.keystone_url, credentials, api_url=self.api_url, egress=LOOPBACK)

    def _start_postgres(self) -> None:
        server = EmbeddedPostgres(self.workspace.database, durable=False)  # the simulated cloud forgets everything too
        self._cleanup.callback(server.stop)
        self._admin_dsn = server.start()
        self.postgres_pid = server.pid

    def _cloudsim(self) -> Program:
        command = [sys.executable, "-m", "cloudsim", "--host", HOST, "--port", str(self.cloud_port)]
        command += ["--speed", str(self._speed), "--container-url", self.api_url]
        return Program(
            name="cloudsim",
            command=command,
            env=self.workspace.environment(),
            ready=http_answers(HOST, self.cloud_port, "/identity/v3"),
        )

    def _services(self, keys: Secrets) -> ServicePrograms:
        settings = {
            "KEYSTONE_URL": self.keystone_url,
            "SERVICE_PASSWORD": "jeroboam",  # the simulated cloud's own
            "EGRESS_ALLOW": "127.0.0.0/8",
            "TIME_SCALE": str(self._time_scale),
            **({"AMQP_URL": self._amqp_url} if self._amqp_url else {}),
            **({"FAILPOINT_DIR": str(self._failpoint_dir.absolute())} if self._failpoint_dir else {}),
        }
        return ServicePrograms(
            workspace=self.workspace,
            keys=keys,
            dsn=self.dsn,
            settings=settings,
            api_port=self.api_port,
            replicas=self._replicas,
            restart=self._restart,
            extra=self._extra,
        )


def role_passwords(dsn: str) -> dict[str, str]:
    """Passwords for the roles on a server that wants some: derived from the administrator's.

    Roles belong to the server, so two stacks on one server must arrive at the same passwords.
    """
    password = urlsplit(dsn).password
    if password is None:
        return {}
    return {role: hashlib.sha256(f"{role}:{password}".encode()).hexdigest() for role in ROLES}


def as_role(dsn: str, role: str, password: str | None) -> str:
    parts = urlsplit(dsn)
    _, _, host = parts.netloc.rpartition("@")
    user = role if password is None else f"{role}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{user}@{host}"))
