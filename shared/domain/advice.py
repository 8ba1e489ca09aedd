"""Why the cloud failed, told so that the reader knows what to do next: the resource, the cloud's own words, our advice.

OpenStack's services say what went wrong in words that Heat hands on as a resource's reason. The table below knows those
that owners of bays meet in practice, and has one sentence for each. A reason that it does not know is told without
advice: a guess would cost more than it helps. The first entry that matches counts, so the special come before the
general ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

LONGEST: Final = 2000
"""Characters of a status_reason."""

SHOWN: Final = 3
"""Resources named in a status_reason; all that failed are in the faults."""

MOST_FAULTS: Final = 100
_LONGEST_REASON: Final = 400


@dataclass(frozen=True, slots=True)
class Cause:
    """A resource that failed, or that is awaited."""

    name: str
    """With the names of the resources around it, from the outside in: `kube_minions.0.server`."""
    type: str
    """As Heat has it: `OS::Nova::Server`."""
    reason: str = ""
    """Heat's own words."""
    physical_id: str = ""
    """What the resource is called where it lives, for instance the server's id in Nova; "" before it exists."""
    since: str | None = None
    """For one that is awaited: since when it has been as it is, as Heat tells it."""

    @property
    def named(self) -> str:
        """Name, type and id."""
        known = ", ".join(one for one in (self.type, self.physical_id) if one)
        return f"{self.name} ({known})" if known else self.name


class _Known(NamedTuple):
    words: re.Pattern[str]
    kind: re.Pattern[str]
    sentence: str


def _known(words: str, sentence: str, kind: str = "") -> _Known:
    return _Known(re.compile(words, re.IGNORECASE), re.compile(kind), sentence)


