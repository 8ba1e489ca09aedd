"""Checks of a whole stack before anything is made: names, references, values, nested templates, limits.

What depends on resources that do not exist yet is left out; the rest is evaluated as it will be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim.heat.environment import Environment
from cloudsim.heat.errors import (
    InvalidTemplateReference,
    RequestLimitExceeded,
    StackValidationFailed,
    UnknownUserParameter,
    Unresolved,
    UserParameterMissing,
)
from cloudsim.heat.resources.base import Kind, lookup
from cloudsim.heat.schema import TypeSchema, of_parameters
from cloudsim.heat.stack import Stack
from cloudsim.heat.template import ResourceDefinition, Template
from cloudsim.heat.values import ListNode, MapNode, Node
from cloudsim.heat.walk import check_acyclic

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine

_MAX_DEPTH = 5


class _Unknown:
    """Stands for a value that is known only once something exists."""


UNKNOWN = _Unknown()


class Trial(Stack):
    """A stack that is only looked at: nothing exists in it, and parameters in `unknown` have no value yet."""

    __slots__ = ("level", "unknown")

    def __init__(self, engine: Engine, of: Stack, template: Template) -> None:
        super().__init__(engine, of.id, of.name, of.project_id, template)
        self.unknown: frozenset[str] = frozenset()
        self.level = 0

    @override
    def param(self, name: str) -> Any:
        """As the base; Unresolved for unknown ones."""
        if name in self.unknown:
            raise Unresolved(name)
        return super().param(name)

    @override
    def reference(self, name: str) -> Any:
        """Nothing exists yet."""
        raise Unresolved(name)

    @override
    def attribute(self, name: str, path: Sequence[Any]) -> Any:
        """Nothing exists yet."""
        raise Unresolved(name)


def parameter_values(template: Template, environment: Environment) -> dict[str, Any]:
    """Values for a root stack's parameters, in their types.

    Raises UnknownUserParameter, UserParameterMissing, StackValidationFailed.
    """
    for name in environment.parameters:
        if name not in template.parameters:
            raise UnknownUserParameter(name)
    given = {key: value for key, value in environment.parameter_defaults.items() if key in template.parameters}
    given |= environment.parameters
    for name, schema in template.parameters.items():
        if name not in given and not schema.has_default:
            raise UserParameterMissing(name)
    return {name: template.parameters[name].cast(value) for name, value in given.items() if value is not None}


def whole(engine: Engine, stack: Stack) -> int:
    """Check a root stack with all that is nested in it and return how many resources it will have at least.

    Raises the BadRequest that says what is wrong.
    """
    trial = Trial(engine, stack, stack.template)
    trial.environment, trial.files, trial.params, trial.user_id = (
        stack.environment,
        stack.files,
        stack.params,
        stack.user_id,
    )
    total = _stack(engine, trial)
    limit = engine.world.settings.max_resources_per_stack
    if 0 <= limit < total:
        raise RequestLimitExceeded("Request limit exceeded: Maximum resources per stack exceeded.")
    return total


def _stack(engine: Engine, trial: Trial) -> int:
    if trial.level > _MAX_DEPTH:
        raise RequestLimitExceeded(f"Request limit exceeded: Recursion depth exceeds {_MAX_DEPTH}.")
    template = trial.template
    for name, place in template.files.items():
        if name not in trial.root.files:
            raise StackValidationFailed(
                f'{place}: Could not fetch contents for "{name}": it is not among the files of the request'
            )
    enabled, certain = _enabled(trial)
    if certain:
        _references(trial, enabled)
    _attributes(engine, trial, enabled)
    total = len(enabled)
    for definition in enabled.values():
        values = {name: partly(node, trial) for name, node in definition.properties.items()}
        total += _resource(engine, trial, definition.name, definition.type, values)
    return total


def _enabled(trial: Trial) -> tuple[Mapping[str, ResourceDefinition], bool]:
    try:
        return trial.enabled(), True
    except Unresolved:
        return trial.template.resources, False


def _references(trial: Trial, enabled: Mapping[str, ResourceDefinition]) -> None:
    """Every resource that is named exists under the conditions, and nothing goes round in circles."""
    try:
        needs = {name: definition.reads(trial) for name, definition in enabled.items()}
    except Unresolved:
        return
    for name, wanted in needs.items():
        for target in wanted - set(enabled[name].depends_on):
            if target not in enabled:
                raise InvalidTemplateReference(target, f"resources.{name}")
    check_acyclic({name: wanted & enabled.keys() for name, wanted in needs.items()})


def _attributes(engine: Engine, trial: Trial, enabled: Mapping[str, ResourceDefinition]) -> None:
    for node, attribute, place in trial.template.attributes:
        name = node.name
        definition = enabled.get(name)
        if definition is None:
            continue
        kind = _kind(engine, trial, definition.type, name)
        allowed = kind.schema.attributes
        if kind.nested and kind.schema.name.endswith((".yaml", ".template")):
            allowed = _outputs(kind, trial)
        if not allowed & {attribute, "*"} and attribute != "show" and not attribute.startswith("resource."):
            wrong = f"The Referenced Attribute ({name} {attribute}) is incorrect."
            raise StackValidationFailed(f"{place}.get_attr: : {wrong}")


def _outputs(kind: Kind, trial: Trial) -> frozenset[str]:
    from cloudsim.heat.resources.nested import StackKind  # noqa: PLC0415  (kinds use the engine)

    names = kind.template(trial, {}).outputs if isinstance(kind, StackKind) else ()
    return frozenset(names) | {"stack_name", "outputs"}


def _kind(engine: Engine, trial: Trial, type_name: str, name: str) -> Kind:
    environment = trial.root.environment
    return engine.kind_of(environment.resolve(type_name, name) if environment else type_name)


def _resource(
    engine: Engine, trial: Trial, name: str, type_name: str, values: dict[str, Any], *, member: bool = False
) -> int:
    """Check one resource's properties; returns how many resources are nested in it.

    Whether what a value names exists is looked up only for the root's own resources, as in Heat: what is nested, a
    group's `member` too, fails when it is made.
    """
    kind = _kind(engine, trial, type_name, name)
    place = f"resources.{name}.properties"
    if type(kind).__name__ == "Nothing":
        return 0
    if kind.nested:
        return _nested(engine, trial, name, kind, values)
    kind.schema.check_names(values, place)
    for key, value in values.items():
        if value is not UNKNOWN:
            checked = value if has_unknown(value) else kind.schema.check_value(key, value, place)
            if not trial.level and not member:
                _thing(engine, trial, kind.schema, key, checked, place)
    kind.check(name, values)
    return 0


def _thing(engine: Engine, trial: Trial, schema: TypeSchema, key: str, value: Any, place: str) -> None:
    """The thing that a value names must exist: an image, flavor, key pair, network or subnet."""
    rule = schema.properties[key]
    rule = schema.properties[rule.renamed] if rule.renamed else rule
    if rule.lookup and value and not _exists(engine, trial, rule.lookup, str(value)):
        missing = f"The {rule.lookup} ({value}) could not be found."
        why = f"No images matching {{'name': '{value}'}}." if rule.lookup == "image" else missing
        raise StackValidationFailed(f"Property error: : {place}.{key}: : Error validating value '{value}': {why}")


def _exists(engine: Engine, trial: Trial, kind: str, named: str) -> bool:
    if kind == "keypair":
        return bool(engine.world.store.find("keypair", user_id=trial.root.user_id, name=named))
    return lookup(engine, kind, named, trial.project_id) is not None


def _nested(engine: Engine, trial: Trial, name: str, kind: Kind, values: dict[str, Any]) -> int:
    from cloudsim.heat.resources.group import ResourceGroup, indexed  # noqa: PLC0415
    from cloudsim.heat.resources.nested import HeatStack, TemplateKind  # noqa: PLC0415

    place = f"resources.{name}.properties"
    if isinstance(kind, ResourceGroup):
        kind.schema.check_names(values, place)
        for key, value in values.items():
            if not has_unknown(value):
                kind.schema.check_value(key, value, place)
        count, definition = values.get("count"), values["resource_def"]
        members = 1 if count is None or count is UNKNOWN else int(count)
        if definition is UNKNOWN or not members:
            return 0
        if members < 0:
            raise StackValidationFailed(
                f"Property error: : {place}.count: : {members} is out of range (min: 0, max: None)"
            )
        inner = {key: value for key, value in (definition.get("properties") or {}).items() if value is not None}
        inner = indexed(inner, values.get("index_var") or "%index%", "0")
        return members * (1 + _resource(engine, trial, "0", definition["type"], inner, member=True))
    if isinstance(kind, HeatStack):
        kind.schema.check_names(values, place)
        if values["template"] is UNKNOWN:
            return 0
        return _child(engine, trial, kind.template(trial, values), values.get("parameters") or {})
    if isinstance(kind, TemplateKind):
        template = kind.template(trial, {})
        of_parameters(kind.schema.name, template.parameters).check_names(values, place)
        return _child(engine, trial, template, values)
    return 0


def _child(engine: Engine, trial: Trial, template: Template, values: Any) -> int:
    """Check a nested template with what is known of its parameters."""
    child = Trial(engine, trial, template)
    child.root, child.level = trial.root, trial.level + 1
    known: dict[str, Any] = {}
    unknown: set[str] = set()
    if not isinstance(values, Mapping):
        values, unknown = {}, set(template.parameters)
    for name, value in values.items():
        if has_unknown(value):
            unknown.add(name)
        elif value is not None and name in template.parameters:
            known[name] = template.parameters[name].cast(value)
    child.params, child.unknown = known, frozenset(unknown)
    return _stack(engine, child)


def partly(node: Node, trial: Trial) -> Any:
    """A value with UNKNOWN in place of the parts that are not known yet."""
    if isinstance(node, MapNode):
        return {key: partly(item, trial) for key, item in node.items.items()}
    if isinstance(node, ListNode):
        return [partly(item, trial) for item in node.items]
    try:
        return node.evaluate(trial)
    except Unresolved:
        return UNKNOWN


def has_unknown(value: Any) -> bool:
    """Whether any part of a value is UNKNOWN."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def template_only(engine: Engine, trial_of: Stack) -> int:
    """Check a template whose parameters may lack values: they are taken as not known yet."""
    trial = Trial(engine, trial_of, trial_of.template)
    trial.environment, trial.files, trial.user_id = trial_of.environment, trial_of.files, trial_of.user_id
    given = trial.environment.parameters if trial.environment else {}
    known = {
        name: trial.template.parameters[name].cast(value)
        for name, value in given.items()
        if name in trial.template.parameters
    }
    trial.params = known
    trial.unknown = frozenset(
        name for name, one in trial.template.parameters.items() if name not in known and not one.has_default
    )
    return _stack(engine, trial)
