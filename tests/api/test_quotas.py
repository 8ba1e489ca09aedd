"""Quotas (contract §1.18)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.api.harness import System, detail, unique

Answer = dict[str, Any]
KEYS = ["id", "project_id", "resource", "hard_limit", "created_at", "updated_at"]


def project(system: System, user: str) -> str:
    """The id of the user's project."""
    token = system.token(user)
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    answer = httpx.get(f"{system.cloud_url}/identity/v3/auth/tokens", headers=headers)
    return str(answer.json()["token"]["project"]["id"])


def path_of(project_id: str, resource: str = "Cluster") -> str:
    return f"/v1/quotas/{project_id}/{resource}"


@pytest.fixture
def service(system: System) -> Iterator[str]:
    """A project that no other test uses; it has no quota before and after."""
    project_id = project(system, "jeroboam")
    yield project_id
    system.call("DELETE", path_of(project_id), user="admin")


@pytest.fixture
async def many(system: System) -> AsyncIterator[list[int]]:
    """Five quotas of projects that are no more, by their ids in order of creation; limits repeat."""
    word = unique("gone")
    rows = await system.sql(
        "INSERT INTO quotas (project_id, resource, hard_limit, updated_at) "
        "SELECT $1 || (9 - n), 'Cluster', n % 2, CASE WHEN n = 3 THEN now() END FROM generate_series(1, 5) n "
        "RETURNING id",
        word,
    )
    yield [row[0] for row in rows]
    await system.sql("DELETE FROM quotas WHERE project_id LIKE $1 || '%'", word)


def make(system: System, body: object, user: str = "admin") -> httpx.Response:
    return system.call("POST", "/v1/quotas", body, user=user)


def test_a_life(system: System, service: str) -> None:
    made = make(system, {"project_id": service, "resource": "Cluster", "hard_limit": "7"})
    assert made.status_code == 201
    assert list(made.json()) == KEYS
    assert {**made.json(), "id": 0, "created_at": ""} == {
        **dict.fromkeys(KEYS),
        "id": 0,
        "created_at": "",
        "project_id": service,
        "resource": "Cluster",
        "hard_limit": 7,
    }
    assert made.json()["created_at"].endswith("+00:00")
    assert system.call("GET", path_of(service), user="admin").json() == made.json()

    changed = system.call(
        "PATCH", path_of(service), {"project_id": service, "resource": "Cluster", "hard_limit": 0}, user="admin"
    )
    assert changed.status_code == 202
    assert changed.json()["updated_at"].endswith("+00:00")
    assert {**changed.json(), "updated_at": None} == {**made.json(), "hard_limit": 0}

    gone = system.call("DELETE", path_of(service), user="admin")
    assert (gone.status_code, gone.content) == (204, b"")


def test_trap_16_unset_is_the_default_and_patch_takes_an_object(system: System, service: str) -> None:
    """Contract §10, 16."""
    unset = system.call("GET", path_of(service), user="admin")
    assert unset.status_code == 200
    assert unset.json() == {"project_id": service, "resource": "Cluster", "hard_limit": 1000}  # as the harness sets it
    make(system, {"project_id": service})
    refused = system.call(
        "PATCH", path_of(service), [{"op": "replace", "path": "/hard_limit", "value": 2}], user="admin"
    )
    assert refused.status_code == 400
    assert "Value not a valid dict" in detail(refused)
    assert system.call("PATCH", path_of(service), {"hard_limit": 2}, user="admin").json()["hard_limit"] == 2


def test_defaults_of_a_new_one(system: System, service: str) -> None:
    made = make(system, {"project_id": service}).json()
    assert (made["resource"], made["hard_limit"]) == ("Cluster", 1)


def test_twice_is_a_conflict(system: System, service: str) -> None:
    assert make(system, {"project_id": service}).status_code == 201
    again = make(system, {"project_id": service, "hard_limit": 5})
    assert again.status_code == 409
    assert detail(again) == f"Quota for project {service} already exists for resource Cluster."


def test_of_two_at_once_one_wins(system: System, service: str) -> None:
    def post(limit: int) -> httpx.Response:
        return make(system, {"project_id": service, "hard_limit": limit})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    (winner,) = (answer for answer in answers if answer.status_code == 201)
    assert system.call("GET", path_of(service), user="admin").json() == winner.json()


