"""What WinRM alone must show, against the lab: the wire, its threads, its errors."""

import asyncio
import contextlib
import gc
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from host_worlds import PASSWORD, LabSource, LabWorld, Site, lab_site, open_credentials, running_lab

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.adapters.winrm.answers import Output
from orchestrator.adapters.winrm.hosts import WinrmHosts
from orchestrator.adapters.winrm.lane import Lane
from orchestrator.adapters.winrm.services import WinrmServices
from orchestrator.adapters.winrm.session import Session
from orchestrator.adapters.winrm.statements import Statement
from orchestrator.adapters.winrm.threads import Gate, WinrmThreads
from orchestrator.domain.connection import Auth, Connection
from orchestrator.domain.errors import AuthRejected, HostError, ProtocolError, SecretError, Unreachable, Untrusted
from orchestrator.domain.secrets import Secret
from orchestrator.domain.service import Asked, Control, State


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSource]:
    with running_lab(Path(tmp_path_factory.mktemp("lab"))) as lab:
        yield lab


def run(test: Coroutine[object, object, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def requests(source: LabSource, host: str) -> list[str]:
    """The HTTP requests that reached *host*, by action."""
    return [line["action"] for line in source.lab.log(kind="http", host=host)]


@contextlib.asynccontextmanager
async def reached(connection: Connection, password: str = PASSWORD) -> AsyncIterator[WinrmServices]:
    """The services of one connection, closed at the end."""
    services = WinrmServices(connection, open_credentials(connection, reveal=lambda _: password), str, WinrmThreads())
    try:
        yield services
    finally:
        await services.aclose()


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.BASIC])
def test_a_whole_stop_costs_at_most_fourteen_requests(source: LabSource, auth: Auth) -> None:
    async def main() -> str:
        async with lab_site(source, "en", auth) as site:
            await site.services.read([Asked("Web")])
            await site.services.request("Web", Control.STOP)
            await asyncio.sleep(0.3)
            (reading,) = await site.services.read([Asked("Web")])
            assert reading.found[0].state is State.STOPPED
            assert (await site.services.answer("Web")).ended
            return site.name

    host = asyncio.run(main())
    sent = requests(source, host)
    handshake = sent.count("authenticate")
    assert len(sent) <= 14
    assert handshake == (0 if auth is Auth.BASIC else 3)
    opened, read, stop, again, answer, closed = 3, 2, 1, 2, 1, 1
    assert len(sent) - handshake == opened + read + stop + again + answer + closed
    assert len(source.lab.log(kind="connect", host=host)) == 1


def test_no_script_is_ever_sent(source: LabSource) -> None:
    async def main() -> str:
        async with lab_site(source, "en") as site:
            await site.services.read([Asked("$(Stop-Service Web)"), Asked("Web")])
            await site.services.facts()
            await site.services.security(["Web"])
            await site.command.run("lab-exit.exe", ["0", "; Stop-Service Web"], timeout_s=10)
            return site.name

    commands = source.lab.log(kind="command", host=asyncio.run(main()))
    assert {line["name"] for line in commands} == {
        "Get-Service",
        "Get-CimInstance",
        "Get-Date",
        "Get-Variable",
        "hostname.exe",
        "lab-exit.exe",
        "sc.exe",
        "whoami.exe",
    }


def test_many_services_are_one_exchange(source: LabSource) -> None:
    async def main() -> str:
        async with lab_site(source, "en") as site:
            names = [f"In{state}" for state in State] + ["Web", "Idle", "Slow", "Nope"]
            assert len(await site.services.read([Asked(name) for name in names])) == len(names)
            return site.name

    sent = requests(source, asyncio.run(main()))
    assert (sent.count("Command"), sent.count("Create")) == (1, 1)


def _pipelines() -> int:
    """How many pipelines of pypsrp are in memory."""
    gc.collect()
    return sum(type(one).__name__ == "PowerShell" for one in gc.get_objects())


def test_different_threads_may_speak_one_after_the_other_with_encryption(source: LabSource) -> None:
    """NTLM's signatures are numbered, and one session has one connection: any overlap would break it. Nothing of what
    was said is kept until the session ends: a run may read a host for hours."""
    before = _pipelines()
    host = next(source.unused["en"])
    connection = source.connection(host, Auth.NTLM)
    gate = Gate()
    session = Session(connection, PASSWORD, socket.create_connection((connection.address, connection.port)), gate)
    said: list[Output] = []

    def speak() -> None:
        with gate:
            if not session.opened:
                session.open()
            said.append(session.run([Statement("Get-Date")], limit_s=10))

    for _ in range(5):
        thread = threading.Thread(target=speak)
        thread.start()
        thread.join(20)
    assert _pipelines() <= before
    with gate:
        session.close()
    session.dispose()
    assert [len(output.items) for output in said] == [1] * 5
    assert len(source.lab.log(kind="connect", host=host)) == 1


