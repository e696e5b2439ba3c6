"""Ways that are not straight: jump hosts, programs in between, and what the user's SSH configuration says of them."""

import asyncio
import shlex
import sys
from pathlib import Path

import asyncssh
import pytest
from ssh_server import HOST_KEY, PASSWORD, Site, Tried, answers, fails, lines_to, loopback, run, serving, until

from orchestrator.domain.connection import Jump, Ssh
from orchestrator.domain.errors import AuthRejected, HostError, Unreachable, Untrusted

KEY = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of nobody, with KEY where it is looked for."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "id_ed25519").write_bytes(KEY.export_private_key())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def by(*sites: Site, **given: object) -> Ssh:
    jumps = tuple(Jump(address=site.address, port=site.port, user="hopper") for site in sites)
    return Ssh(**{"config": "none", "agent": False, "jumps": jumps, **given})  # type: ignore[arg-type]


def test_hosts_share_one_connection_to_their_jump_host() -> None:
    async def main() -> None:
        async with serving(keys=[KEY], password=None) as jump, serving() as site:
            ways = [site.way(host=f"h{number}", password=PASSWORD, ssh=by(jump)) for number in range(40)]
            async with lines_to(*ways) as lines:
                await asyncio.gather(*(answers(lines, way.host) for way in ways))
                assert jump.connections == 1
                assert jump.users[0] == "hopper"
                assert jump.forwarded == [(site.address, site.port)] * 40
                assert jump.passwords == []
            await until(lambda: not jump.live and not site.live)

    run(main())


def test_jump_hosts_are_gone_through_in_order() -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as first, serving(keys=[KEY]) as second, serving() as site:
            async with lines_to(site.way(password=PASSWORD, ssh=by(first, second))) as lines:
                await answers(lines)
            assert first.forwarded == [(second.address, second.port)]
            assert second.forwarded == [(site.address, site.port)]

    run(main())


def test_a_jump_host_that_broke_is_connected_anew() -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as jump, serving() as site:
            ways = [site.way(host=f"h{number}", password=PASSWORD, ssh=by(jump)) for number in range(5)]
            async with lines_to(*ways) as lines:
                await asyncio.gather(*(answers(lines, way.host) for way in ways))
                hanging = asyncio.create_task(lines.line("h0").run("hang", limit_s=20))
                await until(lambda: "hang" in site.commands)
                jump.cut()
                with pytest.raises(Unreachable) as raised:
                    await hanging
                assert raised.value.sent
                await asyncio.gather(*(answers(lines, way.host) for way in ways))
                assert jump.connections == 2

    run(main())


def test_errors_name_the_jump_host() -> None:
    async def main() -> None:
        async with serving(keys=[]) as closed, serving(keys=[KEY], forwards=False) as strict, serving() as site:
            silent = Site(address=loopback(), port=9)
            nowhere = Site(address=loopback(), port=9)
            async with serving(keys=[KEY]) as good:
                ways = [
                    site.way(host="closed", password=PASSWORD, ssh=by(closed)),
                    site.way(host="strict", password=PASSWORD, ssh=by(strict)),
                    site.way(host="silent", password=PASSWORD, ssh=by(silent)),
                    nowhere.way(host="behind", password=PASSWORD, ssh=by(good)),
                ]
                async with lines_to(*ways) as lines:
                    errors = {way.host: await fails(lines, way.host) for way in ways}
            assert isinstance(errors["closed"], AuthRejected)
            assert f"closed: the jump host {closed.address}: " in str(errors["closed"])
            assert type(errors["strict"]) is HostError
            assert f"the jump host {strict.address} may not connect to {site.address}" in str(errors["strict"])
            assert "AllowTcpForwarding" in errors["strict"].hint
            assert isinstance(errors["silent"], Unreachable)
            assert f"the jump host {silent.address}: {silent.address}:9: connection refused" in str(errors["silent"])
            assert isinstance(errors["behind"], Unreachable)
            assert f"the jump host {good.address} can't connect to {nowhere.address}:9" in str(errors["behind"])
            assert site.users == []

    run(main())


