"""kubectl, as far as a master asks for it: a secret made without a server, objects applied, looked at and changed."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import yaml

from .checks import die, need, readable
from .flags import parse
from .kubeconfig import Kubeconfig, read

_SERVER = "STAND_IN_SERVER"
"""Another kube-apiserver than that of the kubeconfig, by --server."""


def main(name: str, arguments: list[str]) -> None:
    """As `kubectl`."""
    match _for_server(arguments):
        case ["create", "secret", "generic", secret, *rest]:
            flags = parse(rest, "namespace dry-run output from-file")
            need(flags.get("dry-run") == "client" and flags.get("output") == "yaml", "only shown, never made, here")
            key, _, path = flags["from-file"].partition("=")
            data = {key: base64.b64encode(readable(path).read_bytes()).decode()}
            metadata = {"name": secret, "namespace": flags.get("namespace", "default")}
            print(yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}))
        case ["apply", "-f", path]:
            _apply(list(yaml.safe_load_all(Path(path).read_text())))
        case ["get", "pods", *rest]:
            flags = parse(rest, "namespace output selector", required="selector")
            wanted = dict(one.split("=") for one in flags["selector"].split(","))
            pods = _ask("GET", f"/api/v1/namespaces/{flags['namespace']}/pods")["items"]
            _names(
                "pod", [one["metadata"]["name"] for one in pods if wanted.items() <= one["metadata"]["labels"].items()]
            )
        case ["get", *rest]:
            _get(rest)
        case ["patch", which, *rest]:
            flags = parse(rest, "namespace patch")
            annotations = json.loads(flags["patch"])["spec"]["template"]["metadata"]["annotations"]
            _post(_found(which, flags["namespace"]), revision=annotations["jeroboam/authorities"])
        case ["rollout", "status", which, *rest]:
            flags = parse(rest, "namespace timeout")
            _rolled_out(_found(which, flags["namespace"]), int(flags["timeout"].rstrip("s")))
        case ["delete", kind, name_, *rest]:
            _delete(kind, name_, rest)
        case _:
            die(f"the lab's kubectl cannot {' '.join(arguments)}")


def _for_server(arguments: list[str]) -> list[str]:
    """What is left of the command line after --server."""
    if arguments[:1] != ["--server"]:
        return arguments
    os.environ[_SERVER] = arguments[1]
    return arguments[2:]


def _delete(kind: str, name: str, rest: list[str]) -> None:
    flags = parse(rest, "namespace timeout", booleans="ignore-not-found")
    if kind == "node":
        _ask("DELETE", f"/api/v1/nodes/{name}")
        return
    need(kind == "configmap", f"the lab's kubectl cannot delete a {kind}")
    metadata = {"name": name, "namespace": flags["namespace"]}
    _ask("DELETE", "/stand-in/objects", {"kind": "ConfigMap", "metadata": metadata})


def _get(words: list[str]) -> None:
    """`get nodes --output json`, `get configmap NAME … --output json`, or `get KIND/NAME… --output name`."""
    if words == ["nodes", "--output", "json"]:
        print(json.dumps(_ask("GET", "/api/v1/nodes")))
        return
    names = [word for word in words if not word.startswith("-")]
    at = next(index for index, word in enumerate(words) if word.startswith("-"))
    flags = parse(words[at:], "namespace output", booleans="ignore-not-found")
    if words[0] == "configmap":
        need(flags["output"] == "json", "only as JSON here")
        found = _object("ConfigMap", words[1], flags["namespace"])
        need(found or "ignore-not-found" in flags, f'configmaps "{words[1]}" not found')
        print(json.dumps(found) if found else "", end="")
        return
    need(flags["output"] == "name" and all("/" in word for word in words[:at]), f"cannot get {names}")
    for word in words[:at]:
        kind, _, name = word.partition("/")
        if _object(kind, name, flags["namespace"]):
            _names(f"{kind}.apps", [name])


def _names(kind: str, names: list[str]) -> None:
    for name in names:
        print(f"{kind}/{name}")


def _found(which: str, namespace: str) -> dict[str, Any]:
    kind, _, name = which.partition("/")
    return _object(kind.removesuffix(".apps"), name, namespace) or die(f"{which} not found")


def _object(kind: str, name: str, namespace: str) -> dict[str, Any] | None:
    for one in _ask("GET", "/stand-in/objects")["items"]:
        if (one["kind"].lower(), one["name"], one["namespace"]) == (kind.lower(), name, namespace):
            found: dict[str, Any] = one
            return found
    return None


def _rolled_out(one: dict[str, Any], seconds: int) -> None:
    """A DaemonSet is when every node runs its present revision."""
    for _ in range(seconds if one["kind"] == "DaemonSet" else 0):
        nodes = _ask("GET", "/api/v1/nodes")["items"]
        there = [json.loads(node["metadata"]["annotations"]["stand-in/daemons"]) for node in nodes]
        if all(daemons.get(one["name"]) == one.get("revision", "") for daemons in there):
            return
        time.sleep(1)
    need(one["kind"] != "DaemonSet", f"error: timed out waiting for {one['name']}")


def _apply(objects: list[Any]) -> None:
    for one in objects:
        need(isinstance(one, dict), f"{one!r} is no object")
        need({"apiVersion", "kind", "metadata"} <= set(one), f"an object lacks a field: {sorted(one)}")
        need(one["metadata"].get("name"), f"a {one['kind']} has no name")
        _ask("POST", "/stand-in/objects", one)


def _post(brief: dict[str, Any], revision: str) -> None:
    metadata = {"name": brief["name"], "namespace": brief["namespace"]}
    _ask("POST", "/stand-in/objects", {"kind": brief["kind"], "metadata": metadata, "revision": revision})


def _ask(method: str, path: str, body: object = None) -> Any:
    config: Kubeconfig = read(os.environ.get("KUBECONFIG", ""))
    server = os.environ.get(_SERVER, config.server)
    try:
        status, text = config.client.ask(method, f"{server}{path}", body)
    except OSError as error:
        die(f"{server}: {error}")
    need(status in {200, 201}, f"{method} {path}: {status} {text[:200]}")
    return json.loads(text)
