"""One shell on one host: a runspace pool over one connection, and pipelines in it. Everything here blocks.

Used by one thread at a time, inside the gate (`lane` sees to both), and disposable: after any error it is not used
again.
Pipelines are structured: commands with parameters and arguments, never script text.
"""

import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from pypsrp.complex_objects import GenericComplexObject, PSInvocationState
from pypsrp.exceptions import WSManFaultError
from pypsrp.messages import CreatePipeline, InitRunspacePool, SessionCapability
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import Serializer
from pypsrp.wsman import SelectorSet

from orchestrator.adapters.winrm.answers import Failure, Item, Output, native_code
from orchestrator.adapters.winrm.errors import in_our_words
from orchestrator.adapters.winrm.statements import Statement
from orchestrator.adapters.winrm.threads import Gate
from orchestrator.adapters.winrm.wire import Line, Wire
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import HostError, Unreachable

RUNSPACES = 16
"""At most so many pipelines run beside each other: one reader, and controls that wait as long as they like. The host
makes a runspace when it is needed."""
IDLE_S = 900
"""After so long without a word from us the host ends the shell by itself."""
_RUNNING = (PSInvocationState.NOT_STARTED, PSInvocationState.RUNNING, PSInvocationState.STOPPING)
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Shell:
    """Where a shell can be found again, to delete it."""

    id: str
    uri: str


