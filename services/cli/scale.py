"""`jeroboam scale`: how a bay grows and shrinks by itself, and why it did."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from services.cli.bays.names import BayName
from services.cli.bays.pictures import moment
from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.output import Format, Output, rows, show
from shared.client.api import JeroboamClient
from shared.contracts.http.scaling import EffectivePolicy, ScalingPolicyOut, StoredPolicy

app = typer.Typer(help="Autoscaling: the policy of a bay, and what was decided.", no_args_is_help=True)
policy = typer.Typer(help="How a bay is scaled by itself.", no_args_is_help=True)


@app.callback()
def scale() -> None:
    """Autoscaling: the policy of a bay, and what was decided. For another size now: jeroboam bay resize"""


@policy.callback()
def policies() -> None:
    """How a bay is scaled by itself. What its policy does not say is as its labels say, else as by default."""


@policy.command("show")
def show_policy(
    name: BayName, os_cloud: Cloud = None, endpoint: Endpoint = None, output: Output = Format.TABLE
) -> None:
    """Show every value that holds, and where it comes from: policy, label, nodegroup or default."""
    step = f"Show the scaling policy of {name}"
    found = ask(step, os_cloud, endpoint, lambda client: client.scaling_policy(name), name=name)
    show(found, output, lambda: _table(found))


@policy.command("set")
def set_policy(
    name: BayName,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Whether it is scaled by itself.")] = None,
    min_nodes: Annotated[int | None, typer.Option(min=0, metavar="NODES", help="How few are left.")] = None,
    max_nodes: Annotated[int | None, typer.Option(min=0, metavar="NODES", help="How many are made.")] = None,
    target_utilisation: Annotated[
        int | None,
        typer.Option("--target", min=1, max=100, metavar="PERCENT", help="It grows when more than this is asked for."),
    ] = None,
    scale_in_utilisation: Annotated[
        int | None,
        typer.Option(
            "--shrink-below", min=0, max=99, metavar="PERCENT", help="It shrinks when less than this is asked for."
        ),
    ] = None,
    quiet: Annotated[
        int | None, typer.Option(min=0, metavar="SECONDS", help="How long that must be so before it shrinks.")
    ] = None,
    scale_out_cooldown: Annotated[
        int | None, typer.Option("--out-cooldown", min=0, metavar="SECONDS", help="After a growth, before the next.")
    ] = None,
    scale_in_cooldown: Annotated[
        int | None, typer.Option("--in-cooldown", min=0, metavar="SECONDS", help="After any change, before it shrinks.")
    ] = None,
    scale_out_step: Annotated[
        int | None, typer.Option("--out-step", min=1, metavar="NODES", help="How many nodes may come at a time.")
    ] = None,
    scale_in_step: Annotated[
        int | None, typer.Option("--in-step", min=1, metavar="NODES", help="How many nodes may leave at a time.")
    ] = None,
    os_cloud: Cloud = None,
    endpoint: Endpoint = None,
    output: Output = Format.TABLE,
) -> None:
    """Say how a bay is to be scaled by itself. What is not named stays as the policy has it."""
    said = StoredPolicy(
        enabled=enabled,
        min_node_count=min_nodes,
        max_node_count=max_nodes,
        target_utilisation=target_utilisation,
        scale_in_utilisation=scale_in_utilisation,
        quiet_seconds=quiet,
        scale_out_cooldown_seconds=scale_out_cooldown,
        scale_in_cooldown_seconds=scale_in_cooldown,
        scale_out_step=scale_out_step,
        scale_in_step=scale_in_step,
    ).model_dump(exclude_none=True)
    if not said:
        raise typer.BadParameter("name what is to be another way, for instance --on --max-nodes 10")

    async def put(client: JeroboamClient) -> ScalingPolicyOut:
        before = await client.scaling_policy(name)
        return await client.put_scaling_policy(name, before.policy.model_copy(update=said))

    found = ask(f"Set the scaling policy of {name}", os_cloud, endpoint, put, name=name)
    show(found, output, lambda: _table(found))


@policy.command("unset")
def unset_policy(name: BayName, os_cloud: Cloud = None, endpoint: Endpoint = None) -> None:
    """Take the policy away: the bay's labels alone say how it is scaled."""
    step = f"Unset the scaling policy of {name}"
    ask(step, os_cloud, endpoint, lambda client: client.drop_scaling_policy(name), name=name)


@app.command()
def decisions(name: BayName, os_cloud: Cloud = None, endpoint: Endpoint = None, output: Output = Format.TABLE) -> None:
    """Show what autoscaling decided and why, newest first, also where it let the bay be."""
    step = f"Show the scaling decisions of {name}"
    found = ask(step, os_cloud, endpoint, lambda client: client.scaling_decisions(name), name=name)
    columns = {
        "WHEN (UTC)": lambda one: moment(one.at),
        "NODES": lambda one: one.node_count,
        "WANTED": lambda one: one.desired,
        "WHY": lambda one: one.reason,
    }
    show(found, output, lambda: rows(found, columns))


def _table(found: ScalingPolicyOut) -> Table:
    values = [(name, getattr(found.effective, name)) for name in EffectivePolicy.model_fields]
    return rows(
        values,
        {"WHAT": lambda one: one[0], "VALUE": lambda one: one[1].value, "FROM": lambda one: one[1].source},
    )


app.add_typer(policy, name="policy")
