"""Bodies of /v1/clustertemplates (contract §1.12): the rows of /v1/baymodels under their later name."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from shared.contracts.http.baymodels import BaymodelFull, Template
from shared.contracts.http.values import Loose255


class ClustertemplateCreate(Template):
    """POST /v1/clustertemplates."""

    argument: ClassVar[str] = "cluster_template"

    driver: Loose255 | None = None
    """Name of the driver; absent: the one for the image, the engine and the server type."""


class ClustertemplateFull(BaymodelFull):
    """A cluster template, whole; lists have the same."""

    driver: str
    """Empty: chosen when a cluster is made."""
    project_id: str
    user_id: str


class ClustertemplateList(BaseModel):
    """GET /v1/clustertemplates and /v1/clustertemplates/detail."""

    clustertemplates: list[ClustertemplateFull]
    next: str | None = None
    """URL of the next page; absent when this page is not full."""
