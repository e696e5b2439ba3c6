"""The in-memory twins of Probe and LocalCommand."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryPort
from orchestrator.domain.gates import HttpCheck
from orchestrator.engine.ports import CommandOutput, Seen


class MemoryProbe:
    """The twin of Probe: looks at the fleet's ports, and at `answers`: what stands beside the fleet, by URL, and
    answers each request as it likes."""

    def __init__(self, fleet: MemoryFleet) -> None:
        self._fleet = fleet
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[HttpCheck], Seen]] = {}

    async def tcp(self, host: str, port: int, *, timeout_s: float) -> Seen:
        """See Probe."""
        self.asked.append(f"tcp {host}:{port}")
        await asyncio.sleep(0)
        if not self._reached(host):
            return Seen(False, f"no answer within {timeout_s:g} s (filtered, or the host is down)")
        if self._port(host, port) is None:
            return Seen(False, "connection refused", answered=True)
        return Seen(True, "connected")

    async def http(self, check: HttpCheck, *, timeout_s: float) -> Seen:
        """See Probe. Looks at status, text and regex; a JSON field is not looked at."""
        self.asked.append(f"http {check.url}")
        await asyncio.sleep(0)
        if check.url in self.answers:
            return self.answers[check.url](check)
        url = urlsplit(check.url)
        port = self._port(url.hostname or "", url.port or {"https": 443}.get(url.scheme, 80))
        if port is None:
            return Seen(False, "connection refused")
        if port.status not in check.status:
            return Seen(False, f"status {port.status}", answered=True, status=port.status)
        held = check.text in port.body and re.search(check.regex, port.body) is not None
        if held:
            return Seen(True, f"status {port.status}")
        return Seen(False, f"status {port.status}, body not as wanted", answered=True, status=port.status)

    def _port(self, address: str, number: int) -> MemoryPort | None:
        host = self._fleet.at(address)
        return self._fleet.listening(host).get(number) if host is not None and self._reached(address) else None

    def _reached(self, address: str) -> bool:
        host = self._fleet.at(address)
        gone = (Fault.UNREACHABLE, Fault.SILENT)
        return host is not None and not any(fault.kind in gone for fault in host.faults)


class MemoryLocal:
    """The twin of LocalCommand: a table from program to what it prints, or how long it would go on printing nothing;
    OSError for any other."""

    def __init__(self, commands: Mapping[str, CommandOutput | float] | None = None) -> None:
        self.commands = dict(commands or {})
        self.asked: list[str] = []

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See LocalCommand."""
        self.asked.append(exe)
        await asyncio.sleep(0)
        if exe not in self.commands:
            raise FileNotFoundError(2, "no such program", exe)
        ran = self.commands[exe]
        if isinstance(ran, CommandOutput):
            return ran
        async with asyncio.timeout(timeout_s):
            await asyncio.sleep(ran)
        return CommandOutput(0, "")
