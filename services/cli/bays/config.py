"""`jeroboam bay config`: files and variables for the clients of a bay's engine."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from services.cli.bay_config import (
    Door,
    Identity,
    NoConfig,
    Plan,
    Profile,
    Wanted,
    door_of,
    file_names,
    identity_of,
    kubeconfig,
    planned,
    planned_etcd,
)  # fmt: skip
from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.files import make_folder, put
from services.cli.kubeconfig import Kubeconfig, usual_file
from services.cli.shells import Shell, assignments, evaluated, shell_of
from shared.client.api import JeroboamClient
from shared.domain.errors import JeroboamError
from shared.pki_client.describe import describe

_ADVICE: Final[Mapping[int | None, str]] = {
    400: "Do what the answer says; a certificate needs a bay that is ready and has TLS.",
    403: "Who made the bay, and administrators, get certificates for it. Ask one of them for a reader's: "
    "jeroboam bay config NAME --profile reader",
    404: "Look at the name and the project: jeroboam bay list (or openstack coe cluster list) shows what it has.",
    503: "The service cannot sign just now. Run this again in some seconds.",
}

Hours = Annotated[
    int | None, typer.Option(min=1, help="How long the certificate is good; else as long as the operator lets it.")
]


@dataclass(frozen=True)
class _Target:
    """Where the result goes."""

    folder: Path | None
    merge: bool
    force: bool
    pem: bool
    etcd: bool
    variables: bool
    shell: Shell


def config(
    name: Annotated[str, typer.Argument(help="The bay, by name or uuid.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where the files go; else ~/.jeroboam/NAME.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Kubernetes: add to the file that kubectl reads ($KUBECONFIG, ~/.kube/config)."),
    ] = False,
    pem: Annotated[
        bool, typer.Option("--pem", help="Kubernetes: write ca.pem, cert.pem and key.pem too, for curl and openssl.")
    ] = False,
    etcd: Annotated[
        bool, typer.Option("--etcd", help="Kubernetes: for etcdctl instead, which needs to reach the bay's masters.")
    ] = False,
    variables: Annotated[
        bool, typer.Option("--variables", help="Only print the variables again, for files that are there: a new shell.")
    ] = False,
    profile: Annotated[
        Profile, typer.Option(help="owner and admin: may do all. reader: may only look (Kubernetes).")
    ] = Profile.OWNER,
    hours: Hours = None,
    shell: Annotated[Shell | None, typer.Option(help="Whose syntax the variables have; else that of $SHELL.")] = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
) -> None:
    """Write what kubectl, docker or Marathon's clients need to use a bay, and print the variables to set.

    Makes a key on this machine, has the bay's authority sign a certificate for it, and writes, readable by you alone:

    Kubernetes: config, a kubeconfig with everything inside. Swarm: ca.pem, cert.pem and key.pem. Mesos: nothing, since
    Marathon asks for no certificate.

    Only the variables go to standard output, so that a shell can take them: eval "$(jeroboam bay config NAME)"
    """
    console = Console(highlight=False, stderr=True, soft_wrap=True)
    target = _Target(folder, merge, force, pem, etcd, variables, shell or shell_of(os.environ.get("SHELL")))
    wanted = Wanted(name, profile, hours, "etcd" if etcd else None)
    step = f"Configure clients of the bay {name}"
    ask(step, os_cloud, endpoint, lambda client: _configure(client, wanted, target, console), name=name, advice=_ADVICE)


async def _configure(client: JeroboamClient, wanted: Wanted, target: _Target, console: Console) -> None:
    door = await door_of(client, wanted.name)
    _check(door, target)
    usual = Path("~/.jeroboam") / door.name / ("etcd" if target.etcd else "")
    folder = (target.folder or usual).expanduser().absolute()
    names = () if target.merge else file_names(door, pem=target.pem, etcd=target.etcd)
    paths = [folder / one for one in names]
    if target.variables:
        _again(door, paths, target, folder)
        return
    if not target.force:  # before anything is signed
        _free(paths)
    identity = await identity_of(client, wanted) if door.secured else None
    user = "reader" if wanted.profile is Profile.READER else "admin"
    if target.merge:
        _merged(door, identity, user, target, console)
    else:
        _written(door, identity, user, target, folder, console)


def _check(door: Door, target: _Target) -> None:
    """Raises NoConfig for what this bay has no use for."""
    if target.merge and target.etcd:
        raise NoConfig("etcd has no kubeconfig.", "Leave --merge or --etcd out.")
    for option, chosen in (("--merge", target.merge), ("--etcd", target.etcd)):
        if chosen and door.coe != "kubernetes":
            raise NoConfig(f"The bay {door.name} is no Kubernetes: its coe is {door.coe}.", f"Leave {option} out.")
    if target.etcd and not door.secured:
        raise NoConfig(f"TLS is disabled in the bay {door.name}.", "Use etcdctl without certificates.")


def _again(door: Door, paths: list[Path], target: _Target, folder: Path) -> None:
    """Print the variables for what an earlier run wrote."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise NoConfig(f"{missing[0]} is not there.", "Leave --variables out, or name the folder with --dir.")
    plan = _plan(door, Identity("", "", "") if door.secured else None, "", target, folder)
    typer.echo(assignments(target.shell, plan.variables), nl=False)


