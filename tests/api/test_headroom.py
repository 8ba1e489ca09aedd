"""Quota headroom and volume types as the gateway asks for them, against a simulated cloud; not yet through the door."""

from __future__ import annotations

import pytest

from services.api.usecases import headroom, label_checks
from shared.domain.errors import CloudError, Forbidden, InvalidInput
from shared.drivers.footprint import Footprint, Volumes
from tests.openstack.conftest import MakeCloud, cloudsim_url, make_cloud, sim  # noqa: F401 - fixtures
from tests.openstack.flows import caller
from tests.openstack.sim import Sim
from tests.openstack.test_headroom import limit

BAY = Footprint(
    resources={"OS::Nova::Server": 3, "OS::Cinder::Volume": 3},
    servers={"m1.medium": 1, "2": 2},
    volumes={"": Volumes(3, 48)},
    ports=4,
    floating_ips=3,
)


async def test_a_bay_that_fits_is_let_through(sim: Sim, make_cloud: MakeCloud) -> None:  # noqa: F811
    who, theirs = await caller(sim, make_cloud(sim.identity))
    await headroom.check(theirs, who.project_id, BAY)
    await limit(sim, who.project_id, "compute", instances=3, cores=4, ram=8192)
    await limit(sim, who.project_id, "volume", volumes=3, gigabytes=48)
    await limit(sim, who.project_id, "network", port=4, floatingip=3)
    await headroom.check(theirs, who.project_id, BAY)


async def test_every_service_s_shortage_is_told_at_once(sim: Sim, make_cloud: MakeCloud) -> None:  # noqa: F811
    who, theirs = await caller(sim, make_cloud(sim.identity))
    await limit(sim, who.project_id, "compute", instances=2, ram=8191)
    await limit(sim, who.project_id, "volume", gigabytes=47)
    await limit(sim, who.project_id, "network", floatingip=0)
    with pytest.raises(Forbidden) as caught:
        await headroom.check(theirs, who.project_id, BAY)
    assert caught.value.message == (
        "Resource limit exceeded: 3 servers needed, 2 left of 2; 8192 MB of memory needed, 8191 left of 8191; "
        "48 GB of volumes needed, 47 left of 47; 3 floating addresses needed, 0 left of 0."
    )


async def test_known_flavors_are_not_asked_for_again(sim: Sim, make_cloud: MakeCloud) -> None:  # noqa: F811
    who, theirs = await caller(sim, make_cloud(sim.identity))
    small, medium = await theirs.nova.find_flavor("2"), await theirs.nova.find_flavor("m1.medium")
    assert small is not None
    assert medium is not None
    await sim.forget()
    await headroom.check(theirs, who.project_id, BAY, {"2": small, "m1.medium": medium})
    assert await sim.count("compute", "GET", "/flavors") == 0
    assert await sim.count("compute", "GET", "/limits") == 1
    await sim.forget()
    await headroom.check(theirs, who.project_id, Footprint())
    assert await sim.count("compute", "GET") == 0


async def test_a_flavor_that_is_gone(sim: Sim, make_cloud: MakeCloud) -> None:  # noqa: F811
    who, theirs = await caller(sim, make_cloud(sim.identity))
    gone = Footprint(resources={"OS::Nova::Server": 1}, servers={"m1.gone": 1})
    await sim.fault(kind="status", service="compute", path="/limits", status=503)
    with pytest.raises(InvalidInput, match=r"Unable to find flavor m1.gone\."):
        await headroom.check(theirs, who.project_id, gone)


@pytest.mark.parametrize(
    ("service", "path"), [("compute", "/limits"), ("volume", "/os-quota-sets"), ("network", "/quotas")]
)
async def test_a_service_that_does_not_answer(
    sim: Sim,  # noqa: F811
    make_cloud: MakeCloud,  # noqa: F811
    service: str,
    path: str,
) -> None:
    who, theirs = await caller(sim, make_cloud(sim.identity))
    await sim.fault(kind="status", service=service, path=path, status=503)
    with pytest.raises(CloudError) as caught:
        await headroom.check(theirs, who.project_id, BAY)
    assert caught.value.status == 503
    assert caught.value.retryable


async def test_volume_types_that_labels_name(sim: Sim, make_cloud: MakeCloud) -> None:  # noqa: F811
    _, theirs = await caller(sim, make_cloud(sim.identity))
    await sim.forget()
    await label_checks.volume_types(theirs, {"flannel_backend": "udp", "docker_volume_type": ""})
    assert await sim.count("volume", "GET") == 0
    (known,) = await theirs.cinder.types()
    await label_checks.volume_types(theirs, {"docker_volume_type": known.name, "etcd_volume_type": known.id})
    with pytest.raises(InvalidInput, match=r"^Valid volume type could not be found\.") as caught:
        await label_checks.volume_types(theirs, {"docker_volume_type": known.name, "boot_volume_type": "floppy"})
    assert "boot_volume_type is 'floppy'" in caught.value.message
    assert caught.value.field == "labels/boot_volume_type"
