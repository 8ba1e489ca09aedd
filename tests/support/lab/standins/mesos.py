"""Mesos' master and agent, and Marathon: options as their packages read them, leaders by the real ZooKeeper."""

from __future__ import annotations

import importlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from .checks import die, need, own_addresses
from .web import Answer, Client, Question, serve

MASTER = "zk quorum ip port hostname cluster work_dir log_dir roles weights authenticate acls logging_level"
AGENT = (
    "master ip port hostname containerizers executor_registration_timeout isolation image_providers work_dir "
    "executor_environment_variables attributes resources log_dir logging_level"
)
ISOLATORS = (
    "filesystem/posix filesystem/linux filesystem/shared posix/cpu posix/mem posix/disk cgroups/cpu cgroups/mem "
    "docker/runtime namespaces/pid"
)
_MARATHON_PORT = 8080


def main(name: str, arguments: list[str]) -> None:
    """As `mesos-init-wrapper master|slave`, or as `marathon`."""
    parts = {("mesos-init-wrapper", "master"): _master, ("mesos-init-wrapper", "slave"): _agent}
    part = _marathon if name == "marathon" else parts.get((name, " ".join(arguments)))
    if part is None:
        die(f"{name} does not know {arguments}")
    part()


class Circle:
    """Those who would lead, under a path of ZooKeeper: the one that came first does."""

    def __init__(self, url: str) -> None:
        kazoo: Any = importlib.import_module("kazoo.client")  # only images with Mesos have it
        found = re.fullmatch(r"zk://([\d.:,]+)(/\w+)", url)
        if found is None:
            die(f"{url} is no address of ZooKeeper")
        self.hosts, self.path = found[1].split(","), found[2]
        need(all(re.fullmatch(r"[\d.]+:2181", host) for host in self.hosts), f"{url} has hosts without port")
        self._client: Any = kazoo.KazooClient(
            found[1], connection_retry={"max_tries": -1, "delay": 0.5, "max_delay": 2}
        )
        self._client.start(timeout=600)

    def join(self, name: str, value: dict[str, object]) -> None:
        """Be one of them, until the connection ends."""
        self._client.ensure_path(self.path)
        self._client.create(f"{self.path}/{name}", json.dumps(value).encode(), ephemeral=True, sequence=True)

    def leader(self, name: str) -> dict[str, Any] | None:
        """What the leader said of itself; None while there is none or ZooKeeper has no quorum."""
        if not self._client.connected or not self._client.exists(self.path):
            return None
        children = sorted(one for one in self._client.get_children(self.path) if one.startswith(name))
        found: dict[str, Any] | None = (
            json.loads(self._client.get(f"{self.path}/{children[0]}")[0]) if children else None
        )
        return found


def _options(folder: str, known: str) -> dict[str, str]:
    """One file an option, as the packages' start script reads them."""
    found = {path.name: path.read_text().strip() for path in Path(folder).glob("*") if path.is_file()}
    unknown = sorted(set(found) - set(known.split()))
    need(not unknown, f"{folder} has options that there are not: {', '.join(unknown)}")
    empty = sorted(name for name, value in found.items() if not value or "\n" in value)
    need(not empty, f"{folder}: {', '.join(empty)} hold no single line")
    return found


def _zookeeper() -> str:
    return Path("/etc/mesos/zk").read_text().strip()


def _master() -> None:
    options = _options("/etc/mesos-master", MASTER)
    circle = Circle(_zookeeper())
    need(options.get("ip") in own_addresses(), f"ip {options.get('ip')} is not this machine's")
    majority = len(circle.hosts) // 2 + 1
    need(options.get("quorum") == str(majority), f"quorum {options.get('quorum')} of {len(circle.hosts)} masters")
    me: dict[str, object] = {"hostname": options["hostname"], "address": {"ip": options["ip"], "port": 5050}}
    agents: dict[str, float] = {}

    def answer(question: Question) -> Answer:
        leader = circle.leader("json.info_")
        if leader is None:
            return 503, "no leader"
        match question.path:
            case "/redirect" | "/master/redirect":
                return 307, f"//{leader['hostname']}:5050"
            case "/stand-in/agents":
                agents[question.json()["hostname"]] = time.time()
                return 201, {}
            case "/state" | "/master/state":
                activated = sorted(name for name, seen in agents.items() if time.time() - seen < 30)
                return 200, {"cluster": options.get("cluster"), "leader": leader["hostname"], "slaves": activated}
            case _:
                return 404, "not found"

    serve(options["ip"], 5050, answer)
    circle.join("json.info_", me)
    _stay()


def _agent() -> None:
    options = _options("/etc/mesos-slave", AGENT)
    need(options.get("ip") in own_addresses(), f"ip {options.get('ip')} is not this machine's")
    unknown = set(options.get("isolation", "").split(",")) - set(ISOLATORS.split()) - {""}
    need(not unknown, f"there are no isolators {unknown}")
    json.loads(options.get("executor_environment_variables", "{}"))
    if "docker" in options.get("containerizers", "mesos").split(","):
        need(Path("/var/run/docker.sock").is_socket(), "there is no docker for the containerizer")
    circle = Circle(_zookeeper())
    state: dict[str, object] = {"hostname": options["hostname"], "flags": options}
    serve(options["ip"], 5051, lambda _question: (200, state))
    while True:
        leader = circle.leader("json.info_")
        if leader is not None:
            url = f"http://{leader['address']['ip']}:5050/stand-in/agents"
            try:
                if Client().ask("POST", url, {"hostname": options["hostname"]})[0] == 201:
                    state["master_hostname"] = leader["hostname"]
            except OSError as error:
                print(f"{url}: {error}")
        time.sleep(1)


def _marathon() -> None:
    hostname, zookeeper = os.environ.get("MARATHON_HOSTNAME", ""), os.environ.get("MARATHON_ZK", "")
    need(hostname in own_addresses(), f"MARATHON_HOSTNAME {hostname!r} is not this machine's")
    mesos, circle = Circle(os.environ.get("MARATHON_MASTER", "")), Circle(zookeeper)
    need(mesos.path == "/mesos" and circle.path == "/marathon", "Marathon and Mesos keep their things elsewhere")
    while (leader := mesos.leader("json.info_")) is None:
        time.sleep(1)
    print(f"Mesos is led by {leader['hostname']}")

    def answer(question: Question) -> Answer:
        if question.path == "/ping":
            return 200, "pong"
        first = circle.leader("member_")
        return (200, {"leader": first["leader"]}) if question.path == "/v2/leader" and first else (404, "not found")

    serve("0.0.0.0", _MARATHON_PORT, answer)
    circle.join("member_", {"leader": f"{hostname}:{_MARATHON_PORT}"})
    _stay()


def _stay() -> None:
    while True:
        time.sleep(3600)
