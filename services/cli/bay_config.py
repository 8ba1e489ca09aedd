"""What a person needs to use a bay with its engine's own client: a certificate, files, environment variables.

The key is made here and leaves this machine never; the bay's authority signs a request for it.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from services.cli.kubeconfig import Kubeconfig
from services.cli.problems import Problem
from shared.client.api import JeroboamClient
from shared.contracts.http.bays import BayFull
from shared.domain import client_profiles
from shared.pki_client.chain import ChainError, verify_chain
from shared.pki_client.describe import describe
from shared.pki_client.request import KeyKind, new_key_and_csr

MARATHON_PORT = 8080
PEM_FILES = ("ca.pem", "cert.pem", "key.pem")

_DOCKER = "docker info"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


class NoConfig(Problem):
    """There is nothing to be configured; the message says why, `advice` what to do."""


class Profile(StrEnum):
    """What a certificate is to be good for (`shared.domain.client_profiles`)."""

    OWNER = client_profiles.OWNER
    ADMIN = client_profiles.ADMIN
    READER = client_profiles.READER

    @property
    def subject(self) -> str:
        """The profile whose subject the request has: an owner's may be any, and is what Magnum's client asks for."""
        return client_profiles.ADMIN if self is Profile.OWNER else self.value


@dataclass(frozen=True)
class Wanted:
    """What was asked for; `hours` None is as long as the operator lets certificates live, `authority` None is the
    bay's own, which the engine's clients are known by."""

    name: str
    profile: Profile = Profile.OWNER
    hours: int | None = None
    authority: str | None = None


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and the authorities by which the bay's servers are known; PEM texts."""

    authority_pem: str
    certificate_pem: str
    key_pem: str = field(repr=False)


@dataclass(frozen=True)
class Door:
    """How a bay is reached."""

    name: str
    coe: str
    address: str
    secured: bool


@dataclass(frozen=True)
class Plan:
    """What is to be written and set (None: unset), and a first command to try."""

    files: Mapping[str, str] = field(repr=False)
    variables: Mapping[str, str | None]
    first: str


async def door_of(client: JeroboamClient, ident: str) -> Door:
    """Where a bay is reached, and by what.

    Raises:
        NoConfig: it is not there yet, or not any more.
        CloudError: there is no such bay, or the API refuses.
    """
    bay = await client.bay(ident)
    model = await client.baymodel(bay.baymodel_id)
    address = _reachable(bay)
    # Mesos has no TLS, whatever its baymodel says.
    secured = not model.tls_disabled and model.coe != "mesos" and not address.startswith("http://")
    return Door(bay.name, model.coe, address, secured)


async def identity_of(client: JeroboamClient, wanted: Wanted) -> Identity:
    """A new key with a certificate for it. The key is of its authority's kind: software that knows only RSA has an
    authority that is RSA.

    Raises:
        NoConfig: what came back does not fit together.
        CloudError: the API refuses.
    """
    authority = await client.authority(wanted.name, wanted.authority)
    kind = KeyKind.RSA_2048 if describe(authority.pem).key.startswith("RSA") else KeyKind.EC_P256
    subject = client_profiles.PROFILES[wanted.profile.subject]
    made = await asyncio.to_thread(new_key_and_csr, subject.common_name, subject.organization, kind)
    profile = None if wanted.profile is Profile.OWNER else wanted.profile.value
    signed = await client.sign(wanted.name, made.csr_pem, kind=wanted.authority, profile=profile, hours=wanted.hours)
    # Asked again, since a rotation may have begun or ended since the first time.
    authority = await client.authority(wanted.name, wanted.authority)
    _check(signed.pem, authority.pem)
    return Identity(authority.pem, signed.pem, made.key_pem)


