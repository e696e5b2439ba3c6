"""What SshServices needs of a way to talk with a host's services: by PowerShell, or by sc.exe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.adapters.ssh.answers import Outcome
from orchestrator.domain.errors import Problem
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, Reading
from orchestrator.engine.ports import HostFacts


@dataclass(frozen=True, slots=True)
class Sentence:
    """A command that asks for a control, and how what it prints is read.

    It prints `NONCE began` before it asks. `outcome` is given what it prints after that; None as long as that is not
    all there. It raises Garbled.
    """

    command: str
    outcome: Callable[[bytes], Outcome | None]


class Talk(Protocol):
    """Raises: only HostError and its kin."""

    async def read(self, asked: Sequence[Asked]) -> list[Reading]:
        """See HostServices."""

    async def security(self, names: Sequence[str]) -> list[str | Problem]:
        """See HostServices."""

    async def processes(self, pids: Sequence[int]) -> list[Process]:
        """See HostServices."""

    async def facts(self) -> HostFacts:
        """See HostServices."""

    def booted_at(self) -> float | None:
        """See HostServices."""

    def control(self, nonce: str, name: str, wanted: Control) -> Sentence:
        """How *wanted* is asked of the service. Raises Refused if it can't be."""

    def close(self) -> None:
        """End what lives on, on the host."""
