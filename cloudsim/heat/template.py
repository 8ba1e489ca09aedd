"""HOT templates: text or map in, compiled and cached by content out.

A compiled template is shared by every stack made from the same text and is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson
import yaml
from typing_extensions import override

from cloudsim.heat.errors import (
    BadRequest,
    InvalidTemplateReference,
    InvalidTemplateVersion,
    RequestLimitExceeded,
    StackValidationFailed,
)
from cloudsim.heat.functions import VERSIONS, Compiler
from cloudsim.heat.parameters import ParameterSchema
from cloudsim.heat.values import Context, Literal, Node

PSEUDO_PARAMETERS = frozenset({"OS::stack_id", "OS::stack_name", "OS::project_id"})
_SECTIONS = frozenset(
    {"heat_template_version", "description", "parameter_groups", "parameters", "conditions", "resources", "outputs"}
)
_RESOURCE_KEYS = frozenset(
    {"type", "properties", "metadata", "depends_on", "deletion_policy", "update_policy", "condition", "description"}
)
_DELETION_POLICIES = frozenset({"delete", "retain", "snapshot"})


class ResourceDefinition:
    """A resource as the template writes it."""

    __slots__ = (
        "_static",
        "condition",
        "deletion_policy",
        "depends_on",
        "metadata",
        "name",
        "properties",
        "type",
        "update_policy",
    )

    def __init__(self, name: str, type_name: str, properties: Mapping[str, Node]) -> None:
        self.name, self.type, self.properties = name, type_name, properties
        self.depends_on: tuple[str, ...] = ()
        self.metadata: Node | None = None
        self.condition: Node | None = None
        self.deletion_policy = "delete"
        self.update_policy: Any = None
        self._static: frozenset[str] | None = None

    def evaluate(self, context: Context) -> Mapping[str, Any]:
        """The properties' values in a stack."""
        return {name: node.evaluate(context) for name, node in self.properties.items()}

    def given(self) -> Iterable[str]:
        """Names of the properties that the template sets."""
        return self.properties

    def reads(self, context: Context) -> frozenset[str]:
        """Names of resources that must be there first, given the conditions."""
        nodes = self.properties.values() if self.metadata is None else (*self.properties.values(), self.metadata)
        if self._static is None and not any(node.branching for node in nodes):
            self._static = frozenset(self.depends_on).union(*(node.refs for node in nodes))
        return (
            self._static
            if self._static is not None
            else frozenset(self.depends_on).union(*(n.needs(context) for n in nodes))
        )


class MemberDefinition(ResourceDefinition):
    """A member of a resource group: its properties are values already, one copy of them."""

    __slots__ = ("values",)

    def __init__(self, name: str, type_name: str, values: Mapping[str, Any], metadata: Any) -> None:
        super().__init__(name, type_name, _NO_NODES)
        self.values = values
        self.metadata = Literal(metadata) if metadata else None

    @override
    def evaluate(self, context: Context) -> Mapping[str, Any]:
        """The values."""
        return self.values

    @override
    def given(self) -> Iterable[str]:
        """Names of the values."""
        return self.values

    @override
    def reads(self, context: Context) -> frozenset[str]:
        """Values read nothing."""
        return _NO_NAMES


_NO_NODES: Mapping[str, Node] = {}
_NO_NAMES: frozenset[str] = frozenset()


class OutputDefinition:
    """An output as the template writes it."""

    __slots__ = ("condition", "description", "name", "value")

    def __init__(self, name: str, value: Node, description: str, condition: Node | None) -> None:
        self.name, self.value, self.description, self.condition = name, value, description, condition


class Template:
    """A compiled template. `raw` is what was given, for `GET …/template`."""

    __slots__ = (
        "attributes",
        "conditions",
        "description",
        "files",
        "outputs",
        "parameter_groups",
        "parameters",
        "raw",
        "resources",
        "version",
    )

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.version = _version(raw)
        if unknown := sorted(set(raw) - _SECTIONS):
            raise StackValidationFailed(f'The template section is invalid: "{unknown[0]}"')
        compiler = Compiler(self.version)
        self.description = str(raw.get("description") or "")
        self.parameters = {name: ParameterSchema(name, body) for name, body in _section(raw, "parameters").items()}
        self.parameter_groups: list[Any] = list(raw.get("parameter_groups") or ())
        self.conditions = {
            name: compiler.condition(body, f"conditions.{name}") for name, body in _section(raw, "conditions").items()
        }
        self.resources = {name: _resource(compiler, name, body) for name, body in _section(raw, "resources").items()}
        self.outputs = {name: _output(compiler, name, body) for name, body in _section(raw, "outputs").items()}
        self.files = dict(compiler.files)
        self.attributes = list(compiler.attributes)
        self._check_names(compiler)

    def _check_names(self, compiler: Compiler) -> None:
        for name, place in compiler.params.items():
            if name not in self.parameters and name not in PSEUDO_PARAMETERS:
                raise InvalidTemplateReference(name, place)
        for name, place in compiler.conditions.items():
            if name not in self.conditions:
                raise StackValidationFailed(f'{place}: Invalid condition "{name}"')
        for name, node in self.conditions.items():
            if node.refs:
                raise StackValidationFailed(f"conditions.{name}: a condition cannot read resources")
        self._check_references()

    def _check_references(self) -> None:
        for definition in self.resources.values():
            place = f"resources.{definition.name}"
            for target in definition.depends_on:
                self._check_resource(target, f"{place}.depends_on", definition.name)
            for property_name, node in definition.properties.items():
                for target in node.refs:
                    self._check_resource(target, f"{place}.properties.{property_name}", definition.name)
        for output in self.outputs.values():
            for target in output.value.refs:
                self._check_resource(target, f"outputs.{output.name}.value")

    def _check_resource(self, name: str, place: str, owner: str = "") -> None:
        if name not in self.resources:
            raise InvalidTemplateReference(name, place)
        if name == owner:
            raise StackValidationFailed(f"Circular Dependency Found: {name} in {place}")