def test_the_key_of_a_jump_host_is_checked_too(home: Path) -> None:
    async def main() -> None:
        file, credentials = home / "known", Tried()
        async with serving(keys=[KEY]) as jump, serving() as site:
            public = HOST_KEY.export_public_key().decode()
            file.write_text(f"[{site.address}]:{site.port} {public}")
            way = site.way(password=PASSWORD, verify=True, ssh=by(jump, known_hosts=(str(file),)))
            async with lines_to(way, credentials=credentials) as lines:
                error = await fails(lines)
                assert isinstance(error, Untrusted)
                assert f"the jump host {jump.address}: the host's key" in str(error)
                assert (jump.users, credentials.asked) == ([], 0)
            with file.open("a") as stream:
                stream.write(f"[{jump.address}]:{jump.port} {public}")
            async with lines_to(way, credentials=credentials) as lines:
                await answers(lines)

    run(main())


def test_cancelled_on_the_way_through_a_jump_host_nothing_is_left() -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as jump, serving() as site:
            other = site.way(host="other", password=PASSWORD, ssh=by(jump))
            async with lines_to(site.way(password=PASSWORD, ssh=by(jump)), other) as lines:
                for steps in range(0, 300, 7):
                    task = asyncio.create_task(lines.line("h").run("hang", limit_s=20))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                await answers(lines, "other")
                await lines.line("h").aclose()
                await until(lambda: len(site.live) == 1)
            await until(lambda: not jump.live and not site.live)

    run(main())


def configured(home: Path, site: Site, text: str) -> Ssh:
    """A configuration that says *text* of the host `alias`."""
    (home / ".ssh" / "config").write_text(f"Host alias\n  HostName {site.address}\n  Port {site.port}\n{text}")
    return Ssh(agent=False)


def test_the_configuration_leads_to_a_host(home: Path) -> None:
    async def main() -> None:
        file = home / "mine"
        file.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
        key = asyncssh.read_private_key(file)
        async with serving(keys=[key], password=None) as site:
            ssh = configured(home, site, f"  User configured\n  IdentityFile {file}\n  StrictHostKeyChecking no\n")
            way = site.way(address="alias", port=22, user="", verify=True, ssh=ssh)
            async with lines_to(way) as lines:
                await answers(lines)
                assert set(site.users) == {"configured"}

    run(main())


def test_the_inventory_counts_before_the_configuration(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY], password=None) as site:
            ssh = configured(home, Site(address=site.address, port=9), "  User configured\n  IdentityFile /nowhere\n")
            ssh = Ssh(agent=False, key_file=str(home / ".ssh" / "id_ed25519"))
            async with lines_to(site.way(address="alias", user="inventory", ssh=ssh)) as lines:
                await answers(lines)
                assert set(site.users) == {"inventory"}

    run(main())


