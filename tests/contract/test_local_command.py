"""The LocalCommand port: one suite for real programs and for the twin, and what only real programs can show."""

import asyncio
import sys
import time
import traceback
from pathlib import Path

import pytest
from controller_side import LOST, TOKEN, on_a_loop, reveal

from orchestrator.adapters.local_command import ControllerCommand
from orchestrator.adapters.memory.probes import MemoryLocal
from orchestrator.engine.ports import OUTPUT_MOST, CommandOutput, LocalCommand


def made(kind: str) -> LocalCommand:
    if kind == "real":
        return ControllerCommand(reveal)
    return MemoryLocal({"echo": CommandOutput(0, "one two\n"), "false": CommandOutput(1, "")})


BOTH = pytest.mark.parametrize("kind", ["memory", "real"])


@BOTH
@on_a_loop
async def test_a_program_s_output_and_exit_code_are_told(kind: str) -> None:
    local = made(kind)
    assert await local.run("echo", ["one", "two"], timeout_s=20) == CommandOutput(0, "one two\n")
    assert await local.run("false", [], timeout_s=20) == CommandOutput(1, "")


@BOTH
@on_a_loop
async def test_a_program_that_is_not_there_is_an_os_error(kind: str) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        await made(kind).run("no-such-program", [], timeout_s=20)


async def python(code: str, *args: str, timeout_s: float = 20.0) -> CommandOutput:
    return await ControllerCommand(reveal).run(sys.executable, ["-c", code, *args], timeout_s=timeout_s)


@on_a_loop
async def test_words_are_words_and_no_shell_reads_them() -> None:
    words = ["$HOME", "`id`", "a b", "; exit 3", "*", "'", '"', "", "ü☃"]
    ran = await python("import sys; print(sys.argv[1:])", *words)
    assert ran == CommandOutput(0, f"{words}\n")


@on_a_loop
async def test_errors_follow_the_output_and_the_exit_code_is_told() -> None:
    ran = await python("import sys; print('err', file=sys.stderr); print('out', flush=True); sys.exit(7)")
    assert ran == CommandOutput(7, "out\nerr\n")


@on_a_loop
async def test_nothing_can_be_read_from_stdin() -> None:
    assert await python("import sys; print(repr(sys.stdin.read()))") == CommandOutput(0, "''\n")


@on_a_loop
async def test_output_is_bounded_and_the_rest_is_read_away() -> None:
    ran = await python("import sys; sys.stdout.write('x' * 5_000_000); sys.stderr.write('y' * 5_000_000)")
    assert (ran.exit_code, ran.output) == (0, "x" * OUTPUT_MOST)


@on_a_loop
async def test_output_that_is_no_text_is_shown_as_well_as_can_be() -> None:
    assert (await python("import sys; sys.stdout.buffer.write(b'a\\xffb')")).output == "a\ufffdb"


@on_a_loop
async def test_a_program_that_can_t_be_run_tells_no_secret() -> None:
    with pytest.raises(OSError, match="<secret env:TOKEN>") as told:
        await ControllerCommand(reveal).run(f"/no/{TOKEN}", [], timeout_s=20)
    assert "hunter2" not in "".join(traceback.format_exception(told.value))


@on_a_loop
async def test_secrets_are_resolved_for_the_program_alone() -> None:
    assert (await python("import sys; print(sys.argv[1])", f"--key={TOKEN}")).output == "--key=hunter2\n"


@pytest.mark.parametrize("word", [LOST, "a\0b"])
@on_a_loop
async def test_words_that_can_t_be_passed_are_an_os_error(word: str) -> None:
    with pytest.raises(OSError, match="LOST|null"):
        await python("pass", word)


def running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> bool:
    """Whether the process ended; waits a while for it."""
    for _ in range(500):
        if not running(pid):
            return True
        await asyncio.sleep(0.01)
    return False


CHILD = "sleep 600 & echo $! > {} ; wait"


@on_a_loop
async def test_time_up_ends_the_program_and_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        await ControllerCommand(reveal).run("sh", ["-c", CHILD.format(pid)], timeout_s=5.0)
    assert await gone(int(pid.read_text(encoding="utf-8")))


@on_a_loop
async def test_a_child_that_holds_the_output_open_has_not_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        await ControllerCommand(reveal).run("sh", ["-c", f"sleep 600 & echo $! > {pid}"], timeout_s=5.0)
    assert await gone(int(pid.read_text(encoding="utf-8")))


@on_a_loop
async def test_a_cancelled_caller_ends_the_program(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    task = asyncio.create_task(ControllerCommand(reveal).run("sh", ["-c", CHILD.format(pid)], timeout_s=60.0))
    for _ in range(1000):
        if pid.exists() and pid.read_text(encoding="utf-8").strip():
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(int(pid.read_text(encoding="utf-8")))


@pytest.mark.parametrize("turns", range(12))
@on_a_loop
async def test_a_caller_cancelled_while_the_program_begins_leaves_nothing_behind(tmp_path: Path, turns: int) -> None:
    pid = tmp_path / "pid"
    task = asyncio.create_task(ControllerCommand(reveal).run("sh", ["-c", CHILD.format(pid)], timeout_s=60.0))
    for _ in range(turns):
        await asyncio.sleep(0)
    for _ in range(20):  # the loop stands still while the program, if it has begun, gets to its child
        if pid.exists() and pid.stat().st_size:
            break
        time.sleep(0.005)  # noqa: ASYNC251 - see above
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not pid.exists() or await gone(int(pid.read_text(encoding="utf-8") or "0"))
