"""Whether a line knows whom it speaks with: host keys against known_hosts files, before anything secret is said."""

import asyncio
import subprocess
from pathlib import Path

import asyncssh
import pytest
from ssh_server import HOST_KEY, PASSWORD, Site, Tried, answers, fails, lines_to, loopback, run, serving

from orchestrator.domain.connection import Connection, Ssh
from orchestrator.domain.errors import Untrusted

OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of nobody."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def trusting(site: Site, file: Path) -> Connection:
    """A way to *site* that trusts what stands in *file* alone."""
    ssh = Ssh(config="none", agent=False, known_hosts=(str(file),))
    return site.way(password=PASSWORD, ssh=ssh, verify=True)


def line_of(site: Site, key: asyncssh.SSHKey, marker: str = "") -> str:
    return f"{marker}[{site.address}]:{site.port} {key.export_public_key().decode()}"


def test_a_known_host_is_spoken_with(home: Path) -> None:
    async def main() -> None:
        file = home / "known"
        async with serving() as site:
            file.write_text(line_of(site, HOST_KEY))
            async with lines_to(trusting(site, file)) as lines:
                await answers(lines)

    run(main())


@pytest.mark.needs("ssh")
def test_hashed_lines_of_ssh_keygen_are_read(home: Path) -> None:
    async def main() -> None:
        file = home / "known"
        async with serving() as site:
            file.write_text(line_of(site, HOST_KEY))
            process = await asyncio.create_subprocess_exec(
                "ssh-keygen", "-q", "-H", "-f", str(file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            assert await process.wait() == 0
            assert site.address not in file.read_text()
            async with lines_to(trusting(site, file)) as lines:
                await answers(lines)

    run(main())


@pytest.mark.parametrize(
    ("key", "marker", "text"),
    [
        (None, "", "is not known"),
        (OTHER_KEY, "", "has changed"),
        (asyncssh.generate_private_key("ecdsa-sha2-nistp256"), "", "has changed"),
        (HOST_KEY, "@revoked ", "is revoked by"),
    ],
    ids=["unknown", "changed", "another kind", "revoked"],
)
def test_a_host_that_is_not_trusted_gets_no_password(
    home: Path, key: asyncssh.SSHKey | None, marker: str, text: str
) -> None:
    async def main() -> None:
        file, credentials = home / "known", Tried()
        async with serving() as site:
            file.write_text("" if key is None else line_of(site, key, marker))
            async with lines_to(trusting(site, file), credentials=credentials) as lines:
                error = await fails(lines)
                assert isinstance(error, Untrusted)
                assert text in str(error)
                assert HOST_KEY.get_fingerprint() in str(error)
                assert error.hint
                assert (site.users, credentials.asked) == ([], 0)

    run(main())


@pytest.mark.parametrize(("principal", "trusted"), [("", True), ("somebody-else", False)])
def test_a_host_certificate_is_trusted_through_its_authority(home: Path, principal: str, trusted: bool) -> None:
    async def main() -> None:
        authority, file = asyncssh.generate_private_key("ssh-ed25519"), home / "known"
        address = loopback()
        certificate = authority.generate_host_certificate(HOST_KEY, "host", principals=[principal or address])
        async with serving(address=address, host_key=(HOST_KEY, certificate)) as site:
            file.write_text(line_of(site, authority, "@cert-authority "))
            async with lines_to(trusting(site, file)) as lines:
                if trusted:
                    await answers(lines)
                else:
                    error = await fails(lines)
                    assert isinstance(error, Untrusted)
                    assert "certificate did not pass" in str(error)

    run(main())