_TABLE: Final = (
    # compute
    _known(
        r"flavor's disk is too small|disk is too small for requested image",
        "Choose a flavor with a larger root disk, or a smaller image.",
    ),
    _known(
        r"flavor's memory is too small|memory is too small for requested image",
        "Choose a flavor with more memory, or another image.",
    ),
    _known(
        r"quota exceeded.{0,40}\b(instances|cores|ram)\b|too many (instances|cores)",
        "The project's compute quota is used up: delete servers that are not needed, ask for fewer nodes or a smaller "
        "flavor, or ask the operator for a larger quota.",
    ),
    _known(
        r"quota exceeded.{0,20}server group|too many server groups",
        "The project has as many server groups as it may: delete some, or ask the operator for a larger quota.",
    ),
    _known(
        r"(anti-)?affinity (policy|rule)|servergroup policy|group policy",
        "The servers cannot be spread over hosts as their group demands: ask for fewer nodes, or ask the operator for "
        "more hosts.",
    ),
    _known(
        r"requested availability zone is not available|availability zone .{0,80}(not found|could not be found)",
        "Name an availability zone that the cloud has (openstack availability zone list).",
    ),
    _known(
        r"no valid host was found|no valid host",
        "No host has room for a server of this flavor: choose a smaller flavor or fewer nodes, try again later, or ask "
        "the operator for capacity.",
    ),
    _known(
        r"exceeded maximum number of retries|exceeded max scheduling attempts|exhausted all hosts",
        "Several hosts were tried and each failed to start the server: try again, and if it happens again, show the "
        "operator the server's id.",
    ),
    _known(
        r"key ?pair .{0,200}(not found|could not be found)|the key \(.{0,255}\) could not be found"
        r"|invalid key_name|unable to find keypair",
        "Key pairs belong to users: create one of this name as the user who asked for the bay (openstack keypair "
        "create), or name another.",
    ),
    _known(
        r"image .{0,255}(not found|could not be found)|imagenotfound|image .{0,255} is (unacceptable|not active)",
        "Look whether the image still exists and is active (openstack image show); if not, make a baymodel with one "
        "that is.",
    ),
    _known(
        r"flavor .{0,255}(not found|could not be found)|unable to find flavor",
        "Name a flavor that the project sees (openstack flavor list).",
    ),
    # volumes
    _known(
        r"volume type.{0,255}(not found|could not be found)|volumetype \(.{0,255}\)|invalid volume type",
        "Name a volume type that the cloud has (openstack volume type list) in the label that asks for it.",
    ),
    _known(
        r"volumesizeexceedsavailablequota|exceeds allowed gigabytes quota|maximum number of volumes allowed"
        r"|volumelimitexceeded|quota exceeded.{0,40}\b(volumes|gigabytes)|exceeded for quota '(volumes|gigabytes)",
        "The project's volume quota is used up: delete volumes that are not needed, ask for smaller ones "
        "(docker_volume_size) or fewer nodes, or ask the operator for a larger quota.",
    ),
    _known(
        r"volume .{0,255}(in-use|still attached|status must be available)|(status must be available).{0,120}volume",
        "Detach the volume from the server that holds it (openstack server remove volume), then ask again.",
    ),
    _known(
        r"volume .{0,80}did not finish being created|volume .{0,80}(error|in error state)|unable to create volume",
        "Cinder could not make the volume: try again, and if it happens again, show the operator the volume's id.",
    ),
    # deletions that something holds up
    _known(
        r"which is pending_",
        "Octavia refuses every change of a load balancer until it is done with it: if it stays so, the operator has to "
        "end that; then ask for the deletion again.",
    ),
    _known(
        r"required by one or more floating ips",
        "A floating IP still leads through the router: release it (openstack floating ip list --router), then ask for "
        "the deletion again.",
    ),
    _known(
        r"ports? still in use|still has ports|ip allocation from this subnet|networkinuse|subnetinuse|routerinuse",
        "Something outside the bay's stack still has a port there, often a load balancer that the cluster itself made: "
        "delete it (openstack port list --network), then ask for the deletion again.",
    ),
    _known(
        r"security ?group .{0,80}in use",
        "A port or a server outside the bay's stack still uses the security group: take it off there, then ask for the "
        "deletion again.",
    ),
    # networks
    _known(
        r"quota exceeded for resources|overquota|quota exceeded.{0,80}(port|network|subnet|router|floatingip|security)",
        "The project's network quota is used up: delete what is not needed there (ports, routers, floating IPs, "
        "security groups), or ask the operator for a larger quota.",
    ),
    _known(
        r"no more ip addresses available|ipaddressgenerationfailure|unable to find any ip address on external network"
        r"|externalipaddressexhausted|no more (floating )?ip(s| addresses)",
        "The network has no free address left: release addresses that are not needed, choose another network, or make "
        "a bay without floating IPs (floating_ip_enabled false).",
    ),
    _known(
        r"externalgatewayforfloatingipnotfound|external network .{0,80} is not reachable from subnet",
        "The bay's subnet has no router to the external network: connect it to a router whose gateway is there, or "
        "name the external network of the router that it has.",
    ),
    _known(
        r"(fixed |external )?(network|subnet) .{0,255}could not be found|unable to find (network|subnet)",
        "Look whether the network still exists and the project sees it (openstack network list), or name another.",
    ),
    _known(
        r"multiple possible networks found",
        "The project sees several networks: name the one to use as fixed_network.",
    ),
    _known(
        r"failed to allocate the network|virtualinterfacecreate|vif.{0,40}timeout|unable to allocate|no tenant network",
        "The cloud's network service could not give what was asked for: try again, and if it happens again, show this "
        "reason to the operator.",
    ),
    # load balancers
    _known(
        r"\bERROR\b|went to status error|provisioning_status",
        "Octavia could not build the load balancer: try again, or make a bay without one (master_lb_enabled false); "
        "the operator finds the cause in Octavia's logs under its id.",
        kind=r"^OS::(Octavia|Neutron::LBaaS)::",
    ),
    # nodes
    _known(
        r"waitconditiontimeout|\d+ of \d+ received",
        "A node was started and never reported that it is ready: read the server's console (openstack console log "
        "show), and check that its network reaches this service and the sources of its packages and images.",
    ),
    _known(
        r"waitconditionfailure",
        "A node reported that its setup failed: the reason holds its words; the server's console (openstack console "
        "log show) holds the rest.",
    ),
    # everything
    _known(
        r"timed? ?out",
        "Ask for more time (create_timeout, in minutes) if the cloud is merely slow; else look at the resource that "
        "was awaited.",
    ),
    _known(
        r"not authorized|policy doesn't allow|forbidden|http 403",
        "The cloud's policy refused it: the operator has to see that this service's user has its role in the project.",
    ),
    _known(
        r"unable to establish connection|service unavailable|http 50[0234]|connection refused",
        "A service of the cloud did not answer: try again later, and if it happens again, show this reason to the "
        "operator.",
    ),
)

