"""Kubernetes on CoreOS: Ignition in cloud-init's place, programs out of images, kube-apiserver as a pod; and the door
that lets Kubernetes of that age into the cloud of today."""

from __future__ import annotations

import configparser
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from typing_extensions import override

from shared.drivers.common import ignition
from shared.drivers.rendering import placeholders
from tests.drivers.cases import CA, CREDENTIAL, cases, facts, render, take_apart, templates, tool, with_authorities
from tests.drivers.legacy_nodes import COREOS, finished, machine, pods, running_master
from tests.drivers.nodes import FILLED, Sandbox, environment

CASES: Final = sorted(cases(COREOS))
# As Heat's curl_cli, with what a token or a URL might have in it.
SIGNAL: Final = (
    "curl -i -X POST -H 'X-Auth-Token: gAAA%3D\"\\-_' -H 'Content-Type: application/json' "
    "-H 'Accept: application/json' http://192.0.2.10:8004/v1/t%20t/stacks/s/i/resources/wait_handle/signal?a=b&c=d#e"
)


def rendered(case: str, role: str = "master") -> str:
    return with_authorities(COREOS.render(facts(COREOS, **cases(COREOS)[case]), CREDENTIAL), role)


@cache
def replacements(role: str = "master") -> dict[str, str]:
    """What the template has Heat replace in the signal command."""
    properties = templates(render(COREOS, "default"))[f"{role}.yaml"]["resources"]["server"]["properties"]
    escaped = properties["user_data"]["str_replace"]["params"]["@@SIGNAL_COMMAND_ESCAPED@@"]["str_replace"]
    assert escaped["template"] == {"list_join": ["", [{"get_attr": ["wait_handle", "curl_cli"]}]]}
    found: dict[str, str] = escaped["params"]
    return found


def after_heat(text: str) -> str:
    """What Nova is given: Heat has replaced in the text, knowing nothing of JSON or URLs."""
    escaped = "".join(replacements().get(letter, letter) for letter in SIGNAL)  # each letter once, as Heat does
    for name, value in {**FILLED, "@@SIGNAL_COMMAND_ESCAPED@@": escaped}.items():
        text = text.replace(name, value)
    return text


def test_masters_and_workers_have_it_escaped_alike() -> None:
    assert replacements("master") == replacements("worker")
    assert next(iter(replacements())) == "%", "first, for whoever replaces one after the other"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("role", ["master", "worker"])
def test_valid_by_the_specification(case: str, role: str) -> None:
    """Version 2.2.0, as far as we use it (https://coreos.github.io/ignition/configuration-v2_2/)."""
    document = json.loads(rendered(case, role))
    assert document.keys() == {"ignition", "passwd", "storage", "systemd"}
    assert document["ignition"] == {"version": ignition.VERSION} == {"version": "2.2.0"}
    (user,) = document["passwd"]["users"]
    assert user["name"] == "core"
    assert user.keys() <= {"name", "sshAuthorizedKeys"}
    paths = [entry["path"] for entry in document["storage"]["files"]]
    assert len(paths) == len(set(paths))
    for entry in document["storage"]["files"]:
        assert entry.keys() == {"filesystem", "path", "mode", "contents"}
        assert entry["filesystem"] == "root"
        assert entry["path"].startswith("/etc/"), "/usr cannot be written to"
        assert type(entry["mode"]) is int
        assert 0 < entry["mode"] <= 0o777
        assert entry["contents"].keys() <= {"source", "compression"}
        assert entry["contents"]["source"].startswith("data:")
        assert entry["contents"]["source"].isascii()
    names = [unit["name"] for unit in document["systemd"]["units"]]
    assert len(names) == len(set(names))
    assert [unit["name"] for unit in document["systemd"]["units"] if unit.get("enabled")] == ["jeroboam-boot.service"]


