"""Heat v1: a bay's stack from its making to its end, as the provisioner leads it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.record_answers.talk import Json, Talk

_TEMPLATES: Final = Path(__file__).with_name("templates")
BAY: Final = (_TEMPLATES / "bay.yaml").read_text()
FILES: Final = {"member.yaml": (_TEMPLATES / "member.yaml").read_text()}


def new(talk: Talk, name: str, **parameters: Json) -> dict[str, Json]:
    """The body of a create request."""
    given = {"jeroboam_operation": "op-1", "image": "cirros", "flavor": "m1.small", "external_network": "public"}
    body: dict[str, Json] = {"stack_name": name, "template": BAY, "files": FILES, "environment": {}}
    body |= {"parameters": given | parameters, "tags": f"jeroboam,jeroboam-bay-{name}"}
    return body | {"disable_rollback": True, "timeout_mins": 30}


def made(talk: Talk, body: Mapping[str, Json]) -> str:
    """Create a stack; the path under which it is. It is deleted at the end."""
    stack = talk.ask("POST", f"/v1/{talk.project()}/stacks", body).body["stack"]["id"]
    path = f"/v1/{talk.project()}/stacks/{body['stack_name']}/{stack}"
    talk.later(lambda: delete(talk, path))
    return path


def wait(talk: Talk, stack: str, status: str) -> Json:
    """Until the stack is so; the stack."""
    answer = talk.ask("GET", f"{stack}?resolve_outputs=false", until={"stack.stack_status": status})
    return answer.body["stack"]


def delete(talk: Talk, path: str) -> None:
    """Delete, as often as it takes, and wait."""
    for _ in range(600):
        headers = {"X-Auth-Token": talk.cloud.token("demo")}
        shown = talk.cloud.http.get(talk.cloud.url("orchestration", path), headers=headers)
        if shown.status_code == 404 or shown.json()["stack"]["stack_status"] == "DELETE_COMPLETE":
            return
        if shown.json()["stack"]["stack_status"] != "DELETE_IN_PROGRESS":
            talk.cloud.http.delete(talk.cloud.url("orchestration", path), headers=headers)
        time.sleep(1)


def _handles(talk: Talk, stack: str) -> list[str]:
    """Where the handles that wait are, each in a nested stack; not written down."""
    url = talk.cloud.url("orchestration", f"{stack}/resources?nested_depth=3")
    listed = talk.cloud.http.get(url, headers={"X-Auth-Token": talk.cloud.token("demo")}).json()["resources"]
    waiting = {
        _stack_of(one) for one in listed if one["resource_name"] == "ready" and "PROGRESS" in one["resource_status"]
    }
    return sorted(
        f"{path}/resources/handle"
        for one in listed
        if one["resource_name"] == "handle" and (path := _stack_of(one)) in waiting
    )


def _stack_of(resource: Mapping[str, Json]) -> str:
    where = next(str(link["href"]) for link in resource["links"] if link["rel"] == "stack")
    return "/v1/" + where.split("/v1/")[1]


def _signal_all(talk: Talk, stack: str, count: int) -> None:
    """Signal so many handles as soon as they wait."""
    for _ in range(600):
        found = _handles(talk, stack)
        if len(found) == count:
            break
        time.sleep(0.5)
    talk.settled()
    talk.ask("GET", f"{stack}/resources?nested_depth=2")
    for number, handle in enumerate(sorted(found)):
        body = {"status": "SUCCESS", "reason": "rec", "data": "done", "id": str(number)}
        talk.ask("POST", f"{handle}/signal", body)


def life(talk: Talk) -> None:
    """Created, looked at in every way, grown, shrunk by a server's id, deleted."""
    project, body = talk.project(), new(talk, "rec-bay")
    base = f"/v1/{project}/stacks"
    stack = made(talk, body)
    stack_id = stack.rsplit("/", 1)[-1]
    talk.ask("POST", base, body)
    talk.ask("GET", f"{base}?name=rec-bay")
    talk.ask("GET", f"{base}/{stack_id}")
    _wait_for_handles(talk, stack)
    talk.ask("GET", f"{stack}/resources?nested_depth=0")
    talk.ask("GET", f"{stack}/resources?nested_depth=2")
    _signal_all(talk, stack, 1)
    wait(talk, stack, "CREATE_COMPLETE")
    _look(talk, base, stack)
    _grow_and_shrink(talk, stack)
    talk.ask("DELETE", stack)
    _gone(talk, base, stack)


def _wait_for_handles(talk: Talk, stack: str) -> None:
    for _ in range(600):
        if _handles(talk, stack):
            break
        time.sleep(0.5)
    talk.settled()


def _look(talk: Talk, base: str, stack: str) -> None:
    talk.ask("GET", f"{stack}?resolve_outputs=true")
    talk.ask("GET", f"{base}?tags=jeroboam")
    talk.ask("GET", f"{base}?tags=jeroboam,jeroboam-bay-rec-bay")
    talk.ask("GET", f"{base}?tags=jeroboam,none")
    talk.ask("GET", f"{stack}/resources?nested_depth=2")
    talk.ask("GET", f"{stack}/resources/none")
    member = _stack_of(next(one for one in _resources(talk, stack) if one["resource_name"] == "server"))
    talk.ask("GET", f"{member}/resources/node_secret")
    talk.ask("GET", f"{member}/resources/node_secret", who="reader")
    talk.ask("GET", f"{stack}/events?limit=500&sort_dir=asc&nested_depth=0")
    talk.ask("GET", f"{stack}/events?limit=500&sort_dir=asc&nested_depth=2")
    talk.ask("GET", f"{stack}/outputs/nodes")
    talk.ask("GET", f"{stack}/template")


