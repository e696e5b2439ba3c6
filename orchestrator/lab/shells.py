"""The shells of one host as WS-Management acts on them: Create, Command, Send, Receive, Signal, Delete, Get."""

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass
from xml.etree import ElementTree

import psrpcore

from orchestrator.lab import commands, wsman
from orchestrator.lab.host import Host
from orchestrator.lab.psrp import Outbox, Pool
from orchestrator.lab.wsman import PWSH, RSP, Envelope, Fault

_POWERSHELL = "http://schemas.microsoft.com/powershell/"
_CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
_RUNSPACEPOOL_STATE = struct.pack("<I", 0x00021005)
_HEAD_ROOM = 2048
_STREAM_ROOM = 160
_UNREADABLE = (
    psrpcore.PSRPCoreError,
    ElementTree.ParseError,
    struct.error,
    binascii.Error,
    ValueError,
    KeyError,
    AttributeError,
)


class Faulted(Exception):
    """The request is answered with a fault."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.reason)


@dataclass(slots=True)
class Shell:
    """One open shell, whose it is, and how many commands it had in its life."""

    pool: Pool
    owner: str
    process: int
    commands: int = 0


class Shells:
    """All shells of one host. `act` answers one request with the XML of a body, or raises Faulted."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._open: dict[str, Shell] = {}
        self._process = 4000

    async def act(self, request: Envelope, user: str, client: str, *, halved: bool) -> str:
        """Do what *request* asks. *halved* cuts every message of an answer in half."""
        if request.action == "Create":
            return self._create(request, user, client)
        if request.action == "Get" and request.resource.startswith(_CONFIG):
            return wsman.config()
        shell = self._open.get(request.shell_id)
        if shell is None:
            raise Faulted(wsman.unknown_shell())
        if request.action == "Receive":
            return await self._receive(request, shell, halved)
        if request.action == "Get":
            return wsman.shell(request, request.shell_id, shell.owner, client, shell.process)
        simple = {"Command": self._command, "Send": self._send, "Signal": self._signal, "Delete": self._delete}
        if request.action not in simple:
            raise Faulted(wsman.bad_request(f"The action {request.action} is not known here. "))
        return simple[request.action](request, shell)

    def close(self) -> None:
        """End all shells."""
        for shell in self._open.values():
            shell.pool.close()
        self._open.clear()

    def _create(self, request: Envelope, user: str, client: str) -> str:
        most = self._host.spec.max_shells
        if self._host.faults.get("quota") is True or sum(shell.owner == user for shell in self._open.values()) >= most:
            raise Faulted(wsman.too_many_shells(most))
        if not request.resource.startswith(_POWERSHELL):
            raise Faulted(wsman.bad_request("Only PowerShell shells are served here. "))
        element = request.find(f"{RSP}Shell")
        content = request.find(f"{RSP}Shell/{PWSH}creationXml")
        if element is None or content is None:
            raise Faulted(wsman.bad_request("The shell has no creationXml. "))
        shell_id = (element.get("ShellId") or str(uuid.uuid4())).upper()
        pool = Pool(commands.executor(self._host, user))
        _feed(pool, content.text, None)
        self._process += 4
        self._open[shell_id] = Shell(pool, user, self._process)
        return wsman.created(request, shell_id, f"{self._host.spec.name.upper()}\\{user}", client, self._process)

    def _command(self, request: Envelope, shell: Shell) -> str:
        line = request.find(f"{RSP}CommandLine")
        if line is None:
            raise Faulted(wsman.bad_request("No CommandLine. "))
        most = self._host.faults.get("quota", True)
        if most is not True and shell.commands >= most:
            raise Faulted(wsman.too_many_commands())
        shell.commands += 1
        command_id = (line.get("CommandId") or str(uuid.uuid4())).upper()
        _feed(shell.pool, line.findtext(f"{RSP}Arguments"), command_id)
        return f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"

    def _send(self, request: Envelope, shell: Shell) -> str:
        for stream in request.body.iterfind(f"{RSP}Send/{RSP}Stream"):
            command_id = stream.get("CommandId")
            if command_id and _uuid(command_id) not in shell.pool.pipelines:
                raise Faulted(wsman.unknown_command())
            _feed(shell.pool, stream.text, command_id)
        return "<rsp:SendResponse/>"

    def _signal(self, request: Envelope, shell: Shell) -> str:
        signal = request.find(f"{RSP}Signal")
        command_id = _uuid(signal.get("CommandId", "")) if signal is not None else None
        if signal is None or command_id not in shell.pool.pipelines:
            raise Faulted(wsman.unknown_command())
        code = signal.findtext(f"{RSP}Code", "").rpartition("/")[2]
        self._host.log("signal", code=code, pipeline=str(command_id))
        if code.casefold() == "terminate":
            shell.pool.forget(command_id)
        else:
            shell.pool.stop(command_id)
        return "<rsp:SignalResponse/>"

    def _delete(self, request: Envelope, shell: Shell) -> str:
        del self._open[request.shell_id]
        shell.pool.close()
        return ""

    async def _receive(self, request: Envelope, shell: Shell, halved: bool) -> str:
        wanted = request.find(f"{RSP}Receive/{RSP}DesiredStream")
        command_id = wanted.get("CommandId") if wanted is not None else None
        if command_id is None:
            outbox = shell.pool.outbox
        else:
            pipeline = shell.pool.pipelines.get(_uuid(command_id))
            if pipeline is None:
                raise Faulted(wsman.unknown_command())
            outbox = pipeline.outbox
        await outbox.wait(request.timeout_s)
        if outbox.gone:
            raise Faulted(wsman.aborted())
        if not outbox.fragments and not outbox.ended:
            raise Faulted(wsman.timed_out())
        whose = f' CommandId="{command_id}"' if command_id else ""
        fragments = _take(outbox, request.limit - _HEAD_ROOM)
        encoded = [base64.b64encode(_half(data) if halved else data).decode() for data in fragments]
        streams = [f'<rsp:Stream Name="stdout"{whose}>{data}</rsp:Stream>' for data in encoded]
        done = ""
        if command_id and outbox.ended and not outbox.fragments:
            done = f'<rsp:CommandState{whose} State="{wsman.DONE}"><rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState>'
        return f"<rsp:ReceiveResponse>{''.join(streams)}{done}</rsp:ReceiveResponse>"


def _take(outbox: Outbox, room: int) -> list[bytes]:
    """What fits into one answer: at least one fragment, and the pool's opened state in an answer of its own."""
    taken: list[bytes] = []
    while outbox.fragments:
        fragment = outbox.fragments[0]
        room -= len(fragment) * 4 // 3 + _STREAM_ROOM
        if taken and (room < 0 or fragment[25:29] == _RUNSPACEPOOL_STATE):
            break
        taken.append(outbox.fragments.popleft())
    return taken


def _half(fragment: bytes) -> bytes:
    """The same fragment with half of its message, as a host that dies in mid-sentence would leave it."""
    blob = fragment[21:]
    half = blob[: max(43, len(blob) // 2)]
    return fragment[:17] + struct.pack(">I", len(half)) + half


def _feed(pool: Pool, content: str | None, command_id: str | None) -> None:
    try:
        pool.feed(base64.b64decode(content or ""), _uuid(command_id) if command_id else None)
    except _UNREADABLE as exc:
        raise Faulted(wsman.bad_request(f"The PSRP message can't be read: {exc}. ")) from exc


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as exc:
        raise Faulted(wsman.unknown_command()) from exc