@pytest.mark.parametrize("case", CASES)
def test_what_heat_fills_in_arrives_as_it_is(case: str) -> None:
    text = after_heat(rendered(case))
    assert not placeholders(text)
    files = take_apart(text).files
    assert files["/etc/jeroboam/signal-command"]["content"] == f"{SIGNAL}\n"
    environment = files["/etc/jeroboam/bay.env"]["content"]
    shown = subprocess.run(
        ["/bin/sh", "-c", f'{environment}\nprintf %s "$JB_MASTER_ADDRESSES $JB_NODE_NAME"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "10.0.0.5,10.0.0.6,10.0.0.7 web-master-1"
    if case != "no-tls":
        assert files["/etc/jeroboam/node-secret"]["content"] == "s" * 64 + "\n"
        assert files["/etc/jeroboam/ca.pem"]["content"] == CA


def test_what_is_packed_has_nothing_for_heat_to_replace() -> None:
    for entry in json.loads(rendered("everything"))["storage"]["files"]:
        packed = entry["contents"].get("compression") == "gzip"
        assert packed == (not placeholders(entry["contents"]["source"]))
        assert not (packed and "@" in entry["contents"]["source"])


def test_parts_run_once_in_order_and_the_last_always(tmp_path: Path) -> None:
    box = Sandbox(tmp_path, take_apart(rendered("default")))
    for number, code in (("90-signal", 0), ("20-b", 1), ("10-a", 0)):
        box.put(f"/etc/jeroboam/parts/{number}.sh", f"echo {number} >>/var/lib/order\nexit {code}\n")
    (tmp_path / "var/lib").mkdir(parents=True)
    done = box.run("/etc/jeroboam/boot")
    assert (done.returncode, box.read("/var/lib/order")) == (0, "10-a\n20-b\n90-signal\n")
    assert "20-b.sh ended with code 1" in done.stderr
    assert (tmp_path / "var/lib/jeroboam/booted").exists()
    unit = box.read("/etc/systemd/system/jeroboam-boot.service")
    assert f"ConditionPathExists=!{tmp_path}/var/lib/jeroboam/booted" in unit


def test_units_are_the_guides_and_ours_bring_their_programs() -> None:
    assert environment(COREOS, "master")["JB_UNITS"] == "etcd flanneld docker kubelet"
    assert environment(COREOS, "worker")["JB_UNITS"] == "flanneld docker kubelet"
    for role, ours in (("master", {"etcd", "flanneld", "kubelet"}), ("worker", {"flanneld", "kubelet"})):
        files = take_apart(rendered("default", role)).files
        written = {path.rpartition("/")[2] for path in files if path.startswith("/etc/systemd/system/")}
        agent = {"jeroboam-agent.service", "jeroboam-agent.timer", "jeroboam-boot.service"}
        assert written == agent | {f"{name}.service" for name in ours}
        for name in ours:
            unit = configparser.RawConfigParser(strict=False)
            unit.optionxform = str  # type: ignore[assignment,method-assign]
            unit.read_string(files[f"/etc/systemd/system/{name}.service"]["content"])
            assert unit["Service"]["ExecStart"].startswith("/opt/bin/")


def test_containers_are_the_guides(tmp_path: Path) -> None:
    box = running_master(tmp_path, COREOS, master_count=3)
    found = pods(box)
    assert found.keys() == {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}
    command = found["kube-apiserver"]["command"]
    assert command[:2] == ["/hyperkube", "apiserver"]
    assert {"--etcd-servers=http://127.0.0.1:2379", "--apiserver-count=3", "--secure-port=6443"} <= set(command)
    assert "--service-cluster-ip-range=10.254.0.0/16" in command
    assert not any(" " in word for word in command), "one flag a word"
    assert "systemctl restart kube-apiserver" not in box.calls


def test_programs_come_out_of_images(tmp_path: Path) -> None:
    box = machine(tmp_path, COREOS, "master")
    box.program(
        "docker",
        f'echo "docker $*" >>{tmp_path}/calls\n'
        'case $1 in image) exit 1 ;; create) echo c1 ;; cp) case $2 in c1:/etcd) exit 1 ;; esac; echo x >"$3" ;; esac',
    )
    finished(box, "32-programs.sh")
    programs = tmp_path / "opt/bin"
    assert {path.name for path in programs.iterdir()} == {"etcd", "flanneld", "hyperkube", "mk-docker-opts.sh"}
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in programs.iterdir())
    pulled = {call.split()[-1] for call in box.calls if call.startswith("docker pull")}
    assert pulled == {
        "quay.io/coreos/etcd:v3.3.27",
        "quay.io/coreos/flannel:v0.13.0",
        "gcr.io/google_containers/hyperkube:v1.2.0",
    }


def test_an_image_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    box = machine(tmp_path, COREOS, "worker")
    box.program("docker", "case $1 in image) exit 1 ;; pull) echo 'manifest unknown' >&2; exit 1 ;; esac")
    box.program("sleep", ":")
    assert box.run("32-programs.sh").returncode != 0
    assert box.failure() == ("programs: image quay.io/coreos/flannel:v0.13.0 could not be pulled: manifest unknown\n")


def test_docker_has_its_options_by_its_unit(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"docker_storage_driver": "overlay2", "insecure_registry": "r.example.org:5000"}
    box = machine(tmp_path, COREOS, "worker", volume="v1", docker_volume_size=5, **changes)
    finished(box, "30-docker-storage.sh")
    drop_in = box.read("/etc/systemd/system/docker.service.d/jeroboam.conf")
    assert 'Environment="DOCKER_OPTS=--storage-driver overlay2 --insecure-registry r.example.org:5000"' in drop_in
    assert f"EnvironmentFile=-{tmp_path}/run/flannel/flannel_docker_opts.env" in drop_in
    assert f"RequiresMountsFor={tmp_path}/var/lib/docker" in drop_in
    assert not (tmp_path / "etc/sysconfig").exists()


def test_units_are_systemds(tmp_path: Path) -> None:
    """As systemd itself reads them; only programs are not there."""
    for role in ("master", "worker"):
        files = take_apart(after_heat(rendered("default", role))).files
        units = [path for path in files if path.startswith("/etc/systemd/system/")]
        for path in units:
            (tmp_path / path.rpartition("/")[2]).write_text(files[path]["content"])
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *map(str, tmp_path.iterdir())],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:/usr/lib/systemd/system:/lib/systemd/system", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "jeroboam" in line]
    assert [line for line in ours if "is not executable" not in line and "not found" not in line] == []


