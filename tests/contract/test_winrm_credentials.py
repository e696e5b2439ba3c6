"""Secrets on their way to a host, against the lab: what is sent, to whom, and how often."""

import asyncio
import itertools
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from host_worlds import PASSWORD, LabSource, LabWorld, Site, open_credentials, running_lab

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.adapters.winrm.hosts import WinrmHosts
from orchestrator.domain.connection import Auth, Connection
from orchestrator.domain.errors import AuthRejected, HostError, Refused, SecretError, Unreachable
from orchestrator.domain.secrets import Secret, SecretRef, embed, split
from orchestrator.domain.service import Asked
from orchestrator.domain.tries import TRIES

KEY = embed(SecretRef("env", "KEY"))
EMPTY = embed(SecretRef("env", "EMPTY"))
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
    """The secrets of these tests: env:KEY is `s3cret`, env:EMPTY holds nothing, env:NOWHERE does not exist."""
    if NOWHERE in text:
        raise SecretError("env:NOWHERE is not set", hint="export NOWHERE=...")
    secrets = {"KEY": "s3cret", "EMPTY": ""}
    return "".join(secrets[piece.path] if isinstance(piece, SecretRef) else piece for piece in split(text))


def site(source: LabSource) -> Site:
    """An unused host, by way of the secrets of these tests."""
    name = next(source.unused["en"])
    return Site(LabWorld(source.lab, hosts_of({name: source.connection(name)})), name)


def hosts_of(connections: dict[str, Connection]) -> WinrmHosts:
    """Hosts by way of the secrets of these tests."""
    return WinrmHosts(connections, open_credentials(*connections.values(), reveal=reveal), reveal)


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


WRONG = "not the passw0rd"


def fleet(
    source: LabSource, count: int, password: str = PASSWORD, auth: Auth = Auth.NTLM, read_timeout_s: float = 6.0
) -> dict[str, Connection]:
    """Unused hosts, all with the same password."""
    names = [next(source.unused["en"]) for _ in range(count)]
    secret = Secret(password)
    return {
        name: replace(source.connection(name, auth), password=secret, read_timeout_s=read_timeout_s) for name in names
    }


async def read_all(hosts: WinrmHosts, names: Iterable[str]) -> list[object]:
    """What a read of each host gives, side by side."""
    reads = (hosts.services(name).read([Asked("Web")]) for name in names)
    return list(await asyncio.gather(*reads, return_exceptions=True))


def sign_ins(source: LabSource, names: Iterable[str]) -> list[bool]:
    """How the hosts took our credentials."""
    return [line["ok"] for name in names for line in source.lab.log(kind="auth", host=name)]


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.BASIC])
def test_a_wrong_password_is_tried_on_two_hosts_at_most(source: LabSource, auth: Auth) -> None:
    connections = fleet(source, 20, WRONG, auth)

    async def main() -> None:
        hosts = hosts_of(connections)
        for _ in range(2):
            errors = await read_all(hosts, connections)
            assert all(isinstance(error, AuthRejected) for error in errors)
        tried = [name for name in connections if source.lab.log(kind="auth", host=name)]
        spared = [error for error in errors if isinstance(error, AuthRejected) and error.host not in tried]
        assert len(spared) == 18
        for error in spared:
            assert f"admin was rejected by {tried[0]} and {tried[1]}; it was not tried here" in error.text
            assert error.sent is False
        await hosts.aclose()

    run(main())
    assert sign_ins(source, connections) == [False, False]


def test_a_good_password_opens_all_hosts_at_once(source: LabSource) -> None:
    connections = fleet(source, 20)

    async def main() -> None:
        hosts = hosts_of(connections)
        assert all(isinstance(found, list) for found in await read_all(hosts, connections))
        await hosts.aclose()

    run(main())
    assert sign_ins(source, connections) == [True] * 20
    begun = [(source.lab.log(kind="auth", host=name)[0]["t"], 1) for name in connections]
    ended = [(source.lab.log(kind="command", host=name)[0]["t"], -1) for name in connections]
    at_once = list(itertools.accumulate(change for _, change in sorted(begun + ended)))
    assert max(at_once) > 2 * TRIES, "hosts signed in one after the other"