def test_an_unknown_project(system: System) -> None:
    refused = make(system, {"project_id": "x", "hard_limit": 5})
    assert refused.status_code == 404
    assert detail(refused) == "The project_id x could not be found."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"hard_limit": 5}, "Must provide a valid project ID."),
        ({"project_id": ""}, "Value should have a minimum character requirement of 1"),
        ({"project_id": "x", "hard_limit": -1}, "Value: '-1'. Value should be greater or equal to 0"),
        ({"project_id": "x", "hard_limit": 2**31}, "Value should be lower or equal to 2147483647"),
        ({"project_id": "x", "hard_limit": "abc"}, "invalid literal for int() with base 10: 'abc'"),
        ({"project_id": "x", "resource": "Bay"}, "Value: 'Bay'. Value should be one of: Cluster"),
        ({"project_id": "x", "foo": 1}, "Unknown attribute for argument quota: foo"),
        ({"project_id": "x", "id": 1}, "Cannot set read only field."),
        ([], "Value not a valid dict"),
    ],
)
def test_bad_bodies(system: System, body: object, sentence: str) -> None:
    refused = make(system, body)
    assert refused.status_code == 400
    assert sentence in detail(refused)


def test_no_body(system: System, service: str) -> None:
    for method, path in (("POST", "/v1/quotas"), ("PATCH", path_of(service))):
        refused = system.call(method, path, user="admin")
        assert refused.status_code == 400
        assert detail(refused) == 'Missing argument: "quota"'


def test_a_patch_without_a_limit(system: System, service: str) -> None:
    make(system, {"project_id": service, "hard_limit": 5})
    refused = system.call("PATCH", path_of(service), {"resource": "Cluster"}, user="admin")
    assert refused.status_code == 400
    assert detail(refused).endswith("Mandatory field missing.")


def test_what_is_not_there(system: System, service: str) -> None:
    for method, resource, body in (
        ("PATCH", "Cluster", {"hard_limit": 1}),
        ("DELETE", "Cluster", None),
        ("GET", "Bay", None),
        ("PATCH", "Bay", {"hard_limit": 1}),
        ("DELETE", "Bay", None),
    ):
        refused = system.call(method, path_of(service, resource), body, user="admin")
        assert refused.status_code == 404
        assert detail(refused) == f"Quota could not be found: project_id {service} resource {resource}."


@pytest.mark.parametrize("user", ["demo", "reader"])
def test_who_is_no_administrator_sees_their_own(system: System, user: str) -> None:
    own = project(system, user)
    assert system.call("GET", path_of(own), user=user).json()["hard_limit"] == 1000
    refused = system.call("GET", path_of(project(system, "alt")), user=user)
    assert refused.status_code == 403
    assert detail(refused) == "Not authorized."


@pytest.mark.parametrize(
    ("method", "rule", "below", "body"),
    [
        ("GET", "get_all", "", None),
        ("POST", "create", "", {"project_id": "x", "hard_limit": 1}),
        ("PATCH", "update", "/x/Cluster", {"hard_limit": 1}),
        ("DELETE", "delete", "/x/Cluster", None),
    ],
)
def test_the_rest_is_for_administrators(system: System, method: str, rule: str, below: str, body: object) -> None:
    refused = system.call(method, f"/v1/quotas{below}", body)
    assert refused.status_code == 403
    assert detail(refused) == f"Policy doesn't allow quota:{rule} to be performed."


def test_it_holds_for_new_bays(system: System) -> None:
    """Of several at once that fit one by one, only as many as the quota has room for are taken."""
    own = project(system, "alt")
    room = 2
    had = system.call("GET", f"/v1/stats?project_id={own}", user="admin").json()["clusters"]
    model = system.baymodel(user="alt")["uuid"]
    make(system, {"project_id": own, "hard_limit": had + room})
    try:
        with ThreadPoolExecutor(6) as pool:
            bodies = [{"name": unique("bay"), "baymodel_id": model} for _ in range(6)]
            answers = list(pool.map(lambda body: system.call("POST", "/v1/bays", body, user="alt"), bodies))
        assert sorted(answer.status_code for answer in answers) == [201] * room + [403] * (6 - room)
        assert {detail(answer) for answer in answers if answer.status_code == 403} == {
            (
                f"Resource limit exceeded: You have reached the maximum clusters per project, {had + room}. "
                "You may delete a cluster to make room for a new one."
            )
        }
    finally:
        system.call("DELETE", path_of(own), user="admin")


