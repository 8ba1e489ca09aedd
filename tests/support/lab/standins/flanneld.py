"""flanneld: reads the network's shape from etcd, takes a subnet of it there, and tells docker."""

from __future__ import annotations

import json
import random
import time
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import urlencode

from .checks import die, issued, need, notify, own_addresses, pair
from .flags import parse
from .web import Client

KNOWN = (
    "etcd-endpoints etcd-prefix etcd-keyfile etcd-certfile etcd-cafile iface public-ip subnet-file listen remote "
    "remote-keyfile remote-certfile remote-cafile networks v log_dir stderrthreshold vmodule "
    "subnet-lease-renew-margin etcd-username etcd-password"
)
BOOLEANS = "ip-masq version help logtostderr alsologtostderr"
BACKENDS = {"udp", "vxlan", "host-gw"}


def main(name: str, arguments: list[str]) -> None:
    """As `flanneld`, which keeps trying while etcd does not answer."""
    flags = parse(arguments, KNOWN, booleans=BOOLEANS, required="etcd-endpoints etcd-prefix")
    endpoints = flags["etcd-endpoints"].split(",")
    files = (flags.get("etcd-cafile", ""), flags.get("etcd-certfile", ""), flags.get("etcd-keyfile", ""))
    if any(one.startswith("https:") for one in endpoints):
        need(all(files), "etcd speaks TLS, and -etcd-cafile, -etcd-certfile and -etcd-keyfile are not all given")
        pair(files[1], files[2])
        issued(files[1], files[0], "sslclient")
    else:
        need(not any(files), "certificates are given, and etcd speaks no TLS")
    if "iface" in flags:
        need(flags["iface"] in own_addresses() | set(_interfaces()), f"there is no interface {flags['iface']}")
    client = Client(*files)
    keys = [f"{one.rstrip('/')}/v2/keys{flags['etcd-prefix']}" for one in endpoints]
    config, used = _config(client, keys)
    subnet = _lease(client, used, config, flags)
    _write(Path(flags.get("subnet-file", "/run/flannel/subnet.env")), config, subnet, flags)
    notify()
    print(f"flanneld has {subnet}")
    while True:
        time.sleep(3600)


def _interfaces() -> list[str]:
    return [path.name for path in Path("/sys/class/net").iterdir()]


def _config(client: Client, keys: list[str]) -> tuple[dict[str, object], str]:
    while True:
        for key in keys:
            try:
                status, text = client.ask("GET", f"{key}/config")
            except OSError as error:
                print(f"{key}: {error}")
                continue
            if status == 200:
                return _checked(json.loads(json.loads(text)["node"]["value"])), key
            print(f"{key}: {status} {text[:200]}")
        time.sleep(1)


def _checked(config: dict[str, object]) -> dict[str, object]:
    network = IPv4Network(str(config["Network"]))
    length = config.get("SubnetLen", 24)
    need(isinstance(length, int) and network.prefixlen < length <= 30, f"SubnetLen {length} does not fit {network}")
    backend = config.get("Backend", {"Type": "udp"})
    need(isinstance(backend, dict) and backend.get("Type") in BACKENDS, f"no such backend: {backend}")
    return config


def _lease(client: Client, key: str, config: dict[str, object], flags: dict[str, str]) -> IPv4Network:
    """Our own, or one that nobody else has: created in etcd on the condition that it is not there."""
    network, length = IPv4Network(str(config["Network"])), config.get("SubnetLen", 24)
    subnets = list(network.subnets(new_prefix=length if isinstance(length, int) else 24))
    public = flags.get("public-ip") or flags.get("iface", "")
    for subnet in _own(client, key, public):
        return subnet
    for subnet in random.sample(subnets[1:], min(50, len(subnets) - 1)):
        name = f"{subnet.network_address}-{subnet.prefixlen}"
        body = urlencode({"value": json.dumps({"PublicIP": public}), "prevExist": "false", "ttl": "86400"}).encode()
        status, text = client.ask("PUT", f"{key}/subnets/{name}", body)
        if status == 201:
            return subnet
        need(status == 412, f"etcd said {status} to a lease: {text[:200]}")
    return die(f"no subnet of {network} is free")


def _own(client: Client, key: str, public: str) -> list[IPv4Network]:
    """The subnet that this node took before; as the real one, it goes on with that."""
    status, text = client.ask("GET", f"{key}/subnets")
    leases = json.loads(text)["node"].get("nodes", []) if status == 200 else []
    own = [one["key"].rpartition("/")[2] for one in leases if json.loads(one["value"])["PublicIP"] == public]
    return [IPv4Network(name.replace("-", "/")) for name in own]


def _write(path: Path, config: dict[str, object], subnet: IPv4Network, flags: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mtu = 1472 if dict(config.get("Backend") or {}).get("Type", "udp") == "udp" else 1450  # type: ignore[call-overload]
    masquerade = flags.get("ip-masq", "false")
    path.write_text(
        f"FLANNEL_NETWORK={config['Network']}\nFLANNEL_SUBNET={subnet[1]}/{subnet.prefixlen}\n"
        f"FLANNEL_MTU={mtu}\nFLANNEL_IPMASQ={masquerade}\n"
    )
