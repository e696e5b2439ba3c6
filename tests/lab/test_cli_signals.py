"""Signals, and streams that are not there, while the command line works on a lab."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import Ended, Site, finish, site


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("signals")) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(pair: Site, tmp_path: Path) -> None:
    pair.reset(tmp_path / "state")


def shell(one: Site, words: str, redirection: str) -> Ended:
    """Type *words* with some of the streams closed."""
    line = " ".join([*one.words(words.split()), redirection])
    ended = subprocess.run(
        ["bash", "-c", line], env=one.environment(), capture_output=True, text=True, timeout=45, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_ctrl_c_at_the_question_is_no(pair: Site) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        pair.words(["stop"]),
        env=pair.environment(TERM="dumb"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        read_until(ours, "[y/N] ")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 5
        read_until(ours, "nothing was touched")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert pair.untouched()


def test_a_cancel_reaches_the_run_though_nobody_listens(pair: Site) -> None:
    """The reader of both streams has gone: the words that go with a Ctrl-C can't be said."""
    pair.fault("Orders@app-01", "hangs-on-stop")
    ours, theirs = os.pipe()
    os.close(ours)
    process = subprocess.Popen(
        pair.words(["stop", "--yes"]),
        env=pair.environment(),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    pair.until("Orders@app-01", "StopPending")
    process.send_signal(signal.SIGINT)
    until_ordered(pair)
    pair.lab.order(op="clear")
    assert process.wait(45) == 6, "keep it or roll back is for somebody to decide, and nobody is here"
    assert pair.states()["MSSQLSERVER@db-01"] == "Running"
    assert '"cause": "cancelled"' in pair.orch("decisions", "--json").out


def test_a_window_that_closes_is_a_cancel_on_record_and_the_run_parks(pair: Site) -> None:
    pair.fault("MSSQLSERVER@db-01", "hangs-on-stop")
    process = pair.begin("stop", "--yes")
    pair.until("MSSQLSERVER@db-01", "StopPending")
    for _ in range(2):  # the shell says it, and so does the kernel
        process.send_signal(signal.SIGHUP)
    until_ordered(pair)
    pair.lab.order(op="clear")
    ended = finish(process)
    assert (ended.code, "PARKED  stop pair" in ended.out) == (6, True), ended.said
    kept = pair.orch("decide", "last", "abort", "--yes", "--resume", "--reason", "as it is")
    assert kept.code == 5, kept.said
    assert "cancelled, exit code 5" in pair.orch("show", "last").said


def test_under_nohup_a_window_may_close(pair: Site) -> None:
    pair.fault("MSSQLSERVER@db-01", "hangs-on-stop")
    process = subprocess.Popen(
        ["nohup", *pair.words(["stop", "--yes"])],
        env=pair.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pair.until("MSSQLSERVER@db-01", "StopPending")
    process.send_signal(signal.SIGHUP)
    pair.lab.order(op="clear")
    assert finish(process).code == 0


@pytest.mark.parametrize(("redirection", "code"), [("</dev/null", 2), ("<&-", 2), ("<&- >&- 2>&-", 2)])
def test_without_streams_nothing_is_asked_and_nothing_crashes(pair: Site, redirection: str, code: int) -> None:
    assert shell(pair, "stop", redirection).code == code
    assert pair.untouched()


def test_a_run_without_any_stream_ends_well(pair: Site) -> None:
    assert shell(pair, "stop --yes", "<&- >&- 2>&-").code == 0
    assert set(pair.states().values()) == {"Stopped"}


def test_ask_pass_without_a_terminal_says_what_else_there_is(pair: Site) -> None:
    said = pair.orch("status", "--ask-pass")
    assert said.code == 2
    assert "no terminal to ask in" in said.err
    assert "bug" not in said.err


def test_a_choice_that_is_left_alone_whole_is_no_success(pair: Site) -> None:
    for host in ("app-01", "app-02", "db-01"):
        pair.fault(host, "down")
    said = pair.orch("stop", "--yes", "--unreachable", "exclude")
    assert said.code == 2
    assert "nothing to stop" in said.said
    assert "no runs yet" in pair.orch("runs").said


def read_until(terminal: int, words: str, limit_s: float = 20.0) -> None:
    seen, ends_s = "", time.monotonic() + limit_s
    while words not in seen:
        readable, _, _ = select.select([terminal], [], [], max(0.0, ends_s - time.monotonic()))
        assert readable, f"{words!r} was not said: {seen}"
        seen += os.read(terminal, 4096).decode("utf-8", "replace")


def until_ordered(one: Site, limit_s: float = 20.0) -> None:
    """Wait until the cancel is in the journal."""
    ends_s = time.monotonic() + limit_s
    while '"cancel"' not in one.orch("show", "last", "--json").out:
        assert time.monotonic() < ends_s, "no cancel on record"
