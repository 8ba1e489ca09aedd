"""What each test of magnum-tempest-plugin 2.12.0's API part does here, and why those fail that cannot pass.

A test that is not named passes. One that is named must fail in the way that is said here: if it fails in another way,
or passes all of a sudden, that is news too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PACKAGE: Final = "magnum_tempest_plugin.tests.api.v1."
CLASSIC: Final = ("test_cluster", "test_cluster_template", "test_cluster_template_admin", "test_magnum_service")
RBAC: Final = tuple(f"rbac.{module}" for module in CLASSIC)
TESTS: Final = 60
"""How many there are; fewer means that some were not found."""


@dataclass(frozen=True)
class Failure:
    """How a test fails, and why it must. Its words hold something for each pattern of `marks`."""

    because: str
    marks: tuple[str, ...]

    def is_in(self, words: str) -> bool:
        """Whether it failed in this way."""
        return all(re.search(mark, words) for mark in self.marks)


_CLEANED_UP: Final = (r"tearDown\): 204 DELETE \S+/v1/clusters/", r"tearDown\): 404 GET \S+/v1/certificates/")
_ZERO_NODES: Final = Failure(
    "It posts node_count 0 without a microversion header, which is version 1.1; a real Magnum refuses it below 1.10.",
    (r"tempest\.lib\.exceptions\.BadRequest", r"to zero is not supported in the provided microversion"),
)
_NO_NODES: Final = Failure(
    "Create, list, CA, signing and what it cleans up at its end pass; between them it talks to the cluster's own "
    "Kubernetes, and the simulated cloud's nodes do not run one.",
    (r"MaxRetryError", r"200 GET \S+/v1/certificates/", r"201 POST \S+/v1/certificates ", *_CLEANED_UP),
)
_NOT_THE_CREATOR: Final = Failure(
    "Its reader asks for the CA of a cluster that its member made; Magnum's default policy gives that to the creator "
    "and to administrators only.",
    (r"403 GET \S+/v1/certificates/", r"Policy doesn't allow certificate:get to be performed", *_CLEANED_UP),
)

EXPECTED: Final = {
    "test_cluster.ClusterTest.test_create_cluster_with_zero_nodes": _ZERO_NODES,
    "rbac.test_cluster.ClusterTest.test_create_cluster_with_zero_nodes": _ZERO_NODES,
    "test_cluster.ClusterTest.test_create_list_sign_delete_clusters": _NO_NODES,
    "rbac.test_cluster.ClusterTest.test_create_list_sign_delete_clusters": _NOT_THE_CREATOR,
}
