"""Which class plays which type."""

from __future__ import annotations

from cloudsim.heat.errors import StackValidationFailed
from cloudsim.heat.resources import cinder, neutron, nova, octavia, plain, waits
from cloudsim.heat.resources.base import Kind
from cloudsim.heat.resources.group import ResourceGroup
from cloudsim.heat.resources.nested import HeatStack, TemplateKind
from cloudsim.heat.schema import TYPES

_KINDS: dict[str, type[Kind]] = {
    "OS::Heat::None": plain.Nothing,
    "OS::Heat::Value": plain.Value,
    "OS::Heat::RandomString": plain.RandomString,
    "OS::Heat::SoftwareConfig": plain.Config,
    "OS::Heat::CloudConfig": plain.CloudConfig,
    "OS::Heat::MultipartMime": plain.MultipartMime,
    "OS::Heat::WaitConditionHandle": waits.WaitHandle,
    "OS::Heat::WaitCondition": waits.WaitCondition,
    "OS::Heat::ResourceGroup": ResourceGroup,
    "OS::Heat::Stack": HeatStack,
    "OS::Nova::Server": nova.Server,
    "OS::Nova::ServerGroup": nova.ServerGroup,
    "OS::Nova::KeyPair": nova.KeyPair,
    "OS::Neutron::Net": neutron.Net,
    "OS::Neutron::Subnet": neutron.Subnet,
    "OS::Neutron::Router": neutron.Router,
    "OS::Neutron::RouterInterface": neutron.RouterInterface,
    "OS::Neutron::Port": neutron.Port,
    "OS::Neutron::FloatingIP": neutron.FloatingIP,
    "OS::Neutron::FloatingIPAssociation": neutron.FloatingIPAssociation,
    "OS::Neutron::SecurityGroup": neutron.SecurityGroup,
    "OS::Neutron::SecurityGroupRule": neutron.SecurityGroupRule,
    "OS::Cinder::Volume": cinder.Volume,
    "OS::Cinder::VolumeAttachment": cinder.VolumeAttachment,
    "OS::Octavia::LoadBalancer": octavia.LoadBalancer,
    "OS::Octavia::Listener": octavia.Listener,
    "OS::Octavia::Pool": octavia.Pool,
    "OS::Octavia::PoolMember": octavia.PoolMember,
    "OS::Octavia::HealthMonitor": octavia.HealthMonitor,
}


def make_kind(type_name: str) -> Kind:
    """The kind of a type name; names that end like files are nested templates. Raises StackValidationFailed."""
    if type_name.endswith((".yaml", ".template")):
        return TemplateKind(type_name)
    found = _KINDS.get(type_name)
    if found is None:
        raise StackValidationFailed(f"The Resource Type ({type_name}) could not be found.")
    return found(TYPES[type_name])
