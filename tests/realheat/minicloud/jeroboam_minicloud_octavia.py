"""Octavia's no-op network driver, with addresses that Neutron knows: a floating address needs a port to point to.

It runs inside the mini-cloud, with the mini-cloud's packages. The no-op driver alone invents the ids of VIP ports.
"""

# mypy: ignore-errors
# The base class is Octavia's, which is no dependency of ours.

from __future__ import annotations

from octavia.db import api
from octavia.db.repositories import AmphoraRepository
from octavia.network.data_models import Interface
from octavia.network.drivers.neutron.allowed_address_pairs import AllowedAddressPairsDriver
from octavia.network.drivers.noop_driver.driver import NoopNetworkDriver


class Network(NoopNetworkDriver):
    """Subnets and VIP ports are Neutron's; everything about amphorae stays imagined."""

    def get_subnet(self, subnet_id, context=None):
        """Whose network the VIP and the members are in."""
        return AllowedAddressPairsDriver().get_subnet(subnet_id)

    def allocate_vip(self, loadbalancer):
        """Make the VIP's port in the caller's project."""
        return AllowedAddressPairsDriver().allocate_vip(loadbalancer)

    def deallocate_vip(self, vip):
        """Remove it again."""
        AllowedAddressPairsDriver().network_proxy.delete_port(vip.port_id)

    def get_plugged_networks(self, compute_id):
        """An amphora is always in its VIP's network: else Octavia tries to plug it, and fails when a member leaves."""
        with api.session().begin() as session:
            vip = AmphoraRepository().get(session, compute_id=compute_id).load_balancer.vip
            return [Interface(compute_id=compute_id, network_id=vip.network_id, port_id=vip.port_id, fixed_ips=[])]
