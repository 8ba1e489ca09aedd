"""A project where our service user has no role: refused at the door, with the command that grants it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.api.harness import System, database, detail, running, unique

GRANT = "openstack role add --user jeroboam --user-domain Default --domain DOMAIN --inherited member"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A cloud of our own, where the role can be taken away before our gateway has a token of any project."""
    with database() as dsn, running(dsn, tmp_path_factory.mktemp("roles")) as made:
        identity, admin = f"{made.cloud_url}/identity/v3", {"X-Auth-Token": made.token("admin")}
        (user,) = [
            one for one in httpx.get(f"{identity}/users", headers=admin).json()["users"] if one["name"] == "jeroboam"
        ]
        roles = {one["name"]: one["id"] for one in httpx.get(f"{identity}/roles", headers=admin).json()["roles"]}
        inherited = f"{identity}/OS-INHERIT/domains/default/users/{user['id']}/roles/{roles['member']}"
        made.grant = lambda method: httpx.request(  # type: ignore[attr-defined]
            method, f"{inherited}/inherited_to_projects", headers=admin
        ).raise_for_status()
        yield made


def test_it_is_refused_with_the_command(system: System) -> None:
    model = system.baymodel()["uuid"]
    cinder = system.baymodel(volume_driver="cinder")["uuid"]
    system.grant("DELETE")  # type: ignore[attr-defined]
    for one in (model, cinder):
        for path, body in (
            ("/v1/bays", {"name": unique("bay"), "baymodel_id": one}),
            ("/v1/clusters", {"name": unique("bay"), "cluster_template_id": one}),
        ):
            answer = system.call("POST", path, body)
            assert answer.status_code == 403, answer.text
            assert "The service user jeroboam has no role in project" in detail(answer)
            assert GRANT in detail(answer)
    assert system.call("GET", "/v1/bays").json()["bays"] == []
    # Where it is granted, the same request goes through.
    system.grant("PUT")  # type: ignore[attr-defined]
    bay = system.bay(baymodel_id=model)
    assert bay["status"] == "CREATE_IN_PROGRESS"
