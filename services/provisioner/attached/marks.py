"""By which marks a thing in the cloud is known to have been made by a bay's own services.

Our drivers give the bay's id to everything on its nodes that makes things: Kubernetes' cloud controller gets it as
`--cluster-name`, Cinder CSI as `--cluster`. The words below are those of cloud-provider-openstack:

- load balancers are called `kube_service_ID_NAMESPACE_NAME` (`kube_ingress_…` for its ingress controller) and described
  as "Kubernetes external service … from cluster ID";
- floating IPs are described as "Floating IP for Kubernetes external service … from cluster ID";
- security groups are called `lb-sg-…`, which names no cluster, and described as "Security Group for … Service
  LoadBalancer in cluster ID";
- volumes have the metadata `cinder.csi.openstack.org/cluster`.

Anything may also carry our own tag (`jeroboam-bay-ID`): so owners can say that something goes with the bay.

Without the bay's id are: what Kubernetes before 1.12 makes (`a…` and the service's uid), and REX-Ray's volumes, which
have the name that their user chose and nothing else. The first are known by their network alone, if it is the bay's
own; the second cannot be told from anybody's volume and are never touched.

Other bays may use a bay's own network. What Heat makes for them has the name of their stack at the front of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from shared.domain import names
from shared.openstack.neutron import NetworkItem
from shared.openstack.octavia import LoadBalancer

VOLUME_KEY: Final = "cinder.csi.openstack.org/cluster"
"""Metadata key of the volumes that Cinder CSI made; its value is the bay's id."""

_ID: Final = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_NAMED: Final = re.compile(rf"kube_(?:service|ingress)_{_ID}_.*", re.DOTALL)
_DESCRIBED: Final = re.compile(rf"(?:(?:.* )?Kubernetes .+|Security [Gg]roup .+) (?:from|in) cluster {_ID}", re.DOTALL)
_TAGGED: Final = re.compile(rf"{names.TAG}-bay-{_ID}")
_SERVICE: Final = "kube_service_"
_GROUP: Final = "lb-sg-"
_KUBERNETES_NAMED: Final = re.compile(r"a[0-9a-f]{31}|kube_(?:service|ingress)_.*", re.DOTALL)
_OF_A_STACK: Final = re.compile(r".+-[0-9a-f]{12}-\d+(?:-.*)?", re.DOTALL)
"""See `shared.domain.names.stack_name`."""
_KUBERNETES: Final = ("Kubernetes ", "Floating IP for Kubernetes ")


def owner(thing: LoadBalancer | NetworkItem) -> UUID | None:
    """The bay whose services made it, by name, description or tag; None: it does not say."""
    found = _NAMED.fullmatch(thing.name) or _DESCRIBED.fullmatch(thing.description) or _tagged(thing.tags)
    return UUID(found[1]) if found else None


def shared_with_others(one: LoadBalancer, bay_id: UUID) -> bool:
    """Whether services of another cluster use it too: each that does has put a tag on it."""
    return any(tag.startswith(_SERVICE) and not tag.startswith(f"{_SERVICE}{bay_id}_") for tag in one.tags)


def of_another_stack(name: str, bay_id: UUID) -> bool:
    """Whether the stack of another bay made what has this name."""
    return _OF_A_STACK.fullmatch(name) is not None and f"-{bay_id.hex[:12]}-" not in name


def may_be_kubernetes_address(floating_ip: NetworkItem, balancer: LoadBalancer) -> bool:
    """Whether a floating IP without the bay's id, on this load balancer, can be one that Kubernetes made.

    Old releases describe nothing: then the load balancer's name tells. One with words of somebody's own, or on a load
    balancer of their own, is an address that was reserved before and is to outlive the service.
    """
    said = floating_ip.description
    if floating_ip.tags:
        return False
    return said.startswith(_KUBERNETES) or (not said and _KUBERNETES_NAMED.fullmatch(balancer.name) is not None)


def may_be_kubernetes_group(group: NetworkItem) -> bool:
    """The same for the security group of a load balancer's port."""
    return group.name.startswith(_GROUP)


def _tagged(tags: Iterable[str]) -> re.Match[str] | None:
    return next((found for tag in tags if (found := _TAGGED.fullmatch(tag))), None)
