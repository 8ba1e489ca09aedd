"""Debian dressed up as the images that drivers are for: their files, units, users and the stand-ins at their places.

`images/<name>/` is copied over the root file system. An image is data, `Image`, so that another driver is another entry
of `IMAGES`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.support.lab.shell import LabError

HERE: Final = Path(__file__).parent
STANDINS: Final = "usr/lib/standins"
_PROGRAMS = ("/bin/", "/sbin/", "/libexec/")


@dataclass(frozen=True, kw_only=True)
class Image:
    """How an image differs from Debian."""

    files: tuple[str, ...] = ()
    """Folders below `images/`."""
    users: tuple[str, ...] = ()
    """Users of the system, each with a group of its own."""
    groups: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    """Stand-ins, by the path that each has there."""
    remove: tuple[str, ...] = ("usr/lib/systemd/system/docker.socket",)
    links: dict[str, str] = field(default_factory=dict)
    """Path to what it is a link to; what was there goes."""
    read_only: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    """Layers that it needs above the base one."""


KUBERNETES: Final = ("usr/bin/kube-apiserver", "usr/bin/kubelet", "usr/bin/flanneld", f"{STANDINS}/bin/hyperkube")

_FEDORA_ATOMIC: Final = Image(
    files=("fedora_atomic",),
    users=("kube", "etcd"),
    groups=("wheel",),
    programs=KUBERNETES,
    links={"usr/local": "../var/usrlocal"},
    read_only=("usr",),
)

IMAGES: Final[dict[str, Image]] = {
    "fedora-atomic": _FEDORA_ATOMIC,
    "fedora-atomic with swarm": replace(
        _FEDORA_ATOMIC, files=("fedora_atomic", "swarm_container"), programs=(*KUBERNETES, f"{STANDINS}/bin/swarm")
    ),
    "fedora": replace(_FEDORA_ATOMIC, links={}, read_only=()),
    "ubuntu": Image(
        files=("ubuntu",),
        programs=(
            *("usr/bin/kubeadm", "usr/bin/kubectl", "usr/bin/kubelet"),
            *(f"{STANDINS}/bin/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")),
        ),
    ),
    "ubuntu-mesos": Image(
        files=("ubuntu_mesos",),
        programs=("usr/bin/mesos-init-wrapper", "usr/bin/marathon"),
        remove=(),
        layers=("zookeeper",),
    ),
}
"""By the name that tests call them."""


def dresser(image: Image, without: Iterable[str] = ()) -> Callable[[Path], None]:
    """What makes a root file system that of the image, less the programs in `without` (by their last names)."""
    missing = set(without)

    def dress(root: Path) -> None:
        for path in image.remove:
            (root / path).unlink(missing_ok=True)
        for path, target in image.links.items():
            _link(root / path, target)
            (root / path).parent.joinpath(target).mkdir(parents=True, exist_ok=True)
        for folder in image.files:
            _copy(HERE / "images" / folder, root)
        _add_users(root, image)
        _add_standins(root, [path for path in image.programs if Path(path).name not in missing])
        _wrap_runc(root)
        unknown = missing - {Path(path).name for path in image.programs}
        if unknown:
            raise LabError(f"the image has no {', '.join(sorted(unknown))} to do without")

    return dress


def _copy(tree: Path, root: Path) -> None:
    for source in sorted(path for path in tree.rglob("*") if path.is_file()):
        target = root / source.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if any(part in f"/{source.relative_to(tree)}" for part in _PROGRAMS) else 0o644)


def _add_users(root: Path, image: Image) -> None:
    known = {name: _names(root, name) for name in ("passwd", "group")}
    new_groups = [name for name in (*image.users, *image.groups) if name not in known["group"]]
    ids = {name: 800 + number for number, name in enumerate(new_groups)}
    _append(root, "group", [f"{name}:x:{number}:" for name, number in ids.items()])
    users = [name for name in image.users if name not in known["passwd"]]
    _append(root, "passwd", [f"{name}:x:{ids[name]}:{ids[name]}::/:/usr/sbin/nologin" for name in users])


def _names(root: Path, table: str) -> set[str]:
    return {line.split(":")[0] for line in (root / "etc" / table).read_text().splitlines()}


def _append(root: Path, table: str, lines: list[str]) -> None:
    if lines:
        with (root / "etc" / table).open("a") as file:
            file.write("\n".join([*lines, ""]))


def _add_standins(root: Path, programs: list[str]) -> None:
    place = root / STANDINS
    shutil.copytree(HERE / "standins", place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "run").chmod(0o755)
    for path in programs:
        _link(root / path, f"/{STANDINS}/run")


def _wrap_runc(root: Path) -> None:
    runc = root / "usr/sbin/runc"
    runc.rename(runc.with_name("runc.real"))
    shutil.copyfile(HERE / "runc", runc)
    runc.chmod(0o755)


def _link(path: Path, target: str) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
