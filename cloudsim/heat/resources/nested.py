"""Resources that are stacks: nested templates by file name, and OS::Heat::Stack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cloudsim.heat import lifecycle
from cloudsim.heat.errors import StackValidationFailed, UserParameterMissing
from cloudsim.heat.resources.base import Kind, Props, Waiting
from cloudsim.heat.schema import TypeSchema, of_parameters
from cloudsim.heat.stack import FAILED, Resource, Stack
from cloudsim.heat.template import OutputDefinition, ResourceDefinition, Template
from cloudsim.heat.values import dig

if TYPE_CHECKING:
    from cloudsim.heat.engine import Engine

STACK_ID_OUTPUT = "OS::stack_id"


class StackKind(Kind):
    """What all nested stacks share; subclasses say template and parameters."""

    nested = True

    def template(self, stack: Stack, props: Props) -> Template:
        """The nested stack's template."""
        raise StackValidationFailed(f"{self.schema.name} has no template")

    def parameters(self, stack: Stack, template: Template, props: Props) -> Mapping[str, Any]:
        """The nested stack's parameter values."""
        return props

    def outputs(self, resource: Resource, child: Stack) -> Iterable[OutputDefinition]:
        """The nested stack's outputs."""
        return child.template.outputs.values()

    @override
    def create(self, engine: Engine, resource: Resource, props: Props) -> Waiting | None:
        """Make the nested stack and everything in it."""
        template = self.template(resource.stack, props)
        child = engine.new_child(resource, template, self.parameters(resource.stack, template, props))
        return partial(lifecycle.converge_nested, engine, child, "CREATE")

    @override
    def update(self, engine: Engine, resource: Resource, props: Props, changed: frozenset[str]) -> Waiting | None:
        """Bring the nested stack to its new template and parameters; its resources decide what that means."""
        child = resource.nested
        if child is None:
            return None
        template = self.template(resource.stack, props)
        child.use(template, self.parameters(resource.stack, template, props))
        child.updated_at = engine.second()
        return partial(lifecycle.converge_nested, engine, child, "UPDATE")

    @override
    def delete(self, engine: Engine, resource: Resource) -> Waiting | None:
        """Delete the nested stack."""
        if resource.nested is None or resource.nested.id not in engine.stacks:
            return None
        return partial(lifecycle.delete_nested, engine, resource.nested)

    @override
    def broken(self, resource: Resource) -> bool:
        """A nested stack is updated, not replaced, when part of it failed."""
        return resource.status == FAILED and resource.nested is None

    @override
    def reference(self, resource: Resource) -> Any:
        """The output OS::stack_id when the template has one, else the stack's ARN."""
        child = resource.nested
        if child is None:
            return resource.physical_id
        if STACK_ID_OUTPUT in child.template.outputs:
            return child.template.outputs[STACK_ID_OUTPUT].value.evaluate(child)
        return f"arn:openstack:heat::{child.project_id}:stacks/{child.name}/{child.id}"

    @override
    def attribute(self, resource: Resource, path: Sequence[Any]) -> Any:
        """An output of the nested stack, `outputs`, or `resource.NAME[.ATTRIBUTE]`."""
        child, name = resource.nested, str(path[0])
        if child is None:
            return None
        if name.startswith("resource."):
            return inner_attribute(child, name, path[1:])
        if name == "stack_name":
            return child.name
        if name == "outputs":
            return dig({key: output.value.evaluate(child) for key, output in child.template.outputs.items()}, path[1:])
        output = child.template.outputs.get(name)
        return None if output is None else dig(output.value.evaluate(child), path[1:])


def inner_attribute(child: Stack, name: str, path: Sequence[Any]) -> Any:
    """`resource.NAME` is a member's reference; `resource.NAME.ATTRIBUTE` (or the path's next part) its attribute."""
    _, member, *rest = name.split(".", 2)
    where = [*rest, *path]
    return child.attribute(member, where) if where else child.reference(member)


class TemplateKind(StackKind):
    """A nested template: the type is the name of a file of the request, its parameters are the properties."""

    def __init__(self, name: str) -> None:
        super().__init__(TypeSchema(name, {}, frozenset({"*"})))

    @override
    def template(self, stack: Stack, props: Props) -> Template:
        """The file's template."""
        name = self.schema.name
        if name not in stack.root.files:
            raise StackValidationFailed(f'Could not fetch remote template "{name}": Invalid URL scheme ')
        return stack.engine.load(stack.root.files[name])

    @override
    def prepare(self, stack: Stack, definition: ResourceDefinition) -> Props:
        """Values for the template's parameters."""
        template = self.template(stack, {})
        values = definition.evaluate(stack)
        of_parameters(self.schema.name, template.parameters).check_names(
            values, f"resources.{definition.name}.properties"
        )
        return values

    @override
    def parameters(self, stack: Stack, template: Template, props: Props) -> Mapping[str, Any]:
        """The properties in the parameters' types; the same object when nothing changes, since very many are kept."""
        return cast_parameters(stack, template, props)


def cast_parameters(stack: Stack, template: Template, props: Props) -> Mapping[str, Any]:
    """Parameter values of a nested stack; null stands for "not given"; the environment's defaults apply."""
    defaults = stack.root.environment.parameter_defaults if stack.root.environment else {}
    result: dict[str, Any] = {}
    same = True
    for name, value in props.items():
        if value is not None:
            cast = result[name] = template.parameters[name].cast(value)
            same = same and cast is value
        else:
            same = False
    for name, schema in template.parameters.items():
        if name not in result:
            if name in defaults:
                result[name], same = schema.cast(defaults[name]), False
            elif not schema.has_default:
                raise UserParameterMissing(name)
    return props if same else result


class HeatStack(StackKind):
    """OS::Heat::Stack: the template is a property."""

    @override
    def template(self, stack: Stack, props: Props) -> Template:
        """The property's template."""
        return stack.engine.load(props["template"])

    @override
    def parameters(self, stack: Stack, template: Template, props: Props) -> Mapping[str, Any]:
        """The property's values; an unknown name is refused."""
        given = props.get("parameters") or {}
        if unknown := sorted(set(given) - set(template.parameters)):
            raise StackValidationFailed(f"The Parameter ({unknown[0]}) was not defined in template.")
        return cast_parameters(stack, template, given)
