"""Every error that crosses a layer, as a tree whose branches say whose fault it is.

    JeroboamError
    ├── ClientFault            the caller can mend it; carries an HTTP status and, where one is to blame, the field
    │   ├── InvalidInput       400
    │   ├── Unauthorized       401
    │   ├── Forbidden          403
    │   ├── NotFound           404
    │   ├── NotAcceptable      406
    │   └── Conflict           409, try again after `retry_after` seconds if it says so
    ├── Unavailable            503, try again after `retry_after` seconds
    ├── CloudError             an OpenStack service refused, failed or did not answer
    ├── IllegalTransition      our own bug: an event that the bay's state does not allow
    └── StaleLease             somebody else took the operation over; the result is dropped

Messages are sentences for people; they never hold a secret. Library exceptions stop at the client that met them.
"""

from __future__ import annotations

from typing import ClassVar


class JeroboamError(Exception):
    """The base of everything that this project raises on purpose."""


class ClientFault(JeroboamError):
    """The caller's fault. `field` names the attribute to blame, if one is."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "client"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(ClientFault):
    """The request is wrong in itself (contract §1.7)."""


class Unauthorized(ClientFault):
    """The token is missing, unknown or expired."""

    status = 401


class Forbidden(ClientFault):
    """The caller may not do this (contract §1.21)."""

    status = 403


class NotFound(ClientFault):
    """No such thing, or none that the caller may see (contract §1.8)."""

    status = 404


class NotAcceptable(ClientFault):
    """The microversion asked for does not have this (contract §1.4)."""

    status = 406


class Conflict(ClientFault):
    """The state of things does not allow it, or a name means several things (contract §1.8).

    `retry_after` is in seconds, where waiting helps.
    """

    status = 409

    def __init__(self, message: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after


class Unavailable(JeroboamError):
    """We, or something that we need, cannot answer now. `retry_after` is in seconds."""

    status: ClassVar[int] = 503
    code: ClassVar[str] = "server"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class CloudError(JeroboamError):
    """An OpenStack service refused, failed or did not answer.

    `status` is its HTTP status, None when there was no answer; `retryable` says whether the same call may go through
    later; `resource` names what it was about; `retry_after` is the service's own wish in seconds; `counts` is False
    when the call never left us (an open circuit), so that no attempt is spent on it.
    """

    def __init__(
        self,
        message: str,
        *,
        service: str,
        status: int | None = None,
        retryable: bool = False,
        resource: str | None = None,
        retry_after: float | None = None,
        counts: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.service = service
        self.status = status
        self.retryable = retryable
        self.resource = resource
        self.retry_after = retry_after
        self.counts = counts


class IllegalTransition(JeroboamError):
    """An event that the bay's state does not allow; nothing was changed."""


class StaleLease(JeroboamError):
    """The lease on an operation is no longer ours: drop the result (architecture, rule 3)."""
