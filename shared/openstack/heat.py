"""Heat: stacks by name, by tag and by id, created and updated with the operation's mark.

Heat knows a stack by name *and* id; asked by id alone it answers with a redirect to both. The redirect is not
followed (its host may be one that only Heat can reach); the name is read from it and remembered, names never change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from shared.domain.errors import CloudError
from shared.openstack.answers import Doc
from shared.openstack.errors import Rubbish
from shared.openstack.session import CloudSession, segment
from shared.openstack.stacks import (
    Stack,
    StackChanges,
    StackEvent,
    StackResource,
    StackSummary,
)

SERVICE: Final = "orchestration"
_NAMES_KEPT = 10_000
_PAGES: Final = 20
"""Of a stack's events, read for one answer."""


@dataclass(slots=True)
class StackNames:
    """Stack id → stack name, shared by the clients of a process; the oldest are forgotten."""

    _names: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def of(self, stack_id: str) -> str | None:
        """The name, if it was seen."""
        return self._names.get(stack_id)

    def learn(self, stack_id: str, name: str) -> None:
        """Remember a name."""
        self._names[stack_id] = name
        while len(self._names) > _NAMES_KEPT:
            self._names.popitem(last=False)


@dataclass(frozen=True, slots=True)
class HeatClient:
    """Heat in one project. A mutating call that got no answer raises a retryable `CloudError`: look before retrying."""

    session: CloudSession
    names: StackNames = field(default_factory=StackNames)

    async def find_stack(self, name: str) -> StackSummary | None:
        """The living stack of this name; None when there is none."""
        found = await self._list({"name": name})
        return next((stack for stack in found if stack.name == name), None)

    async def list_by_tag(self, tag: str) -> list[StackSummary]:
        """The living stacks with this tag."""
        return await self._list({"tags": tag})

    async def list_project(self, tags: Iterable[str] = ("jeroboam",)) -> list[StackSummary]:
        """The living stacks of the project that carry all these tags."""
        return await self._list({"tags": ",".join(tags)})

    async def list_cloud(self, tags: Iterable[str] = ("jeroboam",)) -> list[StackSummary]:
        """The living stacks of every project that carry all these tags.

        Raises:
            CloudError: status 403 where Heat's policy stacks:global_index denies it, as it does to all by default.
        """
        return await self._list({"tags": ",".join(tags), "global_tenant": "true"})

    async def show(self, stack_id: str) -> Stack | None:
        """A stack with its parameters (the operation's mark among them), without outputs. None: no such stack.

        Heat still shows a deleted stack for a while, with the status DELETE_COMPLETE.
        """
        return await self._show(stack_id, {"resolve_outputs": "false"})

    async def outputs(self, stack_id: str) -> dict[str, object] | None:
        """The outputs by name, evaluated now; None: no such stack."""
        stack = await self._show(stack_id, {"resolve_outputs": "true"})
        return None if stack is None else dict(stack.outputs)

    async def create(
        self,
        *,
        name: str,
        template: str,
        files: Mapping[str, str],
        environment: Mapping[str, object],
        parameters: Mapping[str, str],
        tags: Iterable[str],
        timeout_mins: int | None = None,
        disable_rollback: bool = True,
    ) -> str:
        """Create a stack; its id. 409: the name is taken, so look whose it is."""
        body: dict[str, object] = {
            "stack_name": name,
            "template": template,
            "files": dict(files),
            "environment": dict(environment),
            "parameters": dict(parameters),
            "tags": ",".join(tags),
            "disable_rollback": disable_rollback,
        }
        if timeout_mins:
            body["timeout_mins"] = timeout_mins
        answer = await self.session.send(SERVICE, "POST", "/stacks", body, resource=f"stack {name}")
        stack_id = answer.doc("stack").text("id")
        self.names.learn(stack_id, name)
        return stack_id

    async def update(
        self,
        stack_id: str,
        *,
        parameters: Mapping[str, str],
        template: str | None = None,
        files: Mapping[str, str] | None = None,
        environment: Mapping[str, object] | None = None,
        tags: Iterable[str] | None = None,
        timeout_mins: int | None = None,
        disable_rollback: bool | None = None,
    ) -> None:
        """Update in place: what is not given stays as the stack has it (template, files and parameters included).

        What is under way is overtaken: servers stay, but what waited for signals is cancelled, and may end as FAILED.
        """
        body = _patch(parameters, template, files, environment)
        if tags is not None:
            body["tags"] = ",".join(tags)
        if timeout_mins:
            body["timeout_mins"] = timeout_mins
        if disable_rollback is not None:
            body["disable_rollback"] = disable_rollback
        path = await self._path(stack_id)
        await self.session.call(SERVICE, "PATCH", path, json=body, resource=f"stack {stack_id}")

    async def preview_update(
        self,
        stack_id: str,
        *,
        parameters: Mapping[str, str],
        template: str | None = None,
        files: Mapping[str, str] | None = None,
        environment: Mapping[str, object] | None = None,
    ) -> StackChanges:
        """What the update would do to servers; nothing is changed. `StackChanges` says how far it can be believed."""
        path = f"{await self._path(stack_id)}/preview"
        body = _patch(parameters, template, files, environment)
        try:
            return await self._preview(path, body, stack_id, nested=True)
        except CloudError as error:
            if error.status != 400:
                raise
            # Either Heat cannot preview nested stacks here, or the update is wrong, which the second answer will say.
            return await self._preview(path, body, stack_id, nested=False)

    async def delete(self, stack_id: str) -> bool:
        """Begin the deletion; False when there is no such stack."""
        path = await self._known_path(stack_id)
        return path is not None and await self.session.delete(SERVICE, path, resource=f"stack {stack_id}")

    async def resources(self, stack_id: str, nested_depth: int = 0) -> list[StackResource]:
        """The resources, those of nested stacks down to `nested_depth` included; none when there is no such stack."""
        path = await self._known_path(stack_id)
        if path is None:
            return []
        found = await self.session.get(SERVICE, f"{path}/resources", params={"nested_depth": str(nested_depth)})
        return [] if found is None else [StackResource.read(one) for one in found.docs("resources")]

    async def attributes(self, stack_name: str, stack_id: str, resource: str) -> Mapping[str, object] | None:
        """A resource's attributes, which may be secrets; None: no such stack or resource."""
        path = f"/stacks/{segment(stack_name)}/{segment(stack_id)}/resources/{segment(resource)}"
        found = await self.session.get(SERVICE, path)
        return None if found is None else found.doc("resource").maybe_doc("attributes").data

    async def events(
        self, stack_id: str, *, nested_depth: int = 0, back_to: Callable[[StackEvent], bool], limit: int = 500
    ) -> list[StackEvent]:
        """The newest events, oldest first, back to the newest for which `back_to` is true; `limit` in a page.

        At most `_PAGES` pages are read: a stack's events may be very many, and Heat gives none without reading all.
        """
        path = await self._known_path(stack_id)
        told: list[StackEvent] = []
        params = {"limit": str(limit), "sort_dir": "desc", "nested_depth": str(nested_depth)}
        for _ in range(_PAGES if path else 0):
            found = await self.session.get(SERVICE, f"{path}/events", params=params)
            page = [] if found is None else [StackEvent.read(one) for one in found.docs("events")]
            told += page
            if len(page) < limit or any(map(back_to, page)):
                break
            params["marker"] = page[-1].id
        return told[::-1]

    async def validate(self, template: str, files: Mapping[str, str], environment: Mapping[str, object]) -> None:
        """Let Heat judge a template.

        Raises:
            CloudError: status 400, with Heat's words on what is wrong.
        """
        body = {"template": template, "files": dict(files), "environment": dict(environment)}
        await self.session.call(SERVICE, "POST", "/validate", json=body)

    async def _preview(self, path: str, body: object, stack_id: str, *, nested: bool) -> StackChanges:
        reply = await self.session.call(
            SERVICE,
            "PATCH",
            path,
            json=body,
            params={"show_nested": "true"} if nested else None,
            resource=f"stack {stack_id}",
            wants_json=True,
        )
        return StackChanges.read(reply.json().doc("resource_changes"), nested=nested)

    async def _list(self, params: Mapping[str, str]) -> list[StackSummary]:
        found = await self.session.listing(SERVICE, "/stacks", params=params)
        listed = [StackSummary.read(one) for one in found.docs("stacks")]
        # For a moment at its end Heat still lists a stack that it has deleted.
        stacks = [stack for stack in listed if stack.status != "DELETE_COMPLETE"]
        for stack in stacks:
            self.names.learn(stack.id, stack.name)
        return stacks

    async def _show(self, stack_id: str, params: Mapping[str, str]) -> Stack | None:
        path = await self._known_path(stack_id)
        if path is None:
            return None
        found = await self.session.get(SERVICE, path, params=params, resource=f"stack {stack_id}")
        return None if found is None else Stack.read(found.doc("stack"))

    async def _path(self, stack_id: str) -> str:
        path = await self._known_path(stack_id)
        if path is None:
            raise CloudError(
                f"Heat has no stack {stack_id}.", service=SERVICE, status=404, resource=f"stack {stack_id}"
            )
        return path

    async def _known_path(self, stack_id: str) -> str | None:
        """Where the stack is, by name and id; None: there is no such stack."""
        name = self.names.of(stack_id)
        if name is None:
            try:
                reply = await self.session.call(SERVICE, "GET", f"/stacks/{segment(stack_id)}")
            except CloudError as error:
                if error.status == 404:
                    return None
                raise
            name = _name_in(reply.status, reply.headers, reply.body, stack_id)
            self.names.learn(stack_id, name)
        return f"/stacks/{segment(name)}/{segment(stack_id)}"


def _name_in(status: int, headers: Mapping[str, str], body: bytes, stack_id: str) -> str:
    if status < 300:  # behind a proxy that follows redirects
        return Doc.parse(SERVICE, body).doc("stack").text("stack_name")
    parts = urlsplit(headers.get("Location", "")).path.split("/")
    if stack_id not in parts[1:]:
        raise Rubbish(SERVICE, "a redirect that does not name the stack", status=status)
    return unquote(parts[parts.index(stack_id) - 1])


def _patch(
    parameters: Mapping[str, str],
    template: str | None,
    files: Mapping[str, str] | None,
    environment: Mapping[str, object] | None,
) -> dict[str, object]:
    body: dict[str, object] = {"parameters": dict(parameters)}
    if template is not None:
        body["template"] = template
    if files is not None:
        body["files"] = dict(files)
    if environment is not None:
        body["environment"] = dict(environment)
    return body
