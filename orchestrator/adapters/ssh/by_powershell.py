"""Services by way of PowerShell: Get-Service and its kin."""

import time
from collections.abc import Sequence

from orchestrator.adapters.ssh import answers, powershell
from orchestrator.adapters.ssh.line import SshLine
from orchestrator.adapters.ssh.reader import Reader
from orchestrator.adapters.ssh.talk import Sentence
from orchestrator.domain import sc_output
from orchestrator.domain.errors import Problem, ProblemKind, ProtocolError
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, Reading
from orchestrator.engine.ports import HostFacts


class ByPowershell:
    """Implements Talk: everything but a control is a line to one PowerShell that lives on."""

    def __init__(self, host: str, line: SshLine, limit_s: float) -> None:
        self._host = host
        self._reader = Reader(host, line, limit_s)
        self._booted_at: float | None = None

    async def read(self, asked: Sequence[Asked]) -> list[Reading]:
        """See HostServices. PID, checkpoint and exit codes are `sc.exe queryex`'s; it can't be asked where a quote or
        an equals sign stands in a name: then they stay unknown."""
        rows = await self._reader.ask(lambda nonce: powershell.reading(nonce, asked))
        try:
            self._booted_at = answers.booted_at(rows)
            return answers.readings(asked, rows)
        except answers.Garbled as exc:
            raise self._garbled(exc) from exc

    async def security(self, names: Sequence[str]) -> list[str | Problem]:
        """See HostServices. Asks `sc.exe sdshow`."""
        askable = [name for name in names if sc_output.for_sc(name) and '"' not in name]
        told: dict[str, str | Problem] = {}
        if askable:
            rows = await self._reader.ask(lambda nonce: powershell.descriptors(nonce, askable))
            if len(rows) != len(askable):
                raise self._garbled(f"{len(rows)} of {len(askable)} answers")
            told = {name: _descriptor(row) for name, row in zip(askable, rows, strict=True)}
        unaskable = Problem(ProblemKind.REFUSED, "sc.exe can't be asked for a service with such a name")
        return [told.get(name, unaskable) for name in names]

    async def processes(self, pids: Sequence[int]) -> list[Process]:
        """See HostServices."""
        rows = await self._reader.ask(lambda nonce: powershell.processes(nonce, pids))
        try:
            found = answers.processes(rows)
        except answers.Garbled as exc:
            raise self._garbled(exc) from exc
        return [found[pid] for pid in pids if pid in found]

    async def facts(self) -> HostFacts:
        """See HostServices."""
        began_at = time.time()
        rows = await self._reader.ask(powershell.facts)
        ended_at = time.time()
        row = rows[0] if rows else {}
        ticks = row.get("now")
        return HostFacts(
            transport="SSH, powershell",
            computer_name=str(row.get("name") or ""),
            version=str(row.get("version") or ""),
            clock_skew_s=answers.moment(ticks) - (began_at + ended_at) / 2 if isinstance(ticks, int) else None,
            sids=sc_output.sids(answers.lines(str(row.get("sids") or ""))),
        )

    def booted_at(self) -> float | None:
        """See HostServices. From the counter that runs since the start, as Get-Uptime has it."""
        return self._booted_at

    def control(self, nonce: str, name: str, wanted: Control) -> Sentence:
        """See Talk. The cmdlet waits until the service is there."""

        def outcome(said: bytes) -> answers.Outcome | None:
            rows = answers.framed(said, nonce)
            if rows is None:
                return None
            if len(rows) != 1:
                raise answers.Garbled(f"{len(rows)} ends of one control")
            return answers.failure(rows[0]) if rows[0] else answers.Outcome()

        return Sentence(powershell.control(nonce, name, wanted), outcome)

    def close(self) -> None:
        """See Talk."""
        self._reader.close()

    def _garbled(self, what: object) -> ProtocolError:
        return ProtocolError(self._host, f"PowerShell gave {what}", sent=True)


def _descriptor(row: answers.Row) -> str | Problem:
    told = sc_output.descriptors(answers.lines(str(row.get("sc") or "")))
    return told[0] if told else Problem(ProblemKind.PROTOCOL, "sc.exe sdshow gave no answer that can be read")
