"""The process: quota under a race, death between commit and answer, metrics, and its OpenAPI document."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.contracts.http.baymodels import BaymodelFull
from shared.contracts.http.bays import BayBrief, BayFull, OperationList
from tests.api.harness import System, administer, database, detail, running


@pytest.fixture(scope="module")
def metrics_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[System]:
    """Another gateway: quota 3, metrics on, a public address."""
    home = tmp_path_factory.mktemp("small")
    settings = {
        "JEROBOAM_BAYS_PER_PROJECT": "3",
        "JEROBOAM_METRICS_PORT": str(metrics_port),
        "JEROBOAM_PUBLIC_URL": "https://bays.example.org/",
    }
    with database() as dsn, running(dsn, home, **settings) as made:
        yield made


async def test_quota_has_one_winner_for_the_last_place(small: System) -> None:
    model = small.baymodel()["uuid"]
    answers = await asyncio.gather(
        *(asyncio.to_thread(small.call, "POST", "/v1/bays", {"baymodel_id": model}) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 5
    words = (
        "Resource limit exceeded: You have reached the maximum clusters per project, 3. "
        "You may delete a cluster to make room for a new one."
    )
    assert {detail(answer) for answer in answers if answer.status_code == 403} == {words}


def test_links_have_the_public_address(small: System) -> None:
    assert small.call("GET", "/v1").json()["links"][0]["href"] == "https://bays.example.org/v1/"


def test_metrics_have_their_own_port(small: System, metrics_port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
        assert b"jeroboam_cloud_calls" in answer.read()
    assert small.call("GET", "/metrics").status_code == 404


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[System]:
    """A gateway that may be killed."""
    (tmp_path / "points").mkdir()
    with database() as dsn, running(dsn, tmp_path, JEROBOAM_FAILPOINT_DIR=str(tmp_path / "points")) as made:
        yield made


async def test_killed_between_commit_and_answer_the_bay_is_there(mortal: System) -> None:
    model = mortal.baymodel()["uuid"]
    (mortal.home / "points" / "api:after_commit").touch()
    with pytest.raises(httpx.RemoteProtocolError):
        mortal.call("POST", "/v1/bays", {"name": "bay", "baymodel_id": model})
    query = "SELECT b.status, o.kind, o.state FROM bays b JOIN operations o ON o.bay_id = b.id WHERE b.name = 'bay'"
    (row,) = await mortal.sql(query)
    assert tuple(row) == ("CREATE_IN_PROGRESS", "create", "active")


async def test_database_that_goes_away_is_503_and_comes_back(mortal: System) -> None:
    name = mortal.dsn.partition("?")[0].rpartition("/")[2]
    bay = mortal.bay()
    await administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await administer(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    for method, path, body in (
        ("GET", "/v1/bays", None),
        ("GET", f"/v1/bays/{bay['uuid']}/operations", None),
        ("DELETE", f"/v1/bays/{bay['uuid']}", None),
        ("POST", "/v1/bays", {"baymodel_id": bay["baymodel_id"]}),
    ):
        answer = mortal.call(method, path, body)
        assert answer.status_code == 503, answer.text
        assert detail(answer) == "The database does not answer now."
    assert mortal.call("GET", "/healthcheck").status_code == 200
    assert mortal.call("GET", "/readyz").status_code == 503
    await administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert mortal.call("GET", f"/v1/bays/{bay['uuid']}").json()["status"] == "CREATE_IN_PROGRESS"
    assert mortal.call("DELETE", f"/v1/bays/{bay['uuid']}").status_code == 204


async def test_a_mistake_of_ours_hides_its_words(mortal: System) -> None:
    await mortal.sql("ALTER TABLE baymodels RENAME TO elsewhere")
    for method, path in (("GET", "/v1/baymodels"), ("PATCH", "/v1/baymodels/x")):
        answer = mortal.call(method, path, [] if method == "PATCH" else None)
        assert answer.status_code == 500
        assert answer.headers["X-OpenStack-Request-ID"] in (mortal.home / "api.log").read_text()
        assert answer.json()["errors"][0]["code"] == "server"
        assert "baymodels" not in detail(answer)


# documents


def test_stored_texts_have_exactly_the_documented_keys(system: System) -> None:
    bay, model = system.bay(), system.baymodel()
    assert set(bay) == BayFull.model_fields.keys() - {"bay_faults"}
    BayFull.model_validate_json(system.call("GET", f"/v1/bays/{bay['uuid']}").content, strict=True)
    assert set(model) == BaymodelFull.model_fields.keys()
    BaymodelFull.model_validate_json(system.call("GET", f"/v1/baymodels/{model['uuid']}").content, strict=True)
    brief = system.call("GET", "/v1/bays?limit=1").json()["bays"][0]
    assert set(brief) == BayBrief.model_fields.keys()
    OperationList.model_validate_json(system.call("GET", f"/v1/bays/{bay['uuid']}/operations").content, strict=True)


def test_openapi_describes_every_path(system: System) -> None:
    document: dict[str, Any] = system.call("GET", "/openapi.json", user=None).json()
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/healthcheck"),
        ("GET", "/readyz"),
        *((method, "/v1/bays") for method in ("GET", "POST")),
        *((method, "/v1/bays/{ident}") for method in ("GET", "PATCH", "DELETE")),
        ("GET", "/v1/bays/detail"),
        ("GET", "/v1/bays/{ident}/operations"),
        *((method, "/v1/baymodels") for method in ("GET", "POST")),
        *((method, "/v1/baymodels/{ident}") for method in ("GET", "PATCH", "DELETE")),
        ("GET", "/v1/baymodels/detail"),
        ("POST", "/v1/certificates"),
        ("GET", "/v1/certificates/{bay}"),
    } <= found
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert "422" not in operation["responses"]
            if path.startswith("/v1/"):
                assert {"400", "401", "403", "404", "406", "409", "503"} <= operation["responses"].keys()
                assert any(one["name"] == "OpenStack-API-Version" for one in operation["parameters"])
            if method in ("post", "patch"):
                content = operation["requestBody"]["content"]["application/json"]
                assert content["schema"]
                assert "example" in content


@pytest.mark.parametrize(
    "path", ["/v1/bays", "/v1/bays/x", "/v1/baymodels/x", "/v1/certificates/x", "/v1/bays/x/operations"]
)
def test_every_path_refuses_unknown_query_keys(system: System, path: str) -> None:
    for method in ("GET", "POST", "PATCH", "DELETE"):
        answer = system.call(method, f"{path}?bogus=1", [] if method == "PATCH" else None)
        assert answer.status_code in (400, 405)


def test_a_port_that_is_taken_is_told(system: System) -> None:
    port = system.api_url.rpartition(":")[2]
    environment = {
        **os.environ,
        "JEROBOAM_DATABASE_URL": system.dsn,
        "JEROBOAM_KEYSTONE_URL": f"{system.cloud_url}/identity/v3",
        "JEROBOAM_SERVICE_PASSWORD": "x",
        "JEROBOAM_PORT": port,
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.api"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
