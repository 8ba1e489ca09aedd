"""One machine: an overlay on the shared image, started by systemd-nspawn, configured by cloud-init as on a cloud."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.runtime.child import bound
from tests.support.lab import cgroups, image
from tests.support.lab.disks import Disk
from tests.support.lab.network import GATEWAY
from tests.support.lab.shell import LabError, run

BOOT_LIMIT = 60.0

_CLOUD_CFG = "datasource_list: [NoCloud]\nnetwork: {config: disabled}\nlocale: C.UTF-8\nssh_genkeytypes: [ed25519]\n"
_START = 'for group in $1; do echo $$ >"$group"; done; shift; exec "$@"'
_WRITABLE_CGROUPS = "for place in /sys/fs/cgroup/*/; do mount -o remount,bind,rw $place || true; done"
"""systemd-nspawn leaves the node's part of the first version's hierarchies read-only; docker wants to write there."""
_KEPT_OUTSIDE = ("var/lib/docker", "var/lib/containerd", "var/lib/kubelet")
"""Folders that do not lie on the node's overlay, since no overlay can be mounted there."""
_LOGS = """
tail -n +1 /var/lib/jeroboam/*.log /var/lib/jeroboam/failed /var/lib/jeroboam/agent-error 2>/dev/null | tail -n 150
grep -v -E 'ci-info|ssh-|BEGIN|END|SHA256|^[|+]|cloud-init: #|key|modules:' /var/log/cloud-init-output.log | tail -n 25
systemctl --failed --no-legend
journalctl -b --no-pager | grep stand-in: | tail -n 20
journalctl -b --no-pager -u jeroboam-agent | tail -n 10
journalctl -b -p warning --no-pager | tail -n 40
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a node is to be, as a cloud knows it."""

    name: str
    server_id: str
    address: str
    user_data: str = field(repr=False)
    volumes: tuple[str, ...] = ()
    """Ids of volumes that are attached; the node finds each as the block device of that id."""
    layers: tuple[str, ...] = ()
    """Layers of the image above the base one."""
    dress: Callable[[Path], None] = lambda _root: None
    """Makes the root file system that of the driver's image, before the boot."""
    read_only: tuple[str, ...] = ()
    """Folders that cannot be written on that image."""


