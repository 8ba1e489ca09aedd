"""A node of a bay, played: it reads its secret as its user-data has it, asks for certificates, and signs its calls."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.cli.stack import LocalStack
from shared.client.api import JeroboamClient
from shared.openstack.heat import HeatClient
from shared.openstack.nova import NovaClient

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PATIENCE = 60.0


def new_key(*, rsa_key: bool = False) -> Key:
    return rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP256R1())


def csr_of(key: Key, name: str, dns: Sequence[str], addresses: Sequence[str]) -> str:
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass
class Node:
    """One server of a bay, with the key that it made."""

    api_url: str
    bay: str
    role: str
    server_id: str
    name: str
    addresses: tuple[str, ...]
    secret: str
    key: Key = field(repr=False)
    certificate: str = ""
    status: str = "ACTIVE"
    """As Nova had it when it was looked up."""

    def csr(self, *dns: str, addresses: Sequence[str] = ()) -> str:
        """For its own names and addresses, and these."""
        return csr_of(self.key, self.name, (self.name, *dns), (*self.addresses, *addresses))

    async def ask(self, csr: str | None = None, **other: object) -> httpx.Response:
        """The first certificates; `other` replaces what of the body is to be wrong, `bay` the bay."""
        bay = other.pop("bay", self.bay)
        body = {"server_id": self.server_id, "secret": self.secret, "role": self.role, "csr": csr or self.csr()}
        return await self._send("POST", f"/bays/{bay}/node-certificates", {**body, **other})

    async def insist(self, csr: str) -> dict[str, Any]:
        """As the agent: the same again until there is an answer."""
        async with asyncio.timeout(PATIENCE):
            while (answer := await self.ask(csr)).status_code == 503:
                assert int(answer.headers["Retry-After"]) > 0
        assert answer.status_code == 201, answer.text
        issued: dict[str, Any] = answer.json()
        self.certificate = issued["pem"]
        return issued

    async def renew(self, csr: str, **other: object) -> httpx.Response:
        """New certificates for the present one."""
        bay = other.pop("bay", self.bay)
        body = {"server_id": self.server_id, "role": self.role, "csr": csr, **other}
        return await self.call("POST", f"/bays/{bay}/node-certificates", body)

    async def call(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, late: int = 0
    ) -> httpx.Response:
        """A call proven by its certificate; `headers` replace some of the proof, `late` shifts its time."""
        content = b"" if body is None else json.dumps(body).encode()
        at = int(time.time()) + late
        signed = f"{method}\n{httpx.URL(self.api_url + path).path}\n{at}\n{hashlib.sha256(content).hexdigest()}\n"
        proof = {
            "X-Jeroboam-Certificate": base64.b64encode(self.certificate.encode()).decode(),
            "X-Jeroboam-Time": str(at),
            "X-Jeroboam-Signature": base64.b64encode(sign(self.key, signed.encode())).decode(),
        }
        return await self._send(method, path, body, {**proof, **(headers or {})})

    async def _send(
        self, method: str, path: str, body: object, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        content = b"" if body is None else json.dumps(body).encode()
        async with httpx.AsyncClient(timeout=60) as client:
            return await client.request(method, self.api_url + path, content=content, headers=headers)


def sign(key: Key, data: bytes) -> bytes:
    """As `openssl dgst -sha256 -sign` does."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), SHA256())
    return key.sign(data, ec.ECDSA(SHA256()))


def key_pem(key: Key) -> bytes:
    """For openssl."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


async def nodes_of(stack: LocalStack, client: JeroboamClient, bay: str, stack_id: str = "") -> list[Node]:
    """Every server that the bay's stack, or another one of it, has now, masters first; masters have RSA keys."""
    stack_id = stack_id or (await client.bay(bay)).stack_id or ""
    heat, nova = HeatClient(client.session), NovaClient(client.session)
    found = []
    for one in await heat.resources(stack_id, 3):
        if one.type == "OS::Nova::Server" and (server := await nova.show(one.physical_id)) is not None:
            secret = (await heat.attributes(one.stack_name, one.stack_id, "node_secret") or {})["value"]
            node = Node(
                api_url=stack.api_url,
                bay=bay,
                role=server.metadata["jeroboam_role"],
                server_id=server.id,
                name=server.name,
                addresses=tuple(address.address for address in server.addresses),
                secret=str(secret),
                key=new_key(rsa_key=server.metadata["jeroboam_role"] == "master"),
                status=server.status,
            )
            found.append(node)
    return sorted(found, key=lambda node: node.role)


def unknown_id() -> str:
    """An id that nothing has."""
    return str(uuid4())
