"""The root file system that all nodes share: Debian, made once by debootstrap, kept, and never written to again.

A node sees it through an overlay of its own. What only some nodes need (Java for ZooKeeper) is a layer on top, so that
the others do not wait for it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from tests.support.lab import machine
from tests.support.lab.shell import run

SUITE = "bookworm"
EDITION = "4"
"""Counts the changes of how images are made; another one is another image."""

BASE = [
    *(
        "systemd",
        "systemd-sysv",
        "dbus",
        "cloud-init",
        "locales",
        "libnss-myhostname",
        "sudo",
        *("openssh-server", "udev"),
        "gnupg",
    ),
    *("curl", "openssl", "ca-certificates", "jq", "python3", "python3-yaml"),
    *("iproute2", "iptables", "procps", "kmod", "socat", "conntrack", "ethtool", "xfsprogs", "lvm2"),
    *("etcd-server", "etcd-client", "docker.io"),
]
"""Debian's packages in every node. xfsprogs and lvm2 are what the guide's images have for docker's storage."""

LAYERS = {"zookeeper": ["default-jre-headless", "zookeeperd", "python3-kazoo"]}
"""Name of a layer to the packages that it adds."""

_DISABLED = ("etcd", "docker", "docker.socket", "containerd", "ssh", "zookeeper")
"""Services that Debian enables and a cloud image leaves to the user-data."""
_MASKED = (
    "lvm2-monitor.service",
    *("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service"),
)
"""What has no place in a container, or costs time for nothing."""
_MANY_MINUTES = 1200.0


async def layers(*names: str) -> list[Path]:
    """The folders to stack, the topmost first; makes what is not there yet, one process at a time.

    Raises:
        LabError: debootstrap or apt-get failed; the message holds what they said.
    """
    async with _one_at_a_time():
        base = await _made("base", BASE, _bootstrap)

        async def extend(folder: Path, packages: list[str]) -> None:
            await _extend(base, folder, packages)

        return [*[await _made(name, LAYERS[name], extend) for name in reversed(names)], base]


@asynccontextmanager
async def _one_at_a_time() -> AsyncIterator[None]:
    """Other tasks of this process wait here as well, so the loop must go on."""
    machine.home().mkdir(parents=True, exist_ok=True)
    with (machine.home() / "image.lock").open("w") as lock:
        while not _locked(lock):
            await asyncio.sleep(0.2)
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _made(name: str, packages: list[str], make: Callable[[Path, list[str]], Awaitable[None]]) -> Path:
    """The folder of that name and content, which appears whole or not at all."""
    mark = hashlib.sha256(" ".join([SUITE, EDITION, *sorted(BASE), *sorted(packages)]).encode()).hexdigest()[:12]
    place = machine.home() / f"{name}-{mark}"
    if not place.is_dir():
        unfinished = place.with_name(f"{place.name}.unfinished")
        for left in (f"{unfinished}.root", f"{unfinished}/proc"):  # of one that was killed
            await run("umount", "--recursive", "--lazy", left, check=False)
        shutil.rmtree(unfinished, ignore_errors=True)
        await make(unfinished, packages)
        unfinished.rename(place)
    return place


async def _bootstrap(folder: Path, packages: list[str]) -> None:
    """debootstrap leaves some packages unconfigured, and says so by failing; apt-get finishes them.

    It also leaves its own start-stop-daemon, which starts nothing, in place of the real one.
    """
    include = f"--include={','.join(packages)}"
    await run("debootstrap", "--variant=minbase", include, SUITE, str(folder), limit=_MANY_MINUTES, check=False)
    await _in(folder, "apt-get", "-f", "install", "-y", "-qq")
    real = folder / "sbin/start-stop-daemon.REAL"
    if real.exists():
        real.rename(folder / "sbin/start-stop-daemon")
    await _finish(folder)


async def _extend(base: Path, folder: Path, packages: list[str]) -> None:
    """Only what the packages add to the base lies in the folder afterwards."""
    async with mounted([base], folder) as root:
        await _in(root, "apt-get", "update", "-qq")
        await _in(root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)
        await _finish(root)


async def _finish(root: Path) -> None:
    for verb, units in (("disable", _DISABLED), ("mask", _MASKED)):
        for unit in units:
            await run("chroot", str(root), "systemctl", verb, unit, check=False)
    await _in(root, "apt-get", "clean")
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)


async def _in(root: Path, *command: str) -> None:
    proc = root / "proc"
    await run("mount", "-t", "proc", "proc", str(proc))
    try:
        quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
        await run("chroot", str(root), *quiet, *command, limit=_MANY_MINUTES)
    finally:
        await run("umount", str(proc))


@asynccontextmanager
async def mounted(lower: list[Path], upper: Path) -> AsyncIterator[Path]:
    """The layers as one writable file system while the body runs; what is written stays in `upper`."""
    work, root = upper.with_name(f"{upper.name}.work"), upper.with_name(f"{upper.name}.root")
    for folder in (upper, work, root):
        folder.mkdir(parents=True, exist_ok=True)
    await mount(lower, upper, work, root)
    try:
        yield root
    finally:
        await run("umount", str(root))
        shutil.rmtree(work)
        root.rmdir()


async def mount(lower: list[Path], upper: Path, work: Path, root: Path) -> None:
    """Stack the layers, the topmost first, with `upper` above them."""
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    await run("mount", "-t", "overlay", "overlay", "-o", options, str(root))
