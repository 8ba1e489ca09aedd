"""The driver for Mesos on Ubuntu: masters with ZooKeeper and Marathon, agents with docker."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar, Final

from typing_extensions import override

from shared.drivers import rexray
from shared.drivers.common.stack import StackDriver, Words
from shared.drivers.common.support import refuse
from shared.drivers.common.user_data import Payload, mime
from shared.drivers.contract import BayFacts, DriverKey, Role, Support

MARATHON_PORT: Final = 8080
_ISOLATORS: Final = frozenset(
    {"filesystem/posix", "filesystem/linux", "filesystem/shared", "posix/cpu", "posix/mem", "posix/disk"}
    | {"cgroups/cpu", "cgroups/mem", "docker/runtime", "namespaces/pid"}
)
"""Contract §4.2."""
_AGENT_LABELS: Final = ("mesos_slave_isolation", "mesos_slave_image_providers", "mesos_slave_work_dir")
_VARIABLES: Final = ("mesos_slave_executor_env_variables", "mesos_slave_executor_environment_variables")


class MesosUbuntu(StackDriver):
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "mesos_ubuntu"
    key: ClassVar[DriverKey] = ("vm", "ubuntu", "mesos")
    coe_version: ClassVar[str] = "0.25.0"
    container_version: ClassVar[str] = "1.8.1"
    package: ClassVar[str] = "shared.drivers.mesos_ubuntu"
    words: ClassVar[Words] = Words(
        title="Mesos on Ubuntu",
        masters="mesos_masters",
        nodes="mesos_slaves",
        node="slave",
        number_of_nodes="number_of_slaves",
        node_flavor="slave_flavor",
        master_ports="mesos_master_ports",
    )
    docker_on_masters: ClassVar[bool] = False
    # No service of such a bay uses certificates; Magnum refuses their rotation.
    kinds: ClassVar[frozenset[str]] = StackDriver.kinds - {"rotate_ca"}
    support: ClassVar[Support] = Support(
        network_drivers=("docker",),
        volume_drivers=("rexray",),
        storage_drivers=("devicemapper", "overlay", "overlay2"),
        reasons=MappingProxyType(
            {
                "registry_enabled": "Nodes of a Mesos bay have no registry.",
                "node_taints": "Mesos knows no taints; its frameworks choose nodes by their attributes.",
            }
        ),
    )

    @override
    def api_port(self, facts: BayFacts) -> int:
        """Marathon's."""
        return MARATHON_PORT

    @override
    def api_address_format(self, facts: BayFacts) -> str:
        """The address alone, as the guide's walk-through expects it."""
        return "ADDRESS"

    @override
    def balancer_protocol(self, facts: BayFacts) -> str:
        """Marathon speaks HTTP."""
        return "HTTP"

    @override
    def check(self, facts: BayFacts) -> None:
        """Raise InvalidInput for a port that cannot be chosen, and for isolators that do not go together."""
        super().check(facts)
        if facts.apiserver_port not in (None, MARATHON_PORT):
            refuse("apiserver_port", f"apiserver_port is {MARATHON_PORT}, Marathon's, in a Mesos bay.")
        if empty := [name for name, value in facts.node_labels.items() if not value]:
            refuse("node_labels", f"Label {empty[0]} needs a value: Mesos knows no attribute without one.")
        isolators = [one for one in self.label(facts, "mesos_slave_isolation").split(",") if one]
        unknown = sorted(set(isolators) - _ISOLATORS)
        if unknown:
            refuse(
                "labels/mesos_slave_isolation",
                f"Isolators {', '.join(unknown)} are not known; allowed: {', '.join(sorted(_ISOLATORS))}.",
            )
        providers = self.label(facts, "mesos_slave_image_providers").split(",")
        if "docker" in providers and "docker/runtime" not in isolators:
            refuse(
                "labels/mesos_slave_image_providers",
                "The image provider docker needs docker/runtime in the label mesos_slave_isolation.",
            )

    @override
    def advice(self, facts: BayFacts) -> list[str]:
        """Mesos is older than its own TLS."""
        told = super().advice(facts)
        if not facts.tls_disabled:
            told.append("Mesos and Marathon have no TLS in this driver: whoever reaches the masters may use them.")
        return told

    @override
    def user_data(self, facts: BayFacts, role: Role) -> str:
        """MIME parts for cloud-init."""
        master, volumes = role == "master", rexray.wanted(facts, role)
        units = "zookeeper mesos-master marathon" if master else "docker mesos-slave"
        payload = Payload(
            package=self.package,
            login="ubuntu",
            user={"gecos": "Mesos", "groups": "adm,systemd-journal,sudo"},
            units=f"{units} rexray" if volumes else units,
            environment=self._environment(facts, role),
            credential=volumes,
            node_key="rsa2048" if volumes else "ec-p256",
            shared_payloads=(rexray.PACKAGE,) if volumes else (),
        )
        return mime(facts, role, payload)

    def _environment(self, facts: BayFacts, role: Role) -> dict[str, str]:
        given = {f"JB_{name.upper()}": self.label(facts, name) for name in _AGENT_LABELS}
        variables = [value for name in _VARIABLES if (value := self.label(facts, name))]
        own = {
            "JB_MESOS_CLUSTER": facts.bay_name,
            "JB_MESOS_SLAVE_VARIABLES": variables[0] if variables else "",
            "JB_DOCKER_STORAGE_DRIVER": facts.docker_storage_driver,
        }
        return given | own | (rexray.environment(self, facts) if rexray.wanted(facts, role) else {})
