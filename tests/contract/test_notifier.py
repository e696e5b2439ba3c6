"""The notifier and its twin: what is sent, what is told when it can't be, and that no secret is in it.

The real one speaks to HTTP servers on loopback by apprise's `json://`.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

from orchestrator.adapters.memory.notifier import MemoryNotifier
from orchestrator.adapters.notify import AppriseNotifier, notifies_by
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.errors import SecretError
from orchestrator.domain.notices import SAMPLES
from orchestrator.domain.policy import Notice
from orchestrator.domain.secrets import SecretRef, embed

TOKEN = "s3cr3t-t0ken"
TOKEN_REF = embed(SecretRef("env", "TOKEN"))
ASKED = SAMPLES["decision"]
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def reveal(text: str) -> str:
    return text.replace(TOKEN_REF, TOKEN)


def answering(status: str, heard: list[tuple[str, bytes]]) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in head.split("\r\n") if line.lower().startswith("content-length:"))
        heard.append((head, await reader.readexactly(int(length.split(":")[1]))))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(TOKEN)}\r\nConnection: close\r\n\r\n{TOKEN}".encode())
        await writer.drain()

    return answer


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """A server that speaks so; gives its host and port."""
    talks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await answer(reader, writer)
        finally:
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for talk in list(talks):
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


class Sender(Protocol):
    async def send(self, notice: Notice, event: Mapping[str, Any]) -> str: ...


@asynccontextmanager
async def sender(kind: str) -> AsyncIterator[tuple[Sender, str, Callable[[], list[tuple[str, str]]]]]:
    """A notifier, the address that it may tell, and what has arrived there: titles and texts."""
    if kind == "memory":
        memory = MemoryNotifier(Renderer())
        yield memory, "nowhere", lambda: [(title, body) for _, title, body in memory.sent]
        return
    heard: list[tuple[str, bytes]] = []
    async with serving(answering("200 OK", heard)) as address:

        def arrived() -> list[tuple[str, str]]:
            return [(body["title"], body["message"]) for body in (json.loads(text) for _, text in heard)]

        yield AppriseNotifier(Renderer(), reveal), address, arrived


@pytest.mark.parametrize("kind", ["apprise", "memory"])
def test_a_notice_arrives_in_its_own_words_or_in_orchs(kind: str) -> None:
    async def told() -> None:
        async with sender(kind) as (notifier, address, arrived):
            url = f"json://{address}/orch/{TOKEN_REF}"
            own = Notice(url=url, title="{{ plan | upper }}", body=f"{{{{ units | join(' ') }}}} {TOKEN_REF}")
            assert await notifier.send(own, ASKED) == ""
            assert await notifier.send(Notice(url=url), ASKED) == ""
            first, second = arrived()
            assert first == ("SHOP", "orders@app-02 orders@app-03 <secret env:TOKEN>")
            assert "waits for a decision" in second[0]
            assert "orch decide 20260101-021300-abcd rollback --decision 1\nRun " in second[1]

    asyncio.run(told())


@pytest.mark.parametrize("kind", ["apprise", "memory"])
def test_a_template_that_fails_is_told_and_nothing_is_sent(kind: str) -> None:
    async def told() -> None:
        async with sender(kind) as (notifier, address, arrived):
            why = await notifier.send(Notice(url=f"json://{address}/", title="{{ nothing }}"), ASKED)
            assert "'nothing' is undefined" in why
            assert arrived() == []

    asyncio.run(told())


def real(url: str, answer: Answer | None = None, send_s: float = 30.0) -> str:
    """What the real notifier says about *url*; HERE in it is a server that gives *answer*."""

    async def told() -> str:
        async with contextlib.AsyncExitStack() as stack:
            here = await stack.enter_async_context(serving(answer)) if answer else ""
            notifier = AppriseNotifier(Renderer(), reveal, send_s=send_s)
            return await notifier.send(Notice(url=url.replace("HERE", here)), ASKED)

    return asyncio.run(told())


@pytest.mark.parametrize(
    ("url", "status", "why"),
    [
        (f"json://user:{TOKEN_REF}@HERE/{TOKEN_REF}", "403 Forbidden", "the server answered 403"),
        (f"json://HERE/?-token={TOKEN_REF}", "500 Oops", "the server answered 500"),
        (f"json://{TOKEN_REF}@127.0.0.1:1/", "", "it could not be delivered"),
        (f"nobody://{TOKEN_REF}/", "", "its URL is none that apprise understands"),
        (f"slack://{TOKEN_REF}/", "", "its URL is none that apprise understands"),
    ],
)
def test_what_can_t_be_sent_is_told_without_its_secrets(
    url: str, status: str, why: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scheme = url.partition(":")[0]
    said = real(url, answering(status, []) if status else None)
    assert said == f"the notice by {scheme} was not sent: {why}"
    shown = capfd.readouterr()
    assert TOKEN not in said + shown.out + shown.err
    assert (shown.out, shown.err) == ("", "")


def test_a_server_that_hangs_is_left_in_time() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    assert real("json://HERE/?rto=20", hang, send_s=0.3) == "the notice by json was not sent: no answer within 0.3 s"


def test_a_url_may_be_a_secret_as_a_whole_and_its_source_a_dead_end() -> None:
    def nothing(text: str) -> str:
        raise SecretError("the environment has no variable TOKEN")

    said = asyncio.run(AppriseNotifier(Renderer(), nothing).send(Notice(url=TOKEN_REF), ASKED))
    assert said == "the notice to <secret env:TOKEN> was not sent: the environment has no variable TOKEN"


def test_schemes_are_those_of_apprise_and_of_the_web() -> None:
    assert [notifies_by(scheme) for scheme in ("json", "mailto", "slack", "https", "jsn")] == [*[True] * 4, False]
