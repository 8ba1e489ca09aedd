"""`jeroboam baymodel`: what bays can be made after."""

from __future__ import annotations

import typer

from services.cli.bays.names import BaymodelName
from services.cli.cloud import Cloud, Endpoint, ask
from services.cli.output import Format, Output, facts, rows, screen, show

app = typer.Typer(help="Look at baymodels.", no_args_is_help=True)


@app.callback()
def baymodels() -> None:
    """Look at baymodels, after which bays are made. Make them with: openstack coe cluster template create"""


@app.command("list")
def list_baymodels(os_cloud: Cloud = None, endpoint: Endpoint = None, output: Output = Format.TABLE) -> None:
    """List this project's baymodels and the public ones."""
    found = ask("List the baymodels", os_cloud, endpoint, lambda client: client.baymodels())
    columns = {
        "UUID": lambda one: one.uuid,
        "NAME": lambda one: one.name,
        "COE": lambda one: one.coe,
        "IMAGE": lambda one: one.image_id,
        "FLAVOR": lambda one: one.flavor_id,
        "PUBLIC": lambda one: one.public,
    }
    show(found, output, lambda: rows(found, columns))
    if not found and output is Format.TABLE:
        screen(stderr=True).print("There are none. Make one with: openstack coe cluster template create --help")


@app.command("show")
def show_baymodel(
    name: BaymodelName, os_cloud: Cloud = None, endpoint: Endpoint = None, output: Output = Format.TABLE
) -> None:
    """Show what bays get that are made after a baymodel."""
    found = ask(f"Show the baymodel {name}", os_cloud, endpoint, lambda client: client.baymodel(name), name=name)
    told = found.model_dump(mode="json", exclude={"links"})
    show(found, output, lambda: facts({key: value for key, value in told.items() if value not in (None, "", {})}))
