"""What the rotations' tests share: agents that look at once, people who keep their own certificates up to date, and
what must be true of every node in the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from shared.client.api import JeroboamClient
from shared.domain.errors import CloudError
from shared.pki_client import new_key_and_csr
from tests.support.lab.lab import Lab
from tests.support.lab.node import Node

SERVICE = "container-infra"
_AGENT = (
    "for kind in service timer; do mkdir -p /etc/systemd/system/jeroboam-agent.$kind.d; done; "
    "printf '[Service]\\nEnvironment=JEROBOAM_NOW=1 JEROBOAM_AGAIN=1\\n' "
    ">/etc/systemd/system/jeroboam-agent.service.d/lab.conf; "
    "printf '[Timer]\\nOnBootSec=\\nOnUnitInactiveSec=\\nOnActiveSec=0\\nOnUnitInactiveSec=1s\\n' "
    ">/etc/systemd/system/jeroboam-agent.timer.d/lab.conf; "
    "systemctl daemon-reload; systemctl restart jeroboam-agent.timer"
)


async def hurry(nodes: Iterable[Node]) -> None:
    """Let the nodes' agents look every second, and not every five minutes; also after they are started again."""
    await asyncio.gather(*(node.sh(_AGENT) for node in nodes))


async def rotation(client: JeroboamClient, bay: str) -> dict[str, Any] | None:
    """How far the bay's rotation is, None when there is none."""
    try:
        reply = await client.session.call(SERVICE, "GET", f"/certificates/{bay}/rotation")
    except CloudError as error:
        if error.status == 404:
            return None
        raise
    shown: dict[str, Any] = json.loads(reply.body)
    return shown


async def rotate(client: JeroboamClient, bay: str) -> None:
    """Ask for other authorities, or for the end of a rotation that failed."""
    await client.session.call(SERVICE, "PATCH", f"/certificates/{bay}")


async def undo(client: JeroboamClient, bay: str) -> None:
    """Ask for the authorities as they were."""
    await client.session.call(SERVICE, "DELETE", f"/certificates/{bay}/rotation")


async def phase(lab: Lab, client: JeroboamClient, bay: str, wanted: str, seconds: float = 90.0) -> None:
    """Wait for a phase of the rotation."""
    shown: dict[str, Any] | None = None
    try:
        async with asyncio.timeout(seconds):
            while (shown or {"phase": ""})["phase"] != wanted:
                await asyncio.sleep(0.1)
                shown = await rotation(client, bay)
    except TimeoutError:
        raise AssertionError(f"no phase {wanted}: {shown}\n{await lab.story()}") from None


@dataclass
class Identity:
    """A person's certificate in a folder that is replaced whole: ca.pem, cert.pem and key.pem in FOLDER/identity."""

    client: JeroboamClient
    bay: str
    folder: Path
    made: list[Path] = field(default_factory=list)

    async def renew(self) -> Path:
        """Get the bundle of authorities and a certificate from the API, as `bay config` does."""
        bundle = (await self.client.authority(self.bay)).pem
        asked = new_key_and_csr("admin", "system:masters")
        signed = await self.client.sign(self.bay, asked.csr_pem)
        place = self.folder / f"identity-{len(self.made)}"
        place.mkdir()
        for name, text in (("ca", bundle), ("cert", signed.pem), ("key", asked.key_pem)):
            (place / f"{name}.pem").write_text(text)
        (place / "key.pem").chmod(0o600)
        link = self.folder / "next"
        link.symlink_to(place)
        link.replace(self.folder / "identity")
        self.made.append(place)
        return place

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renewed, meanwhile, whenever the API shows other authorities or another phase: in time, as people should."""

        async def watch() -> None:
            seen: object = None
            while True:
                now = (
                    (await self.client.authority(self.bay)).pem,
                    (await rotation(self.client, self.bay) or {}).get("phase"),
                )
                if now != seen:
                    await self.renew()
                    seen = now
                await asyncio.sleep(0.3)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if not watching.cancelled() and (error := watching.exception()) is not None:
            raise error


def curl(identity: Path, url: str, *, authority: Path | None = None) -> list[str]:
    """A command that prints the status of the answer, 000 when the handshake failed."""
    files = ["--cacert", str((authority or identity) / "ca.pem"), "--cert", str(identity / "cert.pem")]
    files += ["--key", str(identity / "key.pem")]
    return ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5", *files, url]


async def answers(lab: Lab, identity: Path, url: str, *, authority: Path | None = None) -> bool:
    """Whether a server takes the certificate of that identity; `authority`: whose ca.pem the server is checked by."""
    return (await lab.network.inside(*curl(identity, url, authority=authority), check=False)).strip() == "200"


async def trusts_alone(node: Node, places: Iterable[str], pem: str) -> None:
    """Every file with authorities holds that one and no other, and the node's certificates are from it."""
    for place in places:
        text = await node.sh(f"cat {place}/ca.crt")
        assert text.strip() == pem.strip(), f"{node.machine.name}: {place}/ca.crt"
        name = "server" if place == "/etc/docker" else "node"
        leaf = x509.load_pem_x509_certificate((await node.sh(f"cat {place}/{name}.crt")).encode())
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(pem.encode()))
    count = await node.sh("grep -c BEGIN /var/lib/jeroboam/pki/authorities/*.crt")
    assert [line.rpartition(":")[2] for line in count.split()] == ["1", "1", "1"], count