def _resources(talk: Talk, stack: str) -> list[Json]:
    url = talk.cloud.url("orchestration", f"{stack}/resources?nested_depth=3")
    found: list[Json] = talk.cloud.http.get(url, headers={"X-Auth-Token": talk.cloud.token("demo")}).json()["resources"]
    return found


def _grow_and_shrink(talk: Talk, stack: str) -> None:
    same = {"parameters": {"jeroboam_operation": "op-2"}}
    talk.ask("PATCH", f"{stack}/preview?show_nested=true", same)
    talk.ask("PATCH", f"{stack}/preview", {"parameters": {"jeroboam_operation": "op-2", "nodes": 2}})
    talk.ask("PATCH", f"{stack}/preview?show_nested=true", {"parameters": {"jeroboam_operation": "op-2", "nodes": 2}})
    talk.ask("PATCH", stack, {"parameters": {"jeroboam_operation": "op-2", "nodes": 2}, "timeout_mins": 30})
    _signal_all(talk, stack, 1)
    wait(talk, stack, "UPDATE_COMPLETE")
    nodes = talk.ask("GET", f"{stack}?resolve_outputs=true").body["stack"]["outputs"]
    first = next(one["output_value"]["0"] for one in nodes if one["output_key"] == "nodes")
    shrunk = {"parameters": {"jeroboam_operation": "op-3", "nodes": 1, "nodes_to_remove": first}}
    talk.ask("PATCH", f"{stack}/preview?show_nested=true", shrunk)
    talk.ask("PATCH", stack, shrunk)
    wait(talk, stack, "UPDATE_COMPLETE")
    talk.ask("GET", f"{stack}?resolve_outputs=true")
    talk.ask("GET", f"{stack}/resources?nested_depth=2")


def _gone(talk: Talk, base: str, stack: str) -> None:
    stack_id = stack.rsplit("/", 1)[-1]
    talk.ask("GET", f"{base}?name=rec-bay", until={"stacks": []})
    talk.ask("GET", f"{base}?tags=jeroboam-bay-rec-bay")
    talk.ask("GET", f"{stack}?resolve_outputs=false")
    talk.ask("GET", f"{base}/rec-bay")
    talk.ask("GET", f"{base}/{stack_id}")
    talk.ask("GET", f"{stack}/resources?nested_depth=2")
    talk.ask("GET", f"{stack}/events?limit=500&sort_dir=asc&nested_depth=0")
    talk.ask("PATCH", stack, {"parameters": {"nodes": 2}})
    talk.ask("PATCH", f"{stack}/preview", {"parameters": {"nodes": 2}})
    talk.ask("DELETE", stack)


def overtaking(talk: Talk) -> None:
    """An update that begins while the stack is being made, and again during that; a delete amid all; one behind it."""
    stack = made(talk, new(talk, "rec-bay"))
    _wait_for_handles(talk, stack)
    talk.ask("PATCH", stack, {"parameters": {"jeroboam_operation": "op-2", "nodes": 2}})
    talk.ask("GET", f"{stack}?resolve_outputs=false")
    _signal_all(talk, stack, 2)
    wait(talk, stack, "UPDATE_COMPLETE")
    talk.ask("PATCH", stack, {"parameters": {"jeroboam_operation": "op-3", "nodes": 3}})
    _wait_for_handles(talk, stack)
    talk.ask("PATCH", stack, {"parameters": {"jeroboam_operation": "op-4", "nodes": 2}})
    wait(talk, stack, "UPDATE_COMPLETE")
    talk.ask("PATCH", stack, {"parameters": {"jeroboam_operation": "op-5", "nodes": 3}})
    _wait_for_handles(talk, stack)
    talk.ask("DELETE", stack)
    talk.ask("PATCH", stack, {"parameters": {"jeroboam_operation": "op-6", "nodes": 1}})
    talk.ask("GET", f"/v1/{talk.project()}/stacks?name=rec-bay", until={"stacks": []})


def failures(talk: Talk) -> None:
    """Stacks that fail, and how Heat tells it."""
    stack = made(talk, new(talk, "rec-bay", zone="moon"))
    wait(talk, stack, "CREATE_FAILED")
    talk.ask("DELETE", stack)
    stack = made(talk, new(talk, "rec-late", wait=2))
    wait(talk, stack, "CREATE_FAILED")
    talk.ask("PATCH", stack, {"parameters": {"jeroboam_operation": "op-2", "nodes": 0, "wait": 600}})
    wait(talk, stack, "UPDATE_COMPLETE")
    talk.ask("DELETE", stack)
    stack = made(talk, new(talk, "rec-told"))
    _wait_for_handles(talk, stack)
    talk.ask("GET", f"{stack}/resources?nested_depth=2")
    for handle in _handles(talk, stack):
        talk.ask("POST", f"{handle}/signal", {"status": "FAILURE", "reason": "disk full", "data": "", "id": "1"})
    wait(talk, stack, "CREATE_FAILED")
    talk.ask("GET", f"/v1/{talk.project()}/stacks?name=rec-told")
