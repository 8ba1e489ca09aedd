"""The two names of everything: a row is a bay and a cluster, or a baymodel and a cluster template.

A face is data: the words, field names and columns in which one name differs from the other. Rules are in `usecases`,
once for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from shared.contracts.http.baymodels import BaymodelCreate, BaymodelFull, BaymodelList, Template
from shared.contracts.http.bays import BayCreate, BayDetailList, BayFull, BayList, NewBay
from shared.contracts.http.clusters import ClusterCreate, ClusterDetailList, ClusterFull, ClusterList
from shared.contracts.http.clustertemplates import ClustertemplateCreate, ClustertemplateFull, ClustertemplateList
from shared.db.repositories.documents import BAYMODELS, BAYS, CLUSTERS, CLUSTERTEMPLATES, Shelf
from shared.domain.errors import Conflict, NotFound

NEVER: Final = 10_000
"""A microversion that does not come."""


@dataclass(frozen=True)
class Resource:
    """A kind of row under one of its names: where it lies and what it is called in sentences."""

    shelf: Shelf
    argument: str
    """The word before the colon of the policy's rules for it."""
    word: str
    many: str
    one: str

    def missing(self, ident: object) -> NotFound:
        """The error for none."""
        return NotFound(f"{self.word} {str(ident)[:255]} could not be found.")

    def ambiguous(self) -> Conflict:
        """The error for several."""
        return Conflict(f"Multiple {self.many} exist with same name. Please use the {self.one} uuid instead.")

    def rule(self, action: str) -> str:
        """The policy's rule for it."""
        return f"{self.argument}:{action}"


@dataclass(frozen=True, kw_only=True)
class TemplateFace(Resource):
    """What differs between `/v1/baymodels` and `/v1/clustertemplates`. Sentences say ClusterTemplate in both."""

    path: str
    words: str
    """For people who read the documentation: one of them."""
    suffix: str
    """How names end that we make up."""
    new: type[Template]
    """The body of a POST."""
    state: type[Template]
    """What it must still be after a PATCH: the other name may have left out what this one needs."""
    full: type[BaseModel]
    page: type[BaseModel]
    needs_keypair: bool


@dataclass(frozen=True, kw_only=True)
class Face(Resource):
    """What differs between `/v1/bays` and `/v1/clusters`."""

    path: str
    template: TemplateFace
    template_field: str
    faults_field: str
    suffix: str
    """How names end that we make up."""
    new: type[NewBay]
    """The body of a POST."""
    full: type[BaseModel]
    page: type[BaseModel]
    detail_page: type[BaseModel]
    sync_until: int
    """The last microversion that answers a change with the whole row; 0: none."""
    missing_template_is_404_from: int
    zero_nodes_from: int
    """The first microversion with which a bay may have no workers."""
    masters_need_balancer: bool = False
    """Whether several masters are refused without a load balancer, as Magnum does (contract §1.10.5)."""
    changeable: frozenset[str] = frozenset({"node_count"})
    """What a PATCH may change."""

    @property
    def fewest_nodes(self) -> int:
        """How few workers may be asked for at any microversion."""
        return 1 if self.zero_nodes_from == NEVER else 0


BAYMODEL: Final = TemplateFace(
    BAYMODELS,
    "baymodel",
    "ClusterTemplate",
    "ClusterTemplates",
    "ClusterTemplate",
    path="baymodels",
    words="baymodel",
    suffix="model",
    new=BaymodelCreate,
    state=Template,
    full=BaymodelFull,
    page=BaymodelList,
    needs_keypair=True,
)
CLUSTERTEMPLATE: Final = TemplateFace(
    CLUSTERTEMPLATES,
    "clustertemplate",
    "ClusterTemplate",
    "ClusterTemplates",
    "ClusterTemplate",
    path="clustertemplates",
    words="cluster template",
    suffix="template",
    new=ClustertemplateCreate,
    state=ClustertemplateCreate,
    full=ClustertemplateFull,
    page=ClustertemplateList,
    needs_keypair=False,
)
BAY: Final = Face(
    BAYS,
    "bay",
    "Bay",
    "bays",
    "bay",
    path="bays",
    template=BAYMODEL,
    template_field="baymodel_id",
    faults_field="bay_faults",
    suffix="bay",
    new=BayCreate,
    full=BayFull,
    page=BayList,
    detail_page=BayDetailList,
    sync_until=1,
    missing_template_is_404_from=NEVER,
    zero_nodes_from=NEVER,
)
CLUSTER: Final = Face(
    CLUSTERS,
    "cluster",
    "Cluster",
    "clusters",
    "cluster",
    path="clusters",
    template=CLUSTERTEMPLATE,
    template_field="cluster_template_id",
    faults_field="faults",
    suffix="cluster",
    new=ClusterCreate,
    full=ClusterFull,
    page=ClusterList,
    detail_page=ClusterDetailList,
    sync_until=0,
    missing_template_is_404_from=10,
    zero_nodes_from=10,
    masters_need_balancer=True,
    changeable=frozenset({"node_count", "health_status", "health_status_reason"}),
)
