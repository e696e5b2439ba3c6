"""WinRM of one host: listeners, connections, authentication, faults of the wire, and shells behind them."""

import asyncio
import base64
import binascii
import functools
import re
import ssl
from collections.abc import Callable, Mapping

from orchestrator.lab import wsman
from orchestrator.lab.auth import Gatekeeper, NotReadable
from orchestrator.lab.host import Host
from orchestrator.lab.http import Connection, Request, Response
from orchestrator.lab.listen import Listener
from orchestrator.lab.shells import Faulted, Shells
from orchestrator.lab.wsman import RSP, Envelope

_COMMAND = re.compile(rb'<S N="Cmd">([^<]*)</S>')
_SC_VERB = re.compile(rb'N="Cmd">sc(?:\.exe)?</S>.*?N="V">([a-z]+)</S>', re.IGNORECASE | re.DOTALL)
_GARBAGE = b"<html><body>\xff\xfe this is no SOAP at all</body>"


class WinRm:
    """One host's WS-Management endpoint on HTTP, and on HTTPS if *secure* gives a TLS context."""

    def __init__(
        self, host: Host, users: Mapping[str, str], *, plain: bool, secure: Callable[[], ssl.SSLContext] | None
    ) -> None:
        self._host = host
        self._users = users
        self._plain = plain
        self._secure = functools.cache(secure) if secure else None
        self._shells = Shells(host)
        self._listeners: list[Listener] = []
        self._gates: dict[Connection, tuple[int, Gatekeeper]] = {}
        self._connections = 0
        host.transports["winrm"] = self._switch
        host.rests.append(self._shells.close)

    def _switch(self, on: bool) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if not on:
            for connection in list(self._gates):
                connection.drop()
            return
        spec = self._host.spec
        if self._plain:
            self._listeners.append(Listener(spec.address, spec.http_port, self._connection))
        if self._secure:
            self._listeners.append(Listener(spec.address, spec.https_port, self._connection, secure=self._secure))

    def _connection(self) -> Connection:
        return Connection(self._answer, self._opened, self._closed)

    def _opened(self, connection: Connection) -> None:
        self._connections += 1
        self._gates[connection] = (self._connections, Gatekeeper(self._users))
        self._host.log("connect", connection=self._connections)

    def _closed(self, connection: Connection) -> None:
        number, _ = self._gates.pop(connection, (0, None))
        self._host.log("disconnect", connection=number)

    async def _answer(self, connection: Connection, request: Request) -> Response:
        number, gate = self._gates[connection]
        if request.method != "POST" or not request.path.startswith("/wsman"):
            self._host.log("http", connection=number, action=f"{request.method} {request.path}", status=404)
            return Response(404)
        refusal = gate.admit(request, reject="rejects-credentials" in self._host.faults)
        failed = refusal is not None and refusal.status == 401
        if gate.attempted and (failed or not gate.known):
            gate.known = not failed
            self._host.auth_failures += failed
            self._host.log("auth", connection=number, ok=not failed, user=gate.user or None)
        if refusal is not None:
            self._host.log("http", connection=number, action="authenticate", status=refusal.status)
            return refusal
        try:
            envelope = wsman.read(gate.open(request))
        except NotReadable as exc:
            self._host.log("http", connection=number, action="unreadable", error=str(exc))
            return Response(400, cut="before")
        except wsman.BadTimeout as exc:
            body, kind = gate.seal(wsman.fault(exc.message_id, wsman.bad_timeout(exc.text), self._host.spec.address))
            return Response(500, body, kind)
        except wsman.NotSoap as exc:
            self._host.log("http", connection=number, action="unreadable", error=str(exc))
            return Response(400)
        return await self._act(connection, number, gate, envelope)

    async def _act(self, connection: Connection, number: int, gate: Gatekeeper, envelope: Envelope) -> Response:
        host, commands = self._host, _commands(envelope)
        self._log_request(number, envelope)
        cut = host.struck("drops", envelope.action, commands)
        if cut == "before":
            host.log("cut", connection=number, action=envelope.action, when=cut)
            return Response(500, cut="before")
        garbage = host.struck("garbage", envelope.action, commands)
        peer = connection.transport.get_extra_info("peername") if connection.transport else None
        try:
            halved = garbage == "clixml"
            content = await self._shells.act(envelope, gate.user, peer[0] if peer else "", halved=halved)
            status, answer = 200, wsman.answer(envelope, content)
        except Faulted as exc:
            status, answer = 500, wsman.fault(envelope.message_id, exc.fault, host.spec.address)
        if "slow" in host.faults:
            await asyncio.sleep(host.faults["slow"])
        if garbage == "text":
            return Response(200, _GARBAGE, "text/html")
        body, kind = gate.seal(answer)
        if cut:
            host.log("cut", connection=number, action=envelope.action, when=cut)
        elif host.struck("silent", envelope.action, commands):
            host.log("cut", connection=number, action=envelope.action, when="silent")
            cut = "silent"
        return Response(status, body, kind, headers=gate.token, cut="before" if cut == "after" else cut)

    def _log_request(self, number: int, envelope: Envelope) -> None:
        stream = envelope.find(f"{RSP}Receive/{RSP}DesiredStream")
        self._host.log(
            "http",
            connection=number,
            action=envelope.action,
            shell=envelope.shell_id or None,
            pipeline=(stream.get("CommandId") or "").lower() or None if stream is not None else None,
        )


def _commands(envelope: Envelope) -> str:
    """The names of the commands, and verbs of `sc.exe`, that a Command request brings, a line each; faults are aimed by
    them."""
    content = envelope.body.findtext(f"{RSP}CommandLine/{RSP}Arguments")
    if not content:
        return ""
    try:
        data = base64.b64decode(content)
    except binascii.Error:
        return ""
    return "\n".join(name.decode("utf-8", "replace") for name in (*_COMMAND.findall(data), *_SC_VERB.findall(data)))