def test_a_session_is_used_by_one_thread_at_a_time(source: LabSource) -> None:
    async def main() -> None:
        threads = WinrmThreads()
        connection = source.connection(next(source.unused["en"]), Auth.NTLM)
        way = Lane(connection, threads, open_credentials(connection))
        inside = 0

        def work(session: Session) -> None:
            nonlocal inside
            inside += 1
            assert inside == 1
            session.run([Statement("Get-Date")], limit_s=10)
            assert inside == 1
            inside -= 1

        await asyncio.gather(*(way.exchange(work) for _ in range(20)))
        await way.close()
        threads.close()

    run(main())


def test_a_crowd_on_one_host_is_served_in_turn_on_one_connection(source: LabSource) -> None:
    async def main() -> str:
        async with lab_site(source, "en", Auth.NTLM) as site:
            await site.status("Web")
            await asyncio.gather(
                *(site.services.read([Asked("Web")]) for _ in range(20)),
                *(site.services.request(name, Control.STOP) for name in ("Web", "Slow", "Orders.Api")),
                *(site.services.security(["Web"]) for _ in range(5)),
            )
            for name in ("Web", "Slow", "Orders.Api"):
                await site.until(name, State.STOPPED)
                assert (await site.answered(name)).problem is None
            return site.name

    host = asyncio.run(main())
    assert len(source.lab.log(kind="connect", host=host)) == 1
    assert len(source.lab.log(kind="auth", host=host)) == 1


def test_silent_hosts_do_not_starve_the_others(source: LabSource) -> None:
    """A third of the fleet goes silent in mid-answer; the others are read again and again meanwhile, at full speed."""

    async def main() -> None:
        names = [next(source.unused["en"]) for _ in range(45)]
        silent, sound = names[:15], names[15:]
        # Who is silent holds his thread for longer than a busy machine may need for all the others.
        connections = {name: source.connection(name, Auth.BASIC, read_timeout_s=60.0) for name in names}
        hosts = WinrmHosts(connections, open_credentials(*connections.values()), str)
        await asyncio.gather(*(hosts.services(name).read([Asked("Web")]) for name in names))
        world = LabWorld(source.lab, hosts)
        for name in silent:
            world.fault(name, Fault.SILENT, times=None)
        given_up = [asyncio.create_task(hosts.services(name).read([Asked("Web")])) for name in silent]
        for _ in range(3):
            await asyncio.gather(*(hosts.services(name).read([Asked("Web")]) for name in sound))
        assert not any(task.done() for task in given_up)
        hung = sum(thread.name.startswith("winrm") for thread in threading.enumerate())
        assert hung <= len(silent) + 64
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        await hosts.aclose()

    run(main())


def test_a_hung_thread_is_freed_when_its_exchange_is_given_up(source: LabSource) -> None:
    async def main() -> None:
        connection = source.connection(next(source.unused["en"]), read_timeout_s=40.0)
        threads = WinrmThreads()
        way = Lane(connection, threads, open_credentials(connection))
        await way.exchange(lambda session: session.run([Statement("Get-Date")], limit_s=10))
        LabWorld(source.lab, WinrmHosts({}, open_credentials(), str)).fault(connection.host, Fault.SILENT, times=None)
        with pytest.raises(Unreachable) as caught:
            await way.exchange(lambda session: session.run([Statement("Get-Date")], limit_s=10), limit_s=0.5)
        assert caught.value.sent
        async with asyncio.timeout(5):
            await (await threads.begin(lambda: None))
        await way.close()
        await asyncio.to_thread(threads.close)

    began_s = time.monotonic()
    run(main())
    assert time.monotonic() - began_s < 20, "the interpreter waited for a hung thread"


