"""The driver for Kubernetes on Fedora Atomic: facts of a bay to a Heat stack, and a stack's outputs back to a bay."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from shared.drivers.common.outputs import read_outputs
from shared.drivers.contract import (
    MARK_PARAMETER,
    BayFacts,
    BayOutputs,
    BaySecrets,
    DriverKey,
    LabelRule,
    RenderedStack,
)
from shared.drivers.k8s_fedora_atomic import labels, user_data
from shared.drivers.k8s_fedora_atomic.labels import validate
from shared.drivers.rendering import package_texts

_CREDENTIAL = re.compile(r"(?:[A-Za-z0-9_.~=+/-]|@(?!@))+")


class K8sFedoraAtomic:
    """See shared.drivers.contract.Driver for the meaning of each member."""

    name: ClassVar[str] = "k8s_fedora_atomic"
    key: ClassVar[DriverKey] = ("vm", "fedora-atomic", "kubernetes")
    coe_version: ClassVar[str] = "v1.2.0"
    container_version: ClassVar[str] = "1.12.6"
    kinds: ClassVar[frozenset[str]] = frozenset({"create", "resize", "delete"})
    ca_key: ClassVar[Literal["ec-p256", "rsa2048"]] = "ec-p256"
    label_rules: ClassVar[Mapping[str, LabelRule]] = labels.RULES

    def validate(self, facts: BayFacts) -> None:
        """Raise InvalidInput, naming field and reason, for a bay that this driver cannot make."""
        validate(facts)

    def needs_cloud_credential(self, facts: BayFacts) -> bool:
        """Kubernetes needs it for Cinder volumes; a registry on the nodes would need it for Swift."""
        return facts.volume_driver == "cinder" or facts.registry_enabled

    def render(self, facts: BayFacts, secrets: BaySecrets) -> RenderedStack:
        """Make the stack: templates as they lie in heat/, user-data per role, and all choices as parameters."""
        validate(facts)
        if not facts.tls_disabled and not facts.ca_pem:
            raise ValueError("A bay with TLS needs its authority's certificate in facts.ca_pem.")
        cloud = self.needs_cloud_credential(facts)
        files = package_texts(user_data.OWN, "heat", ".yaml")
        template = files.pop("bay.yaml")
        files["master.user-data"] = user_data.render(facts, "master", cloud_provider=cloud)
        files["worker.user-data"] = user_data.render(facts, "worker", cloud_provider=cloud)
        parameters = _parameters(facts) | (_credential(secrets) if cloud else {})
        return RenderedStack(template=template, files=files, environment={}, parameters=parameters)

    def resize_parameters(self, node_count: int, remove: Sequence[str]) -> dict[str, str]:
        """Only the count and the list of who leaves; an empty list clears that of the resize before."""
        return {"number_of_minions": str(node_count), "nodes_to_remove": ",".join(remove)}

    def read_outputs(self, outputs: Mapping[str, object]) -> BayOutputs:
        """Read api_address and, by role, references and details."""
        return read_outputs(outputs)


def _parameters(facts: BayFacts) -> dict[str, str]:
    host_gateway = facts.labels.get("flannel_backend") == "host-gw"
    return {
        MARK_PARAMETER: facts.operation_id,
        "jeroboam_bay": facts.bay_id,
        "jeroboam_generation": str(facts.generation),
        # Names of Kubernetes nodes are lower case.
        "node_name_prefix": facts.stack_name.lower(),
        "server_image": facts.image_id,
        "master_flavor": facts.master_flavor_id,
        "minion_flavor": facts.flavor_id,
        "number_of_masters": str(facts.master_count),
        "number_of_minions": str(facts.node_count),
        "nodes_to_remove": "",
        "external_network": facts.external_network_id,
        "fixed_network": facts.fixed_network or "",
        "fixed_subnet": facts.fixed_subnet or "",
        "fixed_network_cidr": str(labels.NODE_NETWORK),
        "dns_nameserver": facts.dns_nameserver or "8.8.8.8",
        "floating_ip_enabled": "true" if facts.floating_ip_enabled else "false",
        "docker_volume_size": str(facts.docker_volume_size or 0),
        "kubernetes_port": str(labels.api_port(facts)),
        "api_scheme": "http" if facts.tls_disabled else "https",
        "pod_network_cidr": str(labels.flannel_network(facts)) if host_gateway else "",
        "wait_condition_timeout": str(user_data.wait_seconds(facts)),
    }


def _credential(secrets: BaySecrets) -> dict[str, str]:
    """The hidden parameters.

    What Keystone generates fits the pattern, and so does a stand-in such as `@sealed@`; nothing else may reach a
    configuration file.
    """
    given = {
        "application_credential_id": secrets.application_credential_id or "",
        "application_credential_secret": secrets.application_credential_secret or "",
    }
    for name, value in given.items():
        if not _CREDENTIAL.fullmatch(value):
            raise ValueError(f"This bay's nodes need the cloud, and {name} is missing or malformed.")
    return given
