"""PowerShell remoting as a server speaks it, whatever carries it: a runspace pool, its pipelines, their messages.

psrpcore reads what the client sends and drives the pool's opening; what goes out is framed here, the way real
servers do it (recorded conversations): a byte order mark before each CLIXML payload, fragments of at most 32 KiB,
object ids that rise over the whole pool, and no message when a pipeline begins to run.
"""

import asyncio
import struct
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from xml.etree import ElementTree

import psrpcore
from psrpcore.types import PSRPMessageType, PSVersion, serialize

from orchestrator.lab import clixml
from orchestrator.lab.errors import Error

FRAGMENT_SIZE = 32768
"""Bytes of a fragment with its header of 21."""
_BOM = b"\xef\xbb\xbf"
_NO_ID = uuid.UUID(int=0)
_STOPPED, _COMPLETED, _FAILED = 3, 4, 5

VERSION_TABLE = {
    "PSVersion": PSVersion("5.1.17763.5830"),
    "PSEdition": "Desktop",
    "PSCompatibleVersions": [PSVersion(v) for v in ("1.0", "2.0", "3.0", "4.0", "5.0", "5.1.17763.5830")],
    "CLRVersion": PSVersion("4.0.30319.42000"),
    "BuildVersion": PSVersion("10.0.17763.5830"),
    "WSManStackVersion": PSVersion("3.0"),
}


class PipelineFailed(Exception):
    """A terminating error: the pipeline ends in state Failed with this record."""

    def __init__(self, record: Error) -> None:
        self.record = record
        super().__init__(record.text)


class Runspace:
    """Where commands run, one pipeline at a time. `last_exit_code` is $LASTEXITCODE; None: no program ran yet."""

    def __init__(self) -> None:
        self.last_exit_code: int | None = None


class Outbox:
    """Fragments that wait to be fetched. `ended` is set once nothing more will come."""

    def __init__(self) -> None:
        self.fragments: deque[bytes] = deque()
        self.ended = False
        self.gone = False
        """The shell or the command was taken away: waiting for it ends with an aborted answer."""
        self._changed = asyncio.Event()

    def put(self, fragment: bytes) -> None:
        """Add one and wake who waits."""
        self.fragments.append(fragment)
        self._changed.set()

    def end(self, *, gone: bool = False) -> None:
        """Nothing more will come."""
        self.ended = True
        self.gone = self.gone or gone
        self._changed.set()

    async def wait(self, limit_s: float) -> None:
        """Until there is something to take, or the end; at most *limit_s*."""
        if self.fragments or self.ended:
            return
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), limit_s)
        except TimeoutError:
            return


class Pipeline:
    """One pipeline of a pool: its streams, written by the commands that run in it."""

    def __init__(self, pool: "Pool", id: uuid.UUID) -> None:
        self.id = id
        self.outbox = Outbox()
        self.task: asyncio.Task[None] | None = None
        self._pool = pool

    def output(self, content: str) -> None:
        """One object of the pipeline's output, as CLIXML."""
        self._post(PSRPMessageType.PipelineOutput, content)

    def error(self, record: Error) -> None:
        """A non-terminating error."""
        self._post(PSRPMessageType.ErrorRecord, clixml.error(record))

    def warning(self, message: str) -> None:
        """A warning."""
        self._post(PSRPMessageType.WarningRecord, clixml.warning(message))

    def finish(self, state: int, reason: Error | None = None) -> None:
        """The pipeline has ended."""
        self._post(PSRPMessageType.PipelineState, clixml.pipeline_state(state, reason))
        self.outbox.end()

    def _post(self, kind: PSRPMessageType, content: str) -> None:
        if not self.outbox.ended:
            self._pool.post(kind, content.encode(), self.id)


Executor = Callable[[Pipeline, Runspace, Sequence[Sequence[psrpcore.Command]]], Awaitable[None]]
"""Runs the statements of a pipeline, each a list of commands. Raises PipelineFailed to end it with an error."""


