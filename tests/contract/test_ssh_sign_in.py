"""How a line signs in: passwords once, keys, certificates, agents."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from ssh_server import HOST_KEY, PASSWORD, Site, Tried, answers, fails, lines_to, loopback, run, serving, until

from orchestrator.adapters.ssh.leave import Leave
from orchestrator.domain.connection import Connection, Ssh
from orchestrator.domain.errors import AuthRejected, HostError, SecretError, Unreachable
from orchestrator.domain.secrets import Secret

LIMIT_S = 20.0
KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of nobody."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def with_key(path: Path, **given: object) -> Ssh:
    return Ssh(**{"config": "none", "agent": False, "key_file": str(path), **given})  # type: ignore[arg-type]


def written(path: Path, key: asyncssh.SSHKey, passphrase: str | None = None) -> Path:
    path.write_bytes(key.export_private_key("openssh", passphrase, rounds=50))
    path.with_name(path.name + ".pub").write_bytes(key.export_public_key())
    return path


def test_a_password_is_given_once_and_its_acceptance_is_told() -> None:
    async def main() -> None:
        credentials = Tried()
        async with serving() as site, lines_to(site.way(password=PASSWORD), credentials=credentials) as lines:
            await answers(lines)
            assert site.passwords == [PASSWORD]
            assert credentials.ends == [True]

    run(main())


def test_a_rejected_password_is_not_sent_again() -> None:
    async def main() -> None:
        credentials = Tried()
        async with serving() as site, lines_to(site.way(password="wrong"), credentials=credentials) as lines:
            first = await fails(lines)
            assert isinstance(first, AuthRejected)
            assert "refused admin with the password" in str(first)
            assert credentials.ends == [False]
            again = await fails(lines)
            assert (type(again), again.text) == (AuthRejected, first.text)
            assert site.passwords == ["wrong"]
            assert site.connections == 1

    run(main())


def test_another_password_is_tried_when_there_is_one() -> None:
    async def main() -> None:
        credentials = Tried(then=PASSWORD)
        async with serving() as site, lines_to(site.way(password="wrong"), credentials=credentials) as lines:
            await answers(lines)
            assert site.passwords == ["wrong", PASSWORD]
            assert credentials.ends == [False, True]

    run(main())


@pytest.mark.parametrize(
    ("prompts", "typed"),
    [
        ([("Password: ", False)], [PASSWORD]),
        ([("Verification code: ", False)], []),
        ([("Password: ", True)], []),
        ([("Password: ", False), ("Token: ", False)], []),
    ],
    ids=["a password", "something else", "shown", "two"],
)
def test_a_password_answers_a_prompt_for_one_and_no_other(prompts: list[tuple[str, bool]], typed: list[str]) -> None:
    async def main() -> None:
        async with serving(prompts=prompts) as site, lines_to(site.way(password=PASSWORD)) as lines:
            if typed:
                await answers(lines)
            else:
                assert isinstance(await fails(lines), AuthRejected)
            assert site.passwords == typed

    run(main())


def test_an_expired_password_is_told_as_that() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password="old")) as lines:
            error = await fails(lines)
            assert isinstance(error, AuthRejected)
            assert "the password of admin has expired" in str(error)

    run(main())


def test_the_time_to_connect_stands_still_while_a_password_may_not_be_tried_yet() -> None:
    async def main() -> None:
        credentials = Tried(allowed=asyncio.Event())
        way_limit_s = 1.0
        async with serving() as site:
            way = site.way(password=PASSWORD, connection_timeout_s=way_limit_s)
            async with lines_to(way, credentials=credentials) as lines:
                task = asyncio.create_task(lines.line("h").run("echo on", limit_s=LIMIT_S))
                await until(lambda: credentials.asked)
                done, _ = await asyncio.wait([task], timeout=way_limit_s * 1.5)
                assert not done
                assert credentials.allowed is not None
                credentials.allowed.set()
                assert (await task).stdout == b"on"
                assert site.connections == 1

    run(main())


def test_a_host_that_hangs_up_while_others_try_the_password_is_connected_anew() -> None:
    async def main() -> None:
        credentials = Tried(allowed=asyncio.Event())
        async with serving() as site, lines_to(site.way(password=PASSWORD), credentials=credentials) as lines:
            task = asyncio.create_task(lines.line("h").run("echo on", limit_s=LIMIT_S))
            await until(lambda: credentials.asked)
            site.cut()
            await until(lambda: not site.live)
            assert credentials.allowed is not None
            credentials.allowed.set()
            assert (await task).stdout == b"on"
            assert (credentials.asked, credentials.ends, site.passwords) == (1, [True], [PASSWORD])

    run(main())


def test_a_try_that_was_cancelled_gives_its_leave_back() -> None:
    async def main() -> None:
        async with serving() as site:
            for steps in range(0, 240, 3):
                credentials = Tried()
                async with lines_to(site.way(password=PASSWORD), credentials=credentials) as lines:
                    task = asyncio.create_task(lines.line("h").run("echo", limit_s=LIMIT_S))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                await until(lambda tried=credentials: len(tried.ends) == tried.asked)  # type: ignore[misc]
            await until(lambda: not site.live)

    run(main())


def test_a_host_that_asks_when_the_try_is_over_gets_no_password_and_holds_no_leave() -> None:
    async def main() -> None:
        credentials = Tried()
        leave = Leave(credentials, Site(address="127.0.0.1").way(password=PASSWORD))
        leave.end(accepted=None)
        assert await leave.secret() is None
        assert credentials.asked == 0

    run(main())


def test_a_secret_that_leads_nowhere_is_told_and_nothing_is_sent() -> None:
    class Lost(Tried):
        async def sign_in(self, connection: Connection) -> object:  # type: ignore[override]
            raise HostError(connection.host, "no password: there is none")

    async def main() -> None:
        async with serving() as site, lines_to(site.way(password="x"), credentials=Lost()) as lines:
            assert "no password: there is none" in str(await fails(lines))
            assert site.passwords == []

    run(main())


def test_a_key_signs_in_without_a_secret(home: Path) -> None:
    async def main() -> None:
        credentials = Tried()
        path = written(home / "key", KEY)
        async with serving(keys=[KEY], password=None) as site:
            way = site.way(ssh=with_key(path))
            async with lines_to(way, credentials=credentials) as lines:
                await answers(lines)
                assert credentials.asked == 0

    run(main())


def test_a_key_is_tried_before_the_password(home: Path) -> None:
    async def main() -> None:
        path = written(home / "key", KEY)
        async with serving(keys=[KEY]) as good, serving(keys=[OTHER_KEY]) as other:
            ways = [
                site.way(host=name, password=PASSWORD, ssh=with_key(path))
                for name, site in (("good", good), ("other", other))
            ]
            async with lines_to(*ways) as lines:
                await answers(lines, "good")
                await answers(lines, "other")
                assert (good.passwords, other.passwords) == ([], [PASSWORD])

    run(main())


def test_the_usual_keys_are_tried_if_none_is_named(home: Path) -> None:
    written(home / ".ssh" / "id_rsa", OTHER_KEY, "locked")
    written(home / ".ssh" / "id_ed25519", KEY)

    async def main() -> None:
        async with serving(keys=[KEY], password=None) as site, lines_to(site.way()) as lines:
            await answers(lines)

    run(main())


def test_a_key_that_the_host_does_not_know_is_named(home: Path) -> None:
    async def main() -> None:
        path = written(home / "key", KEY)
        async with serving(keys=[OTHER_KEY]) as site, lines_to(site.way(ssh=with_key(path))) as lines:
            error = await fails(lines)
            assert isinstance(error, AuthRejected)
            assert f"refused admin with the key ssh-ed25519 {path}" in str(error)
            assert "publickey, password" in str(error)
            assert "administrators_authorized_keys" in error.hint

    run(main())


def test_without_anything_to_show_a_host_says_what_it_takes() -> None:
    async def main() -> None:
        async with serving(keys=[KEY]) as site, lines_to(site.way()) as lines:
            error = await fails(lines)
            assert isinstance(error, AuthRejected)
            assert "without a key or password (it takes publickey, password)" in str(error)

    run(main())


def test_a_passphrase_opens_a_key_once_for_all_hosts(home: Path) -> None:
    async def main() -> None:
        asked: list[str] = []

        def reveal(text: str) -> str:
            asked.append(text)
            return "open sesame"

        ssh = with_key(written(home / "key", KEY, "open sesame"), passphrase=Secret("a reference"))
        async with serving(keys=[KEY], password=None) as site:
            ways = [site.way(host=f"h{number}", ssh=ssh) for number in range(5)]
            async with lines_to(*ways, reveal=reveal) as lines:
                await asyncio.gather(*(answers(lines, way.host) for way in ways))
                assert asked == ["a reference"]

    run(main())


@pytest.mark.parametrize(
    ("passphrase", "text"),
    [
        (None, "is encrypted, and no passphrase is set"),
        (Secret("wrong"), "the passphrase does not open the key"),
        (Secret("lost"), "no passphrase for the key"),
    ],
)
def test_a_key_that_stays_closed_is_told_and_nothing_is_sent(home: Path, passphrase: Secret | None, text: str) -> None:
    def reveal(reference: str) -> str:
        if reference == "lost":
            raise SecretError("the environment has no variable X", hint="export X")
        return reference

    async def main() -> None:
        ssh = with_key(written(home / "key", KEY, "open sesame"), passphrase=passphrase)
        async with serving(keys=[KEY]) as site, lines_to(site.way(ssh=ssh), reveal=reveal) as lines:
            error = await fails(lines)
            assert isinstance(error, AuthRejected)
            assert text in str(error)
            assert error.hint
            assert site.users == []

    run(main())


@pytest.mark.parametrize("content", [None, "no key at all"])
def test_a_key_that_cannot_be_read_is_told(home: Path, content: str | None) -> None:
    async def main() -> None:
        if content is not None:
            (home / "key").write_text(content)
        async with serving() as site, lines_to(site.way(ssh=with_key(home / "key"))) as lines:
            error = await fails(lines)
            assert isinstance(error, AuthRejected)
            assert f"the key {home / 'key'} can't be read" in str(error)

    run(main())


@pytest.mark.parametrize("beside", [True, False])
def test_a_certificate_signs_in(home: Path, beside: bool) -> None:
    async def main() -> None:
        authority = asyncssh.generate_private_key("ssh-ed25519")
        path = written(home / "key", KEY)
        certificate = authority.generate_user_certificate(KEY, "orch", principals=["admin"])
        place = home / "key-cert.pub" if beside else home / "elsewhere"
        place.write_bytes(certificate.export_certificate())
        ssh = with_key(path, certificate_file="" if beside else str(place))
        async with serving(authority=authority, password=None) as site, lines_to(site.way(ssh=ssh)) as lines:
            await answers(lines)

    run(main())


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A running ssh-agent that holds KEY."""
    place = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        path = written(home / "held", KEY)
        path.chmod(0o600)
        for _ in range(600):
            done = subprocess.run(["ssh-add", "-q", str(path)], capture_output=True, check=False)
            if done.returncode == 0:
                break
        path.unlink()
        yield path
    finally:
        process.terminate()
        process.wait()


