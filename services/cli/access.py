"""How ordinary OpenStack clients reach the stack that runs here: `clouds.yaml` and `openrc` files."""

from __future__ import annotations

from pathlib import Path

import yaml

from services.cli.stack import PROJECT_OF
from services.cli.workspace import write_private


def write_access(folder: Path, keystone_url: str, *, api: str, control: str, demo: str = "demo") -> None:
    """Write `clouds.yaml` (clouds demo, alt, reader, admin) and `openrc`, `openrc.alt`, `openrc.reader`,
    `openrc.admin`, all 0600; `openrc` is demo's. They also say where `api` and the cloud's `control` door are.

    `demo` is who demo is: a newcomer of the simulated cloud, where several are to keep out of one another's way.
    """
    people = {"demo": demo, "alt": "alt", "reader": "reader", "admin": "admin"}
    clouds = {cloud: {"auth": _auth(user, keystone_url), **_REST} for cloud, user in people.items()}
    write_private(folder / "clouds.yaml", yaml.safe_dump({"clouds": clouds}, sort_keys=False))
    for cloud, user in people.items():
        name = "openrc" if cloud == "demo" else f"openrc.{cloud}"
        variables = environment(user, keystone_url) | {"JEROBOAM_API": api, "JEROBOAM_CONTROL": control}
        write_private(folder / name, "".join(f"export {key}={value}\n" for key, value in variables.items()))


def environment(user: str, keystone_url: str) -> dict[str, str]:
    """The variables of `openrc` by which a client is that user. Magnum's client of 2016 knows a project as a tenant."""
    variables = {f"OS_{key.upper()}": value for key, value in _auth(user, keystone_url).items()}
    variables["OS_TENANT_NAME"] = variables["OS_PROJECT_NAME"]
    return variables | {"OS_REGION_NAME": "RegionOne", "OS_INTERFACE": "public", "OS_IDENTITY_API_VERSION": "3"}


_REST = {"region_name": "RegionOne", "interface": "public", "identity_api_version": 3}


def _auth(user: str, keystone_url: str) -> dict[str, str]:
    return {
        "auth_url": keystone_url,
        "username": user,
        "password": user,
        "project_name": PROJECT_OF.get(user, user),
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