def test_a_time_out_while_signing_in_says_that_nothing_was_asked(source: LabSource) -> None:
    connection = source.connection(next(source.unused["en"]), read_timeout_s=40.0)

    async def main() -> None:
        threads = WinrmThreads()
        way = Lane(connection, threads, open_credentials(connection))
        LabWorld(source.lab, WinrmHosts({}, open_credentials(), str)).fault(connection.host, Fault.SILENT, times=None)
        with pytest.raises(Unreachable) as caught:
            await way.exchange(lambda session: session.begin([Statement("Get-Date")]), limit_s=5.0)
        assert source.lab.log(kind="cut", host=connection.host), "the host had begun to answer"
        assert caught.value.sent is False
        await way.close()
        threads.close()

    run(main())


def test_a_secret_that_changed_meanwhile_is_tried_in_the_same_exchange(source: LabSource) -> None:
    connection = source.connection(next(source.unused["en"]))
    secrets = iter(["wrong", PASSWORD])

    async def main() -> None:
        credentials = open_credentials(connection, reveal=lambda _: next(secrets))
        services = WinrmServices(connection, credentials, str, WinrmThreads())
        assert (await services.read([Asked("Web")]))[0].found[0].state is State.RUNNING
        await services.aclose()

    run(main())
    assert [line["ok"] for line in source.lab.log(kind="auth", host=connection.host)] == [False, True]


def test_a_rejected_secret_costs_one_connection_however_often_it_is_asked(source: LabSource) -> None:
    connection = source.connection(next(source.unused["en"]))

    async def main() -> None:
        credentials = open_credentials(connection, reveal=lambda _: "wrong")
        services = WinrmServices(connection, credentials, str, WinrmThreads())
        for _ in range(3):
            with pytest.raises(AuthRejected, match="the host refused admin") as caught:
                await services.read([Asked("Web")])
            assert "wrong" not in str(caught.value)
        await services.aclose()

    run(main())
    assert [line["ok"] for line in source.lab.log(kind="auth", host=connection.host)] == [False]
    assert len(source.lab.log(kind="connect", host=connection.host)) == 1


def test_a_secret_that_leads_nowhere_is_told_without_touching_the_host(source: LabSource) -> None:
    connection = source.connection(next(source.unused["en"]))

    def reveal(_: str) -> str:
        raise SecretError("env:NOPE is not set", hint="export NOPE=...")

    async def main() -> None:
        services = WinrmServices(connection, open_credentials(connection, reveal=reveal), str, WinrmThreads())
        with pytest.raises(HostError, match="env:NOPE is not set") as caught:
            await services.read([Asked("Web")])
        assert caught.value.hint == "export NOPE=..."
        await services.aclose()

    run(main())
    assert not source.lab.log(kind="connect", host=connection.host)


@pytest.mark.parametrize("auth", [Auth.BASIC, Auth.NTLM])
def test_https_is_verified(source: LabSource, auth: Auth) -> None:
    async def main() -> None:
        connection = source.connection(next(source.unused["en"]), auth, https=True)
        async with reached(connection) as services:
            assert (await services.read([Asked("Web")]))[0].found[0].state is State.RUNNING
        async with reached(replace(connection, ca="")) as services:
            with pytest.raises(Untrusted, match="TLS failed: .*(self-signed|unable to get)") as caught:
                await services.read([Asked("Web")])
            assert caught.value.sent is False
            assert "ansible_psrp_ca_cert" in caught.value.hint
        async with reached(replace(connection, ca="", verify=False)) as services:
            assert (await services.read([Asked("Web")]))[0].found[0].state is State.RUNNING

    run(main())


@pytest.mark.parametrize(("https", "port", "other"), [(True, 5985, "http"), (False, 5986, "https")])
def test_http_and_https_mixed_up_are_told(source: LabSource, https: bool, port: int, other: str) -> None:
    async def main() -> None:
        connection = replace(source.connection(next(source.unused["en"]), https=https), port=port)
        async with reached(connection) as services:
            with pytest.raises(HostError) as caught:
                await services.read([Asked("Web")])
            assert caught.value.hint == f"{port} usually speaks {other}: set ansible_psrp_protocol: {other}"

    run(main())


def test_basic_over_http_must_be_asked_for(source: LabSource) -> None:
    host = next(source.unused["en"])

    async def main() -> None:
        async with reached(source.connection(host, Auth.BASIC, encryption="auto")) as services:
            with pytest.raises(HostError) as caught:
                await services.read([Asked("Web")])
            assert "HTTPS" in caught.value.hint

    run(main())
    assert not requests(source, host), "the password left in clear"