@pytest.mark.needs("ssh")
def test_an_agent_signs_for_many_hosts_at_once(agent: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY], password=None) as site:
            ssh = Ssh(config="none")
            ways = [site.way(host=f"h{number}", ssh=ssh) for number in range(12)]
            async with lines_to(*ways) as lines:
                tasks = [asyncio.create_task(answers(lines, way.host)) for way in ways]
                tasks[3].cancel()
                await asyncio.gather(*tasks[:3], *tasks[4:])

    run(main())


@pytest.mark.needs("ssh")
def test_an_agent_is_left_alone_if_told_so(agent: Path) -> None:
    async def main() -> None:
        async with serving(keys=[KEY], password=None) as site, lines_to(site.way()) as lines:
            assert isinstance(await fails(lines), AuthRejected)

    run(main())


@pytest.mark.needs("ssh")
def test_a_closed_key_is_no_matter_if_the_agent_holds_it(agent: Path, home: Path) -> None:
    async def main() -> None:
        ssh = with_key(written(home / "key", KEY, "open sesame"), agent=True)
        async with serving(keys=[KEY], password=None) as site, lines_to(site.way(ssh=ssh)) as lines:
            await answers(lines)

    run(main())


def test_an_agent_that_is_gone_is_as_good_as_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "nobody"))

    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD, ssh=Ssh(config="none"))) as lines:
            await answers(lines)

    run(main())


