"""`jeroboam bay create`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Annotated, Final

import typer

from services.cli.bays.names import Timeout, Wait, complete_baymodels
from services.cli.bays.pictures import bay_facts
from services.cli.bays.waiting import Change, Patience, ask_for
from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.output import Format, Output, facts, show
from shared.client.api import JeroboamClient
from shared.contracts.http.bays import BayFull
from shared.contracts.http.dry_run import DryRun

_ADVICE: Final[Mapping[int | None, str]] = {
    404: "Look at the name of the baymodel: jeroboam baymodel list shows what there is.",
    409: "Wait for what is under way, then run this again.",
}


class YesNo(StrEnum):
    """An answer; none is none."""

    YES = "yes"
    NO = "no"


NewName = Annotated[str, typer.Argument(metavar="NAME", help="What the bay is to be called.")]
Baymodel = Annotated[
    str,
    typer.Option(
        "--baymodel",
        "-b",
        metavar="NAME",
        help="What it is to be made after, by name or uuid.",
        autocompletion=complete_baymodels,
    ),
]
NodeCount = Annotated[int, typer.Option(min=1, metavar="N", help="Nodes, which run your containers.")]
MasterCount = Annotated[
    int, typer.Option(min=1, metavar="N", help="Masters: an odd number; several want --master-lb yes.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A setting of the driver, instead of the baymodel's; may be repeated."),
]
Flavor = Annotated[str | None, typer.Option(metavar="NAME", help="Flavor of the nodes; else the baymodel's.")]
MasterFlavor = Annotated[str | None, typer.Option(metavar="NAME", help="Flavor of the masters; else the baymodel's.")]
DockerVolumeSize = Annotated[
    int | None, typer.Option(min=1, metavar="GB", help="Each node's volume for containers; else the baymodel's.")
]
FixedNetwork = Annotated[str | None, typer.Option(metavar="NAME", help="An existing network for the nodes.")]
FixedSubnet = Annotated[str | None, typer.Option(metavar="NAME", help="An existing subnet of it.")]
FloatingIp = Annotated[
    YesNo | None,
    typer.Option(metavar="yes|no", help="A floating address for each node; else as the baymodel says."),
]
MasterLb = Annotated[
    YesNo | None,
    typer.Option(metavar="yes|no", help="A load balancer before the masters; else as the baymodel says."),
]
CreateTimeout = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="MINUTES",
        help="How long making it may take before it fails; 0: until nothing changes for two hours.",
    ),
]
Rehearse = Annotated[
    bool, typer.Option("--dry-run", help="Only show what it would be; json and yaml have the Heat template too.")
]


def create(
    name: NewName,
    baymodel: Baymodel,
    node_count: NodeCount = 1,
    master_count: MasterCount = 1,
    label: Labels = None,
    flavor: Flavor = None,
    master_flavor: MasterFlavor = None,
    docker_volume_size: DockerVolumeSize = None,
    fixed_network: FixedNetwork = None,
    fixed_subnet: FixedSubnet = None,
    floating_ip: FloatingIp = None,
    master_lb: MasterLb = None,
    create_timeout: CreateTimeout = 60,
    dry_run: Rehearse = False,
    wait: Wait = False,
    timeout: Timeout = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a bay after a baymodel.

    Without --wait it comes back at once, while the bay is being made. A master is one more server than the nodes.
    """
    asked = {
        "name": name,
        "baymodel_id": baymodel,
        "node_count": node_count,
        "master_count": master_count,
        "bay_create_timeout": create_timeout,
        "labels": _labels(label) if label else None,
        "flavor_id": flavor,
        "master_flavor_id": master_flavor,
        "docker_volume_size": docker_volume_size,
        "fixed_network": fixed_network,
        "fixed_subnet": fixed_subnet,
        "floating_ip_enabled": floating_ip and floating_ip is YesNo.YES,
        "master_lb_enabled": master_lb and master_lb is YesNo.YES,
    }
    fields = {key: value for key, value in asked.items() if value is not None}
    step = f"Create the bay {name}"
    if dry_run:
        _rehearse(step, os_cloud, endpoint, fields, output)
        return
    change = Change(step, name, ("create",), Patience(wait, timeout))
    work = partial(_made, change=change, fields=fields)
    made = ask(step, os_cloud, endpoint, work, name=baymodel, advice=_ADVICE)
    show(made, output, lambda: bay_facts(made))


async def _made(client: JeroboamClient, change: Change, fields: Mapping[str, object]) -> BayFull:
    model = await client.baymodel(str(fields["baymodel_id"]))  # here it is 404 that says that there is none
    fields = {**fields, "baymodel_id": model.uuid}
    uuid = await ask_for(client, change, lambda: client.create_bay(fields), bay=None)
    return await client.bay(uuid)


def _rehearse(
    step: str, os_cloud: str | None, endpoint: str | None, fields: Mapping[str, object], output: Format
) -> None:
    async def rehearsed(client: JeroboamClient) -> DryRun:
        model = await client.baymodel(str(fields["baymodel_id"]))
        return await client.plan_bay({**fields, "baymodel_id": model.uuid})

    plan = ask(step, os_cloud, endpoint, rehearsed, name=str(fields["baymodel_id"]), advice=_ADVICE)
    told = {
        "driver": plan.driver,
        "labels": plan.effective_labels,
        "resources": plan.resources,
        "footprint": plan.footprint,
        "warnings": plan.warnings,
    }
    show(plan, output, lambda: facts(told))


def _labels(given: list[str]) -> dict[str, str]:
    labels = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{one} is not KEY=VALUE", param_hint="--label")
        labels[key] = value
    return labels
