"""What the calls are about: things of the members of project demo, made once, and the states that single calls need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.api.fidelity.model import Answer
from tests.api.harness import System, unique
from tests.api.made import cluster, template
from tests.support.csrs import csr_of

ADDRESS: Final = "https://127.64.0.9:6443"
_PATIENCE: Final = 30.0


class World:
    """Values for the `{names}` of calls, and a method for each state that a call may need before it is made."""

    def __init__(self, system: System) -> None:
        self.system = system
        own, named = template(system), unique("cluster")
        self.values: dict[str, str] = {
            "template": own["uuid"],
            "named": named,
            "cluster": cluster(system, cluster_template_id=own["uuid"], name=named),
            "failed": cluster(system, cluster_template_id=own["uuid"]),
            "plain": cluster(system, cluster_template_id=template(system, tls_disabled=True)["uuid"]),
            "other": template(system, tls_disabled=True)["uuid"],
            "balanced": template(system, master_lb_enabled=True)["uuid"],
            "keyless": template(system, keypair_id="nobody-has-this")["uuid"],
            "networkless": template(system, external_network_id=None)["uuid"],
            "published": template(system, user="admin", public=True)["uuid"],
            "hidden": template(system, user="admin", public=True, hidden=True)["uuid"],
            "twins": unique("twins"),
            "hexadecimal": uuid4().hex,
            "nobody": str(uuid4()),
            "fed": "phi-17-federation",
            "csr": csr_of(),
            "project": self._project("demo"),
            "limited": self._project("jeroboam"),
            "theirs": self._project("alt"),
        }
        for _ in range(2):
            template(system, name=self.values["twins"])
            cluster(system, cluster_template_id=own["uuid"], name=self.values["twins"])
        cluster(system, cluster_template_id=own["uuid"], name="c" * 32)
        self._wait_for_authority()
        self.settled()
        self.sql("UPDATE operations SET state = 'done', finished_at = now() WHERE bay_id = $1", "failed")
        self.sql("UPDATE bays SET status = 'CREATE_FAILED', faults = '{\"a\": \"b\"}' WHERE id = $1", "failed")
        asyncio.run(
            self.system.sql('INSERT INTO services (host, "binary") VALUES ($1, $2)', unique("h"), "jeroboam-certs")
        )

    def prepared(self, given: str) -> AbstractContextManager[object]:
        """The world as a call needs it, and afterwards as it was."""
        made: Callable[[], AbstractContextManager[object] | None] | None = getattr(self, given) if given else None
        return (made() if made is not None else None) or nullcontext()

    def filled(self, item: Any) -> Any:
        """The text, or what holds texts, with the values in their places."""
        if isinstance(item, dict):
            return {self.filled(key): self.filled(value) for key, value in item.items()}
        if isinstance(item, list):
            return [self.filled(value) for value in item]
        if isinstance(item, str):
            for name, value in self.values.items():
                item = item.replace(f"{{{name}}}", value)
        return item

    def named(self, answer: Answer) -> Answer:
        """The answer with the values in its text."""
        return answer if answer.text is None else replace(answer, text=self.filled(answer.text))

    def sql(self, query: str, name: str, *more: object) -> None:
        """A statement about the thing of that name."""
        asyncio.run(self.system.sql(query, self.values[name], *more))

    # states

    def settled(self) -> None:
        """The cluster stands, has one worker, which may become any number, and an API, and nothing is under way."""
        self._put("CREATE_COMPLETE")

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Its last change has failed."""
        self._put("UPDATE_FAILED")
        yield
        self.settled()

    @contextmanager
    def never_made(self) -> Iterator[None]:
        """It could not be made."""
        self._put("CREATE_FAILED")
        yield
        self.settled()

    @contextmanager
    def ranged(self) -> Iterator[None]:
        """It stands, and one or two workers are allowed."""
        self.settled()
        self.sql("UPDATE nodegroups SET min_node_count = 1, max_node_count = 2 WHERE bay_id = $1", "cluster")
        yield
        self.settled()

    def fresh(self) -> None:
        """There is a cluster that may be deleted."""
        self.values["fresh"] = cluster(self.system, cluster_template_id=self.values["template"])

    def unused(self) -> None:
        """There is a template of which nothing was made."""
        self.values["unused"] = template(self.system)["uuid"]

    def limit_set(self) -> AbstractContextManager[None]:
        """Somebody has set a quota for the project that is called limited."""
        return self._quota("limited", 7)

    def limit_unset(self) -> AbstractContextManager[None]:
        """Nobody has, and afterwards nobody will have."""
        return self._quota("limited", None)

    def full(self) -> AbstractContextManager[None]:
        """Project alt may have no cluster."""
        return self._quota("theirs", 0)

    def _put(self, status: str) -> None:
        """Bring the cluster into a state that only workers reach, in one statement."""
        query = (
            "WITH a AS (UPDATE operations SET state = 'done', finished_at = now() WHERE bay_id = $1::uuid), "
            "b AS (UPDATE nodegroups SET min_node_count = 0, max_node_count = NULL WHERE bay_id = $1 AND is_default), "
            "c AS (DELETE FROM nodegroups WHERE bay_id = $1 AND NOT is_default) "
            "UPDATE bays SET status = $2, node_count = 1, api_address = $3 WHERE id = $1"
        )
        self.sql(query, "cluster", status, ADDRESS)

    @contextmanager
    def _quota(self, project: str, limit: int | None) -> Iterator[None]:
        path = f"/v1/quotas/{self.values[project]}/Cluster"
        self.system.call("DELETE", path, user="admin")
        if limit is not None:
            body = {"project_id": self.values[project], "hard_limit": limit}
            assert self.system.call("POST", "/v1/quotas", body, user="admin").status_code == 201
        try:
            yield
        finally:
            self.system.call("DELETE", path, user="admin")

    def _project(self, user: str) -> str:
        token = self.system.token(user)
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        answer = httpx.get(f"{self.system.cloud_url}/identity/v3/auth/tokens", headers=headers)
        return str(answer.json()["token"]["project"]["id"])

    def _wait_for_authority(self) -> None:
        """Until the process of certificates has made them; it looks again once a second at most."""

        async def made() -> None:
            async with asyncio.timeout(_PATIENCE):
                while self.system.call("GET", f"/v1/certificates/{self.values['cluster']}").status_code != 200:
                    await asyncio.sleep(0.05)

        asyncio.run(made())
