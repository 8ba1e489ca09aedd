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
_KUBERNETES: Final = ("Kubernetes ", "Floating IP for Kubernetes ")


def owner(thing: LoadBalancer | NetworkItem) -> UUID | None:
    """The bay whose services made it, by name, description or tag; None: it does not say."""
    found = _NAMED.fullmatch(thing.name) or _DESCRIBED.fullmatch(thing.description) or _tagged(thing.tags)
    return UUID(found[1]) if found else None


def shared_with_others(one: LoadBalancer, bay_id: UUID) -> bool:
    """Whether services of another cluster use it too: each that does has put a tag on it."""
    return any(tag.startswith(_SERVICE) and not tag.startswith(f"{_SERVICE}{bay_id}_") for tag in one.tags)


def may_be_kubernetes_address(floating_ip: NetworkItem) -> bool:
    """Whether a floating IP without the bay's id can be one that Kubernetes made: old releases describe nothing.

    One with words of somebody's own is an address that was reserved before and is to outlive the service.
    """
    said = floating_ip.description
    return not floating_ip.tags and (not said or said.startswith(_KUBERNETES))


def may_be_kubernetes_group(group: NetworkItem) -> bool:
    """The same for the security group of a load balancer's port."""
    return group.name.startswith(_GROUP)


def _tagged(tags: Iterable[str]) -> re.Match[str] | None:
    return next((found for tag in tags if (found := _TAGGED.fullmatch(tag))), None)