# The door to the cloud, which Fedora Atomic has as well.


class Cloud(http.server.BaseHTTPRequestHandler):
    """Keystone and Cinder of today, as far as the door asks."""

    asked: list[tuple[str, str, Any]]
    refuses: bool

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(("POST", self.path, body))  # type: ignore[attr-defined]
        if self.server.refuses:  # type: ignore[attr-defined]
            return self._answer(401, {"error": {"message": "no"}})
        here = f"http://{self.headers['Host']}"
        catalog = [
            {"type": "compute", "endpoints": [{"interface": "public", "region": "RegionOne", "url": f"{here}/nova"}]},
            {
                "type": "volumev3",
                "endpoints": [
                    {"interface": "internal", "region": "RegionOne", "url": "http://inside/v3/p"},
                    {"interface": "public", "region": "Elsewhere", "url": "http://elsewhere/v3/p"},
                    {"interface": "public", "region": "RegionOne", "url": f"{here}/v3/p"},
                ],
            },
        ]
        return self._answer(201, {"token": {"catalog": catalog, "expires_at": "2030-01-01T00:00:00Z"}})

    def do_GET(self) -> None:
        self.server.asked.append(("GET", self.path, self.headers["X-Auth-Token"]))  # type: ignore[attr-defined]
        volume = {"id": "v-1", "name": "data", "attachments": [{"server_id": "s-1", "device": "/dev/vdd"}]}
        if self.path.endswith("/volumes/detail"):
            return self._answer(200, {"volumes": [volume]})
        if self.path.endswith("/volumes/v-1"):
            return self._answer(200, {"volume": volume})
        return self._answer(404, {"itemNotFound": {"code": 404}})

    def _answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Subject-Token", "gAAAA-tok_en")
        self.end_headers()
        self.wfile.write(text)

    @override
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def cloud() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    server.asked, server.refuses = [], False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Door:
    """A node with cinder whose door a call comes in at."""

    def __init__(self, root: Path, keystone: str) -> None:
        self._box = machine(root, COREOS, "worker", volume_driver="cinder", keystone_url=keystone)
        (root / "bin/curl").unlink()
        state = root / "var/lib/jeroboam"
        state.mkdir(parents=True)
        (state / "door-word").write_text("w0rd")

    def call(self, method: str, path: str, body: str = "", headers: str = "") -> tuple[int, str, Any]:
        """Status, headers and body of the answer."""
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}"
        done = self._box.run("/etc/jeroboam/cloud-door", stdin=request)
        assert done.returncode == 0, done.stderr
        head, _, text = done.stdout.partition("\n\n")
        assert f"Content-Length: {len(text.encode())}" in head
        return int(head.split()[1]), head, json.loads(text)

    def sign_in(self, word: str = "w0rd") -> tuple[int, str, Any]:
        user = {"id": "jeroboam", "password": word}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        return self.call("POST", "/v3/auth/tokens", json.dumps(body))


@pytest.fixture
def door(tmp_path: Path, cloud: http.server.ThreadingHTTPServer) -> Door:
    return Door(tmp_path, f"http://127.0.0.1:{cloud.server_address[1]}/v3")


def test_the_door_signs_in_with_the_bays_credential(door: Door, cloud: Any) -> None:
    status, head, body = door.sign_in()
    assert (status, "X-Subject-Token: gAAAA-tok_en" in head) == (201, True)
    ((_, path, sent),) = cloud.asked
    assert path == "/v3/auth/tokens"
    assert sent["auth"]["identity"] == {
        "methods": ["application_credential"],
        "application_credential": {"id": "a1b2", "secret": "zq7-secret"},
    }
    catalog = {entry["type"]: entry["endpoints"] for entry in body["token"]["catalog"]}
    assert catalog.keys() == {"compute", "volume", "volumev2", "volumev3"}
    assert catalog["volumev2"] == catalog["volumev3"]
    (first,) = catalog["volume"]
    assert (first["interface"], first["region"], first["url"]) == (
        "public",
        "RegionOne",
        "http://127.0.0.1:4917/v1/door",
    )


