"""What stands beside the services of a night: a load balancer, a monitoring, a backup. Hooks act on it, checks ask it,
gates too, and it answers as the script has it: well, badly, or never. It tells the log what really happened."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from seeds import Script
from seeds_batches import AWAY_S, BETWEEN
from witness import Log, Process

from orchestrator.domain.gates import HttpCheck
from orchestrator.engine.ports import CommandOutput, Seen

EXE = "hook.exe"
NAME = "beside"
"""The host in the URLs of what is asked from the controller."""
HAS_EFFECT = ("well", "half", "lost after")
"""Of the behaviours of a do or an undo, those that do it. `half`: the answer is a no all the same."""
ANSWERED = {"well": True, "half": False, "refused": False}
_NOT_FOUND = 9009


class Beside:
    """One world beside the fleet. `on` are the hooks that are in effect, as "a@h1/drain"."""

    def __init__(self, script: Script, log: Log) -> None:
        self.on = set(script.in_effect)
        self._log = log
        self._behaves = {key: list(ways) for key, ways in script.behaves}
        self._holds_from = dict(script.holds_from)
        self._latency_s = script.latency_s

    def ask(self, by: int, unit: str, name: str, word: str) -> str:
        """What becomes of one request: a behaviour of a do or an undo; for a check or a gate `well` if it holds,
        `refused` if not, `nowhere` if nobody can tell."""
        key = f"{unit}/{name}"
        if word == "gate":
            way = "well" if asyncio.get_running_loop().time() >= self._holds_from.get(key, 0.0) else "refused"
        else:
            ways = self._behaves.get(f"{key}/{word}", [])
            way = ways.pop(0) if ways else "well"
            if word == "check" and way == "well":
                way = "well" if key in self.on else "refused"
            elif way in HAS_EFFECT and word in ("do", "undo"):
                (self.on.add if word == "do" else self.on.discard)(key)
        self._log.add("hook", by=by, unit=unit, hook=name, word=word, way=way, on=key in self.on)
        return way

    def program(self, by: int, args: Sequence[str]) -> CommandOutput:
        """`hook.exe UNIT NAME do|undo|check|gate`."""
        unit, name, word = args
        way = self.ask(by, unit, name, word)
        if way == "nowhere" and word in ("do", "undo"):
            return CommandOutput(_NOT_FOUND, "")
        if way not in ANSWERED:
            return CommandOutput(None, "")
        return CommandOutput(0 if ANSWERED[way] else 1, way)

    def restart(self, by: int, host: str) -> tuple[CommandOutput, float | None]:
        """What `shutdown.exe` of *host* answers, and for how long the host is away then; None: it stays."""
        unit = f"{BETWEEN}@{host}"
        of = [key for key in self._behaves if key.startswith(f"{unit}/") and key.endswith("/reboot")]
        ways = next((self._behaves[key] for key in of if self._behaves[key]), [])
        way = ways.pop(0) if ways else "well"
        away = AWAY_S.get(way)
        self._log.add("reboot", by=by, host=host, way=way, goes=away is not None)
        code = {"refused": 1191, "lost after": None, "lost before": None}.get(way, 0)
        return CommandOutput(code, ""), None if away is None else away[by % len(away)]

    async def http(self, process: Process, check: HttpCheck) -> Seen:
        """The same from the controller. What was sent arrives, whatever becomes of who sent it."""
        await process.turn()
        await asyncio.sleep(self._latency_s)
        unit, name, word = urlsplit(check.url).path.strip("/").split("/")
        way = self.ask(process.number, unit, name, word)
        await process.turn()
        if way in ANSWERED:
            return Seen(ANSWERED[way], way, answered=not ANSWERED[way])
        return Seen(False, "no answer", lost=way != "nowhere")


class NightLocal:
    """The twin of LocalCommand of one process: its one program asks what stands beside."""

    def __init__(self, beside: Beside, process: Process) -> None:
        self._beside = beside
        self._process = process

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See LocalCommand."""
        await self._process.turn()
        unit, name, word = args
        way = self._beside.ask(self._process.number, unit, name, word)
        await self._process.turn()
        if way == "nowhere":
            raise FileNotFoundError(2, "no such program", exe)
        if way not in ANSWERED:
            raise TimeoutError
        return CommandOutput(0 if ANSWERED[way] else 1, way)
