"""What a bay's own services make in the cloud, made as they make it: names and words of cloud-provider-openstack."""

from __future__ import annotations

from dataclasses import dataclass

from shared.openstack.cinder import CinderClient
from shared.openstack.neutron import NeutronClient
from shared.openstack.octavia import OctaviaClient
from shared.openstack.session import CloudSession

LBAAS = "/v2.0/lbaas"


@dataclass(frozen=True)
class Service:
    """A service of type LoadBalancer: the ids of what the cloud controller made for it."""

    balancer: str
    vip_port: str
    floating_ip: str
    security_group: str


@dataclass(frozen=True)
class Maker:
    """Makes and looks, with a token of the project; `cluster` is what its things carry: the bay's id."""

    session: CloudSession
    cluster: str

    @property
    def neutron(self) -> NeutronClient:
        return NeutronClient(self.session)

    @property
    def octavia(self) -> OctaviaClient:
        return OctaviaClient(self.session)

    @property
    def cinder(self) -> CinderClient:
        return CinderClient(self.session)

    async def service(self, subnet_id: str, external_network_id: str, name: str = "web") -> Service:
        """A load balancer on the subnet, with a floating IP and a security group."""
        words = f"default/{name}"
        balancer = await self.balancer(
            subnet_id,
            f"kube_service_{self.cluster}_default_{name}",
            f"Kubernetes external service {words} from cluster {self.cluster}",
        )
        description = f"Floating IP for Kubernetes external service {words} from cluster {self.cluster}"
        address = await self.floating_ip(external_network_id, balancer[1], description)
        group = {
            "name": f"lb-sg-3f1c211e-default-{name}",
            "description": f"Security Group for {words} Service LoadBalancer in cluster {self.cluster}",
        }
        made = await self.session.send("network", "POST", "/security-groups", {"security_group": group})
        return Service(*balancer, address, made.doc("security_group").text("id"))

    async def balancer(self, subnet_id: str, name: str, description: str = "") -> tuple[str, str]:
        """A load balancer; its id and its port's."""
        body = {"name": name, "description": description, "vip_subnet_id": subnet_id}
        made = await self.session.send("load-balancer", "POST", f"{LBAAS}/loadbalancers", {"loadbalancer": body})
        found = made.doc("loadbalancer")
        return found.text("id"), found.text("vip_port_id")

    async def floating_ip(self, external_network_id: str, port_id: str, description: str = "") -> str:
        """A floating IP on a port; its id."""
        body = {"floating_network_id": external_network_id, "port_id": port_id, "description": description}
        made = await self.session.send("network", "POST", "/floatingips", {"floatingip": body})
        return made.doc("floatingip").text("id")

    async def port(self, network_id: str, **more: str) -> str:
        """A port; its id."""
        body = {"network_id": network_id, "name": "left by a pod network", **more}
        made = await self.session.send("network", "POST", "/ports", {"port": body})
        return made.doc("port").text("id")

    async def volume(self, name: str = "pvc-1") -> str:
        """A volume as Cinder CSI makes it; its id."""
        body = {"name": name, "size": 1, "metadata": {"cinder.csi.openstack.org/cluster": self.cluster}}
        made = await self.session.send("volumev3", "POST", "/volumes", {"volume": body})
        return made.doc("volume").text("id")

    async def there(self, project_id: str) -> set[str]:
        """The ids of all load balancers, floating IPs, security groups, ports and volumes of the project."""
        found = {one.id for one in await self.octavia.load_balancers(project_id)}
        for kind in ("floatingips", "security-groups", "ports"):
            found |= {one.id for one in await self.neutron.items(kind, project_id=project_id)}
        return found | {one.id for one in await self.cinder.volumes()}