class _Packed(CreatePipeline):
    """A CREATE_PIPELINE message that was serialised before."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content


class _Packer(Serializer):
    """Serialises what was not serialised before: half of a read's cost is the same pipeline over and over.

    Texts and numbers, which most of an answer is made of, are taken as they are; pypsrp writes each out as XML again
    before it looks at it.
    """

    last = _Packed()

    def deserialize(self, element: Any, metadata: Any = None, clear: bool = True) -> Any:
        if isinstance(element, str):
            plain = _PLAIN_TEXT.fullmatch(element)
            return super().deserialize(element, metadata, clear) if plain is None else plain[1]
        read = _PLAIN.get(element.tag)
        if read is None or "_x" in (element.text or ""):
            return super().deserialize(element, metadata, clear)
        if clear:
            self._clear()
        if metadata is not None and metadata.tag == "*":
            metadata.tag = element.tag
        return read(element.text or "")

    def serialize(self, value: Any, metadata: Any = None, parent: Any = None, clear: bool = True) -> Any:
        if isinstance(value, _Packed):
            return value.content
        if type(value) in _constant:
            return _constant[type(value)]
        element = super().serialize(value, metadata, parent, clear)
        if not isinstance(value, CreatePipeline | InitRunspacePool | SessionCapability) or element is None:
            return element
        content = ElementTree.tostring(element, encoding="utf-8", method="xml")
        if isinstance(value, CreatePipeline):
            self.last = _Packed(content)
        else:
            _constant[type(value)] = content
        return content


_PLAIN_TEXT = re.compile(r"<S>((?:[^<&_\r]|_(?!x))*)</S>")
_PLAIN: dict[str, Callable[[str], object]] = {
    "S": str,
    "ToString": str,
    "I32": int,
    "B": lambda text: text.lower() == "true",
    "Nil": lambda _: None,
}
"""What pypsrp makes of these elements. An `_x` may be an escaped character, which is its affair."""
_constant: dict[type, bytes] = {}
"""Messages that are the same for every shell that we open."""
_PACKED_MOST = 1024
_packed: dict[tuple[object, ...], _Packed] = {}
"""By protocol version and statements, oldest first. Only touched inside the gate."""


class Job:
    """A pipeline that was begun, and what it has said so far."""

    def __init__(self, pipeline: PowerShell) -> None:
        self.pipeline = pipeline
        self.output = Output()
        self._taken = self._failures = 0

    def take(self) -> Output:
        """What it has said until now, in plain data."""
        fresh, errors = self.pipeline.output[self._taken :], self.pipeline.streams.error[self._failures :]
        self._taken += len(fresh)
        self._failures += len(errors)
        self.output.values += [_plain(value, 0) for value in fresh]
        self.output.failures += [_failure(error) for error in errors]
        self.output.failed = self.pipeline.state == PSInvocationState.FAILED
        self.output.ended = self.pipeline.state not in _RUNNING
        return self.output


class Session:
    """A shell on the host of *connection*, over *sock*, which is connected to it (None: connect by the proxy).

    Raises: HostError and its kin, from every method but `cut` and `dispose`. `commands` counts pipelines.
    """

    def __init__(self, connection: Connection, password: str | None, sock: socket.socket | None, gate: Gate) -> None:
        self._connection = connection
        self.line = Line(sock, gate)
        self.commands = 0
        self.version = ""
        self.opened = False
        self._asked = False
        try:
            self._wire = Wire(connection, password, self.line)
        except ValueError as exc:
            hint = (
                "Basic over HTTP sends the password in clear: use HTTPS, or set ansible_psrp_message_encryption: never"
            )
            raise HostError(connection.host, f"the connection can't be used as set: {exc}", hint=hint) from exc
        self._pool = RunspacePool(
            self._wire,
            configuration_name=connection.configuration_name,
            max_runspaces=RUNSPACES,
            no_profile=True,
            idle_timeout=IDLE_S,
        )

        self._shell_id = self._pool.id
        self._packer = _Packer()
        self._pool._fragmenter.serializer = self._packer

    @property
    def shell(self) -> Shell | None:
        """The shell that may stand on the host, once the host was asked for it."""
        stands = self.opened or (self._asked and self.line.written)
        return Shell(self._shell_id, self._pool.shell.resource_uri) if stands else None

    def when_let_in(self, tell: Callable[[], object]) -> None:
        """Call *tell* once, in the thread that speaks, with the next answer of WinRM: it says that we are let in."""
        self._wire.let_in = tell

    def open(self) -> None:
        """Sign in and make the shell: three requests, and three more for the handshake of NTLM."""
        self._asked = True
        with in_our_words(self._connection, lambda: False):
            self._pool.open()
        self.opened = True
        private = self._pool.application_private_data
        table = getattr(private, "data", None)
        versions = table.get("PSVersionTable") if isinstance(table, dict) else None
        self.version = str(versions.get("PSVersion", "")) if isinstance(versions, dict) else ""

    def begin(self, statements: Sequence[Statement], *, kept: bool = True) -> Job:
        """Hand a pipeline over. Returns once the host took it: one request.

        Its serialised form is *kept* for the next time, on any host: never where it may hold a secret.
        """
        pipeline = PowerShell(self._pool)
        self.commands += 1
        self.line.written = False
        key = (self._pool.protocol_version, *statements)
        packed = _packed.get(key) if kept else None
        with in_our_words(self._connection, lambda: self.line.written):
            if packed is not None:
                pipeline._invoke(packed)
                return Job(pipeline)
            _add(pipeline, statements)
            pipeline.begin_invoke()
        if kept:
            if len(_packed) >= _PACKED_MOST:
                _packed.pop(next(iter(_packed)))
            _packed[key] = self._packer.last
        self._packer.last = _Packed()
        return Job(pipeline)

    def poll(self, job: Job, wait_s: float | None = None) -> Output:
        """Ask once what the pipeline has said; the host answers at once if there is something, else after *wait_s*.

        None waits as long as the connection's operation timeout.
        """
        with in_our_words(self._connection, lambda: True):
            # A fraction is a good xs:duration, and Windows' own client sends one; pypsrp passes it on.
            job.pipeline.poll_invoke(timeout=wait_s)  # type: ignore[arg-type]
            output = job.take()
        if output.ended:  # the pool would keep it, and all that it said, as long as the session lasts
            self._pool.pipelines.pop(job.pipeline.id, None)
        return output

    def run(self, statements: Sequence[Statement], *, limit_s: float, once: bool = False) -> Output:
        """A pipeline to its end: two requests if the host is quick. What is asked *once* is not kept: it would only
        drive out what many hosts are asked."""
        ends_s = time.monotonic() + limit_s
        job = self.begin(statements, kept=not once)
        while not self.poll(job).ended:
            if time.monotonic() > ends_s:
                raise Unreachable(self._connection.host, f"no answer within {limit_s:g} s", sent=True)
        return job.output

    def stop(self, job: Job) -> None:
        """Ctrl-C for a pipeline: one request. What it asked of services is not undone."""
        with in_our_words(self._connection, lambda: True):
            job.pipeline.stop()

    def close(self) -> None:
        """Delete the shell: one request."""
        with in_our_words(self._connection, lambda: True):
            self._pool.close()
        self.opened = self._asked = False

    def delete(self, shells: Iterable[Shell]) -> None:
        """Delete shells that an earlier session left behind, as far as they still stand: one request each."""
        for shell in shells:
            selectors = SelectorSet()
            selectors.add_option("ShellId", shell.id)
            with in_our_words(self._connection, lambda: True):
                try:
                    self._wire.delete(shell.uri, selector_set=selectors)
                except WSManFaultError:  # it is gone, which is as good
                    continue

    def cut(self) -> None:
        """End the connection from any thread; the one that waits on it gets an error."""
        self.line.cut()

    def dispose(self) -> None:
        """Free the connection. Only when no thread is at work here."""
        self._wire.close()
        self.line.close()


def _add(pipeline: PowerShell, statements: Sequence[Statement]) -> None:
    for number, statement in enumerate(statements):
        if number:
            pipeline.add_statement()
        pipeline.add_cmdlet(statement.command)
        for name, value in statement.parameters:
            pipeline.add_parameter(name, list(value) if isinstance(value, tuple) else value)
        for argument in statement.arguments:
            pipeline.add_argument(argument)


def _plain(value: object, depth: int) -> object:
    """What pypsrp made of CLIXML, as plain data."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if depth > _DEEPEST:
        return str(value)
    if isinstance(value, list | tuple):
        return tuple(_plain(item, depth + 1) for item in value)
    if isinstance(value, GenericComplexObject):
        own = [one for one in value.property_sets if isinstance(one, str | int)]
        number = next((one for one in own if isinstance(one, int) and not isinstance(one, bool)), None)
        text = value.to_string if value.to_string is not None else "".join(map(str, own[:1]))
        seen = {**value.adapted_properties, **value.extended_properties}
        return Item(text, number, {name: _plain(one, depth + 1) for name, one in seen.items()})
    return str(value)


def _failure(record: object) -> Failure:
    """An error record of pypsrp as data."""
    fq_id = str(getattr(record, "fq_error", None) or "")
    target = getattr(record, "target_name", None) or getattr(record, "target_object", None) or ""
    return Failure(
        text=str(record) or str(getattr(record, "message", "") or fq_id),
        id=fq_id.partition(",")[0],
        target=str(target),
        native=_native(getattr(record, "exception", None), 0),
    )


def _native(exception: object, depth: int) -> int | None:
    """The Win32 error number of an exception or of one inside it, if the host serialised one."""
    if isinstance(exception, str):
        return native_code(exception)
    if not isinstance(exception, GenericComplexObject) or depth > _DEEPEST:
        return None
    number = exception.adapted_properties.get("NativeErrorCode")
    if isinstance(number, int):
        return number
    inner = _native(exception.adapted_properties.get("InnerException"), depth + 1)
    return inner if inner is not None else native_code(exception.to_string or "")
