"""The four services as programs of a supervisor: their commands, environments, and how they say that they are ready."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.cli.supervisor import Program, file_written, http_answers
from services.cli.workspace import Secrets, Workspace

HOST = "127.0.0.1"
WORKERS = ("certs", "provisioner", "scaler")


@dataclass(frozen=True)
class ServicePrograms:
    """What they have in common.

    `dsn` gives the database's DSN as a role; `settings` are those of all services, and `extra` are variables that
    overrule everything. `replicas` is how many processes each worker has, named NAME-1, NAME-2, … (the gateway is
    `api`). With `restart` one that ends by itself is started again.
    """

    workspace: Workspace
    keys: Secrets = field(repr=False)
    dsn: Callable[[str], str]
    settings: Mapping[str, str] = field(repr=False)
    """By name without the prefix JEROBOAM_."""
    api_port: int
    host: str = HOST
    """The address that the gateway listens on."""
    replicas: int = 1
    restart: bool = False
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def all(self) -> list[Program]:
        """The gateway and the workers."""
        own = {
            "certs": {"MASTER_KEY_FILE": str(self.keys.master_key_file)},
            "provisioner": {"SEAL_PRIVATE_KEY_FILE": str(self.keys.seal_private_key_file)},
        }
        workers = [
            self._worker(service, f"{service}-{number}", own.get(service, {}))
            for service in WORKERS
            for number in range(1, self.replicas + 1)
        ]
        return [self._api(), *workers]

    def _api(self) -> Program:
        mark = self.workspace.mark("api.port")
        own = {
            "HOST": self.host,
            "PORT": str(self.api_port),
            "PORT_FILE": str(mark),
            "SEAL_PUBLIC_KEY_FILE": str(self.keys.seal_public_key_file),
        }
        return Program(
            name="api",
            command=[sys.executable, "-m", "services.api"],
            env=self._environment("jb_api", own),
            ready=http_answers(self.host, self.api_port, "/healthcheck"),
            marks=(mark,),
            restart=self.restart,
        )

    def _worker(self, service: str, name: str, own: Mapping[str, str]) -> Program:
        mark = self.workspace.mark(f"{name}.ready")
        return Program(
            name=name,
            command=[sys.executable, "-m", f"services.{service}"],
            env=self._environment(f"jb_{service}", {**own, "READY_FILE": str(mark)}),
            ready=file_written(mark),
            marks=(mark,),
            restart=self.restart,
        )

    def _environment(self, role: str, own: Mapping[str, str]) -> dict[str, str]:
        settings = {"DATABASE_URL": self.dsn(role), **self.settings, **own}
        ours = {f"JEROBOAM_{name}": value for name, value in settings.items()}
        return {**self.workspace.environment(), **ours, **self.extra}
