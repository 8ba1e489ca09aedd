"""Which intrinsic functions there are, since which template version, and how each is compiled.

A function that exists in Heat and not here, or that looks like one and is not, is refused by name: taken for an
ordinary map it would end in a property, and the error would come from somewhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cloudsim.heat import textual
from cloudsim.heat.errors import StackValidationFailed
from cloudsim.heat.values import (
    Attribute,
    Call,
    Choice,
    ConditionName,
    Facade,
    File,
    ListNode,
    Literal,
    MapNode,
    Node,
    Parameter,
    Reference,
)

VERSIONS = {
    "2013-05-23": "2013-05-23",
    "2014-10-16": "2014-10-16",
    "2015-04-30": "2015-04-30",
    "2015-10-15": "2015-10-15",
    "2016-04-08": "2016-04-08",
    "newton": "2016-10-14",
    "2016-10-14": "2016-10-14",
    "ocata": "2017-02-24",
    "2017-02-24": "2017-02-24",
    "pike": "2017-09-01",
    "2017-09-01": "2017-09-01",
    "queens": "2018-03-02",
    "2018-03-02": "2018-03-02",
    "rocky": "2018-08-31",
    "2018-08-31": "2018-08-31",
    "wallaby": "2021-04-16",
    "2021-04-16": "2021-04-16",
}

Builder = Callable[["Compiler", Any, str], Node]


class Function(NamedTuple):
    """How a function is built, the first version that has it, and whether it may stand only in conditions."""

    build: Builder
    since: str
    condition_only: bool = False


class Read(NamedTuple):
    """A `get_attr` of the template: `node.name` is the resource, `place` where it stands."""

    node: Attribute
    attribute: str
    place: str


class Compiler:
    """Turns a template's raw values into nodes and notes what they name. `version` is a date."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.params: dict[str, str] = {}
        self.conditions: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.attributes: list[Read] = []

    def value(self, raw: Any, place: str, *, in_condition: bool = False) -> Node:
        """Compile one value. Raises StackValidationFailed naming function and place."""
        if isinstance(raw, Mapping):
            if len(raw) == 1:
                ((name, argument),) = raw.items()
                function = self._function(name, place, in_condition=in_condition)
                if function is not None:
                    return function.build(self, argument, place)
            return self._map(raw, place, in_condition=in_condition)
        if isinstance(raw, list):
            nodes = [self.value(item, place, in_condition=in_condition) for item in raw]
            return Literal(raw) if all(type(node) is Literal for node in nodes) else ListNode(nodes)
        return Literal(raw)

    def _map(self, raw: Mapping[Any, Any], place: str, *, in_condition: bool) -> Node:
        nodes = {key: self.value(item, place, in_condition=in_condition) for key, item in raw.items()}
        return Literal(raw) if all(type(node) is Literal for node in nodes.values()) else MapNode(nodes)

    def condition(self, raw: Any, place: str) -> Node:
        """Compile what stands where a condition is wanted.

        A truth value, a condition's name or a condition function.
        """
        if isinstance(raw, str):
            self.conditions[raw] = place
            return ConditionName(raw)
        if isinstance(raw, (bool, Mapping)):
            return self.value(raw, place, in_condition=True)
        raise StackValidationFailed(f'{place}: Invalid condition "{raw}"')

    def _function(self, name: Any, place: str, *, in_condition: bool) -> Function | None:
        if not isinstance(name, str):
            return None
        function = FUNCTIONS.get(name)
        if function is None:
            if name in NOT_HERE or name.startswith(_LOOKS_LIKE_ONE):
                raise StackValidationFailed(f'{place}: the template function "{name}" is not implemented')
            return None
        if function.since > self.version:
            raise StackValidationFailed(
                f'{place}: "{name}" needs heat_template_version {function.since}, not {self.version}'
            )
        if function.condition_only and not in_condition:
            raise StackValidationFailed(f'{place}: the function "{name}" may only be used in conditions')
        return function


# Functions of Heat that this simulation does not have, and the beginnings by which a misspelt one is recognised.
NOT_HERE = frozenset({"yaql", "Ref", "str_replace_vstrict"})
_LOOKS_LIKE_ONE = ("Fn::", "get_", "str_replace", "str_split", "list_join", "list_concat", "map_merge", "map_replace")


def _plain(function: Callable[[Any], Any], name: str) -> Builder:
    def build(compiler: Compiler, argument: Any, place: str) -> Node:
        return Call(_named(function, place), compiler.value(argument, f"{place}.{name}"))

    return build


def _logic(function: Callable[[Any], Any], name: str) -> Builder:
    def build(compiler: Compiler, argument: Any, place: str) -> Node:
        inside = f"{place}.{name}"
        if name == "equals":
            return Call(_named(function, place), compiler.value(argument, inside, in_condition=True))
        if name == "not":
            return Call(_named(function, place), compiler.condition(argument, inside))
        if not isinstance(argument, list) or len(argument) < 2:
            raise StackValidationFailed(f'{place}: the minimum number of condition arguments to "{name}" is 2')
        return Call(_named(function, place), ListNode([compiler.condition(item, inside) for item in argument]))

    return build


