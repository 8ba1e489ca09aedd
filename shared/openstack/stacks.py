"""What Heat tells about stacks, as small frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from typing_extensions import override

from shared.openstack.answers import Doc

MARK = "jeroboam_operation"
"""The parameter by which every create and update of ours says which operation it belongs to (rule 4)."""

_SERVER = "OS::Nova::Server"
_HOLDS_SERVERS = frozenset({_SERVER, "OS::Heat::ResourceGroup", "OS::Heat::AutoScalingGroup", "OS::Heat::Stack"})


@dataclass(frozen=True, slots=True)
class StackSummary:
    """A stack as a listing shows it. A listing has no parameters, so the mark needs a `show`."""

    id: str
    name: str
    status: str
    """Action and phase, such as CREATE_IN_PROGRESS."""
    reason: str
    tags: tuple[str, ...]
    created_at: str
    updated_at: str | None

    @classmethod
    def read(cls, doc: Doc) -> StackSummary:
        """From a listing's or a show's object."""
        return cls(**_summary(doc))  # type: ignore[arg-type] # the helper's values are of several types

    @property
    def action(self) -> str:
        """CREATE, UPDATE, DELETE, ROLLBACK, …"""
        return self.status.partition("_")[0]

    @property
    def phase(self) -> str:
        """IN_PROGRESS, COMPLETE or FAILED."""
        return self.status.partition("_")[2]

    @property
    def seen(self) -> str:
        """What tells one end of a stack from another: an earlier operation's rollback is none of ours."""
        return f"{self.status} {self.updated_at}"


@dataclass(frozen=True, slots=True)
class Stack(StackSummary):
    """A stack as `show` tells it. Parameters and outputs can hold secrets and never show in a `repr`."""

    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    outputs: Mapping[str, object] = field(default_factory=dict, repr=False)

    @classmethod
    @override
    def read(cls, doc: Doc) -> Stack:
        """From a show's object."""
        outputs = doc.docs("outputs") if doc.data.get("outputs") is not None else []
        return cls(
            **_summary(doc),  # type: ignore[arg-type] # as above
            parameters=doc.strings("parameters"),
            outputs={one.text("output_key"): one.data.get("output_value") for one in outputs},
        )

    @property
    def operation(self) -> str | None:
        """The mark: the operation whose create or update this status belongs to."""
        return self.parameters.get(MARK)


@dataclass(frozen=True, slots=True)
class StackResource:
    """A resource of a stack or of one nested in it."""

    name: str
    type: str
    status: str
    reason: str
    physical_id: str
    stack_name: str
    parent: str | None
    """The resource of the outer stack that this one's stack is."""
    updated_at: str | None
    stack_id: str = ""
    """The (nested) stack that it is in; "" where Heat does not say."""

    @classmethod
    def read(cls, doc: Doc) -> StackResource:
        """From a listing of resources or a preview."""
        return cls(
            name=doc.text("resource_name"),
            type=doc.text("resource_type"),
            status=doc.maybe("resource_status") or "",
            reason=doc.maybe("resource_status_reason") or "",
            physical_id=doc.maybe("physical_resource_id") or "",
            stack_name=doc.maybe("stack_name") or _stack_in_links(doc, -2),
            parent=doc.maybe("parent_resource"),
            updated_at=doc.maybe("updated_time"),
            stack_id=_stack_in_links(doc, -1),
        )


@dataclass(frozen=True, slots=True)
class StackEvent:
    """Something that happened to a resource, for people to follow."""

    id: str
    time: str
    resource_name: str
    status: str
    reason: str
    physical_id: str
    logical_id: str

    @classmethod
    def read(cls, doc: Doc) -> StackEvent:
        """From a listing of events."""
        return cls(
            id=doc.text("id"),
            time=doc.text("event_time"),
            resource_name=doc.text("resource_name"),
            status=doc.maybe("resource_status") or "",
            reason=doc.maybe("resource_status_reason") or "",
            physical_id=doc.maybe("physical_resource_id") or "",
            logical_id=doc.maybe("logical_resource_id") or "",
        )


@dataclass(frozen=True, slots=True)
class StackChanges:
    """What an update would do, as far as Heat (27) can tell beforehand.

    Three things cannot be read from it. Kinds other than servers are reported replaced when they are not. *Which*
    members leave a group is wrong: a preview understands neither server ids in removal policies nor indices removed
    earlier, so members 0 and 2 at count 2 read as "2 deleted, 1 added". And where a group of nested stacks would gain
    a member, earlier removals included, Heat cannot preview nested stacks at all; `nested` is False then. So ask only
    whether any server would be replaced, and whether there would be fewer of them than the operation wants.
    """

    replaced: tuple[StackResource, ...]
    deleted: tuple[StackResource, ...]
    added: tuple[StackResource, ...]
    nested: bool = True
    """Whether nested stacks were looked into."""

    @classmethod
    def read(cls, doc: Doc, *, nested: bool = True) -> StackChanges:
        """From a preview's `resource_changes`."""
        replaced, deleted, added = (
            tuple(map(StackResource.read, doc.docs(kind))) for kind in ("replaced", "deleted", "added")
        )
        return cls(replaced, deleted, added, nested)

    @property
    def replaced_servers(self) -> tuple[StackResource, ...]:
        """What would be replaced and is a server, or a group or nested stack that may hold servers."""
        return tuple(one for one in self.replaced if one.type in _HOLDS_SERVERS or not one.type.startswith("OS::"))

    @property
    def servers_fewer(self) -> int:
        """By how many servers the stack would shrink; negative when it would grow."""
        return sum(one.type == _SERVER for one in self.deleted) - sum(one.type == _SERVER for one in self.added)


def _summary(doc: Doc) -> dict[str, object]:
    return {
        "id": doc.text("id"),
        "name": doc.text("stack_name"),
        "status": doc.text("stack_status"),
        "reason": doc.maybe("stack_status_reason") or "",
        "tags": doc.texts("tags"),
        "created_at": doc.maybe("creation_time") or "",
        "updated_at": doc.maybe("updated_time"),
    }


def _stack_in_links(doc: Doc, part: int) -> str:
    """A listing of resources names the stack only in a link: …/stacks/NAME/ID; `part` is -2 for the name, -1 the id."""
    links = doc.docs("links") if doc.data.get("links") is not None else []
    href = next((link.text("href") for link in links if link.maybe("rel") == "stack"), "")
    return href.rstrip("/").split("/")[part] if href.count("/") > 1 else ""
