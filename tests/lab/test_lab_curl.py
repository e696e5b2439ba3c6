"""What orch tells curl.exe to post, the lab's curl.exe posts."""

import asyncio

import pytest
from loopback import fresh_address

from orchestrator.domain.gates import HttpCheck
from orchestrator.engine.work.curl import http_args
from orchestrator.lab import curl


async def _posted(check: HttpCheck) -> tuple[bytes, bytes]:
    """Head and body of the request that *check* becomes."""
    heard: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.set_result((head, await reader.readexactly(len(check.body.encode()))))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    address = fresh_address()
    server = await asyncio.start_server(serve, address, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = check.url.format(port=port)
        arguments = http_args(HttpCheck(url=url, method=check.method, body=check.body, headers=check.headers), 10)
        ran = await curl.run(arguments, lambda _: address)
        assert (ran.exit_code, ran.output[0]) == (0, "HTTP/1.1 204 No Content")
        return await heard


@pytest.mark.parametrize("headers", [(), (("Content-Type", "application/json"),)])
def test_a_body_arrives_with_the_type_that_the_headers_say(headers: tuple[tuple[str, str], ...]) -> None:
    check = HttpCheck(url="http://lb:{port}/pool", method="PUT", body='{"state": "drain"}', headers=headers)
    head, body = asyncio.run(_posted(check))
    assert body == b'{"state": "drain"}'
    assert head.startswith(b"PUT /pool ")
    assert [line for line in head.split(b"\r\n") if line.startswith(b"Content-Type")] == [
        b"Content-Type: application/json" for _ in headers
    ]
