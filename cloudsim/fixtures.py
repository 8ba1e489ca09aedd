"""What every simulated cloud holds at its start: the names that the user guide's commands use.

Ids are the same in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudsim import networking
from cloudsim.identity.state import DEFAULT_DOMAIN, Assignment, Identity, Project, User, stable_identity_id
from cloudsim.store import Store
from cloudsim.world import stable_id

if TYPE_CHECKING:
    from cloudsim.world import World

PROJECTS = ("admin", "demo", "alt", "service")
# user: (home project, roles there); the password is the name.
USERS = {
    "admin": ("admin", ("admin",)),
    "demo": ("demo", ("member",)),
    "alt": ("alt", ("member",)),
    "reader": ("demo", ("reader",)),
    "jeroboam": ("service", ("service", "admin")),
}
# flavor: (id, MiB of memory, GiB of disk, vCPUs)
FLAVORS = {
    "m1.small": ("2", 2048, 20, 1),
    "m1.medium": ("3", 4096, 40, 2),
    "m1.magnum": ("100", 1024, 8, 1),
    "baremetal": ("200", 8192, 100, 4),
}
# image: (os_distro or "" for none, minimum disk in GiB, size in bytes)
IMAGES = {
    "fedora-21-atomic-5": ("fedora-atomic", 6, 770_000_000),
    "fedora-23-atomic-7": ("fedora-atomic", 6, 780_000_000),
    "fedora-atomic-29": ("fedora-atomic", 6, 860_000_000),
    "coreos": ("coreos", 6, 320_000_000),
    "coreos-stable": ("coreos", 6, 330_000_000),
    "ubuntu-mesos": ("ubuntu", 6, 640_000_000),
    "ubuntu-24.04": ("ubuntu", 6, 600_000_000),
    "cirros": ("", 1, 20_000_000),
    "fedora-k8s-ironic": ("fedora", 10, 900_000_000),
}
# A public key whose private half was thrown away when it was made.
TEST_PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHtu9h+++y4SmROJwVDcL7JSsy/x2VFMzfhbiqHorvqf testkey@cloudsim"
PUBLIC_NETWORK_CIDR = "127.64.0.0/10"


def load(world: World) -> None:
    """Fill an empty world."""
    _identity(world.identity)
    _compute(world.store)
    _network(world)
    for name, (distro, disk, size) in IMAGES.items():
        attrs = {
            "name": name,
            **({"os_distro": distro} if distro else {}),
            "min_disk": disk,
            "size": size,
            "visibility": "public",
        }
        world.store.create("image", project_id("admin"), attrs, id=stable_id("image", name))
    volume_type = {"name": "lvmdriver-1", "is_public": True, "description": None, "extra_specs": {}}
    world.store.create("volume_type", "", volume_type, id=stable_id("volume_type", "lvmdriver-1"))


def project_id(name: str) -> str:
    """The id of a fixture project."""
    return stable_identity_id("project", name)


def user_id(name: str) -> str:
    """The id of a fixture user."""
    return stable_identity_id("user", name)


def _identity(identity: Identity) -> None:
    for name in PROJECTS:
        identity.projects[project_id(name)] = Project(project_id(name), name, f"Fixture project {name}")
    for name, (home, roles) in USERS.items():
        identity.users[user_id(name)] = User(user_id(name), name, name)
        identity.assignments.update(Assignment(user_id(name), role, project_id=project_id(home)) for role in roles)
    everywhere = Assignment(user_id("jeroboam"), "member", domain_id=DEFAULT_DOMAIN, inherited=True)
    identity.assignments.add(everywhere)


def _compute(store: Store) -> None:
    for name, (flavor_id, ram, disk, vcpus) in FLAVORS.items():
        store.create("flavor", "", {"name": name, "ram": ram, "disk": disk, "vcpus": vcpus}, id=flavor_id)
    for owner in ("demo", "alt"):
        _key(store, owner)


def _key(store: Store, owner: str) -> None:
    attrs = {"name": "testkey", "user_id": user_id(owner), "public_key": TEST_PUBLIC_KEY}
    store.create("keypair", "", attrs, id=stable_id("keypair", f"testkey-{owner}"))


def newcomer(world: World, name: str) -> None:
    """A user of that name, member of a project of that name, with the key pair `testkey`: what `demo` is in `demo`."""
    identity, project = world.identity, project_id(name)
    identity.projects[project] = Project(project, name)
    identity.users[user_id(name)] = User(user_id(name), name, name)
    identity.assignments.add(Assignment(user_id(name), "member", project_id=project))
    _key(world.store, name)
    networking.default_group(world, project)


def _network(world: World) -> None:
    store = world.store
    for name in PROJECTS:
        networking.default_group(world, project_id(name))
    network_id = stable_id("network", "public")
    attrs = {"name": "public", "router:external": True, "shared": False, "tags": []}
    store.create("network", project_id("admin"), attrs, id=network_id)
    subnet = {"name": "public-subnet", "network_id": network_id, "cidr": PUBLIC_NETWORK_CIDR, "enable_dhcp": False}
    subnet |= {"gateway_ip": "127.64.0.1", "dns_nameservers": [], "tags": []}
    store.create("subnet", project_id("admin"), subnet, id=stable_id("subnet", "public-subnet"))
