"""What `jeroboam bay config` writes, prints and refuses, seen from the shell."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from services.cli.kubeconfig import Kubeconfig
from shared.pki_client import describe
from tests.clients.support.cloud import Cloud
from tests.native.people import Person

NO_USER = dict.fromkeys(("OS_USERNAME", "OS_PASSWORD", "OS_USER_DOMAIN_NAME"))


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_kubernetes_gets_one_file_that_nobody_else_reads(person: Person, bays: dict[str, str], folder: Path) -> None:
    place = folder / "new" / "pods"
    said = person.config(f"pods --dir {place}", {"HTTPS_PROXY": "http://127.0.0.1:9"})
    assert (said.code, said.out) == (0, f"export KUBECONFIG={place}/config\n"), str(said)
    assert modes(place) == {"config": 0o600}
    assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    written = Kubeconfig.read(place / "config")
    assert (written.name, written.server) == ("pods", bays["pods"])
    assert describe(written.certificate_pem).subject == "O=system:masters,CN=admin"
    assert "kubectl get nodes" in said.err
    assert "PRIVATE KEY" not in said.all


def test_files_are_replaced_only_on_demand(person: Person, folder: Path) -> None:
    assert person.config(f"swarm --dir {folder}").code == 0
    assert modes(folder) == {"ca.pem": 0o600, "cert.pem": 0o600, "key.pem": 0o600}
    before = (folder / "key.pem").read_text()
    again = person.config(f"swarm --dir {folder}")
    assert (again.code, again.out) == (1, "")
    assert "--force" in again.err
    assert (folder / "key.pem").read_text() == before
    printed = person.config(f"swarm --dir {folder} --variables")
    assert (folder / "key.pem").read_text() == before
    replaced = person.config(f"swarm --dir {folder} --force")
    assert (folder / "key.pem").read_text() != before
    assert (printed.code, replaced.code, printed.out) == (0, 0, replaced.out)


def test_the_usual_place_is_below_home(person: Person) -> None:
    said = person.config("other-pods --pem")
    place = person.home / ".jeroboam" / "other-pods"
    assert said.out == f"export KUBECONFIG={place}/config\n"
    assert set(modes(place)) == {"config", "ca.pem", "cert.pem", "key.pem"}


def test_a_kubeconfig_of_others_keeps_what_it_has(person: Person, folder: Path) -> None:
    mine = folder / "kube" / "config"
    mine.parent.mkdir()
    other = {"name": "work", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}}
    mine.write_text(yaml.safe_dump({"clusters": [other], "current-context": "work", "preferences": {"colors": True}}))
    linked = folder / "linked"
    linked.symlink_to(mine)
    said = person.config("pods --merge", {"KUBECONFIG": f"{linked}:{folder}/second"})
    assert (said.code, said.out) == (0, ""), str(said)
    assert "use-context work" in said.err
    found = yaml.safe_load(mine.read_text())
    assert found["clusters"][0] == other
    assert (found["current-context"], found["preferences"]) == ("pods", {"colors": True})
    assert linked.is_symlink()
    assert modes(mine.parent) == {"config": 0o600}
    assert person.config("pods --merge", {"KUBECONFIG": str(mine)}).code == 0
    again = yaml.safe_load(mine.read_text())
    assert [one["name"] for one in again["users"]] == ["pods-admin"]
    assert again["users"] != found["users"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("clusters: [{name: pods, cluster: {server: 'https://127.0.0.1:1'}}]", "has a cluster pods already"),
        ("kind: Pod", "no kubeconfig"),
        ("clusters: [", "cannot be read"),
        ("clusters: {pods: 1}", "no list"),
    ],
)
def test_a_file_that_does_not_fit_stays_as_it_is(person: Person, folder: Path, content: str, reason: str) -> None:
    mine = folder / "config"
    mine.write_text(content)
    said = person.config("pods --merge", {"KUBECONFIG": str(mine)})
    assert (said.code, mine.read_text()) == (1, content)
    assert reason in said.err
    assert set(modes(folder)) == {"config"}


def test_a_reader_for_some_hours(person: Person, folder: Path) -> None:
    assert person.config(f"roles --profile reader --hours 2 --dir {folder}").code == 0
    written = Kubeconfig.read(folder / "config")
    facts = describe(written.certificate_pem)
    assert (written.context, facts.subject) == ("roles-reader", "CN=reader,O=jeroboam:readers")
    assert timedelta(hours=1) < facts.not_after - datetime.now(UTC) < timedelta(hours=2)
    refused = person.config(f"pods --profile reader --dir {folder / 'other'}")
    assert (refused.code, refused.out) == (4, "")
    assert "reader" in refused.err


@pytest.mark.parametrize(("user", "code"), [("reader", 4), ("alt", 3)])
def test_who_may_not_is_told_whom_to_ask(person: Person, folder: Path, user: str, code: int) -> None:
    """`reader` sees the bay and did not make it; `alt` is in another project."""
    said = person.config(f"pods --dir {folder}", user=user)
    assert (said.code, said.out) == (code, "")
    assert "What to do:" in said.err
    assert ("reader's" if user == "reader" else "cluster list") in said.err
    assert not list(folder.iterdir())


def test_a_bay_that_is_not_ready(person: Person, cloud: Cloud, folder: Path) -> None:
    broken = {"effect": "fail", "type": "OS::Nova::Server", "reason": "No valid host was found.", "times": 1}
    cloud.control("/heat/behaviours", "POST", broken)
    try:
        model = cloud.template("unborn")
        uuid = cloud.call("POST", "/bays", {"name": "unborn", "baymodel_id": model}).json()["uuid"]
        assert cloud.settled(uuid) == "CREATE_FAILED"
    finally:
        cloud.control("/heat/behaviours", "DELETE")
    said = person.config(f"unborn --dir {folder}")
    assert said.code == 1
    assert "No valid host" in said.err
    cloud.remove(uuid)


@pytest.mark.parametrize(
    ("options", "variables", "code", "words"),
    [
        ("pods --os-cloud nowhere", {}, 5, "nowhere"),
        ("pods", {"OS_AUTH_URL": ""}, 5, "openrc"),
        ("pods", {"OS_PASSWORD": "wrong"}, 5, "Keystone"),
        ("pods --endpoint http://127.0.0.1:9", {}, 5, "--endpoint"),
        ("mesos --merge", {}, 1, "Leave --merge out"),
        ("pods --variables", {}, 1, "is not there"),
        ("swarm --etcd", {}, 1, "Leave --etcd out"),
        ("open-pods --etcd", {}, 1, "TLS is disabled"),
        ("pods", {"OS_INSECURE": "true"}, 5, "OS_CACERT"),
        ("pods", {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "some"}, 5, "auth_type"),
        ("pods", {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "some", **NO_USER}, 5, "Keystone"),
        ("pods", {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "http://127.0.0.1:9"}, 5, "auth_type"),
    ],
)
def test_mistakes_are_told_in_words(
    person: Person, folder: Path, options: str, variables: dict[str, str | None], code: int, words: str
) -> None:
    said = person.config(f"{options} --dir {folder}", variables)
    assert (said.code, said.out) == (code, "")
    assert words in said.err
    assert "Traceback" not in said.err
    assert not list(folder.iterdir())


def test_clouds_yaml_serves_as_well(person: Person, folder: Path) -> None:
    clouds = person.stack.workspace.root / "clouds.yaml"
    from services.cli.access import write_access

    write_access(clouds.parent, person.stack.keystone_url, api=person.stack.api_url, control="")
    clear = " ".join(f"-u {name}" for name in person.environment("demo") if name.startswith("OS_"))
    said = person.ok(
        f"env {clear} jeroboam bay config pods --os-cloud demo --dir {folder} --shell fish",
        OS_CLIENT_CONFIG_FILE=str(clouds),
    )
    assert said.out == f"set -gx KUBECONFIG '{folder}/config'\n"


def test_a_token_is_enough_and_a_region_is_not_needed(person: Person, cloud: Cloud, folder: Path) -> None:
    token: dict[str, str | None] = {
        "OS_AUTH_TYPE": "v3token",
        "OS_TOKEN": cloud.token(),
        "OS_REGION_NAME": None,
        **NO_USER,
    }
    said = person.config(f"pods --dir {folder}", token)
    assert said.code == 0, str(said)


def test_without_tls_there_is_no_certificate(person: Person, bays: dict[str, str], folder: Path) -> None:
    said = person.config(f"open-pods --dir {folder}")
    written = Kubeconfig.read(folder / "config")
    assert (written.server, written.authority_pem, written.key_pem) == (bays["open-pods"], "", "")
    assert said.out == f"export KUBECONFIG={folder}/config\n"
    swarm = person.config(f"open-swarm --dir {folder / 'swarm'}")
    assert swarm.out == f"export DOCKER_HOST={bays['open-swarm']}\nunset DOCKER_TLS_VERIFY\nunset DOCKER_CERT_PATH\n"
    assert not (folder / "swarm").exists()
