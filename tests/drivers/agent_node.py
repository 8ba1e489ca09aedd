"""One node's folders and its agent, as a process of a given shell; systemctl is a recorder."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from tests.drivers.agent_api import SECRET, Api
from tests.drivers.cases import tool

AGENT = Path(__file__).parents[2] / "shared" / "drivers" / "common" / "node_agent.sh"
NODE_PKI = AGENT.with_name("node_pki.sh")
TAKE_CREDENTIAL = AGENT.with_name("take_credential.sh")
WRAPPED = (
    "cat cmp cp curl cut date diff grep head jq ln mkdir mv od openssl readlink rm sed seq sh sync systemctl tee "
    "timeout tr"
)
"""Every program that the agent starts."""

_WRAPPER = """#!/bin/sh
# Counts the agent's commands, and at the one it is told kills the agent and all its children.
count=$(($(/bin/cat {root}/count) + 1))
echo $count >{root}/count
[ $count != "$(/bin/cat {root}/kill-at)" ] || kill -9 0
exec {program} "$@"
"""


@dataclass
class Node:
    """`shell` runs the agent."""

    root: Path
    api: Api
    shell: str = "sh"

    @property
    def pki(self) -> Path:
        return self.root / "state" / "pki"

    @property
    def calls(self) -> list[str]:
        """What install-certificates and systemctl were called for, but for questions."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.startswith("is-active")]

    def prepare(self, **environment: str) -> None:
        for name in ("conf", "state", "bin", "bin-killing"):
            (self.root / name).mkdir()
        given = {
            "JB_API_URL": f"{self.api.url}/v1",
            "JB_BAY_ID": "b1",
            "JB_ROLE": "worker",
            "JB_NODE_NAME": "web-1-minion-0",
            "JB_DNS_NAMES": "web-1-minion-0",
            "JB_IP_ADDRESSES": "10.0.0.5 127.64.0.5",
            "JB_WAIT_SECONDS": "20",
            "JB_UNITS": "docker kubelet",
            "JB_RESTART_UNITS": "kubelet",
            **environment,
        }
        conf = self.root / "conf"
        (conf / "bay.env").write_text("".join(f"{name}='{value}'\n" for name, value in given.items()))
        (conf / "node-secret").write_text(f"{SECRET}\n")
        (conf / "ca.pem").write_text(self.api.kubernetes.pem)
        shutil.copy(NODE_PKI, conf / "node-pki")
        (conf / "install-certificates").write_text(f"echo installed >>{self.root}/calls\n")
        self.is_well()
        answer = '[ "$1" != is-active ] || echo active'
        self._script("bin/systemctl", f'#!/bin/sh\necho "$@" >>{self.root}/calls\n{answer}\n')
        for name in WRAPPED.split():
            program = self.root / "bin/systemctl" if name == "systemctl" else tool(name)
            self._script(f"bin-killing/{name}", _WRAPPER.format(root=self.root, program=program))

    def is_well(self, reason: str = "") -> None:
        """What the driver's check of the node finds from now on: nothing, or this reason against it."""
        told = f"echo '{reason}' >{self.root}/state/check-error; exit 1\n" if reason else ""
        (self.root / "conf/check-node").write_text(f"echo checked >>{self.root}/calls\n{told}")

    def dreams(self, speed: int = 1) -> None:
        """Time passes by sleep alone from now on, and so much faster; every random wait is one of 10 s."""
        (self.root / "clock").write_text(f"{int(time.time())}\n")
        (self.root / "slept").touch()
        self._script("bin/date", f"#!/bin/sh\ncat {self.root}/clock\n")
        self._script("bin/od", "#!/bin/sh\necho 1000\n")
        later = f"later=$(($(cat {self.root}/clock) + $1 * {speed}))\necho $later >{self.root}/clock"
        self._script("bin/sleep", f"#!/bin/sh\necho $1 >>{self.root}/slept\n{later}\n")

    @property
    def slept(self) -> list[int]:
        """Seconds, since it dreams."""
        return [int(line) for line in (self.root / "slept").read_text().split()]

    def _script(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o755)

    def run(self, command: str, *, kill_at: int | None = None, hurry: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the agent to its end; with `kill_at` it dies by SIGKILL at the n-th program that it starts. Without
        `hurry` it waits as on a real node."""
        folders = f"{self.root}/bin:{os.environ['PATH']}"
        if kill_at is not None:
            folders = f"{self.root}/bin-killing:{folders}"
            (self.root / "count").write_text("0")
            (self.root / "kill-at").write_text(str(kill_at))
        environment = {
            "PATH": folders,
            "JEROBOAM_CONF": f"{self.root}/conf",
            "JEROBOAM_STATE": f"{self.root}/state",
            "JEROBOAM_METADATA": f"{self.api.url}/meta_data.json",
            **({"JEROBOAM_NOW": "1", "JEROBOAM_AGAIN": "0"} if hurry else {}),
        }
        return subprocess.run(
            [tool(self.shell), str(AGENT), command],
            env=environment, capture_output=True, text=True, timeout=60, check=False, start_new_session=True,
        )  # fmt: skip

    def reason(self) -> str:
        return (self.root / "state/agent-error").read_text().strip()

    def certificate(self, name: str = "node.crt") -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.pki / name).read_bytes())

    def check_files(self) -> None:
        """What a service would find is whole: one key, all certificates for it and from their authorities."""
        key = serialization.load_pem_private_key((self.pki / "node.key").read_bytes(), None)
        authorities = {path.stem: path for path in (self.pki / "authorities").iterdir()}
        assert (self.pki / "ca.crt").read_text() == authorities["kubernetes"].read_text()
        kinds = {f"certificates/{name}.crt": kind for name, kind in self.api.profiles.items()}
        for name, kind in {"node.crt": "kubernetes", **kinds}.items():
            certificate = self.certificate(name)
            assert certificate.public_key() == key.public_key(), name
            trusted = x509.load_pem_x509_certificates(authorities[kind].read_bytes())
            assert any(issued_by(ca, certificate) for ca in trusted), name
        assert {path.name: path.read_text() for path in (self.pki / "shared").iterdir()} == self.api.shared

    def check_tidy(self) -> None:
        """Nothing is readable by others, and nothing is left of what was on its way."""
        state = self.root / "state"
        for path in state.rglob("*"):
            if not path.is_symlink():
                assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        assert [path.name for path in state.glob("work.*")] == []
        assert [path.name for path in self.pki.glob("set.*")] == [(self.pki / "current").readlink().name]
        assert not (state / "pending").exists()


def issued_by(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):
        return False
    return True


def killed(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == -signal.SIGKILL


def killed_runs(node: Node, command: str, step: int, prepare: Callable[[], None]) -> Iterator[int]:
    """Run the agent again and again, killed at every `step`-th program that it starts, until it is past the last.

    The two shells begin at different places; JEROBOAM_KILL_ALL=1 takes every program.
    """
    step = 1 if os.environ.get("JEROBOAM_KILL_ALL") else step
    for point in range(1 + (step // 2 if node.shell == "bash" else 0), 400, step):
        prepare()
        if not killed(node.run(command, kill_at=point)):
            return
        yield point
    raise AssertionError("the agent never came to its end")
