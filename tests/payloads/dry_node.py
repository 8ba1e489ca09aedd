"""A node's boot without a machine: its user-data's files in a root of their own, its parts run there one by one.

The root is a mount namespace without network; what it has of the machine's /usr is read-only. Programs that would
change a machine or ask another one are stand-ins that note how they were called and succeed; a program that the machine
does not have is one, too. So all that the scripts write can be looked at: units, manifests, configuration, secrets.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from shared.domain.node_profiles import NODE, PROFILES
from shared.drivers import registry
from shared.drivers.contract import Role
from tests.drivers.agent_pki import Authority
from tests.payloads.rendered import UNIT_FOLDER, Node

STAND_INS = """
    apt-get apt-mark apt-key dpkg add-apt-repository dnf yum rpm-ostree systemctl journalctl timedatectl hostnamectl
    curl wget nc docker dockerd containerd ctr crictl kubeadm kubectl kubelet etcd etcdctl flanneld zkServer.sh rexray
    mount umount mkfs.xfs mkfs.ext4 blkid pvcreate vgcreate lvcreate vgchange swapoff modprobe sysctl setenforce ip
    iptables nft reboot sleep logger update-ca-trust update-ca-certificates restorecon ssh-keygen useradd groupadd
    usermod udevadm sync
"""
# As little as the parts need to go on to their ends.
_STAND_IN = """#!/bin/sh
printf '%s' "${0##*/}" >>/calls
for word in "$@"; do printf ' %s' "$word" >>/calls; done
echo >>/calls
. /etc/jeroboam/bay.env
case "${0##*/} $*" in
    *'is-active'*) echo active ;;
    'curl '*'{http_code}'*--data*) printf 201 ;;
    'curl '*'{http_code}'*) printf 200 ;;
    'curl '*Release.key*) echo '-----BEGIN PGP PUBLIC KEY BLOCK-----' ;;
    'docker cp '*) for word in "$@"; do :; done && [ "$word" = - ] || echo program >"$word" ;;
    'kubeadm version'*) echo "$JB_KUBE_VERSION" ;;
    'kubeadm config images list'*) echo registry.k8s.io/pause:3.10 ;;
    'kubelet --version') echo "Kubernetes $JB_KUBE_VERSION" ;;
    'containerd --version') echo 'containerd github.com/containerd/containerd 1.7.24 88bf19b' ;;
