"""A bay in the middle of a rotation, as the authority would have written it; nobody leads it here."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.db.repositories.authorities import KINDS
from tests.api.harness import System
from tests.api.test_certificates import authority_of

DAY: Final = datetime.timedelta(days=1)


class Authority:
    """An authority with its key, of any kind and generation."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = self.issue(self.name, self.key, authority=True)

    def issue(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool = False) -> str:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(int(uuid4())).not_valid_before(now - DAY).not_valid_after(now + 9 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Rotating:
    """A bay of demo's with two generations of authorities."""

    system: System
    bay: dict[str, Any]
    made: dict[tuple[str, int], Authority]

    @property
    def uuid(self) -> str:
        return str(self.bay["uuid"])

    def pem(self, kind: str, *generations: int) -> str:
        return "".join(self.made[kind, one].pem for one in generations)

    async def set(self, phase: str, *, undone: bool = False) -> None:
        """The rotation is in that phase."""
        await self.system.sql(
            "INSERT INTO authority_rotations (bay_id, generation, previous, target, phase) VALUES ($1, 2, 1, $2, $3)"
            " ON CONFLICT (bay_id) DO UPDATE SET phase = EXCLUDED.phase, target = EXCLUDED.target",
            self.uuid,
            1 if undone else 2,
            phase,
        )

    async def turn(self, server_id: str, phase: str, target: int = 2) -> None:
        """The node has its turn."""
        await self.system.sql(
            "INSERT INTO rotation_turns (bay_id, server_id, phase, target) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (bay_id, server_id) DO UPDATE"
            " SET phase = EXCLUDED.phase, target = EXCLUDED.target, given_at = now()",
            self.uuid,
            server_id,
            phase,
            target,
        )

    async def retire(self, generation: int) -> None:
        """The rotation is over, and that generation with it."""
        for query in ("DELETE FROM rotation_turns", "DELETE FROM authority_rotations"):
            await self.system.sql(f"{query} WHERE bay_id = $1", self.uuid)
        query = "UPDATE authorities SET retired_at = now() WHERE bay_id = $1 AND generation = $2"
        await self.system.sql(query, self.uuid, generation)

    async def node(self, name: str, role: str = "worker", position: int = 0) -> str:
        """A node of the bay; its server's id."""
        server_id = str(uuid4())
        await self.system.sql(
            "INSERT INTO nodes (bay_id, server_id, role, position, name, address, private_address)"
            " VALUES ($1, $2, $3, $4, $5, '', '')",
            self.uuid,
            server_id,
            role,
            position,
            name,
        )
        return server_id

    async def reports(self, server_id: str, revision: str, generation: int, problem: str | None = None) -> None:
        """What the node said last, by a certificate of that generation."""
        await self.system.sql(
            "INSERT INTO node_reports (bay_id, server_id, healthy, revision, units, authority_generation, problem)"
            " VALUES ($1, $2, true, $3, '{}', $4, $5)"
            " ON CONFLICT (bay_id, server_id) DO UPDATE SET reported_at = now()",
            self.uuid,
            server_id,
            revision,
            generation,
            problem,
        )

    async def certificate(self, server_id: str, generation: int, key: ec.EllipticCurvePrivateKey) -> str:
        """One that the node holds, of that generation."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{server_id}")])
        pem = self.made["kubernetes", generation].issue(subject, key)
        serial = f"{x509.load_pem_x509_certificate(pem.encode()).serial_number:032x}"
        await self.system.sql(
            "INSERT INTO certificates (id, bay_id, authority_id, serial, subject, profile, requester, state, pem,"
            " not_before, not_after) SELECT gen_random_uuid(), bay_id, id, $3, '', 'node:node', $4, 'issued', $5,"
            " now() - interval '1 day', now() + interval '9 days' FROM authorities"
            " WHERE bay_id = $1 AND kind = 'kubernetes' AND generation = $2",
            self.uuid,
            generation,
            serial,
            f"node:{server_id}",
            pem,
        )
        return pem


async def with_two_generations(system: System) -> Rotating:
    """A bay that waits for its stack for ever, so that nothing behind it in its queue begins."""
    bay = system.bay()
    await authority_of(system, bay)
    made = {(kind, generation): Authority(f"{kind} {generation}") for kind in KINDS for generation in (1, 2)}
    for (kind, generation), authority in made.items():
        await system.sql(
            "INSERT INTO authorities (id, bay_id, kind, generation, certificate, not_after)"
            " VALUES (gen_random_uuid(), $1, $2, $3, $4, now() + interval '9 days')"
            " ON CONFLICT (bay_id, kind, generation) DO UPDATE SET certificate = EXCLUDED.certificate",
            bay["uuid"],
            kind,
            generation,
            authority.pem,
        )
    return Rotating(system, bay, made)