class Pool:
    """A runspace pool. Up to the client's maximum of runspaces, pipelines run at once; further ones wait."""

    def __init__(self, execute: Executor) -> None:
        self.outbox = Outbox()
        self.pipelines: dict[uuid.UUID, Pipeline] = {}
        self._execute = execute
        self._core = _Core(self)
        self._object_id = 0
        self._free: asyncio.LifoQueue[Runspace] = asyncio.LifoQueue()
        self._made = 0

    def feed(self, data: bytes, pipeline_id: uuid.UUID | None) -> None:
        """Take in what the client sent.

        Raises: psrpcore.PSRPCoreError, ValueError and kin when it can't be understood.
        """
        if pipeline_id is not None and pipeline_id not in self.pipelines:
            self.pipelines[pipeline_id] = Pipeline(self, pipeline_id)
            psrpcore.ServerPipeline(self._core, pipeline_id)
        self._core.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, pipeline_id))
        while event := self._core.next_event():
            if isinstance(event, psrpcore.CreatePipelineEvent):
                self._begin(self.pipelines[event.pipeline_id], event.pipeline.commands)
            elif isinstance(event, psrpcore.GetAvailableRunspacesEvent):
                self._core.runspace_availability_response(event.ci, self._core.max_runspaces - self._busy)
            elif isinstance(
                event, (psrpcore.SetMaxRunspacesEvent, psrpcore.SetMinRunspacesEvent, psrpcore.ResetRunspaceStateEvent)
            ):
                self._core.runspace_availability_response(event.ci, True)

    def post(self, kind: PSRPMessageType, content: bytes, pipeline_id: uuid.UUID | None) -> None:
        """Frame one message and put it where the client will fetch it."""
        pool_id = _NO_ID if kind is PSRPMessageType.SessionCapability else self._core.runspace_pool_id
        head = struct.pack("<iI", 1, kind.value) + pool_id.bytes_le + (pipeline_id or _NO_ID).bytes_le
        message = head + _BOM + content
        self._object_id += 1
        pipeline = self.pipelines.get(pipeline_id) if pipeline_id else None
        outbox = pipeline.outbox if pipeline else self.outbox
        step = FRAGMENT_SIZE - 21
        pieces = range(0, len(message), step)
        for number, start in enumerate(pieces):
            blob = message[start : start + step]
            flags = (1 if number == 0 else 0) | (2 if number == len(pieces) - 1 else 0)
            outbox.put(struct.pack(">QQBI", self._object_id, number, flags, len(blob)) + blob)

    def stop(self, pipeline_id: uuid.UUID) -> None:
        """Ctrl-C: the pipeline ends as stopped. What it asked of services is not undone."""
        pipeline = self.pipelines[pipeline_id]
        if pipeline.task and not pipeline.outbox.ended:
            pipeline.task.cancel()

    def forget(self, pipeline_id: uuid.UUID) -> None:
        """Free a command: it ends if it still runs."""
        pipeline = self.pipelines.pop(pipeline_id)
        pipeline.outbox.end(gone=True)
        if pipeline.task:
            pipeline.task.cancel()
        self._core.pipeline_table.pop(pipeline_id, None)

    def close(self) -> None:
        """End everything; who waits for output learns that it was aborted."""
        for pipeline_id in list(self.pipelines):
            self.forget(pipeline_id)
        self.outbox.end(gone=True)

    @property
    def _busy(self) -> int:
        return self._made - self._free.qsize()

    def _ended(self, pipeline: Pipeline, task: asyncio.Task[None]) -> None:
        """A mistake of ours must not look like a host that waits for ever."""
        if not task.cancelled() and (bug := task.exception()):
            pipeline.outbox.end(gone=True)
            asyncio.get_running_loop().call_exception_handler({"message": "a pipeline broke", "exception": bug})

    def _begin(self, pipeline: Pipeline, commands: Sequence[psrpcore.Command]) -> None:
        statements: list[list[psrpcore.Command]] = [[]]
        for command in commands:
            statements[-1].append(command)
            if command.end_of_statement:
                statements.append([])
        work = [statement for statement in statements if statement]
        pipeline.task = asyncio.get_running_loop().create_task(self._run(pipeline, work))
        pipeline.task.add_done_callback(partial(self._ended, pipeline))

    async def _run(self, pipeline: Pipeline, statements: Sequence[Sequence[psrpcore.Command]]) -> None:
        runspace: Runspace | None = None
        try:
            runspace = await self._runspace()
            await self._execute(pipeline, runspace, statements)
            pipeline.finish(_COMPLETED)
        except PipelineFailed as exc:
            pipeline.finish(_FAILED, exc.record)
        except asyncio.CancelledError:
            pipeline.finish(_STOPPED, _STOPPED_RECORD)
        finally:
            if runspace:
                self._free.put_nowait(runspace)

    async def _runspace(self) -> Runspace:
        if self._free.empty() and self._made < max(1, self._core.max_runspaces):
            self._made += 1
            return Runspace()
        return await self._free.get()


_STOPPED_RECORD = Error(
    text="The pipeline has been stopped.",
    id="PipelineStopped",
    exception="System.Management.Automation.PipelineStoppedException",
    category=(14, "OperationStopped"),
    bases=(
        "System.Management.Automation.RuntimeException",
        "System.SystemException",
        "System.Exception",
        "System.Object",
    ),
)


class _Core(psrpcore.ServerRunspacePool):
    """psrpcore's server, whose outgoing messages leave by our own framing."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(application_private_data={"PSVersionTable": dict(VERSION_TABLE)})
        self._pool = pool

    def prepare_message(
        self,
        message: Any,
        message_type: PSRPMessageType | None = None,
        pipeline_id: uuid.UUID | None = None,
        stream_type: psrpcore.StreamType = psrpcore.StreamType.default,
    ) -> None:
        kind = message_type or PSRPMessageType.get_message_id(type(message))
        content = _CONSTANT.get(kind)
        if content is None:
            element = serialize(
                message, self._cipher, our_capability=self.our_capability, their_capability=self.their_capability
            )
            content = ElementTree.tostring(element, encoding="utf-8", method="xml")
            if kind in (PSRPMessageType.SessionCapability, PSRPMessageType.ApplicationPrivateData):
                _CONSTANT[kind] = content
        self._pool.post(kind, content, pipeline_id)


_CONSTANT: dict[PSRPMessageType, bytes] = {}
"""Messages that are the same for every pool, serialised once: they are most of the cost of opening a shell."""