def planned(door: Door, identity: Identity | None, folder: Path, *, user: str = "admin", pem: bool = False) -> Plan:
    """What the client of the bay's engine wants; `identity` is None where the bay has no TLS.

    Args:
        folder: where the files will be; the variables name it.
        user: tells the users of one bay apart in a kubeconfig.
        pem: the certificate, its key and the authority as files of their own too, where the client needs none.
    """
    pems = {} if identity is None else _pems(identity)
    match door.coe:
        case "kubernetes":
            config = kubeconfig(door, identity, user)
            files = {"config": config.text(), **(pems if pem else {})}
            return Plan(files, {"KUBECONFIG": str(folder / "config")}, "kubectl get nodes")
        case "mesos":
            host = f"[{door.address}]" if ":" in door.address else door.address
            return Plan({}, {"MARATHON_URL": f"http://{host}:{MARATHON_PORT}"}, 'curl "$MARATHON_URL/v2/apps"')
        case _:
            if identity is None:  # those of another bay may still be set
                plain = {"DOCKER_HOST": door.address, "DOCKER_TLS_VERIFY": None, "DOCKER_CERT_PATH": None}
                return Plan({}, plain, _DOCKER)
            variables = {"DOCKER_HOST": door.address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
            return Plan(pems, variables, _DOCKER)


def planned_etcd(identity: Identity, folder: Path) -> Plan:
    """What etcdctl wants. Where etcd answers is not said: it listens inside of the bay alone."""
    variables = dict(zip(("ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"), PEM_FILES, strict=True))
    found = {name: str(folder / file) for name, file in variables.items()}
    return Plan(
        _pems(identity), {"ETCDCTL_API": "3", **found}, "etcdctl --endpoints https://MASTER:2379 endpoint health"
    )


def file_names(door: Door, *, pem: bool = False, etcd: bool = False) -> tuple[str, ...]:
    """The files that a plan for this bay will have."""
    if etcd:
        return PEM_FILES
    kubernetes = ("config",) if door.coe == "kubernetes" else ()
    swarm = door.coe in ("swarm", "swarm-mode")
    return (*kubernetes, *(PEM_FILES if door.secured and (pem or swarm) else ()))


def kubeconfig(door: Door, identity: Identity | None, user: str) -> Kubeconfig:
    """The kubeconfig of a Kubernetes bay."""
    if identity is None:
        return Kubeconfig(door.name, door.address, user=user)
    return Kubeconfig(
        door.name, door.address, identity.authority_pem, identity.certificate_pem, identity.key_pem, user=user
    )


def _pems(identity: Identity) -> dict[str, str]:
    return dict(zip(PEM_FILES, (identity.authority_pem, identity.certificate_pem, identity.key_pem), strict=True))


def _reachable(bay: BayFull) -> str:
    see = f"openstack coe cluster show {shlex.quote(bay.name)}"
    if bay.status.startswith("DELETE_") and bay.status != "DELETE_FAILED":
        raise NoConfig(f"The bay {bay.name} is being deleted ({bay.status}).", "Make another one.")
    if bay.status == "CREATE_IN_PROGRESS" or (not bay.api_address and bay.status.endswith("_IN_PROGRESS")):
        cause = f"The bay {bay.name} is not ready: it is {bay.status}."
        raise NoConfig(cause, f"Wait until it is CREATE_COMPLETE, then run this again. See: {see} -c status")
    if not bay.api_address:
        cause = f"The bay {bay.name} has no address: it is {bay.status} ({bay.status_reason or 'no reason given'})."
        raise NoConfig(cause, f"Delete it and make it again once the reason is gone. See: {see}")
    return bay.api_address


def _check(certificate_pem: str, authorities_pem: str) -> None:
    """The certificate must come from one of the authorities, or nobody would accept it."""
    failed = "the API named no authority."
    for one in _CERTIFICATE.findall(authorities_pem):
        try:
            verify_chain(certificate_pem, one)
        except ChainError as error:
            failed = str(error)
        else:
            return
    cause = f"The certificate that was signed does not belong to the bay's authority: {failed}"
    raise NoConfig(cause, "Run this again: the authority was just rotated. If that does not help, it is a bug.")