def test_too_many_keys_are_told_as_a_rejection(home: Path) -> None:
    """sshd hangs up after six of them, with a disconnect and not with a refusal."""

    class Strict(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self._conn = conn

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            self._conn.disconnect(asyncssh.DISC_PROTOCOL_ERROR, "Too many authentication failures")
            return False

        def public_key_auth_supported(self) -> bool:
            return True

    async def main() -> None:
        path = written(home / "key", KEY)
        address = loopback()
        server = await asyncssh.listen(
            address, 0, server_factory=Strict, server_host_keys=[HOST_KEY], config=None, gss_host=None
        )
        way = Site(address=address, port=server.get_port()).way(ssh=with_key(path))
        async with server, lines_to(way) as lines:
            assert isinstance(await fails(lines), AuthRejected)

    run(main())


def test_a_cut_in_the_middle_of_signing_in_is_unreachable() -> None:
    class Cutting(Tried):
        site: Site

        async def sign_in(self, connection: Connection) -> object:  # type: ignore[override]
            self.site.cut()
            return await super().sign_in(connection)

    async def main() -> None:
        credentials = Cutting()
        async with serving() as site, lines_to(site.way(password=PASSWORD), credentials=credentials) as lines:
            credentials.site = site
            assert isinstance(await fails(lines), Unreachable)
            assert credentials.ends == [None]

    run(main())
