"""Asking a broker whether it would have us; nothing is made there."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aio_pika
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelClosed,
    ChannelNotFoundEntity,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from shared.domain.errors import JeroboamError

_LIMIT: Final = 10.0


class NotAUrl(JeroboamError):
    """A broker's address cannot be read; the text holds nothing of it, since any part may be the password's."""


def parts_of(url: str) -> SplitResult:
    """A broker's address in its parts.

    Raises:
        NotAUrl: it has no host or no such port, or its password holds one of `/?#[]`, which must be percent-encoded.
    """
    try:
        parts = urlsplit(url)
        readable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        readable = False
    # With such a character in the password the user is taken for the host, and the "@" comes later.
    if not readable or "@" in parts.path + parts.query + parts.fragment:
        raise NotAUrl(_NOT_A_URL)
    return parts


_NOT_A_URL: Final = "the address is not a URL: percent-encode the password"


async def broker_says(url: str, *, exchange: str | None = None) -> str | None:
    """None: it lets us in, and has `exchange` when one is named; else why not, without the password.

    Args:
        url: amqp(s)://user:password@host:port/vhost.
        exchange: looked for passively.
    """
    try:
        where = parts_of(url)
    except NotAUrl as error:
        return str(error)
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
    except CONNECTION_EXCEPTIONS as error:
        return f"{place}: {type(error).__name__} {_without_password(str(error), where.password)}".rstrip()
    except ValueError:  # its text may quote any part
        return _NOT_A_URL
    return None


def _without_password(words: str, password: str | None) -> str:
    return words.replace(password, "***").replace(unquote(password), "***") if password else words
