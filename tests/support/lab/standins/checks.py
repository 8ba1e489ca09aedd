"""What stand-ins check, each with the reason they end with: files and their modes, certificates, keys, answers."""

from __future__ import annotations

import atexit
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn


def die(reason: str) -> NoReturn:
    """End the program as one that was given something it cannot work with."""
    sys.stderr.write(f"stand-in: {reason}\n")
    sys.stderr.flush()
    os._exit(1)


def need(condition: object, reason: str) -> None:
    """End the program unless the condition holds."""
    if not condition:
        die(reason)


def readable(path: str) -> Path:
    """A file that is there, not empty, and ours to read."""
    found = Path(path)
    need(found.is_absolute(), f"{path} is no absolute path")
    try:
        need(found.read_bytes(), f"{path} is empty")
    except OSError as error:
        die(f"{path} cannot be read: {error.strerror}")
    return found


def private(path: str) -> Path:
    """A file with a secret: nobody but its owner may read it, and we may."""
    facts = readable(path).stat()
    need(facts.st_mode & 0o077 == 0, f"{path} has mode {facts.st_mode & 0o777:04o}; others could read it")
    return Path(path)


def frozen(path: str) -> str:
    """A copy of a file that the real program reads only at its start; it goes with this process."""
    descriptor, copy = tempfile.mkstemp(prefix="frozen-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(readable(path).read_bytes())
    atexit.register(Path(copy).unlink, missing_ok=True)
    return copy


def pair(certificate: str, key: str) -> None:
    """A certificate with its private key."""
    private(key)
    readable(certificate)
    ours = _openssl("pkey", "-in", key, "-pubout")
    theirs = _openssl("x509", "-in", certificate, "-noout", "-pubkey")
    need(ours == theirs, f"{certificate} is not the certificate of {key}")


def issued(certificate: str, authority: str, purpose: str) -> str:
    """A certificate by that authority, good for that purpose (`sslserver`, `sslclient`) now; gives its subject."""
    readable(authority)
    said = _openssl("verify", "-CAfile", authority, "-purpose", purpose, certificate, check=False)
    need(said.rstrip().endswith("OK"), f"{certificate} for {purpose} by {authority}: {' '.join(said.split())}")
    return _openssl("x509", "-in", certificate, "-noout", "-subject", "-nameopt", "RFC2253").strip()


def pems(text: str) -> list[str]:
    """The certificates in a text, one by one."""
    return re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", text + "\n", re.DOTALL)


def names(certificate: str) -> set[str]:
    """The names and addresses of a certificate."""
    said = _openssl("x509", "-in", certificate, "-noout", "-ext", "subjectAltName", check=False)
    return set(re.findall(r"(?:DNS|IP Address):([^,\s]+)", said))


def subject_is(subject: str, *parts: str) -> None:
    """The subject, as `issued` gave it, has each of these parts, such as `O=system:nodes`."""
    have = set(subject.removeprefix("subject=").split(","))
    need(set(parts) <= have, f"the subject is {subject}, and should have {', '.join(parts)}")


def own_addresses() -> set[str]:
    """The addresses of this machine."""
    said = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"inet ([\d.]+)/", said))


def bay_has_tls() -> bool:
    """As the user-data of this node says."""
    try:
        return "JB_TLS=true" in Path("/etc/jeroboam/bay.env").read_text()
    except PermissionError:  # only root reads it, so who asks runs as somebody else
        return True


def wanted_version() -> str:
    """The version of Kubernetes that this node's bay wants, which is the one that the image has."""
    found = re.search(r"JB_KUBE_VERSION=(\S+)", Path("/etc/jeroboam/bay.env").read_text())
    return found[1].strip("'\"") if found else die("this node wants no Kubernetes")


def notify() -> None:
    """Tell systemd that the service is ready, where it waits for that."""
    place = os.environ.get("NOTIFY_SOCKET")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.sendto(b"READY=1", place.replace("@", "\0", 1) if place.startswith("@") else place)


def _openssl(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        die(f"openssl {arguments[0]} {arguments[2]}: {done.stderr.strip()}")
    return done.stdout + ("" if check else done.stderr)
