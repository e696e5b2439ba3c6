"""Secrets on their way to a host, against the lab: what is sent, to whom, and how often."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path

import pytest
from host_worlds import LabSource, LabWorld, Site, running_lab

from orchestrator.adapters.winrm.hosts import WinrmHosts
from orchestrator.domain.errors import HostError, Refused, SecretError
from orchestrator.domain.secrets import SecretRef, embed, split

KEY = embed(SecretRef("env", "KEY"))
NOWHERE = embed(SecretRef("env", "NOWHERE"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSource]:
    with running_lab(Path(tmp_path_factory.mktemp("lab"))) as lab:
        yield lab


def run(test: Coroutine[object, object, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def reveal(text: str) -> str:
    """The secrets of these tests: env:KEY is `s3cret`, and no other leads anywhere."""
    if NOWHERE in text:
        raise SecretError("env:NOWHERE is not set", hint="export NOWHERE=...")
    return "".join("s3cret" if isinstance(piece, SecretRef) else piece for piece in split(text))


def site(source: LabSource) -> Site:
    """An unused host, by way of the secrets of these tests."""
    name = next(source.unused["en"])
    return Site(LabWorld(source.lab, WinrmHosts({name: source.connection(name)}, reveal)), name)


def test_a_program_gets_the_secret_and_not_its_reference(source: LabSource) -> None:
    here = site(source)

    async def main() -> None:
        output = await here.command.run("lab-exit.exe", ["0", "plain", f"X-Key: {KEY}!", KEY], timeout_s=10)
        assert output.exit_code == 0
        await here.world.hosts.aclose()

    run(main())
    (line,) = source.lab.log(kind="command", host=here.name, name="lab-exit.exe")
    assert line["arguments"] == ["0", "plain", "X-Key: s3cret!", "s3cret"]


def test_a_secret_that_leads_nowhere_runs_nothing(source: LabSource) -> None:
    here = site(source)

    async def main() -> None:
        with pytest.raises(HostError, match="lab-exit.exe was not run: env:NOWHERE is not set") as caught:
            await here.command.run("lab-exit.exe", [KEY, NOWHERE], timeout_s=10)
        assert (caught.value.sent, caught.value.hint) == (False, "export NOWHERE=...")
        await here.world.hosts.aclose()

    run(main())
    assert not source.lab.log(kind="connect", host=here.name)


def test_a_program_that_is_not_there_tells_no_secret(source: LabSource) -> None:
    here = site(source)

    async def main() -> None:
        with pytest.raises(Refused) as caught:
            await here.command.run(f"{KEY}.exe", [], timeout_s=10)
        assert "s3cret" not in f"{caught.value} {caught.value.problem}"
        assert caught.value.problem.text == "the host has no program <secret env:KEY>.exe"
        await here.world.hosts.aclose()

    run(main())
