"""Heat v1: who may, what it refuses, pages. Stacks' lives are in `stacks`."""

from __future__ import annotations

from typing import Final

from scripts.record_answers.conversations import stacks
from scripts.record_answers.conversations.network import NOBODY
from scripts.record_answers.talk import Json, Talk

_HEAD: Final = "heat_template_version: 2018-03-02\n"
NOTHING: Final = f"{_HEAD}resources:\n  nothing: {{type: OS::Heat::RandomString}}\n"


def access(talk: Talk) -> None:
    """Tokens, projects and roles."""
    v = f"/v1/{talk.project()}"
    talk.ask("GET", "/", who="nobody", sample=("versions",))
    talk.ask("GET", f"{v}/stacks", who="nobody")
    talk.ask("GET", f"{v}/stacks", who="wrong-token")
    talk.ask("GET", f"{v}/build_info")
    talk.ask("GET", f"/v1/{talk.project('other')}/stacks")
    talk.ask("GET", f"{v}/stacks?global_tenant=true")
    talk.ask("GET", f"{v}/stacks", who="reader")
    talk.ask("GET", f"{v}/nonsense")
    stack = stacks.made(talk, {"stack_name": "rec-x", "template": NOTHING})
    stacks.wait(talk, stack, "CREATE_COMPLETE")
    talk.ask("GET", stack, who="reader")
    talk.ask("GET", stack.replace(talk.project(), talk.project("other")), who="other")
    talk.ask("DELETE", stack.replace(talk.project(), talk.project("other")), who="other")
    talk.ask("GET", stack, who="other")


def unknown(talk: Talk) -> None:
    """Everything that is not there."""
    v = f"/v1/{talk.project()}/stacks"
    gone = f"{v}/rec-none/{NOBODY}"
    talk.ask("GET", f"{v}/rec-none")
    talk.ask("GET", f"{v}/{NOBODY}")
    talk.ask("GET", gone)
    talk.ask("GET", f"{gone}?resolve_outputs=false")
    talk.ask("GET", f"{gone}/resources?nested_depth=2")
    talk.ask("GET", f"{gone}/resources/node_secret")
    talk.ask("GET", f"{gone}/events?limit=5&sort_dir=asc&nested_depth=0")
    talk.ask("DELETE", gone)
    talk.ask("PATCH", gone, {"parameters": {}})
    talk.ask("PATCH", f"{gone}/preview", {"parameters": {}})
    talk.ask("POST", f"{gone}/resources/handle/signal", {})


def _validate(talk: Talk, template: Json, **more: Json) -> None:
    talk.ask("POST", f"/v1/{talk.project()}/validate", {"template": template, "files": {}, "environment": {}} | more)


def _resource(kind: str, properties: str = "") -> str:
    return f"{_HEAD}resources:\n  a:\n    type: {kind}\n    properties: {{{properties}}}\n"


def templates(talk: Talk) -> None:
    """What Heat says of templates, when asked and when it should make one."""
    _validate(talk, stacks.BAY, files=stacks.FILES)
    _validate(talk, "resources: {}")
    _validate(talk, "heat_template_version: 1999-01-01\n")
    _validate(talk, _resource("OS::No::Such"))
    _validate(talk, _resource("OS::Neutron::Net", "nonsense: 1"))
    talk.ask("POST", f"/v1/{talk.project()}/validate", "no JSON")
    talk.ask("POST", f"/v1/{talk.project()}/validate", {})
    for number, template in enumerate(
        (
            _resource("OS::No::Such"),
            _resource("OS::Neutron::Net", "nonsense: 1"),
            _resource("OS::Heat::RandomString", "length: many"),
            _resource("OS::Heat::RandomString", "length: 0"),
            _resource("OS::Neutron::Subnet"),
            f"{NOTHING}outputs:\n  a: {{value: {{get_attr: [nothing, none]}}}}\n",
            "a: b: c",
        )
    ):
        _tried(talk, {"stack_name": f"rec-template-{number}", "template": template})


def _tried(talk: Talk, body: Json) -> None:
    """Try to create a stack, and should it be taken see how it fails."""
    answer = talk.ask("POST", f"/v1/{talk.project()}/stacks", body)
    if answer.status == 201:
        stack = f"/v1/{talk.project()}/stacks/{body['stack_name']}/{answer.body['stack']['id']}"
        talk.later(lambda: stacks.delete(talk, stack))
        stacks.wait(talk, stack, "CREATE_FAILED")


def refusals(talk: Talk) -> None:
    """Stacks that Heat does not begin to make, and those that it begins all the same."""
    good = stacks.new(talk, "rec-bay")
    _tried(talk, stacks.new(talk, "rec-image", image="none"))
    _tried(talk, stacks.new(talk, "rec-flavor", flavor="none"))
    _tried(talk, stacks.new(talk, "rec-external", external_network="none"))
    _tried(talk, stacks.new(talk, "rec-unknown", nonsense="1"))
    _tried(talk, stacks.new(talk, "rec-many", nodes="many"))
    _tried(talk, stacks.new(talk, "rec-less", nodes=-1))
    _tried(talk, good | {"parameters": {"image": "cirros"}})
    _tried(talk, good | {"stack_name": "1 bad name"})
    _tried(talk, good | {"stack_name": "x" * 256})
    _tried(talk, {name: value for name, value in good.items() if name != "stack_name"})
    _tried(talk, {name: value for name, value in good.items() if name != "template"})
    _tried(talk, good | {"files": {}})
    _tried(talk, good | {"timeout_mins": "soon"})
    _tried(talk, good | {"tags": "x" * 81})
    talk.ask("POST", f"/v1/{talk.project()}/stacks", "no JSON")
    own = _resource("OS::Nova::Server", "name: rec, image: none, flavor: m1.small")
    _tried(talk, {"stack_name": "rec-own", "template": own})
    wide = "".join(f"  r{number}: {{type: OS::Heat::RandomString}}\n" for number in range(1100))
    talk.ask(
        "POST", f"/v1/{talk.project()}/stacks", {"stack_name": "rec-wide", "template": f"{_HEAD}resources:\n{wide}"}
    )


def pages(talk: Talk) -> None:
    """Lists of one at a time."""
    v = f"/v1/{talk.project()}/stacks"
    one, two = (stacks.made(talk, {"stack_name": n, "template": NOTHING, "tags": "rec"}) for n in ("rec-a", "rec-b"))
    stacks.wait(talk, one, "CREATE_COMPLETE")
    stacks.wait(talk, two, "CREATE_COMPLETE")
    by_name = f"{v}?tags=rec&sort_keys=stack_name&sort_dir=asc&limit=1"
    first = talk.ask("GET", by_name).body["stacks"][0]["id"]
    second = talk.ask("GET", f"{by_name}&marker={first}").body["stacks"][0]["id"]
    talk.ask("GET", f"{by_name}&marker={second}")
    talk.ask("GET", f"{v}?limit=many")
    talk.ask("GET", f"{one}/events?limit=1&sort_dir=asc&nested_depth=0")
    event = talk.ask("GET", f"{one}/events?limit=500&sort_dir=asc&nested_depth=0").body["events"][1]["id"]
    talk.ask("GET", f"{one}/events?limit=500&sort_dir=asc&nested_depth=0&marker={event}")


CONVERSATIONS: Final = {
    "access": access,
    "unknown": unknown,
    "templates": templates,
    "refusals": refusals,
    "pages": pages,
    "life": stacks.life,
    "overtaking": stacks.overtaking,
    "failures": stacks.failures,
}
