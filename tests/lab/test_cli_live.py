"""The live view as a person sees it: a real terminal, its size, and what stays on it in the end."""

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_lab import LIMIT_S, PAIR, Site, site

pytestmark = pytest.mark.needs("tmux")
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


class Terminal:
    """One tmux server with one window, on a socket of its own."""

    def __init__(self, folder: Path, columns: int, lines: int) -> None:
        self._socket = str(folder / "tmux")
        self._size = ["-x", str(columns), "-y", str(lines)]

    def tmux(self, *words: str) -> str:
        ran = subprocess.run(
            ["tmux", "-u", "-f", "/dev/null", "-S", self._socket, *words], capture_output=True, text=True, check=False
        )
        return ran.stdout

    def run(self, line: str, environment: dict[str, str]) -> None:
        """Run *line* instead of the shell."""
        self.tmux("new-session", "-d", *self._size, "cat")
        variables = [f"-e{name}={environment[name]}" for name in ("ORCH_STATE_DIR", "PATH")]
        self.tmux("respawn-pane", "-k", *variables, line)

    def seen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The screen once it is as *wanted*."""
        ends_at = time.monotonic() + LIMIT_S
        while not wanted(seen := self.seen()):
            assert time.monotonic() < ends_at, seen
            time.sleep(0.05)
        return seen

    def end(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, PAIR) as made:
        yield made


def test_ctrl_c_before_the_run_touches_nothing(pair: Site, terminal: Terminal) -> None:
    pair.fault("app-01", "silent")
    terminal.run(typed(pair, "stop"), pair.environment())
    terminal.until(lambda screen: "reading the live state" in screen)
    terminal.tmux("send-keys", "C-c")
    seen = terminal.until(lambda screen: "exit code" in screen)
    assert "exit code 5" in seen
    assert "interrupted while the live state was read; nothing was touched" in seen
    assert pair.untouched()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path, 100, 30)
    yield made
    made.end()


def typed(pair: Site, *words: str) -> str:
    return shlex.join(pair.words(words)) + '; echo "exit code $?"; exec cat'


def test_a_stop_is_watched_resized_and_reported(pair: Site, terminal: Terminal) -> None:
    pair.fault(ONE, "hangs-on-stop")
    terminal.run(typed(pair, "stop"), pair.environment())
    seen = terminal.until(lambda screen: "[y/N]" in screen)
    assert "Stop 3 units on 3 hosts? [y/N]" in seen
    assert "critical path" in seen
    terminal.tmux("send-keys", "y", "Enter")
    seen = terminal.until(lambda screen: "StopPending" in screen and "1/2" in screen)
    for words in ("stopping pair", "1/3", "services", "under way", "orders@app-01", "waits for orders@app-01"):
        assert words in seen, seen
    assert all(len(line) <= 100 for line in seen.splitlines())
    terminal.tmux("resize-window", "-x", "60", "-y", "14")
    seen = terminal.until(lambda screen: "waits for orders@app-01" in screen)
    assert len(seen.splitlines()) <= 14
    assert all(len(line) <= 60 for line in seen.splitlines())
    pair.lab.order(op="clear")
    terminal.tmux("resize-window", "-x", "100", "-y", "30")
    seen = terminal.until(lambda screen: "exit code" in screen)
    assert "DONE  stop pair, run " in seen
    assert "✓ 3 ok" in seen
    assert "exit code 0" in seen
    assert "under way (" not in seen, "the picture goes, the report stays"
    assert set(pair.states().values()) == {"Stopped"}


def test_a_failure_is_asked_about_and_ctrl_c_at_the_question_is_a_cancel(pair: Site, terminal: Terminal) -> None:
    pair.fault(ONE, "hangs-on-stop")
    pair.fault(TWO, "refuses")
    terminal.run(typed(pair, "stop", "--yes"), pair.environment())
    seen = terminal.until(lambda screen: "show it again]:" in screen)
    assert "DECISION 1   orders@app-02 failed (refused)" in seen
    assert "cannot be stopped" in " ".join(seen.split())
    assert "under way (" not in seen, "the picture makes room"
    terminal.tmux("send-keys", "C-c")
    seen = terminal.until(lambda screen: "Ctrl-C again leaves at once" in " ".join(screen.split()))
    terminal.tmux("send-keys", "C-c")
    seen = terminal.until(lambda screen: "exit code" in screen)
    assert "exit code 6" in seen
    assert "the journal is intact" in " ".join(seen.split())
    assert "try: orch resume" in " ".join(seen.split())
    assert pair.controls().count(f"stop {ONE}") == 1
    assert terminal.tmux("display-message", "-p", "#{cursor_flag}").strip() == "1", "the cursor is back"


def reject(pair: Site) -> None:
    """Somebody changes the password while the stop of app-01 hangs, and all lines break."""
    for host in ("app-02", "db-01"):
        pair.fault(host, "down")
        pair.lab.order(op="clear", host=host)
        pair.fault(host, "rejects-credentials")
    pair.fault("app-01", "rejects-credentials")


def until_a_password_is_asked_for(pair: Site, terminal: Terminal) -> str:
    """One rejection fails a unit; somebody ends the run, and the last look at everybody meets the second."""
    pair.fault(ONE, "hangs-on-stop")
    terminal.run(typed(pair, "stop", "--yes"), pair.environment())
    terminal.until(lambda screen: "StopPending" in screen and "1/2" in screen)
    reject(pair)
    seen = terminal.until(lambda screen: "show it again]:" in screen)
    assert "orders@app-01 failed (auth)" in seen
    terminal.tmux("send-keys", "abort", "Enter", "Enter")
    return terminal.until(lambda screen: "(Enter alone: go on without):" in " ".join(screen.split()))


def test_a_question_for_a_password_takes_the_pictures_place(pair: Site, terminal: Terminal) -> None:
    seen = until_a_password_is_asked_for(pair, terminal)
    assert "rejected admin with {file:" in " ".join(seen.split())
    assert "under way (" not in seen, "the picture made room"
    terminal.tmux("send-keys", "never shown", "Enter")
    seen = terminal.until(lambda screen: "exit code" in screen)
    assert "exit code 1" in seen
    assert "never shown" not in seen
    assert pair.controls().count(f"stop {ONE}") == 1


def test_who_cancels_at_the_question_is_asked_no_more(pair: Site, terminal: Terminal) -> None:
    until_a_password_is_asked_for(pair, terminal)
    terminal.tmux("send-keys", "C-c")
    seen = terminal.until(lambda screen: "exit code" in screen)
    shown = pair.orch("show", "last").said
    assert "orders@app-01 unknown" in shown, "the stop was taken, and its end can't be read"
    assert "left at once" not in seen
    assert pair.controls().count(f"stop {ONE}") == 1
