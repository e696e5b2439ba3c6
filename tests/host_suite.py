"""The hosts that the contract of HostServices and HostCommand is tried on: fixtures of the modules that hold it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from host_worlds import WIRES, Enter, LabSource, LabWorld, Site, lab_site, memory_site, running_lab, second_way_site


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSource]:
    with running_lab(Path(tmp_path_factory.mktemp("lab")), wires=len(WIRES)) as lab:
        yield lab


@pytest.fixture(params=["memory", "either", *sorted(WIRES)])
def enter(request: pytest.FixtureRequest) -> Enter:
    """Opens a host of one of the worlds for the length of an `async with`."""
    if request.param not in WIRES:
        site = memory_site if request.param == "memory" else second_way_site

        def memory(language: str = "en") -> contextlib.AbstractAsyncContextManager[Site]:
            return site(language)

        return memory
    source: LabSource = request.getfixturevalue("source")

    @contextlib.asynccontextmanager
    async def lab(language: str = "en") -> AsyncIterator[Site]:
        async with lab_site(source, language, wire=WIRES[request.param]) as site:
            yield site
        if not source.lab.log(kind="fault", host=site.name):
            assert isinstance(site.world, LabWorld)
            async with asyncio.timeout(10):
                while site.world.shells_left(site.name):  # noqa: ASYNC110 # a lab sends no events
                    await asyncio.sleep(0.03)

    return lab