class Node:
    """A machine that was booted in `namespace`; everything of it lies in `folder`."""

    def __init__(self, machine: Machine, mark: str, namespace: str, folder: Path) -> None:
        self.machine = machine
        self._mark = mark
        self._namespace = namespace
        self._folder = folder
        self._root = folder / "root"
        self._launcher: asyncio.subprocess.Process | None = None
        self._disks: list[Disk] = []

    async def boot(self) -> None:
        """Start it; returns when commands can be run in it, long before cloud-init is done.

        Raises:
            LabError: it did not come up; the message holds its console.
        """
        await self._make_root()
        for folder in self._kept_outside():
            (self._folder / Path(folder).name).mkdir()
        await self.start()

    async def start(self) -> None:
        """Switch it on, for the first time or after `power_off`. Raises LabError as `boot`."""
        groups = " ".join(map(str, cgroups.make(self._mark)))
        with (self._folder / "console.log").open("ab") as console:
            self._launcher = await asyncio.create_subprocess_exec(
                *bound(["sh", "-c", _START, "sh", groups, *self._command()]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1", "SYSTEMD_LOG_LEVEL": "warning"},
                start_new_session=True,
            )
        await self._wait_for_systemd()
        await self.sh(_WRITABLE_CGROUPS)

    async def run(self, *command: str, limit: float = 60.0, check: bool = True, stdin: str = "") -> str:
        """Run a command in the node, as root; gives its standard output. Raises LabError when it fails."""
        enter = ("nsenter", "-t", str(await self._first_process()), "-m", "-u", "-i", "-n", "-p", "--")
        return await run(*enter, *command, limit=limit, check=check, stdin=stdin)

    async def sh(self, script: str, *, limit: float = 60.0, check: bool = True) -> str:
        """Run a line of shell in the node."""
        return await self.run("sh", "-c", script, limit=limit, check=check)

    async def initialised(self, limit: float = 180.0) -> str:
        """Wait until cloud-init is done; gives its last word, `done` or `error` and so on."""
        said = await self.run("cloud-init", "status", "--wait", limit=limit, check=False)
        return said.strip().removeprefix("status:").split()[-1] if said.strip() else ""

    async def story(self) -> str:
        """What its logs say, for whoever asks why it failed."""
        with suppress(LabError):
            return f"── {self.machine.name} ──\n{await self.sh(_LOGS, check=False)}"
        return f"── {self.machine.name} ──\n{self._console()}"

    async def power_off(self) -> None:
        """End all that runs in it, at once; what it has written stays."""
        await cgroups.end(self._mark)
        if self._launcher is not None:
            await self._launcher.wait()
            self._launcher = None

    async def down(self) -> None:
        """End all that runs in it and remove what it wrote. Doing it twice does no harm."""
        await self.power_off()
        for disk in self._disks:
            await disk.detach()
        self._disks.clear()
        if self._root.is_mount():
            await run("umount", str(self._root))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kept_outside(self) -> tuple[str, ...]:
        """A volume gets its place from the user-data, which must find nothing mounted there."""
        return ("var/lib/kubelet",) if self.machine.volumes else _KEPT_OUTSIDE

    async def _make_root(self) -> None:
        upper, work = self._folder / "upper", self._folder / "overlay"
        for folder in (upper, work, self._root):
            folder.mkdir(parents=True)
        await image.mount(await image.layers(*self.machine.layers), upper, work, self._root)
        self.machine.dress(self._root)
        names = self._root / "etc/resolv.conf"
        names.unlink(missing_ok=True)
        names.write_text(f"nameserver {GATEWAY}\n")  # which answers at once that it has none
        seed = self._root / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True)
        (seed / "user-data").write_text(self.machine.user_data)
        (seed / "user-data").chmod(0o600)
        facts = {"instance-id": self.machine.server_id, "local-hostname": self.machine.name}
        (seed / "meta-data").write_text("".join(f"{name}: {value}\n" for name, value in facts.items()))
        (self._root / "etc/cloud/cloud.cfg.d/90-lab.cfg").write_text(_CLOUD_CFG)
        for volume in self.machine.volumes:
            self._disks.append(await Disk.attach(self._folder / "volumes", volume))
        rules = self._root / "etc/udev/rules.d/90-lab.rules"
        rules.write_text("".join(disk.rule for disk in self._disks))

    def _command(self) -> list[str]:
        options = ["--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe", "--kill-signal=SIGRTMIN+3"]
        options += ["--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        options += ["--capability=all", "--system-call-filter=add_key keyctl bpf"]
        options += [f"--machine={self._mark}", f"--hostname={self.machine.name}"]
        options += [f"--network-namespace-path=/run/netns/{self._namespace}"]
        options += [f"--bind={self._folder / Path(folder).name}:/{folder}" for folder in self._kept_outside()]
        options += [f"--bind={disk.device}" for disk in self._disks]
        options += [f"--bind-ro={self._root / folder}:/{folder}" for folder in self.machine.read_only]
        return ["systemd-nspawn", *options, "-D", str(self._root)]

    async def _wait_for_systemd(self) -> None:
        try:
            async with asyncio.timeout(BOOT_LIMIT):
                while not await self._answers():
                    if self._launcher is None or self._launcher.returncode is not None:
                        raise LabError(f"{self.machine.name} ended as it booted: {self._console()}")
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise LabError(f"{self.machine.name} did not boot in {BOOT_LIMIT:g} s: {self._console()}") from None

    async def _answers(self) -> bool:
        with suppress(LabError):
            return bool(await self.run("test", "-S", "/run/systemd/private") == "")
        return False

    async def _first_process(self) -> int:
        """The node's PID 1 as we see it: the child of systemd-nspawn. Raises LabError when it is not there."""
        if self._launcher is None or self._launcher.returncode is not None:
            raise LabError(f"{self.machine.name} does not run")
        pid = self._launcher.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            raise LabError(f"{self.machine.name} has not begun")
        return int(children[0])

    def _console(self) -> str:
        with suppress(OSError):
            return (self._folder / "console.log").read_text(errors="replace")[-1500:]
        return "no console"


def names_of(nodes: Sequence[Node]) -> list[str]:
    """Their names."""
    return [node.machine.name for node in nodes]