def load(given: Any, limit: int) -> Template:
    """Parse and compile a template given as text or as a map; `limit` is the largest size in bytes of text.

    Raises RequestLimitExceeded, InvalidTemplateVersion, StackValidationFailed and BadRequest (not YAML).
    """
    if given is None or given == "":
        raise BadRequest("No template specified")
    if not isinstance(given, (str, Mapping)):
        raise BadRequest("The template is not a JSON object or YAML mapping.")
    text = given if isinstance(given, str) else orjson.dumps(given).decode()
    if len(text) > limit:
        raise RequestLimitExceeded(
            f"Request limit exceeded: Template size ({len(text)} bytes) exceeds maximum allowed size ({limit} bytes)."
        )
    return _compile(text)


@lru_cache(maxsize=256)
def _compile(text: str) -> Template:
    try:
        raw = _json_or_yaml(text) if text.startswith("{") else yaml.load(text, Loader=_Loader)  # noqa: S506  (is a CSafeLoader)
    except yaml.YAMLError as error:
        raise BadRequest(f"Template format error: Error parsing template: {error}") from error
    if not isinstance(raw, Mapping):
        raise BadRequest("Template format error: The template is not a JSON object or YAML mapping.")
    return Template(raw)


def _json_or_yaml(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (is a CSafeLoader)


class _Loader(yaml.CSafeLoader):
    """YAML whose dates stay text, since `heat_template_version` looks like one."""

    def text(self, node: yaml.ScalarNode) -> str:
        """The scalar as it is written."""
        return str(self.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.text)


def _version(raw: Mapping[str, Any]) -> str:
    given = raw.get("heat_template_version")
    if given is None:
        raise BadRequest("Template not in valid format: Template format version not found.")
    if str(given) not in VERSIONS:
        known = ", ".join(sorted(VERSIONS))
        raise InvalidTemplateVersion(
            f'The template version is invalid: "heat_template_version: {given}". '
            f'"heat_template_version" should be one of: {known}'
        )
    return VERSIONS[str(given)]


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = raw.get(name)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise StackValidationFailed(f'"{name}" must contain a map')
    if not all(isinstance(key, str) for key in section):
        raise StackValidationFailed(f'"{name}": names must be text')
    return section


def _resource(compiler: Compiler, name: str, body: Any) -> ResourceDefinition:
    place = f"resources.{name}"
    if "/" in name:
        raise StackValidationFailed(f"Resource name may not contain '/': {name}")
    if not isinstance(body, Mapping):
        raise StackValidationFailed(f'{place}: "resources" must contain a map of resource maps')
    if unknown := sorted(set(body) - _RESOURCE_KEYS):
        raise StackValidationFailed(f'"{unknown[0]}" is not a valid keyword inside a resource definition ({place})')
    if not isinstance(body.get("type"), str) or not body["type"]:
        raise StackValidationFailed(f'Resource "{name}" has no type')
    definition = ResourceDefinition(name, body["type"], _properties(compiler, body.get("properties"), place))
    depends = body.get("depends_on") or ()
    definition.depends_on = (depends,) if isinstance(depends, str) else tuple(depends)
    if body.get("metadata") is not None:
        definition.metadata = compiler.value(body["metadata"], f"{place}.metadata")
    if "condition" in body:
        definition.condition = compiler.condition(body["condition"], f"{place}.condition")
    definition.deletion_policy = str(body.get("deletion_policy", "delete")).lower()
    if definition.deletion_policy not in _DELETION_POLICIES:
        raise StackValidationFailed(f'{place}: Invalid deletion policy "{body["deletion_policy"]}"')
    definition.update_policy = body.get("update_policy")
    return definition


def _properties(compiler: Compiler, raw: Any, place: str) -> dict[str, Node]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise StackValidationFailed(f"{place}: properties must be a map")
    return {key: compiler.value(value, f"{place}.properties.{key}") for key, value in raw.items()}


def _output(compiler: Compiler, name: str, body: Any) -> OutputDefinition:
    place = f"outputs.{name}"
    if not isinstance(body, Mapping) or "value" not in body:
        raise StackValidationFailed(f'{place}: each output must contain a "value" key')
    if unknown := sorted(set(body) - {"value", "description", "condition"}):
        raise StackValidationFailed(f'"{unknown[0]}" is not a valid keyword inside an output definition ({place})')
    condition = compiler.condition(body["condition"], f"{place}.condition") if "condition" in body else None
    return OutputDefinition(
        name, compiler.value(body["value"], f"{place}.value"), str(body.get("description") or ""), condition
    )


class GroupTemplate(Template):
    """The template of a resource group's nested stack: member definitions and no text of its own."""

    __slots__ = ()

    def __init__(self, resources: dict[str, ResourceDefinition]) -> None:
        for slot in Template.__slots__:  # what is empty is shared, since there is a template a group
            setattr(self, slot, getattr(_BARE, slot))
        self.resources = resources


_BARE = Template({"heat_template_version": "2015-04-30"})
