"""What tempest reads: tempest.conf, and the accounts of the simulated cloud's people, password as name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx
import yaml

CLASSIC: Final = {"demo": ("demo", ["member"]), "alt": ("alt", ["member"]), "admin": ("admin", ["admin"])}
PERSONAS: Final = {"demo": ("demo", ["member"]), "reader": ("demo", ["reader"]), "admin": ("demo", ["admin"])}
"""For the rbac tests, whose people must share a project; tempest picks them by role."""

_CONF: Final = """\
[DEFAULT]
log_file = {folder}/tempest.log

[auth]
use_dynamic_credentials = False
test_accounts_file = {folder}/accounts.yaml
admin_username = admin
admin_password = admin
admin_project_name = admin
admin_domain_name = Default

[identity]
auth_version = v3
uri_v3 = {keystone}
region = RegionOne

[oslo_concurrency]
lock_path = {folder}/locks

[service_available]
magnum = True
swift = False

[enforce_scope]
magnum = {rbac}

[magnum]
image_id = fedora-21-atomic-5
nic_id = public
keypair_name = {keypair}
flavor_id = m1.small
master_flavor_id = m1.small
dns_nameserver = 8.8.8.8
coe = kubernetes
network_driver = flannel
docker_storage_driver = overlay
copy_logs = False
cluster_creation_timeout = 5
cluster_delete_timeout = 5
"""


def let_admin_in(keystone_url: str) -> None:
    """Give `admin` the role of that name in project demo too, as the operator of a test cloud would."""
    domain = {"id": "default"}
    user = {"name": "admin", "domain": domain, "password": "admin"}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": "admin", "domain": domain}}
    with httpx.Client(base_url=keystone_url) as keystone:
        login = keystone.post("/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        keystone.headers["X-Auth-Token"] = login.headers["X-Subject-Token"]

        def find(kind: str, name: str) -> str:
            listed = keystone.get(f"/{kind}").raise_for_status().json()[kind]
            return next(str(one["id"]) for one in listed if one["name"] == name)

        path = f"/projects/{find('projects', 'demo')}/users/{find('users', 'admin')}/roles/{find('roles', 'admin')}"
        keystone.put(path).raise_for_status()


def write(folder: Path, keystone_url: str, *, rbac: bool) -> Path:
    """Write both into `folder`; returns the path of tempest.conf."""
    folder.mkdir(parents=True)
    people = PERSONAS if rbac else CLASSIC
    accounts = [
        {
            "username": name,
            "password": name,
            "project_name": project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "domain_name": "Default",
            "roles": roles,
            "types": ["admin"] if "admin" in roles else [],
        }
        for name, (project, roles) in people.items()
    ]
    (folder / "accounts.yaml").write_text(yaml.safe_dump(accounts))
    path = folder / "tempest.conf"
    # The classic tests delete the key pair if it is there and make it if it is not; the others want one that is.
    keypair = "testkey" if rbac else "tempest"
    path.write_text(_CONF.format(folder=folder, keystone=keystone_url, rbac=rbac, keypair=keypair))
    return path