@pytest.mark.parametrize(("auth", "extra"), [(Auth.KERBEROS, "kerberos"), (Auth.CREDSSP, "credssp")])
def test_a_missing_library_is_named(source: LabSource, auth: Auth, extra: str) -> None:
    async def main() -> None:
        async with reached(source.connection(next(source.unused["en"]), auth)) as services:
            with pytest.raises(HostError) as caught:
                await services.read([Asked("Web")])
            assert f"orchestrator[{extra}]" in caught.value.hint

    run(main())


def test_a_shell_is_renewed_before_windows_refuses_it(source: LabSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.adapters.winrm.lane.COMMANDS_PER_SHELL", 3)

    async def main() -> str:
        async with lab_site(source, "en") as site:
            for _ in range(7):
                await site.status("Web")
            return site.name

    sent = requests(source, asyncio.run(main()))
    assert (sent.count("Create"), sent.count("Delete")) == (3, 3)


def test_closing_leaves_no_shell_even_of_a_lost_session(source: LabSource) -> None:
    async def main() -> Site:
        async with lab_site(source, "en") as site:
            await site.status("Web")
            site.world.fault(site.name, Fault.CUT_DURING, on="read")
            with pytest.raises(Unreachable):
                await site.status("Web")
            return site

    site = asyncio.run(main())
    assert isinstance(site.world, LabWorld)
    assert site.world.shells_left(site.name) == 0


def test_an_address_without_a_host_is_told_in_time(source: LabSource) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        connection = replace(source.connection(next(source.unused["en"])), address="127.0.0.1", port=port)

        async def main() -> None:
            async with reached(connection) as services:
                with pytest.raises(Unreachable, match="refused") as caught:
                    await services.request("Web", Control.STOP)
                assert caught.value.sent is False

        run(main())


def test_secrets_stay_out_of_errors_and_reprs(source: LabSource) -> None:
    connection = source.connection("en-00")
    assert PASSWORD not in repr(connection)
    assert connection.password == Secret(PASSWORD)


@pytest.mark.parametrize("verb", ["Create", "Receive", "Get-Service"])
@pytest.mark.parametrize("what", ["text", "clixml"])
def test_garbage_and_half_answers_are_a_protocol_error(source: LabSource, verb: str, what: str) -> None:
    async def main() -> None:
        async with lab_site(source, "en") as site:
            value = {"what": what, "verb": verb, "count": 1}
            source.lab.order(op="fault", host=site.name, kind="garbage", value=value)
            with contextlib.suppress(ProtocolError):
                await site.status("Web")
            assert (await site.status("Web")).state is State.RUNNING

    run(main())


def test_the_hosts_start_is_asked_once_in_a_session_and_given_up_where_it_breaks_the_read(source: LabSource) -> None:
    def asked(host: str) -> int:
        return len(source.lab.log(kind="command", host=host, name="Get-CimInstance"))

    async def main() -> None:
        async with lab_site(source, "en") as site:
            for _ in range(3):
                await site.status("Web")
            assert (asked(site.name), site.services.booted_at() is not None) == (1, True)
            source.lab.order(op="fault", host=site.name, kind="drops", value={"verb": "Get-Service", "count": 1})
            with pytest.raises(HostError):
                await site.status("Web")
            await site.status("Web")
            assert asked(site.name) == 2, "the host may have started anew since"
        async with lab_site(source, "en") as site:
            source.lab.order(
                op="fault", host=site.name, kind="drops", value={"when": "during", "verb": "Get-CimInstance"}
            )
            with pytest.raises(HostError):
                await site.status("Web")
            assert (await site.status("Web")).state is State.RUNNING
            assert site.services.booted_at() is None

    run(main())


def test_many_controls_wait_beside_the_reader(source: LabSource) -> None:
    """A shell with two runspaces would be blind as soon as two controls wait."""

    async def main() -> None:
        async with lab_site(source, "en") as site:
            names = ["Web", "Slow", "Orders.Api", "Orders.Worker", "abbc", "OnTop"]
            for name in names:
                site.world.behave(site.name, name, "hangs-on-stop")
                await site.services.request(name, Control.STOP)
            readings = await site.services.read([Asked(name) for name in names])
            assert {reading.found[0].state for reading in readings} == {State.STOP_PENDING}

    run(main())


def test_a_fleet_may_be_larger_than_the_usual_limit_of_open_files() -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), most))
        WinrmHosts({}, open_credentials(), str)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