def test_a_host_that_let_us_in_does_so_again_though_others_reject_us(source: LabSource) -> None:
    connections = fleet(source, 5)
    good, *bad = connections

    async def main() -> None:
        hosts = hosts_of(connections)
        world = LabWorld(source.lab, hosts)
        for name in bad:
            world.fault(name, Fault.AUTH, times=None)
        await hosts.services(good).read([Asked("Web")])
        errors = await read_all(hosts, bad)
        tried = sorted(name for name in bad if source.lab.log(kind="auth", host=name))
        told = sorted(str(error).partition(": ")[2].partition(" (")[0] for error in errors)
        spared = (
            f"admin was rejected by {' and '.join(tried)}; it was not tried here, so that the account is not locked"
        )
        assert told == [spared] * 2 + ["the host refused admin"] * 2
        world.fault(good, Fault.CUT_BEFORE)
        with pytest.raises(Unreachable):
            await hosts.services(good).read([Asked("Web")])
        await hosts.services(good).read([Asked("Web")])
        await hosts.aclose()

    run(main())
    assert sign_ins(source, connections) == [True, True, False, False]


def test_hosts_that_go_silent_hold_the_others_up_until_their_deadline_at_most(source: LabSource) -> None:
    connections = fleet(source, 8, read_timeout_s=5.0)
    silent, sound = list(connections)[:2], list(connections)[2:]

    async def main() -> None:
        hosts = hosts_of(connections)
        world = LabWorld(source.lab, hosts)
        for name in silent:
            world.fault(name, Fault.SILENT, times=None)
        stuck = asyncio.create_task(read_all(hosts, silent))
        for name in silent:
            await asyncio.to_thread(source.lab.until, kind="cut", host=name)
        waiting = [asyncio.create_task(hosts.services(name).read([Asked("Web")])) for name in sound]
        waiting.pop().cancel()
        async with asyncio.timeout(30):
            assert all(len(found) == 1 for found in await asyncio.gather(*waiting))
        assert all(isinstance(error, Unreachable) for error in await stuck)
        await hosts.aclose()

    run(main())


def test_unreachable_hosts_hold_nobody_up(source: LabSource) -> None:
    connections = fleet(source, 6, WRONG)
    down, up = list(connections)[:4], list(connections)[4:]

    async def main() -> None:
        hosts = hosts_of(connections)
        for name in down:
            LabWorld(source.lab, hosts).fault(name, Fault.UNREACHABLE, times=None)
        errors = await read_all(hosts, connections)
        assert [type(error) for error in errors] == [Unreachable] * 4 + [AuthRejected] * 2
        await hosts.aclose()

    run(main())
    assert sign_ins(source, up) == [False, False]


LACKS: list[tuple[dict[str, Any], str, str]] = [
    ({"password": Secret("")}, "the password is empty", "--ask-pass"),
    ({"password": Secret(EMPTY)}, "the password is empty", "{env:EMPTY}"),
    ({"user": ""}, "no user is set", "ansible_user"),
]
NO_PASSWORD = ({"password": None}, "no password is set", "ansible_password")


@pytest.mark.parametrize(
    ("auth", "changed", "said", "hint"),
    [
        *((auth, *NO_PASSWORD) for auth in (Auth.NTLM, Auth.BASIC, Auth.CREDSSP)),
        *((auth, *lacks) for auth in sorted(set(Auth) - {Auth.CERTIFICATE}) for lacks in LACKS),
    ],
)
def test_nothing_is_sent_without_a_user_and_a_password(
    source: LabSource, auth: Auth, changed: dict[str, Any], said: str, hint: str
) -> None:
    connection = replace(source.connection("en-00", auth), address="192.0.2.1", **changed)

    async def main() -> None:
        hosts = hosts_of({"db-01": replace(connection, host="db-01")})
        (error,) = await read_all(hosts, ["db-01"])
        assert isinstance(error, AuthRejected)
        assert str(error) == f"db-01: {said}; nothing was sent"
        assert hint in error.hint
        await hosts.aclose()

    run(main())