def _plan(door: Door, identity: Identity | None, user: str, target: _Target, folder: Path) -> Plan:
    if target.etcd and identity is not None:
        return planned_etcd(identity, folder)
    return planned(door, identity, folder, user=user, pem=target.pem)


def _written(door: Door, identity: Identity | None, user: str, target: _Target, folder: Path, console: Console) -> None:
    plan = _plan(door, identity, user, target, folder)
    if plan.files:
        make_folder(folder)
        put({folder / name: text for name, text in plan.files.items()})
        console.print(f"Written to {escape(str(folder))}: {', '.join(plan.files)}.")
    _tell_end(identity, console)
    typer.echo(assignments(target.shell, plan.variables), nl=False)
    if sys.stdout.isatty():
        options = f"{' --etcd' if target.etcd else ''}{f' --dir {shlex.quote(str(folder))}' if target.folder else ''}"
        command = f"jeroboam bay config {shlex.quote(door.name)}{options} --variables"
        console.print(f"Set these variables, or let your shell do it: {escape(evaluated(target.shell, command))}")
    console.print(f"Then try: {escape(plan.first)}")


def _merged(door: Door, identity: Identity | None, user: str, target: _Target, console: Console) -> None:
    path, made = usual_file(), kubeconfig(door, identity, user)
    before = made.merge(path, force=target.force)
    console.print(f"Added to {escape(str(path))}: the context {made.context}, which is the current one now.")
    if before is not None:
        console.print(f"Back to the one before: kubectl config use-context {escape(shlex.quote(before))}")
    _tell_end(identity, console)
    console.print("Then try: kubectl get nodes")


def _tell_end(identity: Identity | None, console: Console) -> None:
    if identity is not None:
        end = describe(identity.certificate_pem).not_after
        console.print(
            f"The certificate is good until {end:%Y-%m-%d %H:%M} UTC; after that, run this again with --force."
        )


def _free(paths: list[Path]) -> None:
    """Nothing that is there is replaced unasked: it may be the only copy of a key."""
    there = [path for path in paths if path.exists()]
    if not there:
        return
    ended = _ended(there)
    cause = f"{there[0]} is there already{f'; its certificate ended on {ended:%Y-%m-%d}' if ended else ''}."
    again = "" if ended else " For the variables alone, in a new shell, say --variables."
    raise NoConfig(cause, f"Replace it with --force, or choose another folder with --dir.{again}")


def _ended(paths: list[Path]) -> datetime | None:
    """When the certificate in one of our files ended, if it did."""
    for path in paths:
        try:
            pem = Kubeconfig.read(path).certificate_pem if path.name == "config" else path.read_text()
            facts = describe(pem)
        except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError, JeroboamError):
            continue  # not one of ours, or a key
        if not facts.is_authority and facts.not_after < datetime.now(UTC):
            return facts.not_after
    return None
