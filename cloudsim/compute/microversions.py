"""Nova's microversions: which one a request is about, and what every answer says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from typing_extensions import override

from cloudsim.errors import ApiFault, render

OLDEST: Final = (2, 1)
NEWEST: Final = (2, 104)
_HEADER: Final = "OpenStack-API-Version"


def microversion(request: Request) -> tuple[int, int]:
    """The microversion that the client asked for; 2.1 when it asked for none.

    Raises:
        ApiFault: 406 for one that there is not, 400 for what is none.
    """
    asked = _asked(request)
    if not asked:
        return OLDEST
    if asked == "latest":
        return NEWEST
    match = re.fullmatch(r"(\d+)\.(\d+)", asked)
    if match is None:
        raise ApiFault(400, f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum.")
    version = int(match[1]), int(match[2])
    if not OLDEST <= version <= NEWEST:
        supported = f"Minimum is {text(OLDEST)} and maximum is {text(NEWEST)}."
        raise ApiFault(406, f"Version {asked} is not supported by the API. {supported}")
    return version


def text(version: tuple[int, int]) -> str:
    """A microversion as it is written."""
    return f"{version[0]}.{version[1]}"


class NovaRoute(APIRoute):
    """A route that refuses microversions that there are not, and whose answers name theirs, refusals too.

    A 401 does not: it comes from Keystone's middleware, before Nova.
    """

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the header around it."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                microversion(request)
                response = await handler(request)
            except ApiFault as fault:
                response = await render(request, fault)
            named = _asked(request) or text(OLDEST)
            if response.status_code != 401 and re.fullmatch(r"[\d.]+|latest", named):
                response.headers[_HEADER] = f"compute {text(NEWEST) if named == 'latest' else named}"
            return response

        return handle


def _asked(request: Request) -> str:
    asked = request.headers.get(_HEADER, "").removeprefix("compute ")
    return (asked or request.headers.get("X-OpenStack-Nova-API-Version", "")).strip()
