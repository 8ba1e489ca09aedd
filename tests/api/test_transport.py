"""The door: documents, versions, headers, slashes, authentication, and refusals of the router (contract §1.1–§1.6)."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import pytest

from tests.api.harness import LATEST, VERSION, System, detail

WORD = "container-infrastructure-management"
UNSUPPORTED = (
    "Version {version} was requested but the minor version is not supported by this service. "
    f"The supported version range is: [{WORD} 1.1, {WORD} 1.14]."
)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/healthcheck", "/readyz", "/openapi.json", "/docs"])
def test_public_paths_need_no_token(system: System, path: str) -> None:
    assert system.call("GET", path, user=None).status_code == 200


@pytest.mark.parametrize("path", ["/v1/bays", "/v1/baymodels", "/v1/certificates/x", "/bays", "/nope", "/v1/nope"])
def test_everything_else_needs_one(system: System, path: str) -> None:
    for headers in ({}, {"X-Auth-Token": "wrong"}):
        answer = system.call("GET", path, user=None, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == 401
        assert answer.headers["WWW-Authenticate"].startswith('Keystone uri="http')


def test_root_document(system: System) -> None:
    document = system.call("GET", "/", user=None).json()
    assert document["name"] == "OpenStack Magnum API"
    (version,) = document["versions"]
    assert version["links"] == [{"rel": "self", "href": f"{system.api_url}/v1/"}]
    assert (version["id"], version["status"], version["min_version"]) == ("v1", "CURRENT", "1.1")


def test_v1_document_links_every_resource(system: System) -> None:
    document = system.call("GET", "/v1", user=None).json()
    assert document["bays"] == [
        {"rel": "self", "href": f"{system.api_url}/v1/bays/"},
        {"rel": "bookmark", "href": f"{system.api_url}/bays/"},
    ]
    assert {"baymodels", "certificates"} <= document.keys()


def test_readyz_names_what_it_needs(system: System) -> None:
    assert system.call("GET", "/readyz", user=None).json() == {"ready": True, "database": True, "bus": True}


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, "1.1"),
        ("container-infra latest", "1.14"),
        ("container-infra 1.1", "1.1"),
        ("container-infrastructure 1.9", "1.9"),
        (f"{WORD} 1.14", "1.14"),
        ("compute 2.1, container-infra 1.3", "1.3"),
    ],
)
def test_negotiated_version(system: System, asked: str | None, granted: str) -> None:
    answer = system.call("GET", "/v1/bays", headers={} if asked is None else {VERSION: asked})
    assert answer.status_code == 200
    assert answer.headers[VERSION] == f"{WORD} {granted}"
    assert answer.headers["OpenStack-API-Minimum-Version"] == f"{WORD} 1.1"
    assert answer.headers["OpenStack-API-Maximum-Version"] == f"{WORD} 1.14"
    assert answer.headers["Vary"] == VERSION


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("compute 1.1", "Invalid service type for OpenStack-API-Version header"),
        ("1.1", "Invalid service type for OpenStack-API-Version header"),
        ("container-infra", "Invalid value for OpenStack-API-Version header"),
        ("container-infra x", "Invalid value for OpenStack-API-Version header"),
        ("container-infra 1", "Invalid value for OpenStack-API-Version header"),
        ("container-infra 1.1 1.2", "Invalid value for OpenStack-API-Version header"),
    ],
)
def test_bad_version_header(system: System, asked: str, sentence: str) -> None:
    answer = system.call("GET", "/v1/bays", headers={VERSION: asked})
    assert answer.status_code == 406
    assert detail(answer) == sentence
    assert answer.headers["OpenStack-API-Maximum-Version"] == f"{WORD} 1.14"


@pytest.mark.parametrize("version", ["1.0", "1.15", "1.99"])
def test_minor_version_out_of_range(system: System, version: str) -> None:
    answer = system.call("GET", "/v1/bays", headers={VERSION: f"container-infra {version}"})
    assert answer.status_code == 406
    (error,) = answer.json()["errors"]
    assert error["code"] == "magnum.microversion-unsupported"
    assert error["title"] == "Requested microversion is unsupported"
    assert error["description"] == UNSUPPORTED.format(version=version)
    assert (error["min_version"], error["max_version"]) == ("1.1", "1.14")
    assert "status" not in error
    assert "detail" not in error


def test_major_version_out_of_range(system: System) -> None:
    answer = system.call("GET", "/v1/bays", headers={VERSION: "container-infra 2.0"})
    assert answer.status_code == 406
    assert answer.json()["errors"][0]["description"].startswith("Mutually exclusive versions requested. Version 2.0")


def test_version_headers_stay_off_the_root(system: System) -> None:
    assert VERSION not in system.call("GET", "/").headers


def test_request_id_on_every_answer(system: System) -> None:
    for path in ("/", "/v1/bays", "/v1/bays/none", "/nope", "/healthcheck"):
        assert system.call("GET", path).headers["X-OpenStack-Request-ID"].startswith("req-")


@pytest.mark.parametrize("accept", ["application/xml", "text/plain", "image/png, text/html"])
def test_other_forms_than_json(system: System, accept: str) -> None:
    assert system.call("GET", "/v1/bays", headers={"Accept": accept}).status_code == 406


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/*;q=0.5", "text/html, */*;q=0.1"])
def test_json_is_what_they_mean(system: System, accept: str) -> None:
    assert system.call("GET", "/v1/bays", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/bays/", "/bays", "/bays/", "/v1/bays/?limit=5", "/v1/bays/?limit=&sort_key="])
def test_slashes_without_redirect(system: System, path: str) -> None:
    answer = system.call("GET", path)
    assert answer.status_code == 200
    assert "bays" in answer.json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nope", 404),
        ("GET", "/v2/bays", 404),
        ("POST", "/v1/bays/x/actions/resize", 404),
        ("PUT", "/v1/bays/x", 405),
        ("OPTIONS", "/v1/bays", 405),
        ("PUT", "/v1/bays", 405),
        ("GET", "/v1/certificates", 405),
        ("POST", "/v1/bays/x", 405),
    ],
)
def test_router_level_refusals(system: System, method: str, path: str, status: int) -> None:
    answer = system.call(method, path)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert error["code"] == ""
    assert error["detail"] == ""
    assert error["title"] == {404: "Not Found", 405: "Method Not Allowed"}[status]


def test_head_is_refused_everywhere(system: System) -> None:
    for path in ("/v1/bays", "/v1/baymodels/x", "/v1"):
        assert system.call("HEAD", path).status_code == 405


def test_links_follow_the_proxy(system: System) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example.org:9511"}
    document = system.call("GET", "/v1", headers=headers).json()
    assert document["links"][0]["href"] == "https://cloud.example.org:9511/v1/"


def test_host_that_cannot_be_one(system: System) -> None:
    answer = system.call("GET", "/v1/bays", headers={"X-Forwarded-Host": 'x","evil":"'})
    assert answer.status_code == 400
    assert "Host" in detail(answer)


@pytest.mark.parametrize("path", ["/v1/bays?foo=1", "/v1/bays/x?foo=1", "/v1/baymodels?foo=", "/v1/certificates/x?foo"])
def test_unknown_query_key(system: System, path: str) -> None:
    answer = system.call("GET", path)
    assert answer.status_code == 400
    assert detail(answer) == 'Unknown argument: "foo"'


def test_body_that_is_too_long(system: System) -> None:
    answer = system.call("POST", "/v1/bays", raw=b"[" + b" " * 300_000 + b"]")
    assert answer.status_code == 413


def test_a_client_that_goes_in_the_midst_of_its_body(system: System) -> None:
    """It is no failure of ours, so the log tells of a refusal only."""
    url = urlsplit(system.api_url)
    head = f"POST /v1/bays HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {system.token('demo')}\r\nContent-Length: 500\r\n\r\n{{"
    log, before = system.home / "api.log", (system.home / "api.log").stat().st_size
    with socket.create_connection((url.hostname, url.port)) as client:
        client.sendall(head.encode())
    give_up = time.monotonic() + 20
    while b'"path":"/v1/bays"' not in log.read_bytes()[before:]:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    assert b"unforeseen" not in log.read_bytes()[before:]


def test_latest_is_understood_with_any_path(system: System) -> None:
    assert system.call("GET", "/v1/baymodels", headers=LATEST).status_code == 200