def test_known_hosts_of_the_configuration_are_read(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site:
            (home / "known").write_text(f"the-real-name {HOST_KEY.export_public_key().decode()}")
            ssh = configured(home, site, f"  UserKnownHostsFile {home}/known\n  HostKeyAlias the-real-name\n")
            way = site.way(address="alias", port=22, verify=True, ssh=ssh)
            async with lines_to(way) as lines:
                await answers(lines)
            by_address = f"{site.address},[{site.address}]:{site.port} {HOST_KEY.export_public_key().decode()}"
            for other in ("", by_address):  # OpenSSH looks for an alias alone, too
                (home / "known").write_text(other)
                async with lines_to(way) as lines:
                    error = await fails(lines)
                    assert isinstance(error, Untrusted)
                    assert f"{home}/known" in str(error)

    run(main())


def test_proxy_jump_of_the_configuration_is_gone_through(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as jump, serving(keys=[KEY]) as site:
            ssh = configured(
                home,
                site,
                f"  ProxyJump bastion\nHost bastion\n  HostName {jump.address}\n  Port {jump.port}\n  User hopper\n"
                "Host *\n  ProxyJump bastion\n",
            )
            async with lines_to(site.way(address="alias", port=22, ssh=ssh)) as lines:
                await answers(lines)
                assert jump.forwarded == [(site.address, site.port)]
                assert set(jump.users) == {"hopper"}

    run(main())


def test_a_jump_host_takes_its_own_keys_or_those_of_the_host_behind_it(home: Path) -> None:
    async def main() -> None:
        mine = asyncssh.generate_private_key("ssh-ed25519")
        (home / "mine").write_bytes(mine.export_private_key())
        (home / ".ssh" / "id_ed25519").rename(home / "gate")
        async with (
            serving(keys=[KEY]) as jump,
            serving(keys=[mine]) as other,
            serving(keys=[mine], password=None) as site,
        ):
            (home / ".ssh" / "config").write_text(f"Host {jump.address}\n  IdentityFile {home}/gate\n")
            ways = [
                site.way(host=name, ssh=by(each, config="", key_file=str(home / "mine")))
                for name, each in (("own", jump), ("same", other))
            ]
            async with lines_to(*ways) as lines:
                await answers(lines, "own")
                await answers(lines, "same")

    run(main())


_RELAY = """
import os, selectors, socket, sys
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
pairs = {0: far.fileno(), far.fileno(): 1}
looks = selectors.DefaultSelector()
for each in pairs:
    looks.register(each, selectors.EVENT_READ)
while True:
    for found, _ in looks.select():
        data = os.read(found.fd, 65536)
        if not data:
            sys.exit()
        os.write(pairs[found.fd], data)
"""


def test_a_proxy_command_of_the_configuration_is_run(home: Path) -> None:
    async def main() -> None:
        (home / "relay.py").write_text(_RELAY)
        relay = f"{shlex.quote(sys.executable)} {home}/relay.py %h %p"
        async with serving(keys=[KEY]) as site:
            ssh = configured(home, site, f"  ProxyCommand {relay}\n")
            async with lines_to(site.way(address="alias", port=22, ssh=ssh)) as lines:
                await answers(lines)
            await until(lambda: not site.live)

    run(main())


def test_a_proxy_command_that_ends_at_once_is_named(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site:
            ssh = configured(home, site, "  ProxyCommand /bin/false\n")
            async with lines_to(site.way(address="alias", port=22, ssh=ssh)) as lines:
                error = await fails(lines)
                assert isinstance(error, Unreachable)
                assert "ProxyCommand" in error.hint
                assert site.connections == 0

    run(main())


def test_algorithms_of_the_configuration_are_used(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site:
            ssh = configured(home, site, "  Ciphers unheard-of,aes256-ctr\n  KexAlgorithms ecdh-sha2-nistp256\n")
            async with lines_to(site.way(address="alias", port=22, ssh=ssh)) as lines:
                await answers(lines)
                assert site.live[0].get_extra_info("recv_cipher") == "aes256-ctr"

    run(main())


def test_ways_to_sign_in_of_the_configuration_are_used(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site:
            ssh = configured(home, site, "  PubkeyAuthentication no\n")
            async with lines_to(site.way(address="alias", port=22, password=PASSWORD, ssh=ssh)) as lines:
                await answers(lines)
                assert site.passwords == [PASSWORD]

    run(main())


def test_what_is_cheapest_comes_first() -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site, lines_to(site.way()) as lines:
            await answers(lines)
            assert site.live[0].get_extra_info("recv_cipher") == "aes128-gcm@openssh.com"

    run(main())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  Port many\n", "line 4"),
        ('Match exec "true"\n  User x\n', "`Match exec` is not supported"),
        ("Match originalhost alias exec true\n  User x\n", "`Match exec` is not supported"),
        ("  CanonicalizeHostname yes\n", "CanonicalizeHostname"),
        ("  ProxyJump host:port\n", "ProxyJump host:port"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_by_name(home: Path, text: str, told: str) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site:
            ssh = configured(home, site, text)
            async with lines_to(site.way(address="alias", port=22, ssh=ssh)) as lines:
                error = await fails(lines)
                assert type(error) is HostError
                assert told in str(error)
                assert error.hint
                assert site.connections == 0

    run(main())


def test_match_exec_of_other_hosts_is_no_matter(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site:
            ssh = configured(home, site, "Match host elsewhere exec true\n  User x\n")
            async with lines_to(site.way(address="alias", port=22, ssh=ssh)) as lines:
                await answers(lines)

    run(main())


def test_a_configuration_that_is_not_there_is_told_if_it_was_named(home: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site:
            ways = [
                site.way(host="named", ssh=Ssh(agent=False, config=str(home / "nope"))),
                site.way(host="usual", ssh=Ssh(agent=False)),
            ]
            async with lines_to(*ways) as lines:
                assert "nope can't be read" in str(await fails(lines, "named"))
                await answers(lines, "usual")

    run(main())
