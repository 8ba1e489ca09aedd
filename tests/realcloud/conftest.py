"""One cloud with our services on it, and bays that live there side by side, each in a project of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from scripts import client_venvs
from shared.domain.names import stack_name
from shared.runtime.ports import free_port
from tests.realcloud.cells import LONG, Cell, cells
from tests.realcloud.life import Bay, Life, live
from tests.realcloud.nodes import played, plays_nodes
from tests.realcloud.people import Person
from tests.realcloud.premises import Premises, registered
from tests.realcloud.scaling import Scalable, Scaled, scale
from tests.realcloud.services import Services, api_host, running
from tests.realcloud.shell import MAGNUM, OPENSTACK, Shell
from tests.realcloud.times import HeatTimes, heard
from tests.realheat.ground import ground_in
from tests.support.realcloud import NoCloud, RealCloud, admin_cloud
from tests.support.servers import NotAvailable

AT_ONCE = 3
FIGURES: dict[str, dict[str, float]] = {}
"""Seconds of each phase, by bay; the suite prints them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out this suite's modules named `test_long_…` unless all are wanted, or the command line names one."""
    here = Path(__file__).parent
    for one in items:
        if one.path.parent == here:
            one.add_marker(pytest.mark.real_cloud)
    if LONG or any("test_long_" in argument for argument in config.args):
        return
    long = [one for one in items if one.path.parent == here and one.path.name.startswith("test_long_")]
    config.hook.pytest_deselected(items=long)
    items[:] = [one for one in items if one not in long]


@dataclass
class Site:
    """The cloud, our services, and who may do what."""

    premises: Premises
    domain: str
    """Whose projects our service user may act in."""
    services: Services
    api_url: str
    root: Path
    times: HeatTimes
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @asynccontextmanager
    async def bay(self, name: str, cell: Cell, person: Person) -> AsyncIterator[Bay]:
        """A bay, not yet asked for, in the hands of a member; with its nodes, where those are played."""
        async with AsyncExitStack() as stack:
            cloud = person.open()
            stack.push_async_callback(cloud.close)
            project = cloud.for_service()
            ground = await stack.enter_async_context(ground_in(project, [cell.distro]))
            player = await stack.enter_async_context(played(person.cloud, project, self.api_url))
            client = await stack.enter_async_context(person.client())
            bay = Bay(name, cell, ground, Shell.of(person, self.root), client, player)
            try:
                yield bay
            finally:
                FIGURES[name] = bay.seconds
                await bay.abandon()

    async def life(self, cell: Cell) -> Life:
        """A bay of this cell, from its template to its end."""
        async with self.turn:
            (person,) = await self.premises.project(cell.driver.replace("_", "-"), self.domain)
            async with self.bay(person.project, cell, person) as bay:
                life = await live(bay, await bay.ground.counts(), self.premises)
            bay.seconds.update(self.times.lags(stack_name(bay.name, UUID(bay.uuid), 1), life.operations))
            return life

    async def scaled(self) -> Scaled:
        """A bay that is scaled in every way. It needs played nodes."""
        async with self.turn:
            (person,) = await self.premises.project("scaling", self.domain)
            async with self.bay(person.project, Scalable("k8s_ubuntu"), person) as bay:
                return await scale(bay)


@dataclass(frozen=True)
class Lives:
    """The bays of this run, all begun; one is awaited where it is judged."""

    of: dict[Cell, asyncio.Task[Life]]
    scaled: asyncio.Task[Scaled] | None
    """None: this cloud's servers boot, and nobody here plays what runs on them."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Everything stands; afterwards nothing of it is left in the cloud."""
    try:
        cloud = await asyncio.to_thread(admin_cloud)
        await asyncio.to_thread(client_venvs.ensure, (OPENSTACK, MAGNUM))
    except (NoCloud, client_venvs.NoClients) as reason:
        pytest.skip(f"NOT RUN: realcloud ({reason})")
    root = tmp_path_factory.mktemp("realcloud")
    async with AsyncExitStack() as stack:
        admin = cloud.open()
        stack.push_async_callback(admin.close)
        premises = Premises(cloud, admin.for_service())
        stack.push_async_callback(premises.clear)
        yield await _site(stack, premises, root, cloud)


async def _site(stack: AsyncExitStack, premises: Premises, root: Path, cloud: RealCloud) -> Site:
    if not await premises.may():
        pytest.skip(f"NOT RUN: realcloud ({cloud.name} of clouds.yaml is no administrator)")
    port = free_port()
    api_url = f"http://{api_host()}:{port}/v1"
    domain = await premises.domain("bays")
    folder = root / "admin"
    folder.mkdir()
    user = await stack.enter_async_context(registered(premises, domain, api_url, folder))
    try:
        services = await stack.enter_async_context(running(cloud, user, root / "services", port))
    except NotAvailable as reason:
        pytest.skip(f"NOT RUN: realcloud ({reason})")
    return Site(premises, domain, services, api_url, root, await stack.enter_async_context(heard()))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lives(site: Site) -> AsyncIterator[Lives]:
    """The bays of this run, the longest life first."""
    scaled = asyncio.create_task(site.scaled()) if plays_nodes(site.premises.cloud) else None
    begun = {cell: asyncio.create_task(site.life(cell)) for cell in cells()}
    yield Lives(begun, scaled)
    await asyncio.gather(*begun.values(), *([scaled] if scaled else []), return_exceptions=True)


@pytest.fixture(params=cells(), ids=str)
def cell(request: pytest.FixtureRequest) -> Cell:
    """A driver's bay."""
    found: Cell = request.param
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def life(lives: Lives, cell: Cell) -> Life:
    """What a bay of the cell went through."""
    return await lives.of[cell]


@pytest_asyncio.fixture(loop_scope="session")
async def scaled(lives: Lives) -> Scaled:
    """What the bay that is scaled went through."""
    if lives.scaled is None:
        pytest.skip("NOT RUN: scaling by played nodes (this cloud's servers boot by themselves)")
    return await lives.scaled


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long things took, in seconds."""
    for name, phases in FIGURES.items():
        figures = ", ".join(f"{phase} {seconds}" for phase, seconds in phases.items())
        terminalreporter.write_line(f"realcloud: {name}: {figures}")
