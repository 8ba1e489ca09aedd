"""Template values as compiled trees:

a literal is returned as it is (and so shared by all stacks), a function is evaluated.

Values that come out of `evaluate` are shared: nobody may change them in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from typing_extensions import override

Value = Any  # what JSON can hold


class Context(Protocol):
    """What a function may ask of the stack it is evaluated in.

    Each may raise `Unresolved` while a template is only checked.
    """

    def param(self, name: str) -> Value:
        """The value of a parameter."""

    def reference(self, name: str) -> Value:
        """What `get_resource` gives."""

    def attribute(self, name: str, path: Sequence[Value]) -> Value:
        """What `get_attr` gives; `path` starts with the attribute's name."""

    def file(self, name: str) -> str:
        """The text of an attached file."""

    def condition(self, name: str) -> bool:
        """Whether a named condition holds."""

    def facade(self, key: str) -> Value:
        """A section of the parent's resource that this template implements."""


class Node:
    """A value of the template. `refs`: names of resources it reads; `branching`: whether an `if` decides which."""

    __slots__ = ("branching", "refs")

    def __init__(self, children: Iterable[Node] = (), refs: Iterable[str] = ()) -> None:
        kids = tuple(children)
        self.refs: frozenset[str] = frozenset(refs).union(*(kid.refs for kid in kids)) if kids else frozenset(refs)
        self.branching: bool = any(kid.branching for kid in kids)

    def evaluate(self, context: Context) -> Value:
        """The value in this stack."""
        raise TypeError(f"{type(self).__name__} has no value of its own")

    def children(self) -> Iterable[Node]:
        """The parts that are always read."""
        return ()

    def needs(self, context: Context) -> frozenset[str]:
        """Names of resources that this value reads, given the conditions."""
        if not self.branching:
            return self.refs
        own = self.refs.difference(*(kid.refs for kid in self.children()))
        return own.union(*(kid.needs(context) for kid in self.children()))


class Literal(Node):
    """A value without functions."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value

    @override
    def evaluate(self, context: Context) -> Value:
        """The value itself, not a copy."""
        return self.value


class MapNode(Node):
    """A map with a function somewhere inside."""

    __slots__ = ("items",)

    def __init__(self, items: Mapping[str, Node]) -> None:
        super().__init__(items.values())
        self.items = dict(items)

    @override
    def evaluate(self, context: Context) -> Value:
        """A new map with every value evaluated."""
        return {key: node.evaluate(context) for key, node in self.items.items()}

    @override
    def children(self) -> Iterable[Node]:
        """The values."""
        return self.items.values()


class ListNode(Node):
    """A list with a function somewhere inside."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Node]) -> None:
        super().__init__(items)
        self.items = tuple(items)

    @override
    def evaluate(self, context: Context) -> Value:
        """A new list with every item evaluated."""
        return [node.evaluate(context) for node in self.items]

    @override
    def children(self) -> Iterable[Node]:
        """The items."""
        return self.items


class Call(Node):
    """A function that only looks at its argument's value."""

    __slots__ = ("argument", "function")

    def __init__(self, function: Callable[[Value], Value], argument: Node) -> None:
        super().__init__((argument,))
        self.function, self.argument = function, argument

    @override
    def evaluate(self, context: Context) -> Value:
        """The function of the evaluated argument."""
        return self.function(self.argument.evaluate(context))

    @override
    def children(self) -> Iterable[Node]:
        """The argument."""
        return (self.argument,)


class Parameter(Node):
    """`get_param`, with an optional way into the value."""

    __slots__ = ("name", "path")

    def __init__(self, name: str, path: Sequence[Node]) -> None:
        super().__init__(path)
        self.name, self.path = name, tuple(path)

    @override
    def evaluate(self, context: Context) -> Value:
        """The parameter's value, or what the path leads to; a way that leads nowhere gives an empty string."""
        value = context.param(self.name)
        return dig(value, [node.evaluate(context) for node in self.path], missing="") if self.path else value

    @override
    def children(self) -> Iterable[Node]:
        """The path."""
        return self.path


class Reference(Node):
    """`get_resource`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(refs=(name,))
        self.name = name

    @override
    def evaluate(self, context: Context) -> Value:
        """The resource's reference id."""
        return context.reference(self.name)


class Attribute(Node):
    """`get_attr`."""

    __slots__ = ("name", "path")

    def __init__(self, name: str, path: Sequence[Node]) -> None:
        super().__init__(path, (name,))
        self.name, self.path = name, tuple(path)

    @override
    def evaluate(self, context: Context) -> Value:
        """The attribute, or what the path leads to in it."""
        return context.attribute(self.name, [node.evaluate(context) for node in self.path])

    @override
    def children(self) -> Iterable[Node]:
        """The path."""
        return self.path


class File(Node):
    """`get_file`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @override
    def evaluate(self, context: Context) -> Value:
        """The file's text."""
        return context.file(self.name)


class Facade(Node):
    """`resource_facade`."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    @override
    def evaluate(self, context: Context) -> Value:
        """The parent's section."""
        return context.facade(self.key)


class ConditionName(Node):
    """The name of a condition where a condition may stand."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    @override
    def evaluate(self, context: Context) -> Value:
        """Whether it holds."""
        return context.condition(self.name)


class Choice(Node):
    """`if`: only the chosen branch is evaluated, and only it makes dependencies."""

    __slots__ = ("no", "test", "yes")

    def __init__(self, test: Node, yes: Node, no: Node) -> None:
        super().__init__((test, yes, no))
        self.test, self.yes, self.no = test, yes, no
        self.branching = bool(yes.refs or no.refs)

    def _chosen(self, context: Context) -> Node:
        return self.yes if self.test.evaluate(context) else self.no

    @override
    def evaluate(self, context: Context) -> Value:
        """The chosen branch's value."""
        return self._chosen(context).evaluate(context)

    @override
    def needs(self, context: Context) -> frozenset[str]:
        """What the chosen branch reads."""
        return self._chosen(context).needs(context)


def dig(value: Value, path: Sequence[Value], missing: Value = None) -> Value:
    """Follow keys and indices into a value; `missing` where the way ends."""
    for key in path:
        try:
            if isinstance(value, Mapping):
                value = value[key] if key in value else value[str(key)]
            elif isinstance(value, (list, tuple)):
                value = value[int(key)]
            else:
                return missing
        except (KeyError, IndexError, ValueError, TypeError):
            return missing
    return value