def _named(function: Callable[[Any], Any], place: str) -> Callable[[Any], Any]:
    """The function, saying where it stands when it fails."""

    def run(argument: Any) -> Any:
        try:
            return function(argument)
        except (ValueError, TypeError) as error:
            raise StackValidationFailed(f"{place}: {error}") from error

    return run


def _get_param(compiler: Compiler, argument: Any, place: str) -> Node:
    name, path = _name_and_path("get_param", argument, place)
    compiler.params[name] = place
    return Parameter(name, [compiler.value(item, place) for item in path])


def _get_attr(compiler: Compiler, argument: Any, place: str) -> Node:
    name, path = _name_and_path("get_attr", argument, place)
    if not path:
        raise StackValidationFailed(
            f'{place}: arguments to "get_attr" must be of the form [resource_name, attribute, (path), ...]'
        )
    node = Attribute(name, [compiler.value(item, place) for item in path])
    if isinstance(path[0], str):
        compiler.attributes.append(Read(node, path[0], place))
    return node


def _name_and_path(function: str, argument: Any, place: str) -> tuple[str, Sequence[Any]]:
    parts = argument if isinstance(argument, list) else [argument]
    if not parts or not isinstance(parts[0], str):
        raise StackValidationFailed(f'{place}: argument to "{function}" must be a name, or a list that starts with one')
    return parts[0], parts[1:]


def _get_resource(_compiler: Compiler, argument: Any, place: str) -> Node:
    if not isinstance(argument, str):
        raise StackValidationFailed(f'{place}: argument to "get_resource" must be a string')
    return Reference(argument)


def _get_file(compiler: Compiler, argument: Any, place: str) -> Node:
    if not isinstance(argument, str):
        raise StackValidationFailed(f'{place}: argument to "get_file" must be a string')
    compiler.files[argument] = place
    return File(argument)


def _facade(_compiler: Compiler, argument: Any, place: str) -> Node:
    if argument not in {"metadata", "deletion_policy", "update_policy"}:
        raise StackValidationFailed(
            f'{place}: "resource_facade" takes metadata, deletion_policy or update_policy, not "{argument}"'
        )
    return Facade(argument)


def _if(compiler: Compiler, argument: Any, place: str) -> Node:
    sizes = {2, 3} if compiler.version >= "2021-04-16" else {3}
    if not isinstance(argument, list) or len(argument) not in sizes:
        raise StackValidationFailed(
            f'{place}: arguments to "if" must be of the form [condition, value if true, value if false]'
        )
    test, *values = argument
    branches = [compiler.value(item, place) for item in values]
    return Choice(compiler.condition(test, place), branches[0], branches[1] if len(branches) > 1 else Literal(None))


FUNCTIONS: dict[str, Function] = {
    "get_param": Function(_get_param, "2013-05-23"),
    "get_resource": Function(_get_resource, "2013-05-23"),
    "get_attr": Function(_get_attr, "2013-05-23"),
    "get_file": Function(_get_file, "2013-05-23"),
    "resource_facade": Function(_facade, "2013-05-23"),
    "str_replace": Function(_plain(textual.str_replace, "str_replace"), "2013-05-23"),
    "str_replace_strict": Function(_plain(textual.str_replace_strict, "str_replace_strict"), "2017-02-24"),
    "list_join": Function(_plain(textual.list_join, "list_join"), "2013-05-23"),
    "repeat": Function(_plain(textual.repeat, "repeat"), "2015-04-30"),
    "digest": Function(_plain(textual.digest, "digest"), "2015-04-30"),
    "str_split": Function(_plain(textual.str_split, "str_split"), "2015-10-15"),
    "map_merge": Function(_plain(textual.map_merge, "map_merge"), "2016-04-08"),
    "map_replace": Function(_plain(textual.map_replace, "map_replace"), "2016-10-14"),
    "if": Function(_if, "2016-10-14"),
    "equals": Function(_logic(textual.equals, "equals"), "2016-10-14", condition_only=True),
    "not": Function(_logic(textual.negate, "not"), "2016-10-14", condition_only=True),
    "and": Function(_logic(textual.every, "and"), "2016-10-14", condition_only=True),
    "or": Function(_logic(textual.some, "or"), "2016-10-14", condition_only=True),
    "filter": Function(_plain(textual.filter_list, "filter"), "2017-02-24"),
    "list_concat": Function(_plain(textual.list_concat, "list_concat"), "2017-09-01"),
    "list_concat_unique": Function(_plain(textual.list_concat_unique, "list_concat_unique"), "2017-09-01"),
    "contains": Function(_plain(textual.contains, "contains"), "2017-09-01"),
    "make_url": Function(_plain(textual.make_url, "make_url"), "2017-09-01"),
}
