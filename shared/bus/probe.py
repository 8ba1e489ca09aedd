"""Asking a broker whether it would have us; nothing is made there."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import unquote, urlsplit

import aio_pika
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelClosed,
    ChannelNotFoundEntity,
    InvalidFrameError,
    ProbableAuthenticationError,
)

_LIMIT: Final = 10.0


async def broker_says(url: str, *, exchange: str | None = None) -> str | None:
    """None: it lets us in, and has `exchange` when one is named; else why not, without the password.

    Args:
        url: amqp(s)://user:password@host:port/vhost.
        exchange: looked for passively.
    """
    where = urlsplit(url)
    place = f"{where.hostname}{f':{where.port}' if where.port else ''}"
    try:
        async with asyncio.timeout(_LIMIT):
            connection = await aio_pika.connect(url)
            async with connection:
                channel = await connection.channel()
                if exchange is not None:
                    await channel.get_exchange(exchange, ensure=True)
    except (AuthenticationError, ProbableAuthenticationError):
        return f"{place} refuses the user or the password"
    except ChannelNotFoundEntity:
        return f"{place} has no exchange {exchange} in this vhost"
    except ChannelClosed as error:
        return f"{place} refuses: {_without_password(str(error), where.password)}"
    except InvalidFrameError:  # all that the library tells of this refusal
        return f"{place} has no vhost {unquote(where.path.removeprefix('/')) or '/'}, or the user may not use it"
    except TimeoutError:
        return f"{place} did not answer within {_LIMIT:g} s"
    except (*CONNECTION_EXCEPTIONS, ValueError) as error:
        return f"{place}: {type(error).__name__} {_without_password(str(error), where.password)}".rstrip()
    return None


def _without_password(words: str, password: str | None) -> str:
    return words.replace(password, "***").replace(unquote(password), "***") if password else words
