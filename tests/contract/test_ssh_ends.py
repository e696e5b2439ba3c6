"""How programs on a host end, and what that says of whether anything was asked of it."""

from pathlib import Path

import pytest
from ssh_server import PASSWORD, lines_to, run, serving

from orchestrator.adapters.ssh import channel as channels
from orchestrator.adapters.ssh.reader import Reader, ended
from orchestrator.domain.errors import ProtocolError, Unreachable

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.mark.parametrize(
    ("errors", "status", "spoke", "asked"),
    [
        (b"no such program", 1, False, False),
        (b"no such program", 1, True, True),
        (b"", 1, False, True),
        (b" \r\n", 0xC0000142, False, True),
        (b"a warning", 0, False, True),
        (b"a warning", None, False, True),
    ],
)
def test_nothing_is_called_unasked_without_a_word_from_the_host(
    errors: bytes, status: int | None, spoke: bool, asked: bool
) -> None:
    error = ended("h", "the stop", errors, status, spoke=spoke)
    assert error.sent is asked
    assert isinstance(error, ProtocolError) is asked, "what may pass is tried again"


def test_a_powershell_that_is_ended_over_a_question_is_begun_anew() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            reader = Reader("h", lines.line("h"), LIMIT_S)
            ask = "OrchFacts '{}'".format
            assert await reader.ask(ask) == [{}]
            with pytest.raises(ProtocolError, match="ended before it answered: gone") as raised:
                await reader.ask(ask)
            assert raised.value.sent
            assert await reader.ask(ask) == [{}]
            assert sum("-Command -" in command for command in site.commands) == 2
            reader.close()

    run(main())


def test_a_channel_closed_without_a_word_may_have_taken_its_command() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            with pytest.raises(Unreachable) as raised:
                await lines.line("h").open("vanish")
            assert raised.value.sent
            assert (await lines.line("h").run("echo on", limit_s=LIMIT_S)).stdout == b"on"

    run(main())


def test_a_program_may_complain_for_hours() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            ran = await lines.line("h").run(f"both {channels.MOST}", limit_s=LIMIT_S)
            assert (ran.stdout, len(ran.stderr), ran.status) == (b"out", channels.ERRORS_MOST, 0)

    run(main())