esac
"""
_CLOCK = """#!/bin/sh
# Every look at the clock is a minute later, so that waiting in vain ends.
[ "$*" = +%s ] || exec /usr/bin/date "$@"
now=$(($(cat /tmp/clock 2>/dev/null || /usr/bin/date +%s) + 60))
echo "$now" >/tmp/clock
echo "$now"
"""
_SETUP = r"""
set -eu
cd "$1"
mkdir -p dev proc machine
mount --rbind /usr machine && mount -o remount,ro,bind machine
for name in null zero full random urandom; do touch "dev/$name" && mount --bind "/dev/$name" "dev/$name"; done
mount -t proc proc proc
exec chroot . /bin/bash -c '
    command_not_found_handle() { printf "%s (missing) %s\n" "$1" "$*" >>/calls; }
    export -f command_not_found_handle
    export PATH=/stand-ins:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
    cd /
    for part in /parts/*; do
        rm -f /var/lib/jeroboam/failed
        timeout -k 1 60 sh "$part" >"/logs/${part##*/}" 2>&1 </dev/null || echo "ended with $?" >>"/logs/${part##*/}"
        cat /var/lib/jeroboam/*.log >>"/logs/${part##*/}" 2>/dev/null
        rm -f /var/lib/jeroboam/*.log
    done'
"""


@dataclass(frozen=True)
class DryNode:
    """What a boot left."""

    root: Path
    logs: dict[str, str] = field(repr=False)
    """What each part said, by name."""
    calls: list[str] = field(repr=False)
    """Command lines of stand-ins, in order."""

    @property
    def missing(self) -> frozenset[str]:
        """Programs that were asked for and that this machine has not."""
        return frozenset(call.split()[0] for call in self.calls if call.split()[1:2] == ["(missing)"])

    def written(self) -> dict[str, Path]:
        """Files below the folders that scripts write to, by their path on the node."""
        places = (self.root / name for name in ("etc", "var", "opt", "run", "root", "usr/local"))
        found = (path for place in places for path in sorted(place.rglob("*")))
        return {f"/{path.relative_to(self.root)}": path for path in found if path.is_file() and not path.is_symlink()}


def possible() -> bool:
    """Whether this machine lets us have such a root."""
    done = subprocess.run([*_unshare(), "true"], capture_output=True, check=False)
    return done.returncode == 0 and Path("/usr/bin/bash").exists()


def boot(node: Node, root: Path, shell: str = "bash", missing: frozenset[str] = frozenset()) -> DryNode:
    """Run all parts of a node; a part that fails does not keep the others from running here.

    `missing` names programs of the image that this machine has not: bash finds out by itself, dash must be told.
    """
    _lay_out(root, shell, missing)
    for path, file in node.files.items():
        _write(root / path.lstrip("/"), file.text, file.mode)
    for name, text in node.units.items():
        if not (root / UNIT_FOLDER.lstrip("/") / name).exists():
            _write(root / UNIT_FOLDER.lstrip("/") / name, text, 0o644)
    for name, text in node.parts.items():
        _write(root / "parts" / name, text, 0o700)
    if "/etc/jeroboam/node-agent" in node.files:
        _certificates(root / "var/lib/jeroboam/pki", node)
        _write(root / "etc/jeroboam/node-agent", "#!/bin/sh\nsh /etc/jeroboam/install-certificates\n", 0o700)
    command = [*_unshare(), "bash", "-c", _SETUP, "setup", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    logs = {path.name: path.read_text(errors="replace") for path in sorted((root / "logs").iterdir())}
    return DryNode(root, logs, (root / "calls").read_text().splitlines())


def _unshare() -> list[str]:
    mapped = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *mapped, "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]


def _lay_out(root: Path, shell: str, missing: frozenset[str]) -> None:
    for name in ("etc", "var/lib", "var/log", "opt", "run", "root", "tmp", "logs", "parts", "stand-ins", "srv"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in ("usr", "usr/lib", "usr/local"):
        (root / name).mkdir()
    for path in (*Path("/usr").iterdir(), *Path("/usr/lib").iterdir()):
        own = root / "usr" / path.relative_to("/usr")
        if not own.exists():
            own.symlink_to("/machine" / path.relative_to("/usr"))
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/bash\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
    (root / "etc/os-release").write_text('ID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n')
    (root / "etc/ssl/certs").mkdir(parents=True)
    shutil.copy("/etc/ssl/openssl.cnf", root / "etc/ssl/openssl.cnf")
    if Path("/etc/alternatives").exists():
        shutil.copytree("/etc/alternatives", root / "etc/alternatives", symlinks=True)
    for name in {*STAND_INS.split(), *missing}:
        _write(root / "stand-ins" / name, _STAND_IN, 0o755)
    _write(root / "stand-ins/date", _CLOCK, 0o755)
    (root / "stand-ins/sh").symlink_to(f"/usr/bin/{shell}")
    (root / "calls").touch()


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _certificates(pki: Path, node: Node) -> None:
    for place, text in _pki(node.driver.name, "master" if node.role == "master" else "worker").items():
        _write(pki / place, text, 0o600)
    for folder in (pki, pki.parent):
        folder.chmod(stat.S_IRWXU)


@cache
def _pki(driver_name: str, role: Role) -> dict[str, str]:
    """What the node agent would have left: real certificates for one key."""
    driver = registry.by_name(driver_name)
    authorities = {kind: Authority(kind) for kind in ("kubernetes", "etcd", "front_proxy")}
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    request = csr.public_bytes(serialization.Encoding.PEM).decode()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    files = {"node.key": pem, "ca.crt": authorities["kubernetes"].pem}
    files |= {f"authorities/{kind}.crt": authority.pem for kind, authority in authorities.items()}
    for profile in driver.certificates[role]:
        certificate = authorities[PROFILES[profile].authority].sign(request)
        files["node.crt" if profile == NODE else f"certificates/{profile}.crt"] = certificate
    if driver.shares_service_account and role == "master":
        files["shared/service-account.key"] = pem
    return files
