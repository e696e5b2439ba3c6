"""Services over SSH where a host's shell is not what one would like: which shell it is, and what it adds or drops."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncssh
import pytest
from host_worlds import PASSWORD, USER, WIRES, LabSource, LabWorld, Site, lab_site, open_credentials, running_lab
from ssh_relay import HOST_KEY, Spoils, relaying
from ssh_server import loopback, run

from orchestrator.adapters.ssh import services as ssh_services
from orchestrator.adapters.ssh.hosts import SshHosts
from orchestrator.domain.connection import Ssh
from orchestrator.domain.errors import TRANSIENT, HostError, ProtocolError, QuotaExceeded, Unreachable
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import Asked, Control, State

BY = ("ssh-powershell", "ssh-sc")
NOISE = "\u001b[32mWindows PowerShell\u001b[0m - Copyright (C); Grüße, 服务: 4  RUNNING\r\n".encode()
SPOILS = {
    "noise before and after": Spoils(line=lambda line, first: (NOISE if first else b"") + line, last=NOISE),
    "line feeds alone": Spoils(line=lambda line, _: line.replace(b"\r\n", b"\n")),
    "doubled line ends": Spoils(line=lambda line, _: line.replace(b"\r\n", b"\r\r\n")),
    "masked exit status": Spoils(status=lambda status: status & 0xFF),
    "always failed": Spoils(status=lambda _: 255),
    "never failed": Spoils(status=lambda _: 0),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSource]:
    with running_lab(Path(tmp_path_factory.mktemp("lab")), banner="Authorised staff only.\n") as lab:
        yield lab


@pytest.fixture(scope="module", params=["powershell", "sh"])
def other_shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSource]:
    with running_lab(Path(tmp_path_factory.mktemp("lab")), default_shell=request.param, banner="Hello!\n") as lab:
        yield lab


async def all_is_well(site: Site) -> None:
    """Whatever can be asked is answered rightly."""
    asked = [Asked("web"), Asked("Nope"), Asked("MSSQL$X"), Asked("InPaused"), Asked("Orders.*", pattern=True)]
    web, nope, dollar, paused, orders = await site.services.read(asked)
    assert [found.name for found in web.found] == ["Web"]
    assert [reading.problem and reading.problem.code for reading in (nope, dollar)] == [1060, 1060]
    assert [found.state for found in paused.found] == [State.PAUSED]
    assert [found.name for found in orders.found] == ["Orders.Api", "Orders.Worker"]
    assert (await site.asked("Web", Control.STOP)).problem is None
    assert (await site.status("Web")).state is State.STOPPED
    assert (await site.asked("it's", Control.STOP)).problem is None
    refused = (await site.asked("Off", Control.START)).problem
    assert refused is not None
    assert refused.code == 1058
    for args in (["3", "well"], ["3", 'it\'s "well" & 100%']):
        printed = await site.command.run("lab-exit.exe", args, timeout_s=20)
        assert (printed.exit_code, printed.output) == (3, f"{args[1]}\n")
    assert (await site.services.facts()).sids
    first, second = await site.services.security(["Web", "Nope"])
    assert isinstance(first, str)
    assert not isinstance(second, str)
    assert second.code == 1060


@pytest.mark.parametrize("by", BY)
def test_a_banner_changes_nothing(source: LabSource, by: str) -> None:
    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES[by]) as site:
            await all_is_well(site)

    run(main())


@pytest.mark.parametrize("by", BY)
def test_a_shell_that_is_not_cmd_changes_nothing(other_shell: LabSource, by: str) -> None:
    async def main() -> None:
        async with lab_site(other_shell, "fr", wire=WIRES[by]) as site:
            await all_is_well(site)

    run(main())


@contextlib.asynccontextmanager
async def behind_a_relay(source: LabSource, by: str, spoils: Spoils, folder: Path) -> AsyncIterator[Site]:
    """A host of the lab whose answers come spoilt."""
    name, address = next(source.unused["de"]), loopback()
    known = folder / "known_hosts"
    async with (
        asyncssh.connect(
            source.addresses[name],
            username=USER,
            password=PASSWORD,
            known_hosts=str(source.lab.known_hosts),
            client_keys=None,
            agent_path=None,
            config=None,
        ) as far,
        relaying(address, to=far, spoils=spoils) as port,
    ):
        known.write_text(f"[{address}]:{port} {HOST_KEY.export_public_key().decode()}")
        ssh = Ssh(known_hosts=(str(known),), config="none", agent=False)
        connection = source.by(WIRES[by], name, address=address, port=port, ssh=ssh)
        hosts = SshHosts({name: connection}, open_credentials(connection), str)
        try:
            yield Site(LabWorld(source.lab, hosts, WIRES[by]), name)
        finally:
            await hosts.aclose()


@pytest.mark.parametrize("spoils", sorted(SPOILS))
@pytest.mark.parametrize("by", BY)
def test_what_shells_add_or_change_does_not_matter(source: LabSource, by: str, spoils: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with behind_a_relay(source, by, SPOILS[spoils], tmp_path) as site:
            await all_is_well(site)

    run(main())


@pytest.mark.parametrize("language", ["de", "fr"])
@pytest.mark.parametrize("by", BY)
def test_half_an_answer_is_none(source: LabSource, by: str, language: str) -> None:
    """It is cut between the bytes of a letter, where there is one."""

    async def main() -> None:
        async with lab_site(source, language, wire=WIRES[by], read_timeout_s=5.0) as site:
            await site.status("Web")
            verb = WIRES[by].verbs["read"]
            source.lab.order(
                op="fault", host=site.name, kind="garbage", value={"what": "clixml", "verb": verb, "count": 1}
            )
            with pytest.raises((ProtocolError, Unreachable)) as raised:
                await site.status("Web")
            assert raised.value.sent
            assert (await site.status("Web")).state is State.RUNNING

    run(main())


@pytest.mark.parametrize("by", BY)
def test_a_hundred_services_are_one_exchange(source: LabSource, by: str) -> None:
    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES[by]) as site:
            asked = [Asked("Web"), *(Asked(f"Service-{number:03}-with-a-name") for number in range(150))]
            web, *missing = await site.services.read(asked)
            assert web.found[0].state is State.RUNNING
            assert {reading.problem and reading.problem.code for reading in missing} == {1060}
            assert site.world.reads(site.name) == 1

    run(main())


def test_powershell_lives_on_between_readings(source: LabSource) -> None:
    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES["ssh-powershell"]) as site:
            for _ in range(3):
                await site.status("Web")
            assert site.world.reads(site.name) == 3
            lines = [entry["line"] for entry in source.lab.log(kind="exec", host=site.name)]
            assert sum("-Command -" in line for line in lines) == 1
            assert len(lines) == 2, "the login shell was asked what it is more than once"

    run(main())


def test_sc_asks_for_what_seldom_changes_less_often(source: LabSource) -> None:
    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES["ssh-sc"]) as site:
            first, second = await site.status("OnTop"), await site.status("OnTop")
            assert first == second
            assert first.requires == ("Base",)
            asked = [entry["arguments"][0] for entry in source.lab.log(kind="command", host=site.name, name="sc.exe")]
            assert asked == ["queryex", "qc", "enumdepend", "queryex"]

    run(main())


def test_all_services_of_a_host_are_one_program(source: LabSource) -> None:
    """Hosts have hundreds: before a kill, who shares a process is not asked one by one."""

    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES["ssh-sc"]) as site:
            (reading,) = await site.services.read([Asked("*", pattern=True)])
            assert reading.problem is None or reading.problem.code is None
            asked = [entry["arguments"][0] for entry in source.lab.log(kind="command", host=site.name, name="sc.exe")]
            assert asked == ["queryex"]

    run(main())


@pytest.mark.parametrize("by", BY)
def test_what_goes_over_the_wire_is_ascii(source: LabSource, by: str) -> None:
    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES[by]) as site:
            await site.status("Grüße-服务")
            assert (await site.asked("\u2018curly\u2019", Control.STOP)).problem is None
            await site.command.run("lab-exit.exe", ["0", "Grüße"], timeout_s=20)
            lines = [entry["line"] for kind in ("exec", "line") for entry in source.lab.log(kind=kind, host=site.name)]
            assert len(lines) >= 3
            assert all(line.isascii() for line in lines)

    run(main())


@pytest.mark.parametrize("by", BY)
def test_a_host_that_lacks_the_program_was_not_asked(source: LabSource, by: str, tmp_path: Path) -> None:
    async def main() -> None:
        lacking = Spoils(command=lambda line: line.replace("powershell", "gone").replace("cmd.exe", "gone.exe"))
        async with behind_a_relay(source, by, lacking, tmp_path) as site:
            with pytest.raises(HostError, match="gone") as raised:
                await site.status("Web")
            assert not isinstance(raised.value, TRANSIENT)
            with pytest.raises(HostError, match="gone") as raised:
                await site.services.request("Web", Control.STOP)
            assert not raised.value.sent

    run(main())


def test_so_many_controls_may_wait_and_no_more(source: LabSource) -> None:
    """sshd allows a connection ten channels: reading goes on beside all that wait."""

    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES["ssh-powershell"]) as site:
            await site.status("Web")
            names = ["Web", "Slow", "Manual", "Orders.Api", "Orders.Worker", "abbc", "OnTop", "InRunning"]
            for name in names:
                site.world.behave(site.name, name, "hangs-on-start" if name == "Manual" else "hangs-on-stop")
            for name in names[: ssh_services.WAITING_MOST]:
                await site.services.request(name, Control.START if name == "Manual" else Control.STOP)
            with pytest.raises(QuotaExceeded) as raised:
                await site.services.request(names[-1], Control.STOP)
            assert not raised.value.sent
            assert (await site.status("InRunning")).state is State.RUNNING
            assert (await site.command.run("lab-exit.exe", ["0"], timeout_s=20)).exit_code == 0

    run(main())


def test_a_program_that_takes_too_long_is_given_up(source: LabSource) -> None:
    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES["ssh-sc"]) as site:
            await site.status("Web")
            source.lab.order(op="fault", host=site.name, kind="slow", value=30)
            for args in (["0", "plain"], ["0", "not plain"]):
                with pytest.raises(HostError) as raised:
                    await site.command.run("lab-exit.exe", args, timeout_s=0.5)
                assert raised.value.sent
                assert "0.5 s" in raised.value.text

    run(main())


def test_secrets_of_a_program_are_revealed_when_it_runs_and_shown_nowhere(source: LabSource) -> None:
    async def main() -> None:
        name = next(source.unused["en"])
        connection = source.by(WIRES["ssh-sc"], name)
        reference = embed(SecretRef("env", "TOKEN"))
        hosts = SshHosts(
            {name: connection}, open_credentials(connection), lambda text: text.replace(reference, "5ecret!")
        )
        try:
            run_it = hosts.command(name).run
            assert (await run_it("lab-exit.exe", ["0", f"x {reference}"], timeout_s=20)).output == "x 5ecret!\n"
            with pytest.raises(HostError) as raised:
                await run_it(f"no-{reference}.exe", [reference], timeout_s=20)
            assert "5ecret" not in f"{raised.value} {raised.value.problem}"
            assert "<secret env:TOKEN>" in str(raised.value)
        finally:
            await hosts.aclose()

    run(main())


@pytest.mark.parametrize(
    ("exe", "args", "why"),
    [("x.bat", ["a&b"], "batch file"), ("x.cmd. ", ["%PATH%"], "batch file"), ("x.exe", ["a b" * 3000], "too long")],
)
def test_what_can_not_be_handed_over_safely_is_refused(source: LabSource, exe: str, args: list[str], why: str) -> None:
    async def main() -> None:
        async with lab_site(source, "en", wire=WIRES["ssh-sc"]) as site:
            with pytest.raises(HostError) as raised:
                await site.command.run(exe, args, timeout_s=20)
            assert why in str(raised.value)
            assert not source.lab.log(kind="exec", host=site.name)

    run(main())
