"""Labels of versions and images, in the drivers for Kubernetes of the guide's time."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.drivers.common import sources
from shared.drivers.contract import Driver
from tests.drivers.legacy_nodes import COREOS, each_legacy, pods, running_master
from tests.drivers.nodes import environment

DEFAULT = sources.DEFAULTS["k8s_hyperkube_image"]


def hyperkube(driver: Driver, mirror: str = "", **labels: str) -> str:
    given = {"k8s_hyperkube_image": mirror} if mirror else {}
    return environment(driver, "master", labels=labels, node_sources=given)["JB_HYPERKUBE_IMAGE"]


@each_legacy
@pytest.mark.parametrize("tag", ["v1.5.4", "v1.2.0", "v1.4.0_coreos.1", "1.3", "latest"])
def test_kube_tag(driver: Driver, tag: str, tmp_path: Path) -> None:
    image = f"gcr.io/google_containers/hyperkube:{tag}"
    assert hyperkube(driver, kube_tag=tag) == image
    box = running_master(tmp_path, driver, labels={"kube_tag": tag})
    assert {pod["image"] for pod in pods(box).values()} == {image}
    assert hyperkube(driver) == DEFAULT


@each_legacy
def test_kube_tag_wins_over_the_operators_sources(driver: Driver) -> None:
    for mirror in ("r.example.org:5000/x/hyperkube:v1.2.7", "r.example.org:5000/x/hyperkube@sha256:0123abcd"):
        assert hyperkube(driver, mirror) == mirror
        assert hyperkube(driver, mirror, kube_tag="v1.4.1") == "r.example.org:5000/x/hyperkube:v1.4.1"


@each_legacy
def test_container_infra_prefix(driver: Driver) -> None:
    prefix = "r.example.org:5000/infra/"
    given = environment(driver, "master", labels={"container_infra_prefix": prefix, "kube_tag": "v1.3.0"})
    assert given["JB_HYPERKUBE_IMAGE"] == f"{prefix}hyperkube:v1.3.0"
    assert given["JB_PAUSE_IMAGE"] == f"{prefix}pause:2.0"
    images = {name: value for name, value in given.items() if name.endswith("_IMAGE")}
    assert all(value.startswith(prefix) for value in images.values())
    assert len(images) == (4 if driver is COREOS else 2)