def walk(system: System, query: str) -> list[list[int]]:
    """All pages, by following `next`."""
    pages: list[list[int]] = []
    url: str | None = f"/v1/quotas?{query}"
    while url is not None:
        assert len(pages) < 50
        answer = system.call("GET", url.removeprefix(system.api_url), user="admin")
        assert answer.status_code == 200, answer.text
        pages.append([one["id"] for one in answer.json()["quotas"]])
        url = answer.json().get("next")
    return pages


@pytest.mark.parametrize("key", ["id", "project_id", "resource", "hard_limit", "created_at", "updated_at"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_no_row_twice_and_none_missed(system: System, many: list[int], key: str, direction: str, limit: int) -> None:
    pages = walk(system, f"all_tenants=True&limit={limit}&sort_key={key}&sort_dir={direction}")
    flat = [one for page in pages for one in page]
    assert len(flat) == len(set(flat))
    assert set(many) <= set(flat)
    if key == "id":
        mine = [one for one in flat if one in many]
        assert mine == (many if direction == "asc" else many[::-1])


def test_next_repeats_what_was_asked(system: System, many: list[int]) -> None:
    path = f"/v1/quotas?limit=1&marker={many[0]}&all_tenants=True&sort_key=id"
    page = system.call("GET", path, user="admin").json()
    assert list(page["quotas"][0]) == KEYS
    url = urlsplit(page["next"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{system.api_url}/v1/quotas"
    assert parse_qsl(url.query) == [
        *(("sort_key", "id"), ("sort_dir", "asc"), ("limit", "1"), ("marker", str(many[1]))),
        ("all_tenants", "True"),
    ]


def test_without_all_tenants_only_the_own(system: System, many: list[int]) -> None:
    own = project(system, "admin")
    assert system.call("GET", "/v1/quotas", user="admin").json() == {"quotas": []}
    made = make(system, {"project_id": own}).json()
    try:
        assert system.call("GET", "/v1/quotas?all_tenants=False", user="admin").json() == {"quotas": [made]}
        full = system.call("GET", "/v1/quotas/?limit=1", user="admin").json()
        assert full["next"] == f"{system.api_url}/v1/quotas?sort_key=id&sort_dir=asc&limit=1&marker={made['id']}"
        after = system.call("GET", full["next"].removeprefix(system.api_url), user="admin").json()
        assert after == {"quotas": []}
        hidden = system.call("GET", f"/v1/quotas?marker={many[0]}", user="admin")
        assert hidden.status_code == 404
    finally:
        system.call("DELETE", path_of(own), user="admin")


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("marker=abc", 400, "unable to convert to int"),
        ("marker=99999999999999999999999", 404, "Quota could not be found: quota id "),
        ("marker=-99999999999999999999999", 404, "Quota could not be found: quota id "),
        ("limit=0", 400, "Limit must be positive"),
        ("sort_key=nope", 400, 'The sort_key value "nope" is an invalid field for sorting'),
        ("sort_dir=up", 400, "Invalid sort direction: up. Acceptable values are 'asc' or 'desc'"),
        ("all_tenants=maybe", 400, "Value should be one of: true, false"),
        ("foo=1", 400, 'Unknown argument: "foo"'),
    ],
)
def test_bad_queries(system: System, query: str, status: int, sentence: str) -> None:
    refused = system.call("GET", f"/v1/quotas?{query}", user="admin")
    assert refused.status_code == status
    assert sentence in detail(refused)


def test_the_path_without_version_and_with_a_slash(system: System, service: str) -> None:
    for path in (f"/quotas/{service}/Cluster", f"/v1/quotas/{service}/Cluster/"):
        assert system.call("GET", path, user="admin").json()["hard_limit"] == 1000
