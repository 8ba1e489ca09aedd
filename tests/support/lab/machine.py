"""Whether this machine can have a node lab, and where it keeps its things."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

PACKAGES = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
"""The programs that the lab needs, and Debian's package of each."""


def home() -> Path:
    """The folder of images and running nodes: `JEROBOAM_LAB`, else below the user's cache."""
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("JEROBOAM_LAB") or f"{cache_home}/jeroboam-lab").expanduser()


@cache
def why_not() -> str | None:
    """Why there can be no lab here; None when there can. Missing Debian packages are installed first."""
    if os.geteuid() != 0:
        return "it needs root, for namespaces, mounts and systemd-nspawn"
    missing = _missing()
    if missing and not _install(missing):
        return f"{', '.join(missing)} not found and not to be installed by apt-get"
    return _cannot_mount() or _cannot_make_namespaces()


def _missing() -> list[str]:
    return [program for program in PACKAGES if shutil.which(program) is None]


def _install(programs: list[str]) -> bool:
    if shutil.which("apt-get") is None:
        return False
    names = [PACKAGES[program] for program in programs]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *names]):
        subprocess.run(["apt-get", "-qq", *command], env=environment, capture_output=True, timeout=300, check=False)
    return not _missing()


def _cannot_mount() -> str | None:
    """An overlay on the lab's own folder: it is refused where that folder is on an overlay itself."""
    place = home() / "probe"
    folders = {name: place / name for name in ("lower", "upper", "work", "root")}
    try:
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={folders['lower']},upperdir={folders['upper']},workdir={folders['work']}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(folders["root"])]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"no overlay can be mounted in {home()}: {done.stderr.strip()}"
        subprocess.run(["umount", str(folders["root"])], check=False)
    except OSError as error:
        return f"{home()} cannot be written: {error.strerror}"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return None


def _cannot_make_namespaces() -> str | None:
    name = f"jb-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no network namespace can be made: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return None
