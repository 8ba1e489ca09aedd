"""Classic swarm, run in a container: agents keep their docker's address in the real etcd, managers read it there."""

from __future__ import annotations

import json
import time
from urllib.parse import quote, urlencode

from .checks import die, need, pair, readable
from .web import Answer, Client, Question, serve

STRATEGIES = {"spread", "binpack", "random"}
_VALUES = {"-H", "--host", "--strategy", "--advertise", "--addr", "--discovery-opt", "--heartbeat", "--ttl"}
_ALONE = {"--replication", "--tlsverify", "--tls"}
_FILES = ("--tlscacert", "--tlscert", "--tlskey")
_SECONDS = 2


def main(name: str, arguments: list[str]) -> None:
    """As `swarm manage|join …`."""
    need(arguments, "swarm needs a command")
    command, *rest = arguments
    options, nodes = _parse(rest)
    store = Nodes(nodes, options.get("--discovery-opt", []))
    match command:
        case "join":
            _join(store, options)
        case "manage":
            _manage(store, options)
        case _:
            die(f"swarm has no command {command}")


def _parse(words: list[str]) -> tuple[dict[str, list[str]], str]:
    """Options, each with all its values, and the address of the discovery."""
    options: dict[str, list[str]] = {}
    waiting, rest = list(words), []
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if name in _ALONE:
            options[name] = ["true"]
        elif name in _VALUES or name in _FILES:
            options.setdefault(name, []).append(value if equals else waiting.pop(0))
        else:
            need(not word.startswith("-"), f"flag provided but not defined: {word}")
            rest.append(word)
    need(len(rest) == 1, f"swarm wants one discovery, and not {rest}")
    return options, rest[0]


class Nodes:
    """The addresses of all nodes' docker, in etcd's second interface."""

    def __init__(self, discovery: str, options: list[str]) -> None:
        kind, _, rest = discovery.partition("://")
        need(kind == "etcd", f"{discovery} is no etcd")
        hosts, _, path = rest.partition("/")
        files = dict(one.removeprefix("kv.").split("=", 1) for one in options)
        need(set(files) in (set(), {"cacertfile", "certfile", "keyfile"}), f"unknown --discovery-opt: {sorted(files)}")
        if files:
            pair(files["certfile"], files["keyfile"])
            readable(files["cacertfile"])
        self.client = Client(files.get("cacertfile", ""), files.get("certfile", ""), files.get("keyfile", ""))
        scheme = "https" if files else "http"
        self._keys = [f"{scheme}://{host}/v2/keys/{path.strip('/')}/docker/swarm/nodes" for host in hosts.split(",")]

    def add(self, address: str) -> bool:
        """Tell where this node's docker is; whether an etcd took it."""
        body = urlencode({"value": address, "ttl": "180"}).encode()
        return any(self._ask("PUT", f"{key}/{quote(address)}", body) for key in self._keys)

    def all(self) -> list[str] | None:
        """All addresses; None when no etcd answers."""
        for key in self._keys:
            if text := self._ask("GET", f"{key}?recursive=true"):
                return sorted(one["value"] for one in json.loads(text)["node"].get("nodes", []))
        return None

    def _ask(self, method: str, url: str, body: bytes | None = None) -> str:
        try:
            status, text = self.client.ask(method, url, body)
        except OSError as error:
            print(f"{url}: {error}")
            return ""
        if status == 404:
            return '{"node": {}}'
        if status not in {200, 201}:
            print(f"{url}: {status} {text[:200]}")
        return text if status in {200, 201} else ""


def _join(nodes: Nodes, options: dict[str, list[str]]) -> None:
    address = options["--addr"][0]
    while True:
        nodes.add(address)
        time.sleep(_SECONDS)


def _manage(nodes: Nodes, options: dict[str, list[str]]) -> None:
    need(options.get("--strategy", ["spread"])[0] in STRATEGIES, f"no such strategy: {options['--strategy']}")
    certificate = None
    files = [options.get(name, [""])[0] for name in _FILES]
    if "--tlsverify" in options:
        need(all(files), "--tlsverify needs --tlscacert, --tlscert and --tlskey")
        pair(files[1], files[2])
        certificate = (files[1], files[2])
    dockers = Client(*files)
    scheme = "https" if certificate else "http"

    def answer(question: Question) -> Answer:
        if certificate and not question.client:
            return 403, "a certificate is needed"
        path = question.path.partition("?")[0]
        if path == "/_ping":
            return 200, "OK"
        known = nodes.all()
        if path != "/info" or known is None:
            return (404, "not found") if known is not None else (500, "no etcd")
        status = [[f" node-{i}", one] for i, one in enumerate(known) if _answers(dockers, f"{scheme}://{one}/info")]
        return 200, {"SystemStatus": [["Role", "primary"], ["Nodes", str(len(status))], *status]}

    _, _, port = options["-H"][0].rpartition(":")
    serve("0.0.0.0", int(port), answer, certificate=certificate, client_authority=files[0] or None)
    while True:
        time.sleep(3600)


def _answers(client: Client, url: str) -> bool:
    try:
        return client.ask("GET", url)[0] == 200
    except OSError as error:
        print(f"{url}: {error}")
        return False
