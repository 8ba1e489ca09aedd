"""The catalog: our own endpoint in it, and the services that bays are made of, asked with our token."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from services.cli.doctor.cloud import Patient, is_refusal
from services.cli.doctor.findings import Area, Finding
from shared.domain.errors import CloudError
from shared.openstack.cloud import ProjectCloud
from shared.openstack.errors import title
from shared.runtime.egress import EgressRefused

AREA: Final = Area("catalog")
OURS: Final = "container-infra"
OLD: Final = "container"
_WORKERS: Final = {"jeroboam-provisioner", "jeroboam-certs", "jeroboam-scaler"}
NEEDED: Final = {
    "orchestration": "/stacks",
    "compute": "/limits",
    "network": "/networks",
    "image": "/images",
}
"""Service type to a list that a member may read."""
OPTIONAL: Final = {
    "volumev3": ("/limits", "bays with a docker_volume_size, an etcd volume or a volume_driver"),
    "load-balancer": ("/v2.0/lbaas/loadbalancers", "bays with master_lb_enabled, and Services of type LoadBalancer"),
}


async def endpoint(patient: Patient) -> list[Finding]:
    """Our own endpoint: there, where it should be, ours, and reachable for nodes."""
    token, wanted = await patient.cloud.auth.token(), _wanted(patient)
    create = f"openstack endpoint create --region {patient.settings.region} {OURS} public {wanted or 'API_URL'}"
    if not token.endpoints.has(OURS):
        service = f"openstack service create --name jeroboam {OURS}; "
        return [AREA.missing(f"the catalog has no {OURS} in region {patient.settings.region}", service + create)]
    url = token.endpoints.url(OURS)
    found = [AREA.ok(f"{OURS} is at {url}")]
    if wanted is not None and url.rstrip("/") != wanted:
        move = f"openstack endpoint list --service {OURS}; openstack endpoint set --url {wanted} ID"
        found = [AREA.missing(f"{OURS} is at {url}, and our API at {wanted}", move)]
    found.append(await _answers(patient, url))
    if not token.endpoints.has(OLD):
        old = f"openstack service create --name jeroboam-old {OLD}; {create.replace(OURS, OLD, 1)}"
        found.append(AREA.warning(f"no service of type {OLD}, which Magnum's clients before 2.3 look for", old))
    return [*found, *_for_nodes(patient.settings.api_url or url)]


def _wanted(patient: Patient) -> str | None:
    """Where our API is for everybody, as far as the settings tell."""
    public = patient.settings.public_url
    return None if public is None else f"{public.rstrip('/').removesuffix('/v1')}/v1"


async def _answers(patient: Patient, url: str) -> Finding:
    try:
        reply = await patient.own.session.call(OURS, "GET", "/mservices", wants_json=True)
    except EgressRefused as error:
        return AREA.warning(f"our API cannot be asked from here: {error.message}")
    except CloudError as error:
        if error.status in {403, 406}:
            return AREA.warning(f"what answers at {url} does not let us ask whether it is ours ({error.message})")
        return AREA.missing(f"our API does not answer at {url}: {error.message}", "start jeroboam-api, or its proxy")
    hosts = [one for one in reply.json().docs("mservices") if "workers" in one.data]
    if not hosts:
        return AREA.missing(f"what answers at {url} is not ours", f"point {OURS} at our API, or end the other one")
    up = {one.text("binary") for host in hosts for one in host.docs("workers") if one.maybe("state") == "up"}
    if down := sorted(_WORKERS - up):
        return AREA.missing(f"our API answers, and does not hear of {', '.join(down)}", "start it, and read its log")
    return AREA.ok("our API answers there, and hears of every service")


def _for_nodes(url: str) -> list[Finding]:
    host = urlsplit(url).hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback:
        text = f"nodes reach our API at {url}, which on a node is the node itself"
        return [AREA.warning(text, "set JEROBOAM_API_URL to an address that the bays' networks reach")]
    return [AREA.ok(f"nodes reach our API at {url}")]


async def services(patient: Patient, cloud: ProjectCloud, place: str) -> list[Finding]:
    """Whether each service is in the catalog and answers our token in one project."""
    found = []
    for service, path in NEEDED.items():
        found.append(await _service(patient, cloud, service, path, place, wanted_for=None))
    for service, (path, wanted_for) in OPTIONAL.items():
        found.append(await _service(patient, cloud, service, path, place, wanted_for=wanted_for))
    return found


async def _service(
    patient: Patient, cloud: ProjectCloud, service: str, path: str, place: str, *, wanted_for: str | None
) -> Finding:
    endpoints = (await cloud.session.tokens.token()).endpoints
    name = title(service)
    bad = AREA.missing if wanted_for is None else AREA.warning
    needs = "" if wanted_for is None else f"; needed for {wanted_for}"
    if not endpoints.has(service):
        return bad(f"the catalog has no {service} ({name}) in region {patient.settings.region}{needs}")
    try:
        await cloud.session.call(service, "GET", path, wants_json=True)
    except EgressRefused as error:
        todo = f"the endpoint is {endpoints.url(service)}: mend JEROBOAM_EGRESS_ALLOW or JEROBOAM_EGRESS_DENY"
        return bad(error.message + needs, todo)
    except CloudError as error:
        role = "load-balancer_member" if service == "load-balancer" else "member"
        grant = f"openstack role add {patient.user} --domain DOMAIN --inherited {role}"
        return bad(f"{name} in {place}: {error.message}{needs}", grant if is_refusal(error) else "")
    return AREA.ok(f"{name} answers in {place}")
