"""Programs on the controller, for gates of kind `command`."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress

from orchestrator.domain.errors import SecretError
from orchestrator.domain.secrets import OPEN, shown
from orchestrator.engine.ports import OUTPUT_MOST, CommandOutput

END_S = 5.0
"""How long an ended program may take to be gone."""


class ControllerCommand:
    """The LocalCommand port. *reveal* resolves the secret references of a text; it may block, and runs in a thread.

    A program gets no input, the environment of orch, and a process group of its own, which is ended with it when time
    is up or the caller is cancelled. A program that leaves a child behind which holds its output open has not ended.
    """

    def __init__(self, reveal: Callable[[str], str]) -> None:
        self._reveal = reveal

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See LocalCommand. Of stdout and stderr together the first 64 KiB are kept, the rest is read and dropped."""
        async with asyncio.timeout(timeout_s):
            process = await self._started(exe, args)
            try:
                return await _ended(process)
            except BaseException:
                await _end(process)
                raise

    async def _started(self, exe: str, args: Sequence[str]) -> Process:
        try:
            words = [await asyncio.to_thread(self._reveal, word) if OPEN in word else word for word in (exe, *args)]
            return await _begun(words)
        except (ValueError, SecretError) as error:  # ValueError: a NUL character in a word
            raise OSError(str(error)) from None
        except OSError as error:  # it quotes the program with its secrets resolved
            raise OSError(error.errno, error.strerror, shown(exe)) from None


async def _begun(words: Sequence[str]) -> Process:
    """Start the program. Whoever is cancelled meanwhile waits for the start and ends it: asyncio alone would end the
    program and leave what it has started by then."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(*words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            await _end(await starting)
        raise


async def _ended(process: Process) -> CommandOutput:
    async with asyncio.TaskGroup() as group:
        out = group.create_task(_read(process.stdout))
        err = group.create_task(_read(process.stderr))
    exit_code = await process.wait()
    output = (out.result() + err.result())[:OUTPUT_MOST]
    return CommandOutput(exit_code, output.decode("utf-8", errors="replace"))


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    kept = bytearray()
    while stream is not None and (chunk := await stream.read(OUTPUT_MOST)):
        kept += chunk[: OUTPUT_MOST - len(kept)]
    return bytes(kept)


async def _end(process: Process) -> None:
    """End the program's group, and wait a little until it is gone and its output closed."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await _read(process.stdout)
            await _read(process.stderr)
            await process.wait()
