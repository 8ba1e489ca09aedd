"""Every body that is answered, key by key: Magnum's at which microversions, ours, and why they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.api.fidelity.model import FIRST, LAST

Span = tuple[int, int]
ALWAYS: Final[Span] = (FIRST, LAST)
NEVER: Final[Span] = (0, 0)


@dataclass(frozen=True)
class Field:
    """A key of a body."""

    name: str
    magnum: Span = ALWAYS
    ours: Span = ALWAYS
    why: str = ""
    """Of a difference."""


@dataclass(frozen=True)
class View:
    """A body, or an item of a list."""

    title: str
    fields: tuple[Field, ...]
    model: str = ""
    """Our OpenAPI document's name for it."""
    base: str = ""
    """A view all of whose fields it has; the document tells only of the others."""

    def magnum(self, version: int) -> frozenset[str]:
        """The keys that Magnum's has."""
        return frozenset(one.name for one in self.fields if one.magnum[0] <= version <= one.magnum[1])

    def ours(self, version: int) -> frozenset[str]:
        """The keys that ours has."""
        return frozenset(one.name for one in self.fields if one.ours[0] <= version <= one.ours[1])


def _same(names: str) -> tuple[Field, ...]:
    return tuple(Field(name) for name in names.split())


def _from(version: int, names: str) -> tuple[Field, ...]:
    span = (version, LAST)
    return tuple(Field(name, span, span) for name in names.split())


_BAY_BRIEF = _same(
    "uuid name baymodel_id node_count master_count docker_volume_size labels master_flavor_id flavor_id "
    "bay_create_timeout stack_id status floating_ip_enabled links"
)
_BAY = (
    *_BAY_BRIEF,
    *_same(
        "status_reason discovery_url api_address coe_version container_version node_addresses master_addresses "
        "fixed_network fixed_subnet master_lb_enabled created_at updated_at"
    ),
)
_CLUSTER_BRIEF = (
    *_same(
        "uuid name cluster_template_id keypair docker_volume_size labels master_flavor_id flavor_id node_count "
        "master_count create_timeout status health_status merge_labels links"
    ),
    Field("stack_id", (1, 12), (1, 12)),
    *_from(13, "cluster_id"),
)
_CLUSTER = (
    *_CLUSTER_BRIEF,
    *_same(
        "labels_added labels_overridden labels_skipped status_reason health_status_reason discovery_url api_address "
        "coe_version container_version node_addresses master_addresses fixed_network fixed_subnet floating_ip_enabled "
        "master_lb_enabled project_id user_id created_at updated_at"
    ),
)
_BAYMODEL = _same(
    "uuid name coe image_id flavor_id master_flavor_id dns_nameserver keypair_id external_network_id fixed_network "
    "fixed_subnet network_driver apiserver_port docker_volume_size cluster_distro links http_proxy https_proxy "
    "no_proxy volume_driver registry_enabled labels tls_disabled public server_type insecure_registry "
    "docker_storage_driver master_lb_enabled floating_ip_enabled hidden tags created_at updated_at"
)
_NODEGROUP_BRIEF = _from(
    9,
    "uuid name flavor_id image_id node_count role is_default status stack_id min_node_count max_node_count "
    "merge_labels",
)
_NODEGROUP = (
    *_NODEGROUP_BRIEF,
    *_from(
        9,
        "cluster_id project_id docker_volume_size labels labels_added labels_overridden labels_skipped links "
        "node_addresses status_reason version created_at updated_at",
    ),
    *_from(14, "node_labels node_taints"),
    Field("id", NEVER, (9, LAST), "gophercloud reads a number there"),
)
_BAY_UUID = Field(
    "bay_uuid", (1, 10), ALWAYS, "the clients of 2015 and 2016 read and send it, and they have no microversion"
)
_ONE_DOCUMENT = "one document for all microversions, with all that is here"

VIEWS: Final[dict[str, View]] = {
    "bay, brief": View("Bay, in `GET /v1/bays`", _BAY_BRIEF, "BayBrief"),
    "bay": View("Bay, whole", _BAY, "", "bay, brief"),
    "bay, failed": View(
        "Bay, whole, when its status ends in `_FAILED`",
        (*_BAY, Field("bay_faults")),
        "BayFull",
        "bay",
    ),
    "cluster, brief": View("Cluster, in `GET /v1/clusters`", _CLUSTER_BRIEF, "ClusterBrief"),
    "cluster": View("Cluster, whole", _CLUSTER, "", "cluster, brief"),
    "cluster, failed": View(
        "Cluster, whole, when its status ends in `_FAILED`",
        (*_CLUSTER, Field("faults")),
        "ClusterFull",
        "cluster",
    ),
    "baymodel": View("Baymodel, in lists too", _BAYMODEL, "BaymodelFull"),
    "clustertemplate": View(
        "Cluster template, in lists too",
        (*_BAYMODEL, *_same("driver project_id user_id")),
        "ClustertemplateFull",
        "baymodel",
    ),
    "nodegroup, brief": View("Nodegroup, in the list", _NODEGROUP_BRIEF, "NodegroupBrief"),
    "nodegroup": View("Nodegroup, whole", _NODEGROUP, "NodegroupFull", "nodegroup, brief"),
    "quota": View(
        "Quota",
        _same("id project_id resource hard_limit created_at updated_at"),
        "QuotaOut",
    ),
    "quota, unset": View(
        "Quota of a project for which nobody has set one",
        _same("project_id resource hard_limit"),
        "QuotaDefault",
    ),
    "authority": View(
        "Certificate of an authority (GET)",
        (*_same("cluster_uuid pem links"), _BAY_UUID),
        "",
    ),
    "certificate": View(
        "Certificate that was signed (POST)",
        (*_same("cluster_uuid pem links csr"), _BAY_UUID),
        "CertificateOut",
    ),
    "mservice": View(
        "Worker, in `GET /v1/mservices`",
        (
            *_same(
                "id host binary state report_count disabled disabled_reason last_seen_up forced_down created_at "
                "updated_at"
            ),
            Field(
                "workers", NEVER, ALWAYS, "one entry is one host, as Magnum's conductor is, and these are its workers"
            ),
        ),
        "MserviceOut",
    ),
    "stats": View("Stats", _same("clusters nodes"), "StatsOut"),
    "federations": View("Federations, an empty list", _same("federations"), "FederationList"),
    "uuid": View("What a change answers", _same("uuid"), "Accepted"),
    "root": View("`GET /`", _same("name description versions"), ""),
    "version 1": View(
        "`GET /v1`",
        (
            *_same(
                "id media_types links certificates clusters clustertemplates federations mservices nodegroups quotas "
                "stats"
            ),
            *(Field(name, (1, 10), ALWAYS, _ONE_DOCUMENT) for name in ("baymodels", "bays")),
            Field("credentials", (12, LAST), ALWAYS, _ONE_DOCUMENT),
        ),
        "",
    ),
}
"""By the names that answers call them by."""
