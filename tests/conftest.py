"""What holds for every test: loopback alone, no state outside the test's own folder, nothing left out in silence."""

import ipaddress
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings


@dataclass(frozen=True)
class Group:
    """Tests that need a program of a Debian package."""

    what: str
    program: str
    package: str


GROUPS = {
    "ssh": Group("OpenSSH's own client", "ssh", "openssh-client"),
    "sshd": Group("OpenSSH's own server", "sshd", "openssh-server"),
    "tmux": Group("the live view in a real terminal", "tmux", "tmux"),
    "wine": Group("a real service control manager", "wine64", "wine64"),
    "mingw": Group("a real service control manager", "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32"),
}


# How long an example takes says more of the machine than of orch. A submission is judged by the same examples each
# time; everybody else's runs look for new ones.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("judged", settings.get_profile("any machine"), derandomize=True)
settings.load_profile("judged" if os.environ.get("ORCH_TEST_ALL") else "any machine")


# How wide whoever starts the tests has it is nothing that what they print may hang on: readline tells its children too.
os.environ.pop("COLUMNS", None)

# Whatever starts tests in the background may have them ignore these; children would inherit that and hear no Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _loopback_only(event: str, args: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    address = args[1]
    if isinstance(address, tuple) and address:
        host = str(address[0])
        try:
            fine = ipaddress.ip_address(host).is_loopback
        except ValueError:
            fine = host == "localhost"
        if not fine:
            raise RuntimeError(f"a test tried to reach {host}: tests stay on loopback")


sys.addaudithook(_loopback_only)


@pytest.fixture(autouse=True)
def _own_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can write into the state folder of the person who runs it."""
    monkeypatch.setenv("ORCH_STATE_DIR", str(tmp_path / "state"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name.startswith("test_cost_"):
            item.add_marker("cost")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        name = str(marker.args[0])
        group = GROUPS[name]
        if shutil.which(group.program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/wine") is None:
            if os.environ.get("ORCH_TEST_ALL"):
                pytest.fail(f"ORCH_TEST_ALL is set and {group.program} is missing: apt-get install {group.package}")
            pytest.skip(f"left out: {group.what} needs {group.program}; apt-get install {group.package}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = sorted({str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ())})
    for reason in reasons:
        terminalreporter.write_line(reason.removeprefix("Skipped: "))
