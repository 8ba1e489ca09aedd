"""The certificates that a node of a bay may hold, by profile: whose they are and what they are good for.

A node has one key. For each profile that its driver declares for its role, the authority issues one certificate for
that key; subject, usages and issuer come from here alone, so that a CSR cannot ask for another subject. Names follow
Kubernetes' certificate requirements, where a subject is an identity (https://kubernetes.io/docs/setup/best-practices/certificates/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

AuthorityKind = Literal["kubernetes", "etcd", "front_proxy"]

NODE: Final = "node"
"""The profile that every node has; by it the node proves itself to us."""


@dataclass(frozen=True, kw_only=True)
class NodeProfile:
    """One kind of certificate."""

    authority: AuthorityKind
    common_name: str
    """With `{node}` for the server's name."""
    organization: str = ""
    server: bool = False
    """Good for a TLS server. Only then does it carry the node's names and addresses."""
    client: bool = False
    masters_only: bool = True


PROFILES: Final[Mapping[str, NodeProfile]] = MappingProxyType(
    {
        NODE: NodeProfile(
            authority="kubernetes",
            common_name="system:node:{node}",
            organization="system:nodes",
            server=True,
            client=True,
            masters_only=False,
        ),
        "apiserver": NodeProfile(authority="kubernetes", common_name="kube-apiserver", server=True),
        "apiserver-kubelet-client": NodeProfile(
            authority="kubernetes",
            common_name="kube-apiserver-kubelet-client",
            organization="system:masters",
            client=True,
        ),
        "admin": NodeProfile(
            authority="kubernetes", common_name="kubernetes-admin", organization="system:masters", client=True
        ),
        "controller-manager": NodeProfile(
            authority="kubernetes", common_name="system:kube-controller-manager", client=True
        ),
        "scheduler": NodeProfile(authority="kubernetes", common_name="system:kube-scheduler", client=True),
        "etcd": NodeProfile(authority="etcd", common_name="{node}", server=True, client=True),
        "apiserver-etcd-client": NodeProfile(authority="etcd", common_name="kube-apiserver-etcd-client", client=True),
        "front-proxy-client": NodeProfile(authority="front_proxy", common_name="front-proxy-client", client=True),
    }
)
