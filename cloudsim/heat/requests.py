"""Request bodies of Heat v1: reading and checking them, and making plans of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request

from cloudsim.heat import check, environment
from cloudsim.heat.engine import Engine, Plan
from cloudsim.heat.environment import Environment
from cloudsim.heat.errors import EXPLANATION, BadRequest, RequestLimitExceeded, StackValidationFailed
from cloudsim.heat.files import Files
from cloudsim.heat.stack import Stack
from cloudsim.heat.template import Template

MAX_BODY = 1048576  # Heat's max_json_body_size
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
_MAX_TAG = 80


async def body_of(request: Request, *, empty: bool = False) -> Mapping[str, Any]:
    """The request's JSON object. Raises BadRequest, RequestLimitExceeded."""
    raw = await request.body()
    if len(raw) > MAX_BODY:
        raise RequestLimitExceeded(
            f"Request limit exceeded: JSON body size ({len(raw)} bytes) "
            f"exceeds maximum allowed size ({MAX_BODY} bytes)."
        )
    if not raw and empty:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(EXPLANATION) from error
    if not isinstance(body, Mapping):
        raise BadRequest("The request body must be a JSON object")
    return body


def stack_name(body: Mapping[str, Any]) -> str:
    """The name of the stack to make. Raises BadRequest, StackValidationFailed."""
    name = body.get("stack_name")
    if not name or not isinstance(name, str):
        raise BadRequest("No stack name specified")
    if not _NAME.fullmatch(name):
        raise StackValidationFailed(
            f'Invalid stack name {name} must contain only alphanumeric or "_-." characters, '
            "must start with alpha and must be 255 characters or less."
        )
    return name


def plan_for_new(engine: Engine, body: Mapping[str, Any]) -> Plan:
    """The plan of a create, preview or validate request."""
    files = _files(body)
    env = environment.empty().merged(_environments(body, files))
    template = engine.load(_template(body))
    plan = Plan(template=template, environment=env, files=files, params=check.parameter_values(template, env))
    return _options(plan, body, disable_rollback=True)


def plan_for_update(engine: Engine, stack: Stack, body: Mapping[str, Any], *, existing: bool) -> Plan:
    """The plan of a PUT, or of a PATCH (`existing`), which keeps what it does not name."""
    files = _files(body)
    if existing:
        files = stack.files.overlaid(files)
        given = _template(body, required=False)
        template = stack.template if given is None else engine.load(given)
        before = stack.environment or environment.empty()
        env = before.merged(_environments(body, files), forget=_clear(body))
        env = _without_unknown(env, template, body)
    else:
        template = engine.load(_template(body))
        env = environment.empty().merged(_environments(body, files))
    plan = Plan(template=template, environment=env, files=files, params=check.parameter_values(template, env))
    plan.tags, plan.timeout_mins = stack.tags, stack.timeout_mins
    return _options(plan, body, disable_rollback=stack.disable_rollback)


def for_validation(engine: Engine, body: Mapping[str, Any]) -> tuple[Template, Environment, Files]:
    """Template, environment and files of a validate request; parameters may lack values."""
    files = _files(body)
    return engine.load(_template(body)), environment.empty().merged(_environments(body, files)), files


def _template(body: Mapping[str, Any], *, required: bool = True) -> Any:
    if body.get("template_url"):
        raise BadRequest("template_url is not implemented: send the template itself")
    template = body.get("template")
    if template is None and required:
        raise BadRequest("No template specified")
    return template


def _files(body: Mapping[str, Any]) -> Files:
    files = body.get("files") or {}
    if not isinstance(files, Mapping):
        raise BadRequest("files must be a map of names to texts")
    return Files({name: text if isinstance(text, str) else orjson.dumps(text).decode() for name, text in files.items()})


def _environments(body: Mapping[str, Any], files: Files) -> list[Mapping[str, Any]]:
    """Environment files in their order, then the environment, then the parameters; the last wins."""
    documents = []
    for name in body.get("environment_files") or ():
        if name not in files:
            raise BadRequest(f'environment file "{name}" is not among the files of the request')
        documents.append(environment.parse(files[name]))
    documents.append(environment.parse(body.get("environment")))
    parameters = body.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise BadRequest("parameters must be a map")
    return [*documents, {"parameters": parameters}]


def _clear(body: Mapping[str, Any]) -> list[str]:
    names = body.get("clear_parameters") or []
    if not isinstance(names, list):
        raise BadRequest("clear_parameters must be a list")
    return [str(name) for name in names]


def _without_unknown(env: Environment, template: Template, body: Mapping[str, Any]) -> Environment:
    """Parameters that the new template no longer has are let go, as Heat does for PATCH."""
    gone = [name for name in env.parameters if name not in template.parameters]
    return env.merged([], forget=gone) if gone else env


def _options(plan: Plan, body: Mapping[str, Any], *, disable_rollback: bool) -> Plan:
    plan.disable_rollback = _boolean(body.get("disable_rollback", disable_rollback), "disable_rollback")
    timeout = body.get("timeout_mins")
    if timeout is not None:
        try:
            plan.timeout_mins = int(timeout)
        except (TypeError, ValueError):
            raise BadRequest("Only integer is acceptable by 'timeout_mins'.") from None
        if plan.timeout_mins < 0:
            raise BadRequest(f'Invalid timeout value "{timeout}"')
    if "tags" in body:
        plan.tags = _tags(body["tags"])
    return plan


def _tags(raw: Any) -> list[str]:
    tags = [str(tag).strip() for tag in (raw.split(",") if isinstance(raw, str) else raw or [])]
    for tag in tags:
        if not tag or len(tag) > _MAX_TAG:
            raise BadRequest(f'Invalid tag, "{tag}" is longer than {_MAX_TAG} characters')
    return tags


def _boolean(value: Any, name: str) -> bool:
    text = str(value).lower()
    if text not in {"true", "false", "1", "0"}:
        raise BadRequest(f'Unrecognized value "{value}" for "{name}", acceptable values are: true, false')
    return text in {"true", "1"}
