"""What handlers ask for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from services.api.factory import Context
from services.api.request import BASE_URL, query


async def context(request: Request) -> Context:
    """The process's context, made in the lifespan."""
    return cast("Context", request.app.state.context)


async def base_url(request: Request) -> str:
    """Where we are as the caller sees us."""
    return cast("str", request.scope[BASE_URL])


Ctx = Annotated[Context, Depends(context)]
BaseUrl = Annotated[str, Depends(base_url)]
NoQuery = Depends(query())
