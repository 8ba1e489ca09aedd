"""Where the simulated cloud may differ from the recorded one, and why. An entry that is not needed fails.

By service, or by service/conversation where it is about one only; an entry is a kind of difference and a dotted path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.cloudsim.recorded.compare import Difference

_NO_AGENT: Final = "the recorded cloud has no L3 agent, so its floating addresses and routers' ports stay DOWN"
_NO_AMPHORA: Final = "the recorded Octavia drives nothing, so its load balancers stay OFFLINE"
_OWN_TYPES: Final = "every installation has volume types of its own"
_GLANCE_CLIENT: Final = "written by the client that uploaded the recorded image"
_NAMED_FIRST: Final = "Heat's events give the name that a thing is to have until it has an id; nobody reads it"
_CUT_IN: Final = (
    "whether members whose nodes are waited for outlive an update that cuts in depends on where the engine is: real "
    "ones were seen to do both, cloudsim plays the worse"
)
_VALIDATE: Final = "what /validate refuses, and what is no YAML, is told in somewhat other words; people read them"
_FAILS_LATER: Final = "it fails for the same cause, in another place and so in other words"

_TYPE_QUOTAS: Final = {
    f"{kind} quota_set.{what}_{name}": _OWN_TYPES
    for kind, names in (("lacks", ("fake", "__DEFAULT__")), ("adds", ("lvmdriver-1",)))
    for name in names
    for what in ("volumes", "gigabytes", "snapshots")
}

ALLOWED: Final[Mapping[str, Mapping[str, str]]] = {
    "identity/access_rules": {
        "is headers.www-authenticate": "Keystone behind its own middleware names its root, elsewhere its version",
    },
    "image/images": {
        **{
            f"lacks {where}owner_specified.openstack.{name}": _GLANCE_CLIENT
            for where in ("", "images[].")
            for name in ("md5", "sha256", "object")
        },
        "lacks images[].os_distro": "not every image says what is in it",
        **{f"is {name}": "another image" for name in ("size", "virtual_size", "min_disk", "disk_format")},
    },
    "load-balancer": {
        "is loadbalancer.operating_status": _NO_AMPHORA,
        "is loadbalancers[].operating_status": _NO_AMPHORA,
    },
    "load-balancer/balancers": {
        "is ports[].status": _NO_AMPHORA,
        "is ports[].admin_state_up": _NO_AMPHORA,
        "lacks ports[].security_groups[]": "the group of a load balancer's port is Octavia's own and is not simulated",
    },
    "network/networks": {"is ports[].status": _NO_AGENT},
    "network/ports": {
        "is floatingip.status": _NO_AGENT,
        "is floatingips[].status": _NO_AGENT,
        "is security_groups[].security_group_rules[].belongs_to_default_sg": "null in lists, false where it was made",
    },
    "network/rights": {
        f"lacks networks[].provider:{name}": "how an operator's networks are built is not simulated"
        for name in ("network_type", "physical_network", "segmentation_id")
    },
    "orchestration/life": {"is events[].physical_resource_id": _NAMED_FIRST},
    "orchestration/overtaking": {
        "is stack.stack_status": _CUT_IN,
        "is stack.stack_status_reason": _CUT_IN,
    },
    "orchestration/refusals": {
        "is stack.stack_status_reason": _FAILS_LATER,
        "is error.message": "a file that the request lacks is told of without the place where it is wanted",
    },
    "orchestration/templates": {
        "is Parameters.nodes_to_remove.Default": "a default list is shown as one, not as the text of the template",
        "is error.type": _VALIDATE,
        "is error.message": _VALIDATE,
    },
    "volumev3": {**_TYPE_QUOTAS, "is volume.volume_type": _OWN_TYPES, "is volumes[].volume_type": _OWN_TYPES},
    "volumev3/versions": {"is volume_type.name": _OWN_TYPES},
}


def allowed(conversation: str, found: Difference) -> bool:
    """Whether this difference is one of those."""
    return any(found.key in ALLOWED.get(which, {}) for which in (conversation, conversation.partition("/")[0]))