_AWAITED: Final = (
    _known(
        "",
        "That node was started and has not reported yet: read the server's console (openstack console log show), and "
        "check that its network reaches this service and the sources of its packages and images.",
        kind="WaitCondition",
    ),
    _known(
        "",
        "Look at the server in Nova (openstack server show); the operator finds the cause in the logs of its host.",
        kind="^OS::Nova::",
    ),
    _known(
        "",
        "Look at the load balancer (openstack loadbalancer show); the operator finds the cause in Octavia's logs.",
        kind="^OS::(Octavia|Neutron::LBaaS)::",
    ),
    _known(
        "",
        "Look at the volume in Cinder (openstack volume show); the operator finds the cause in Cinder's logs.",
        kind="^OS::Cinder::",
    ),
)
"""What helps with what is awaited, by its type alone."""


_ABORTED: Final = re.compile(
    r"(?:[\w.\[\]]+: )*(?:Resource |Stack )?(?:CREATE|UPDATE|DELETE|ROLLBACK) (?:aborted|cancelled)\b"
)


def advice(reason: str, kind: str = "") -> str | None:
    """What to do about a reason of OpenStack's, in one sentence; None: not known.

    `kind` is the Heat type of the resource, where it is known: a load balancer says no more than ERROR.
    """
    return _sentence(_TABLE, reason, kind) or (_sentence(_AWAITED, "", kind) if aborted(reason) else None)


def aborted(reason: str) -> bool:
    """Whether Heat merely stopped working on the resource, because another one failed or time ran out."""
    return _ABORTED.match(reason) is not None


def failure(did: str, causes: Sequence[Cause], *, fallback: str = "") -> str:
    """The status_reason of what failed: what was done, up to `SHOWN` resources with their reasons, and what helps.

    `fallback` is what is said where no resource is to blame.
    """
    if not causes:
        return _whole(did, _short(fallback), [advice(fallback)])
    shown = causes[:SHOWN]
    named = "; ".join(f"{one.named}: {_short(one.reason) or 'no reason given'}" for one in shown)
    more = f"; and {len(causes) - SHOWN} more" if len(causes) > SHOWN else ""
    return _whole(did, named + more, [advice(one.reason, one.type) for one in shown])


def lateness(did: str, waited: str, causes: Sequence[Cause]) -> str:
    """The status_reason of what took too long; `waited` says how long: "Heat was not done after 60 minutes"."""
    named = ", ".join(f"{one.named}{f' since {one.since}' if one.since else ''}" for one in causes[:SHOWN])
    more = f" and {len(causes) - SHOWN} more" if len(causes) > SHOWN else ""
    told = f"{waited}; it still waits for {named or 'its last resource'}{more}"
    return _whole(did, told, [_sentence(_AWAITED, "", one.type) for one in causes[:SHOWN]])


def faults(causes: Iterable[Cause]) -> dict[str, str]:
    """Every failed resource by name, with its reason and what to do."""
    found: dict[str, str] = {}
    for one in causes:
        if len(found) == MOST_FAULTS:
            break
        found[one.name] = _sentences(_short(one.reason) or "no reason given", [advice(one.reason, one.type)])
    return found


def _sentence(table: Iterable[_Known], words: str, kind: str) -> str | None:
    fitting = (one.sentence for one in table if one.words.search(words) and one.kind.search(kind))
    return next(fitting, None)


def _whole(did: str, told: str, helps: Sequence[str | None]) -> str:
    """All of it within `LONGEST`: what is too long loses the cloud's words rather than our advice."""
    tail = " ".join(dict.fromkeys(one for one in helps if one))
    room = LONGEST - len(did) - len(tail) - 4
    return _sentences(f"{did}: {told if len(told) <= room else f'{told[: room - 1]}…'}", [tail])


def _sentences(told: str, helps: Sequence[str | None]) -> str:
    ended = told if told.endswith((".", "!", "?", "…")) else f"{told}."
    return " ".join([ended, *(one for one in helps if one)])


def _short(words: str) -> str:
    """One line of at most `_LONGEST_REASON` characters. Its end is kept too: Heat puts the cause last."""
    line = " ".join(words.split())
    if len(line) <= _LONGEST_REASON:
        return line
    half = _LONGEST_REASON // 2 - 1
    return f"{line[:half]} … {line[-half:]}"
