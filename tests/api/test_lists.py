"""Pages and order (contract §1.9)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.api.harness import System, unique


@pytest.fixture(scope="module")
def made(system: System) -> Iterator[list[str]]:
    """Five bays of project alt, in order of creation; names fall, counts repeat."""
    word = unique("page")
    bays = [system.bay(user="alt", name=f"{word}-{9 - number}", node_count=1 + number % 2) for number in range(5)]
    yield [bay["uuid"] for bay in bays]
    for bay in bays:
        system.call("DELETE", f"/v1/bays/{bay['uuid']}", user="alt")


def walk(system: System, query: str, path: str = "/v1/bays") -> list[list[str]]:
    """All pages, by following `next`."""
    pages: list[list[str]] = []
    url: str | None = f"{path}?{query}"
    while url is not None:
        assert len(pages) < 20
        answer = system.call("GET", url.removeprefix(system.api_url), user="alt")
        assert answer.status_code == 200, answer.text
        pages.append([bay["uuid"] for bay in answer.json()[path.split("/")[2]]])
        url = answer.json().get("next")
    return pages


def only(made: list[str], pages: list[list[str]]) -> list[str]:
    return [uuid for page in pages for uuid in page if uuid in made]


def test_order_of_creation(system: System, made: list[str]) -> None:
    assert only(made, walk(system, "limit=2")) == made
    assert only(made, walk(system, "limit=2&sort_dir=desc")) == made[::-1]


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "key", ["uuid", "name", "node_count", "status", "stack_id", "created_at", "updated_at", "baymodel_id"]
)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_no_row_twice_and_none_missed(system: System, made: list[str], key: str, direction: str, limit: int) -> None:
    pages = walk(system, f"limit={limit}&sort_key={key}&sort_dir={direction}")
    flat = [uuid for page in pages for uuid in page]
    assert len(flat) == len(set(flat))
    assert sorted(only(made, pages)) == sorted(made)


def test_sorted_by_name(system: System, made: list[str]) -> None:
    assert only(made, walk(system, "sort_key=name&limit=2")) == made[::-1]


def test_next_has_its_parameters_in_order(system: System, made: list[str]) -> None:
    for path in ("/v1/bays", "/v1/bays/detail"):
        answer = system.call("GET", f"{path}?limit=1&marker={made[0]}", user="alt").json()
        url = urlsplit(answer["next"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{system.api_url}{path}"
        assert parse_qsl(url.query) == [("sort_key", "id"), ("sort_dir", "asc"), ("limit", "1"), ("marker", made[1])]


def test_next_only_after_a_full_page(system: System, made: list[str]) -> None:
    after_third = f"marker={made[2]}"
    full = system.call("GET", f"/v1/bays?limit=2&{after_third}", user="alt").json()
    assert [bay["uuid"] for bay in full["bays"]] == made[3:]
    rest = system.call("GET", full["next"].removeprefix(system.api_url), user="alt").json()
    assert "next" not in rest
    assert "next" not in system.call("GET", f"/v1/bays?limit=3&{after_third}", user="alt").json()


def test_long_limits_are_cut(system: System, made: list[str]) -> None:
    assert system.call("GET", "/v1/bays?limit=999999999999", user="alt").status_code == 200


def test_baymodels_page_too(system: System) -> None:
    models = [system.baymodel(user="alt")["uuid"] for _ in range(3)]
    first = system.call("GET", f"/v1/baymodels?limit=1&marker={models[0]}", user="alt").json()
    assert [one["uuid"] for one in first["baymodels"]] == [models[1]]
    assert first["next"].startswith(f"{system.api_url}/v1/baymodels?sort_key=id&sort_dir=asc&limit=1&marker=")


@pytest.mark.parametrize(
    "key",
    [
        *(
            "id",
            "uuid",
            "name",
            "cluster_template_id",
            "keypair",
            "docker_volume_size",
            "flavor_id",
            "master_flavor_id",
        ),
        *("node_count", "master_count", "create_timeout", "status", "health_status", "stack_id", "cluster_id"),
        *("created_at", "updated_at", "api_address", "project_id", "user_id"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/clusters", "/v1/clusters/detail"])
def test_the_same_rows_by_the_names_of_clusters(system: System, made: list[str], path: str, key: str) -> None:
    for direction in ("asc", "desc"):
        pages = walk(system, f"limit=5&sort_key={key}&sort_dir={direction}", path)
        flat = [uuid for page in pages for uuid in page]
        assert len(flat) == len(set(flat))
        assert sorted(only(made, pages)) == sorted(made)


def test_sort_keys_of_the_other_name(system: System, made: list[str]) -> None:
    for path, key in (("clusters", "baymodel_id"), ("bays", "cluster_template_id"), ("bays", "health_status")):
        assert system.call("GET", f"/v1/{path}?sort_key={key}", user="alt").status_code == 400


def test_clustertemplates_page_too(system: System) -> None:
    models = [system.baymodel(user="alt")["uuid"] for _ in range(3)]
    first = system.call("GET", f"/v1/clustertemplates?limit=1&marker={models[0]}", user="alt").json()
    assert [one["uuid"] for one in first["clustertemplates"]] == [models[1]]
    assert first["next"].startswith(f"{system.api_url}/v1/clustertemplates?sort_key=id&sort_dir=asc&limit=1&marker=")
