"""Heat's faults, in the shape that its clients parse.

HeatFault                     answered to the caller: status, type, message
├── BadRequest 400            StackValidationFailed, RequestLimitExceeded, UserParameterMissing, UnknownUserParameter,
│                             InvalidTemplateVersion, InvalidTemplateReference, NotSupported
├── Forbidden 403             InvalidTenant
├── EntityNotFound 404        and ResourceNotFound
├── Conflict 409              StackExists, ActionInProgress
└── RemoteError 500           what an engine failure looks like from outside
ResourceFailure               one resource failed; ends up in its status reason and its stack's
Unresolved                    a value that is only known once something has been created

The statuses are those of Heat 27's fault map (RequestLimitExceeded is 400 there, for instance).
"""

from __future__ import annotations

from typing import Any, ClassVar

from typing_extensions import override

EXPLANATION = "The server could not comply with the request since it is either malformed or otherwise incorrect."
_TITLES = {
    400: ("Bad Request", EXPLANATION),
    403: ("Forbidden", "Access was denied to this resource."),
    404: ("Not Found", "The resource could not be found."),
    409: ("Conflict", "There was a conflict when trying to complete your request."),
    500: (
        "Internal Server Error",
        "The server has either erred or is incapable of performing the requested operation.",
    ),
}


class HeatFault(Exception):
    """A request that is refused. `type` in the body is the class's name."""

    status: ClassVar[int] = 500

    def body(self) -> dict[str, Any]:
        """The error document that Heat's middleware writes."""
        title, explanation = _TITLES[self.status]
        error = {"message": str(self), "type": type(self).__name__, "traceback": None}
        return {"code": self.status, "title": title, "explanation": explanation, "error": error}


class BadRequest(HeatFault):
    """The request is wrong in itself."""

    status = 400

    @override
    def body(self) -> dict[str, Any]:
        """As the base, with webob's name for a plain 400."""
        document = super().body()
        if type(self) is BadRequest:
            document["error"]["type"] = "HTTPBadRequest"
        return document


class StackValidationFailed(BadRequest):
    """The template, its environment or its parameters do not fit together."""


class InvalidTemplateReference(BadRequest):
    """A name in the template points at nothing."""

    def __init__(self, target: str, place: str) -> None:
        super().__init__(f'The specified reference "{target}" (in {place}) is incorrect.')


class InvalidTemplateVersion(BadRequest):
    """No version, or one that this Heat does not have."""


class RequestLimitExceeded(BadRequest):
    """Too many resources or too large a template."""


class UserParameterMissing(BadRequest):
    """A parameter without default got no value."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The Parameter ({name}) was not provided.")


class UnknownUserParameter(BadRequest):
    """A value for a parameter that the template does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The Parameter ({name}) was not defined in template.")


class NotSupported(BadRequest):
    """Legal, but not in this state or not here."""


class Forbidden(HeatFault):
    """The caller may not."""

    status = 403


class InvalidTenant(Forbidden):
    """The path names a project that the token is not scoped to. What is told of it is webob's plain 403."""

    @override
    def body(self) -> dict[str, Any]:
        """As the base, without saying what is wrong."""
        document = super().body()
        document["error"] |= {"type": "HTTPForbidden", "message": document["explanation"]}
        return document


class EntityNotFound(HeatFault):
    """No such stack, resource, event or output."""

    status = 404

    def __init__(self, entity: str, name: str) -> None:
        super().__init__(f"The {entity} ({name}) could not be found.")


class ResourceNotFound(HeatFault):
    """No such resource in the stack."""

    status = 404

    def __init__(self, name: str, stack_name: str) -> None:
        super().__init__(f"The Resource ({name}) could not be found in Stack {stack_name}.")


class StackExists(HeatFault):
    """The project has a living stack of that name."""

    status = 409

    def __init__(self, name: str) -> None:
        super().__init__(f"The Stack ({name}) already exists.")


class ActionInProgress(HeatFault):
    """The stack is busy."""

    status = 409

    def __init__(self, name: str, action: str) -> None:
        super().__init__(f"Stack {name} already has an action ({action}) in progress.")


class RemoteError(HeatFault):
    """The engine failed in a way that the API does not know. Heat keeps the reason to its log."""

    @override
    def body(self) -> dict[str, Any]:
        """As the base, without a message."""
        document = super().body()
        del document["error"]["message"]
        return document


class MessagingTimeout(HeatFault):
    """No engine has answered."""


class ResourceFailure(Exception):
    """A resource failed.

    `path` is the way from the stack that reports it, outermost first; `action` what the outermost was at.
    """

    def __init__(self, error_type: str, message: str, path: tuple[str, ...] = (), action: str = "") -> None:
        super().__init__(message)
        self.error_type, self.message, self.path, self.action = error_type, message, path, action

    def inside(self, name: str, action: str) -> ResourceFailure:
        """The same failure seen from the stack that holds resource `name`, which was at `action`."""
        return ResourceFailure(self.error_type, self.message, (name, *self.path), action)

    def reason(self) -> str:
        """`Type: resources.group.resources[1].resources.server: message`, as Heat 27 writes it."""
        if not self.path:
            return f"{self.error_type}: {self.message}"
        place = ".".join(f"resources[{name}]" if name.isdigit() else f"resources.{name}" for name in self.path)
        return f"{self.error_type}: {place}: {self.message}"


class Unresolved(Exception):
    """Raised while a template is only being checked: the value depends on something that does not exist yet."""
