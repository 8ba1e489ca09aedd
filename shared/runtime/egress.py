"""Where this process may connect to: the one door for every outgoing connection (cloud, COE, webhook).

The judgement is on the *address* that is really dialled, so a name that resolves twice to different things cannot slip
through. An aiohttp transport uses it as its socket factory::

    aiohttp.TCPConnector(socket_factory=policy.socket_factory, happy_eyeballs_delay=None)

(Happy eyeballs swallows errors that are not `OSError`; without it the refusal reaches the caller as it is.)
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, cast

from shared.domain.errors import CloudError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The sockaddr's shape depends on the family, so the standard library leaves it open.
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

_ALWAYS_DENIED: tuple[Network, ...] = tuple(
    ip_network(cidr)
    for cidr in (
        "0.0.0.0/8",  # "this host": Linux connects it to loopback
        "169.254.0.0/16",  # link-local, and the metadata service on 169.254.169.254
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::254/128",  # metadata over IPv6, the form that EC2-like clouds use
    )
)
_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_NAT64 = IPv6Network("64:ff9b::/96")


class EgressRefused(CloudError):
    """The policy forbids this address. Trying again changes nothing; the operator's allow-list may."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(
            f"Connecting to {target} is not allowed: {reason}.", service="egress", retryable=False, resource=target
        )


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """An allow-list on top of fixed denials.

    `allow` empty: everything that is not denied; `deny`: the addresses of our own control plane.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()

    def towards_bays(self) -> EgressPolicy:
        """The same for addresses that a bay tells, on which its owner has an influence: what listens on this machine's
        loopback is not theirs to reach, unless an allow-list says so."""
        return self if self.allow else replace(self, deny=(*self.deny, *_LOOPBACK))

    def check(self, host: str, port: int) -> None:
        """Judge a host before it is dialled; *every* address of a name must be allowed. A name blocks on the resolver.

        Raises:
            EgressRefused: forbidden, or the name does not resolve.
        """
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise EgressRefused(f"{host}:{port}", f"the name does not resolve ({error.strerror})") from error
        for *_, sockaddr in found:
            self.check_address(str(sockaddr[0]))

    def check_address(self, address: str | Address) -> None:
        """Judge one address.

        Raises:
            EgressRefused: forbidden.
        """
        real = _unwrapped(address)
        if _within(real, _ALWAYS_DENIED):
            raise EgressRefused(str(address), "link-local, metadata, multicast and unspecified addresses never are")
        if _within(real, self.deny):
            raise EgressRefused(str(address), "it belongs to the control plane")
        if self.allow and not _within(real, self.allow):
            raise EgressRefused(str(address), "it is outside JEROBOAM_EGRESS_ALLOW")

    def socket_factory(self, info: AddressInfo) -> socket.socket:
        """A non-blocking socket for an address that the policy allows (aiohttp's `socket_factory`).

        Raises:
            EgressRefused: forbidden.
        """
        family, kind, protocol, _name, sockaddr = info
        self.check_address(str(sockaddr[0]))
        made = socket.socket(family=family, type=kind, proto=protocol)
        made.setblocking(False)
        return made


def _unwrapped(address: str | Address) -> Address:
    """The IPv4 address that an IPv6 form carries, else the address itself; zone ids do not count."""
    real = ip_address(address.partition("%")[0]) if isinstance(address, str) else address
    if isinstance(real, IPv6Address):
        if real.ipv4_mapped is not None:
            return real.ipv4_mapped
        if real in _NAT64:
            return IPv4Address(int(real) & 0xFFFFFFFF)
    return real


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in cast("IPv4Network", network) for network in networks if network.version == address.version)
