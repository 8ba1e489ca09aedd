"""Each label of k8s_ubuntu has its effect in what the nodes get."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import InvalidInput
from shared.drivers import registry
from tests.drivers.cases import facts
from tests.drivers.nodes import environment, node

DRIVER = registry.by_name("k8s_ubuntu")
CINDER: dict[str, Any] = {"volume_driver": "cinder"}


def manifests(labels: dict[str, str], **changes: Any) -> str:
    return node(DRIVER, "master", labels=labels, **changes).files["/etc/jeroboam/manifests.yaml"]["content"]


def test_kube_tag() -> None:
    given = environment(DRIVER, "worker", labels={"kube_tag": "v1.35.9"})
    assert given["JB_KUBE_VERSION"] == "v1.35.9"
    assert given["JB_KUBE_PACKAGES"] == "https://pkgs.k8s.io/core:/stable:/v1.35/deb/"
    assert given["JB_KUBE_PACKAGES_KEY"] == "https://pkgs.k8s.io/core:/stable:/v1.35/deb/Release.key"
    for wrong in ("v1.33.9", "v1.38.0", "latest", "1.36.4"):
        with pytest.raises(InvalidInput) as refused:
            DRIVER.validate(facts(DRIVER, labels={"kube_tag": wrong}))
        assert refused.value.field == "labels/kube_tag"


def test_container_infra_prefix() -> None:
    labels = {"container_infra_prefix": "mirror.example.org:5000/k8s/", "cloud_provider_enabled": "true"}
    assert environment(DRIVER, "worker", labels=labels)["JB_KUBE_IMAGES"] == "mirror.example.org:5000/k8s"
    images = [line.split(": ")[1] for line in manifests(labels, **CINDER).splitlines() if "image:" in line]
    assert len(images) == 12
    assert all(image.startswith('"mirror.example.org:5000/k8s/') and image.count("/") == 2 for image in images)


def test_flannel_tag() -> None:
    assert manifests({"flannel_tag": "v0.27.0"}).count('"ghcr.io/flannel-io/flannel:v0.27.0"') == 2


def test_flannel_cni_tag() -> None:
    assert '"ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-x"' in manifests({"flannel_cni_tag": "v1.8.0-x"})


def test_flannel_backend() -> None:
    assert '"Backend": {"Type": "vxlan"}' in manifests({})
    assert "privileged: false" in manifests({})
    assert '"Backend": {"Type": "udp"}' in manifests({"flannel_backend": "udp"})
    assert "privileged: true" in manifests({"flannel_backend": "udp"})


@pytest.mark.parametrize(
    ("label", "volume_driver", "runs"),
    [(None, None, False), (None, "cinder", True), ("true", None, True), ("false", "cinder", False)],
)
def test_cloud_provider_enabled(label: str | None, volume_driver: str | None, runs: bool) -> None:
    labels = {"cloud_provider_enabled": label} if label else {}
    changes: dict[str, Any] = {"volume_driver": volume_driver}
    assert ("openstack-cloud-controller-manager" in manifests(labels, **changes)) == runs
    given = environment(DRIVER, "worker", labels=labels, **changes)
    assert given["JB_CLOUD_PROVIDER"] == ("true" if runs else "false")
    assert DRIVER.needs_cloud_credential(facts(DRIVER, labels=labels, **changes)) == (runs or bool(volume_driver))


def test_cloud_provider_tag() -> None:
    image = "registry.k8s.io/provider-os/openstack-cloud-controller-manager"
    labels = {"cloud_provider_enabled": "true", "kube_tag": "v1.35.9"}
    assert f'"{image}:v1.35.0"' in manifests(labels)
    assert f'"{image}:v1.35.2"' in manifests(labels | {"cloud_provider_tag": "v1.35.2"})


def test_cinder_csi_enabled() -> None:
    assert "cinder-csi-plugin" in manifests({"cinder_csi_enabled": "true"}, **CINDER)
    assert "cinder-csi-plugin" not in manifests({"cinder_csi_enabled": "true"})
    with pytest.raises(InvalidInput) as refused:
        DRIVER.validate(facts(DRIVER, labels={"cinder_csi_enabled": "no"}, **CINDER))
    assert refused.value.field == "labels/cinder_csi_enabled"


def test_cinder_csi_plugin_tag() -> None:
    image = "registry.k8s.io/provider-os/cinder-csi-plugin"
    assert manifests({}, **CINDER).count(f'"{image}:v1.36.0"') == 2
    assert manifests({"cinder_csi_plugin_tag": "v1.36.1"}, **CINDER).count(f'"{image}:v1.36.1"') == 2


@pytest.mark.parametrize(
    ("label", "image"),
    [
        ("csi_attacher_tag", "csi-attacher"),
        ("csi_provisioner_tag", "csi-provisioner"),
        ("csi_resizer_tag", "csi-resizer"),
        ("csi_node_driver_registrar_tag", "csi-node-driver-registrar"),
        ("csi_liveness_probe_tag", "livenessprobe"),
    ],
)
def test_csi_sidecar_tags(label: str, image: str) -> None:
    assert f'"registry.k8s.io/sig-storage/{image}:v9.9.9"' in manifests({label: "v9.9.9"}, **CINDER)
