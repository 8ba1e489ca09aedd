"""Programs of others that the pages run: which there are, and Debian's packages of those that a machine is without."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from typing import Final

FOREIGN: Final = frozenset({"kubectl", "docker", "etcdctl", "helm", "jq", "curl", "openssl", "ssh"})
"""Programs that a machine may be without; a section that needs one is then left out from there on."""

PACKAGES: Final = {"jq": "jq", "docker": "docker-cli"}
"""Small ones without a daemon; a release of Debian that lacks one goes without it. Its kubectl may be years old."""


def install_missing() -> None:
    """Install what is absent, as root on Debian; what cannot be had is seen in what is left out."""
    packages = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not packages or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    _apt_get("update")
    for package in packages:  # by itself each, since apt-get installs none when it does not know one
        _apt_get("install", "-y", "--no-install-recommends", package)


def _apt_get(*words: str) -> None:
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60", *words]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            timeout=120,
            check=False,
        )
