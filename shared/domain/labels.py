"""The labels that take effect: whose they are, what values they take, what they do, and the test that shows it.

Names and defaults are the guide's and Magnum's (contract §4.2). A name may come twice, for drivers with other defaults.
tests/house/test_labels.py holds that every test named here exists; docs list this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.domain.label_rule import EVERY, Label, LabelRule
from shared.domain.scaling_labels import SCALING

__all__ = ["LABELS", "Label", "LabelRule", "rules_of"]

_LEGACY: Final = frozenset({"k8s_fedora_atomic", "k8s_coreos", "k8s_fedora_ironic"})
_CURRENT: Final = frozenset({"k8s_ubuntu"})
_KUBERNETES: Final = _LEGACY | _CURRENT
_SWARM: Final = frozenset({"swarm_fedora_atomic"})
_SWARM_MODE: Final = frozenset({"swarm_mode_fedora_atomic"})
_MESOS: Final = frozenset({"mesos_ubuntu"})
_METAL: Final = frozenset({"k8s_fedora_ironic"})
_FLANNEL: Final = _KUBERNETES | _SWARM
_ETCD: Final = (_KUBERNETES | _SWARM) - _METAL
_REXRAY: Final = _SWARM | _SWARM_MODE | _MESOS
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}"


def _placement() -> tuple[Label, ...]:
    where = "drivers/test_stack_labels.py"
    return (
        Label(
            "availability_zone",
            EVERY,
            LabelRule(
                kind="text", default="", pattern=_NAME, summary="Nova's zone of the servers and of their volumes"
            ),
            f"{where}::test_availability_zone",
        ),
        Label(
            "server_group_policies",
            EVERY,
            LabelRule(
                kind="choice",
                default="soft-anti-affinity",
                allowed=("soft-anti-affinity", "anti-affinity", "soft-affinity", "affinity"),
                summary="policy of the masters' server group; when given, workers get a group of that policy too",
            ),
            f"{where}::test_server_group_policies",
        ),
    )


def _disks() -> tuple[Label, ...]:
    where = "drivers/test_stack_labels.py"
    return (
        Label(
            "docker_volume_type",
            EVERY,
            LabelRule(kind="text", default="", pattern=_NAME, summary="Cinder's type of the volumes for containers"),
            f"{where}::test_docker_volume_type",
            _METAL,
        ),
        Label(
            "boot_volume_size",
            EVERY,
            LabelRule(
                kind="integer",
                default="0",
                maximum=16_384,
                summary="GB of the volume that each server boots from; 0: the flavor's own disk",
            ),
            f"{where}::test_boot_volume_size",
            _METAL,
        ),
        Label(
            "boot_volume_type",
            EVERY,
            LabelRule(
                kind="text",
                default="",
                pattern=_NAME,
                summary="Cinder's type of the volumes that servers boot from; needs Heat 26 or newer",
            ),
            f"{where}::test_boot_volume_type",
            _METAL,
        ),
        Label(
            "etcd_volume_size",
            _ETCD,
            LabelRule(
                kind="integer",
                default="0",
                maximum=1024,
                summary="GB of each master's volume for etcd's data; 0: the server's own disk",
            ),
            f"{where}::test_etcd_volume_size",
        ),
        Label(
            "etcd_volume_type",
            _ETCD,
            LabelRule(kind="text", default="", pattern=_NAME, summary="Cinder's type of the volumes for etcd"),
            f"{where}::test_etcd_volume_type",
        ),
    )


def _network() -> tuple[Label, ...]:
    where = "drivers/test_stack_labels.py"
    return (
        Label(
            "fixed_subnet_cidr",
            EVERY,
            LabelRule(kind="cidr", default="10.0.0.0/24", summary="addresses of the network that is made for the bay"),
            f"{where}::test_fixed_subnet_cidr",
            _METAL,
        ),
        Label(
            "master_lb_floating_ip_enabled",
            EVERY,
            LabelRule(
                kind="boolean",
                default="",
                summary="whether the load balancer has a floating address; as floating_ip_enabled when not given",
            ),
            f"{where}::test_master_lb_floating_ip_enabled",
        ),
        Label(
            "master_lb_allowed_cidrs",
            EVERY,
            LabelRule(
                kind="cidrs",
                default="",
                summary="who may use the load balancer, beside the bay's nodes; everybody when not given",
            ),
            f"{where}::test_master_lb_allowed_cidrs",
        ),
        Label(
            "octavia_provider",
            EVERY,
            LabelRule(
                kind="text", default="", pattern=_NAME, summary="Octavia's provider; its own default if not given"
            ),
            f"{where}::test_octavia_provider",
        ),
        Label(
            "octavia_lb_algorithm",
            EVERY,
            LabelRule(
                kind="choice",
                default="ROUND_ROBIN",
                allowed=("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"),
                summary="how the load balancer chooses a master",
            ),
            f"{where}::test_octavia_lb_algorithm",
        ),
        Label(
            "octavia_lb_healthcheck",
            EVERY,
            LabelRule(kind="boolean", default="true", summary="whether the load balancer watches the masters"),
            f"{where}::test_octavia_lb_healthcheck",
        ),
    )


def _containers_network() -> tuple[Label, ...]:
    where = "drivers/test_network_labels.py"
    return (
        Label(
            "flannel_network_cidr",
            _FLANNEL,
            LabelRule(kind="cidr", default="10.100.0.0/16", summary="IPv4 network that the bay's containers share"),
            f"{where}::test_flannel_network_cidr",
        ),
        Label(
            "flannel_network_subnetlen",
            _FLANNEL,
            LabelRule(
                kind="integer", default="24", minimum=8, maximum=30, summary="prefix length of each node's part of it"
            ),
            f"{where}::test_flannel_network_subnetlen",
        ),
        Label(
            "flannel_backend",
            _FLANNEL - _CURRENT,
            LabelRule(
                kind="choice",
                default="udp",
                allowed=("udp", "vxlan", "host-gw"),
                summary="how packets go between nodes",
            ),
            f"{where}::test_flannel_backend",
        ),
        Label(
            "flannel_backend",
            _CURRENT,
            LabelRule(
                kind="choice",
                default="vxlan",
                allowed=("udp", "vxlan", "host-gw"),
                summary="how packets go between nodes",
            ),
            "drivers/test_k8s_ubuntu_labels.py::test_flannel_backend",
        ),
        Label(
            "service_cluster_ip_range",
            _KUBERNETES,
            LabelRule(kind="cidr", default="10.254.0.0/16", summary="IPv4 network of Kubernetes' services"),
            f"{where}::test_service_cluster_ip_range",
        ),
    )


def _tag(name: str, default: str, summary: str, test: str, drivers: frozenset[str] = _CURRENT) -> Label:
    return Label(name, drivers, LabelRule(kind="text", default=default, pattern=_TAG, summary=summary), test)


def _versions() -> tuple[Label, ...]:
    legacy, current = "drivers/test_legacy_labels.py", "drivers/test_k8s_ubuntu_labels.py"
    prefix = LabelRule(
        kind="text",
        default="",
        pattern=r"[A-Za-z0-9_.:/-]{1,200}/",
        summary="registry and path, ending in '/', that all system images come from",
    )
    return (
        _tag("kube_tag", "v1.2.0", "tag of the hyperkube image", f"{legacy}::test_kube_tag", _LEGACY),
        Label("container_infra_prefix", _LEGACY, prefix, f"{legacy}::test_container_infra_prefix"),
        Label(
            "kube_tag",
            _CURRENT,
            LabelRule(
                kind="text", default="v1.36.4", pattern=r"v1\.\d{2}\.\d{1,2}", summary="Kubernetes' version, as vX.Y.Z"
            ),
            f"{current}::test_kube_tag",
        ),
        Label("container_infra_prefix", _CURRENT, prefix, f"{current}::test_container_infra_prefix"),
        _tag("flannel_tag", "v0.28.9", "version of flannel", f"{current}::test_flannel_tag"),
        _tag(
            "flannel_cni_tag", "v1.9.1-flannel3", "version of flannel's CNI plugin", f"{current}::test_flannel_cni_tag"
        ),
    )


def _cloud() -> tuple[Label, ...]:
    where = "drivers/test_k8s_ubuntu_labels.py"
    volumes = LabelRule(kind="boolean", default="false", summary="whether Cinder CSI's volumes go with the bay")
    return (
        Label(
            "cloud_provider_enabled",
            _CURRENT,
            LabelRule(
                kind="boolean",
                default="",
                summary="OpenStack's cloud controller in the bay; as volume_driver is cinder when not given",
            ),
            f"{where}::test_cloud_provider_enabled",
        ),
        _tag(
            "cloud_provider_tag",
            "",
            "version of the cloud controller; .0 of kube_tag's series when not given",
            f"{where}::test_cloud_provider_tag",
        ),
        Label(
            "cinder_csi_enabled",
            _CURRENT,
            LabelRule(kind="boolean", default="true", summary="Cinder CSI, when volume_driver is cinder"),
            f"{where}::test_cinder_csi_enabled",
        ),
        Label("delete_volumes", _CURRENT, volumes, "e2e/test_delete_attached.py::test_volumes_by_choice"),
        _tag(
            "cinder_csi_plugin_tag",
            "",
            "version of Cinder CSI; .0 of kube_tag's series when not given",
            f"{where}::test_cinder_csi_plugin_tag",
        ),
        _tag("csi_attacher_tag", "v4.12.0", "version of this CSI sidecar", f"{where}::test_csi_sidecar_tags"),
        _tag("csi_provisioner_tag", "v6.3.0", "version of this CSI sidecar", f"{where}::test_csi_sidecar_tags"),
        _tag("csi_resizer_tag", "v2.2.1", "version of this CSI sidecar", f"{where}::test_csi_sidecar_tags"),
        _tag(
            "csi_node_driver_registrar_tag", "v2.17.0", "version of this CSI sidecar", f"{where}::test_csi_sidecar_tags"
        ),
        _tag("csi_liveness_probe_tag", "v2.19.0", "version of this CSI sidecar", f"{where}::test_csi_sidecar_tags"),
    )


def _other_engines() -> tuple[Label, ...]:
    swarm, mesos, rexray = "drivers/test_swarm_labels.py", "drivers/test_mesos_labels.py", "drivers/test_rexray.py"
    preempt = LabelRule(
        kind="boolean", default="false", summary="whether a node may take over a volume that another one uses"
    )
    variables = LabelRule(kind="json", default="", summary="environment of executors, a JSON object of texts")
    return (
        Label("rexray_preempt", _REXRAY, preempt, f"{rexray}::test_rexray_preempt"),
        Label("rexray-preempt", _REXRAY, preempt, f"{rexray}::test_rexray_preempt"),
        Label(
            "swarm_strategy",
            _SWARM,
            LabelRule(
                kind="choice",
                default="spread",
                allowed=("spread", "binpack", "random"),
                summary="how swarm chooses a node for a container",
            ),
            f"{swarm}::test_swarm_strategy",
        ),
        Label(
            "mesos_slave_isolation",
            _MESOS,
            LabelRule(
                kind="text",
                default="",
                pattern=r"[a-z]+/[a-z]+(,[a-z]+/[a-z]+)*",
                summary="isolators of the agents, separated by commas",
            ),
            f"{mesos}::test_mesos_slave_isolation",
        ),
        Label(
            "mesos_slave_image_providers",
            _MESOS,
            LabelRule(
                kind="choice",
                default="",
                allowed=("appc", "docker", "appc,docker", "docker,appc"),
                summary="kinds of images that agents can run; docker asks for the isolator docker/runtime",
            ),
            f"{mesos}::test_mesos_slave_image_providers",
        ),
        Label(
            "mesos_slave_work_dir",
            _MESOS,
            LabelRule(kind="text", default="", pattern=r"(/[A-Za-z0-9_.-]+)+", summary="agents' working folder"),
            f"{mesos}::test_mesos_slave_work_dir",
        ),
        Label(
            "mesos_slave_executor_env_variables", _MESOS, variables, f"{mesos}::test_mesos_slave_executor_env_variables"
        ),
        Label(
            "mesos_slave_executor_environment_variables",
            _MESOS,
            variables,
            f"{mesos}::test_mesos_slave_executor_env_variables",
        ),
    )


LABELS: Final = (
    *_placement(),
    *_disks(),
    *_network(),
    *_containers_network(),
    *_versions(),
    *_cloud(),
    *_other_engines(),
    *SCALING,
)


def rules_of(driver: str) -> Mapping[str, LabelRule]:
    """The labels that take effect in a driver, by name."""
    return MappingProxyType({label.name: label.rule for label in LABELS if label.concerns(driver)})