def test_the_door_opens_to_the_word_of_its_node_only(door: Door, cloud: Any) -> None:
    assert door.sign_in("guessed")[0] == 401
    assert door.call("POST", "/v3/auth/tokens", "no json")[0] == 401
    assert cloud.asked == []


def test_the_door_hands_on_a_refusal(door: Door, cloud: Any) -> None:
    cloud.refuses = True
    assert door.sign_in()[0] == 401


def test_cinders_first_version_is_the_third(door: Door, cloud: Any) -> None:
    door.sign_in()
    token = "X-Auth-Token: gAAAA-tok_en\r\n"
    status, _, body = door.call("GET", "/v1/door/volumes", headers=token)
    assert (status, body["volumes"][0]["display_name"]) == (200, "data")
    assert body["volumes"][0]["attachments"] == [{"server_id": "s-1", "device": "/dev/vdd"}]
    status, _, body = door.call("GET", "/v1/door/volumes/v-1", headers=token)
    assert (status, body["volume"]["id"], body["volume"]["display_name"]) == (200, "v-1", "data")
    assert door.call("GET", "/v1/door/volumes/v-2", headers=token)[0] == 404
    asked = [("GET", f"/v3/p/volumes/{what}", "gAAAA-tok_en") for what in ("detail", "v-1", "v-2")]
    assert cloud.asked[1:] == asked


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", "", 404),
        ("DELETE", "/v1/door/volumes/v-1", "", 404),
        ("GET", "/v1/door/volumes/../../secret", "", 404),
        ("GET", "/v1/door/volumes/v-1", 'X-Auth-Token: a"b\r\n', 401),
    ],
)
def test_the_door_knows_nothing_else(door: Door, cloud: Any, method: str, path: str, headers: str, status: int) -> None:
    door.sign_in()
    assert door.call(method, path, headers=headers)[0] == status
    assert len(cloud.asked) == 1


def test_kubernetes_is_told_of_the_door(tmp_path: Path) -> None:
    box = machine(tmp_path, COREOS, "worker", volume_driver="cinder")
    box.program("curl", "cat >/dev/null; echo 201")
    finished(box, "55-cloud.sh")
    config = box.read("/etc/kubernetes/cloud-config")
    word = box.read("/var/lib/jeroboam/door-word")
    assert len(word) == 64
    assert f"auth-url=http://127.0.0.1:4917/v3/\nuser-id=jeroboam\npassword={word}\nregion=RegionOne\n" in config
    assert "zq7-secret" not in config
    assert box.mode("/etc/kubernetes/cloud-config") == box.mode("/var/lib/jeroboam/door-word") == 0o600
    assert "ListenStream=127.0.0.1:4917\n" in box.read("/etc/systemd/system/jeroboam-door.socket")


def test_a_credential_that_the_cloud_refuses_is_the_nodes_reason(tmp_path: Path) -> None:
    box = machine(tmp_path, COREOS, "worker", volume_driver="cinder")
    answer = tmp_path / "var/lib/jeroboam/door-answer"
    box.program("curl", f"""cat >/dev/null; echo '{{"error": {{"message": "Keystone answered 401"}}}}' >{answer}""")
    box.program("sleep", ":")
    assert box.run("55-cloud.sh").returncode != 0
    assert box.failure() == "cloud: the cloud refuses this bay's credential: Keystone answered 401\n"


def test_flags_of_a_bay_with_cinder(tmp_path: Path) -> None:
    box = running_master(tmp_path, COREOS, volume_driver="cinder")
    cloud = {"--cloud-provider=openstack", f"--cloud-config={tmp_path}/etc/kubernetes/cloud-config"}
    assert cloud <= set(pods(box)["kube-controller-manager"]["command"])
    assert cloud <= set(pods(box)["kube-apiserver"]["command"])
    container = pods(box)["kube-controller-manager"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "trust"]
    (volume,) = [one for one in container["volumes"] if one["name"] == "trust"]
    assert mount["mountPath"].endswith("/etc/ssl/certs")
    assert volume["hostPath"]["path"].endswith("/etc/kubernetes/trust")


@pytest.mark.parametrize("role", ["master", "worker"])
def test_without_cinder_there_is_no_door(role: str) -> None:
    files = take_apart(rendered("default", role)).files
    assert not [path for path in files if "door" in path or "credential" in path]
