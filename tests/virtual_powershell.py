"""powershell.exe of a virtual host without a wire: what it is sent, what it writes, on virtual time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtual_time import run_virtual

from orchestrator.lab.fleet import HostSpec, ServiceSpec
from orchestrator.lab.host import Host
from orchestrator.lab.powershell import program
from orchestrator.lab.programs import Where
from orchestrator.lab.record import Record

CODE_PAGES = {"en": "cp437", "de": "cp850", "fr": "cp850"}
SERVICES = (
    ServiceSpec(name="Base", display_name="Base"),
    ServiceSpec(name="Later", display_name="Later on", start_type="AutomaticDelayed", can_pause=True),
    ServiceSpec(name="Off", display_name="Off", state="Stopped", start_type="Disabled"),
    ServiceSpec(name="Slow", display_name="Slow one", state="Stopped", start_type="Manual", start_s=5.0),
    ServiceSpec(name="Web", display_name="Web site", requires=("Base",)),
)


class Console:
    """A console that is fed lines and keeps what is written."""

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        self._lines = list(lines)
        self.output = b""
        self.errors = b""

    async def line(self) -> bytes | None:
        """The next line; None after the last."""
        return self._lines.pop(0) if self._lines else None

    def write(self, data: bytes) -> None:
        """To standard output."""
        self.output += data

    def write_error(self, data: bytes) -> None:
        """To standard error."""
        self.errors += data


@dataclass
class Ended:
    """What came of one powershell.exe. `log` is what the lab wrote of it."""

    code: int
    output: str
    errors: str
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """Its output by lines."""
        return self.output.split("\r\n")[:-1]


def host_of(tmp_path: Path, language: str = "en") -> Host:
    """A host with SERVICES, on the loop that runs."""
    spec = HostSpec(name="app-01", address="127.77.0.1", language=language, services=SERVICES)
    return Host(spec, Record(tmp_path / "lab.jsonl"), {})


def powershell(
    tmp_path: Path, arguments: Sequence[str], *, lines: Sequence[str | bytes] = (), language: str = "en"
) -> Ended:
    """powershell.exe with *arguments*, fed *lines*, on a fresh host."""
    page = CODE_PAGES[language]
    console = Console([line.encode(page) if isinstance(line, str) else line for line in lines])

    async def run() -> int:
        return await program.run(Where(host_of(tmp_path, language), "admin"), arguments, console)

    code = run_virtual(run())
    log = [json.loads(line) for line in (tmp_path / "lab.jsonl").read_text(encoding="utf-8").splitlines()]
    return Ended(code, console.output.decode(page), console.errors.decode(page), log)


def script(tmp_path: Path, text: str, language: str = "en") -> Ended:
    """`powershell -Command TEXT`."""
    return powershell(tmp_path, ["-NoProfile", "-Command", text], language=language)


def session(tmp_path: Path, *lines: str | bytes, language: str = "en") -> Ended:
    """`powershell -Command -`, fed *lines*."""
    return powershell(tmp_path, ["-NoProfile", "-Command", "-"], lines=lines, language=language)
