"""The clients: CSRs made beforehand, sent over connections that stay open."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Target:
    """Where CSRs go, and as whom."""

    port: int
    token: str
    bay_id: str

    def request(self, csr: str) -> bytes:
        """The POST, whole."""
        body = json.dumps({"bay_uuid": self.bay_id, "csr": csr}).encode()
        head = (
            f"POST /v1/certificates HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nX-Auth-Token: {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass
class Result:
    """Seconds from when each was due to its certificate, and whatever else was answered."""

    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    took: float = 0.0

    @property
    def rate(self) -> float:
        """Certificates a second."""
        return len(self.seconds) / self.took

    def percentile(self, percent: float) -> float:
        """In ms."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


class Csrs:
    """CSRs that all differ, each signed by one RSA-2048 key as the stock client makes them."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._made: list[str] = []
        self._number = 0

    def make(self, count: int) -> None:
        """Have so many ready."""
        while len(self._made) < count:
            self._number += 1
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"client-{self._number}")])
            request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self._key, SHA256())
            self._made.append(request.public_bytes(Encoding.PEM).decode())

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._made:
            self.make(1)
        return self._made.pop()


class Connection:
    """One request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head[9:12]), await self._reader.readexactly(int(length.partition(b":")[2]))

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """So many, open."""
    opened = [Connection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def saturate(target: Target, csrs: Csrs, *, clients: int, seconds: float) -> Result:
    """Each client asks again as soon as it has its answer."""
    result, start = Result(), time.perf_counter()

    async def client(connection: Connection) -> None:
        while (begin := time.perf_counter()) - start < seconds:
            await _ask(connection, target, next(csrs), begin, result)

    async with connections(target.port, clients) as opened:
        await asyncio.gather(*(client(connection) for connection in opened))
    result.took = time.perf_counter() - start
    return result


async def steady(target: Target, csrs: Csrs, *, rate: float, seconds: float, clients: int = 100) -> Result:
    """One every 1/rate seconds, whether the earlier ones are answered or not; what is late counts as late."""
    result, free = Result(), asyncio.Queue[Connection]()

    async def one(due: float) -> None:
        connection = await free.get()
        await _ask(connection, target, next(csrs), due, result)
        free.put_nowait(connection)

    async with connections(target.port, clients) as opened, asyncio.TaskGroup() as asked:
        for connection in opened:
            free.put_nowait(connection)
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.create_task(one(due))
    result.took = time.perf_counter() - start
    return result


async def _ask(connection: Connection, target: Target, csr: str, begin: float, result: Result) -> None:
    status, body = await connection.post(target.request(csr))
    if status == 201:
        result.seconds.append(time.perf_counter() - begin)
    else:
        result.refused.append(f"{status} {body[:200].decode(errors='replace')}")
