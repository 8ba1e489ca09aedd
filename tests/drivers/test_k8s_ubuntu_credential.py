"""k8s_ubuntu's install-credential: the Secret, and controllers that start anew when the credential is another one.

Its absolute paths are led into a folder; kubectl is a recorder that knows the controllers it is told of.
"""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import shared.drivers
from tests.drivers.cases import tool

DRIVERS = Path(shared.drivers.__path__[0])
CONTROLLERS = "daemonset.apps/openstack-cloud-controller-manager deployment.apps/cinder-csi-controller"
FACTS = {
    "JB_NODE_NAME": "web-master-0",
    "JB_ROLE": "master", "JB_PRIVATE_ADDRESS": "10.0.0.5", "JB_API_PORT": "6443", "JB_WAIT_SECONDS": "60",
    "JB_KEYSTONE_URL": "http://192.0.2.10:5000/v3", "JB_REGION": "RegionOne", "JB_FLOATING_NETWORK": "net",
    "JB_LB_MONITOR": "true", "JB_LB_METHOD": "ROUND_ROBIN", "JB_LB_PROVIDER": "", "JB_FIXED_SUBNET": "sub",
}  # fmt: skip


@dataclass
class Master:
    """One master; `run` is what the node agent does after another credential has come."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("bin", "etc/jeroboam", "etc/kubernetes", "var/lib/jeroboam"):
            (self.root / name).mkdir(parents=True)
        conf = self.root / "etc/jeroboam"
        (conf / "bay.env").write_text("".join(f"{name}='{value}'\n" for name, value in FACTS.items()))
        for path in ("common/payload/lib.sh", "k8s_ubuntu/payload/kube.sh"):
            (conf / Path(path).name).write_text(self._led(DRIVERS / path))
        (conf / "install-credential").write_text(self._led(DRIVERS / "k8s_ubuntu/payload/install-credential.master"))
        self.kubectl(CONTROLLERS)

    def _led(self, path: Path) -> str:
        text = path.read_text()
        for name in ("/etc/jeroboam", "/etc/kubernetes", "/var/lib/jeroboam"):
            text = text.replace(name, f"{self.root}{name}")
        return text.replace(" root <", f" {os.getuid()} <").replace(" root\n", f" {os.getuid()}\n")

    def kubectl(self, controllers: str, fails: str = "nothing") -> None:
        script = self.root / "bin/kubectl"
        script.write_text(
            f'#!/bin/sh\necho "$*" >>{self.root}/calls\ncase "$*" in\n    *"{fails}"*) exit 1 ;;\n'
            f'    create*) cat "${{10#--from-file=cloud.conf=}}" ;;\n    apply*) cat "$5" >>{self.root}/applied ;;\n'
            f"    get*) for one in {controllers or '$NONE'}; do echo $one; done ;;\nesac\n"
        )
        script.chmod(0o755)
        (self.root / "bin/sleep").write_text("#!/bin/sh\n")
        (self.root / "bin/sleep").chmod(0o755)

    def run(self, identity: str, secret: str) -> subprocess.CompletedProcess[str]:
        (self.root / "calls").write_text("")
        (self.root / "etc/jeroboam/cloud-credential").write_text(
            f"JB_APPLICATION_CREDENTIAL_ID='{identity}'\nJB_APPLICATION_CREDENTIAL_SECRET='{secret}'\n"
        )
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        command = [tool("dash"), str(self.root / "etc/jeroboam/install-credential")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def calls(self, verb: str) -> list[str]:
        return [line for line in (self.root / "calls").read_text().splitlines() if line.startswith(verb)]


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return Master(tmp_path)


def test_both_controllers_are_made_to_start_with_it(master: Master) -> None:
    done = master.run("id-1", "s3cret")
    assert done.returncode == 0, done.stderr
    conf = master.root / "etc/kubernetes/cloud.conf"
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    lines = conf.read_text().splitlines()
    assert {"application-credential-id=id-1", "application-credential-secret=s3cret", "subnet-id=sub"} <= set(lines)
    assert (master.root / "applied").read_text() == conf.read_text()
    assert not list((master.root / "var/lib/jeroboam").glob("cloud-config*"))
    assert [line.split()[1] for line in master.calls("patch")] == CONTROLLERS.split()
    assert master.calls("rollout") == []  # that is over when every master has done it, also one that is down
    label = "app=openstack-cloud-controller-manager,jeroboam/cloud-config"
    for verb, which in (("delete", "!="), ("wait", "=")):
        (call,) = master.calls(f"{verb} pod")
        assert "--field-selector spec.nodeName=web-master-0" in call
        assert f"--selector {label}{which}" in call
    assert "s3cret" not in (master.root / "calls").read_text() + done.stdout + done.stderr


def test_only_another_credential_makes_them_start_anew(master: Master) -> None:
    """The revision in what they are made from is that of the configuration, on every master alike."""
    revisions = []
    for given in (("id-1", "a"), ("id-1", "a"), ("id-2", "b")):
        assert master.run(*given).returncode == 0
        revisions.append({line.partition("cloud-config")[2] for line in master.calls("patch")})
    assert revisions[0] == revisions[1] != revisions[2]
    assert {len(one) for one in revisions} == {1}


def test_at_the_first_boot_there_are_no_controllers_yet(master: Master) -> None:
    master.kubectl("")
    assert master.run("id-1", "s3cret").returncode == 0
    assert (master.calls("patch"), master.calls("wait")) == ([], [])


@pytest.mark.parametrize("fails", ["apply", "get", "patch", "delete pod", "wait pod"])
def test_what_did_not_work_is_told(master: Master, fails: str) -> None:
    """So that the agent tries again, and reports nothing meanwhile."""
    master.kubectl(CONTROLLERS, fails)
    assert master.run("id-1", "s3cret").returncode == 1
