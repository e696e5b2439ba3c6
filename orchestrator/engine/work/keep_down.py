"""KEEP_DOWN and RELEASE: what could revive a service is written down on its host and taken away, and put back exactly.

Whatever happens in between, the host itself knows how far it came: the record stands there before anything is changed,
and goes when all is back. So each command may be sent again, and whoever comes later goes on from what is there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.domain import keep_down as kept_down
from orchestrator.domain.errors import TRANSIENT, HostError, Problem, ProblemKind, Refused
from orchestrator.domain.keep_down import Command, Config, Record, journalled, rewritten
from orchestrator.domain.kept_units import BESIDE, KEPT_DOWN, RECORD, REWRITTEN
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.sc_output import for_sc
from orchestrator.domain.service import State
from orchestrator.domain.win32 import in_words
from orchestrator.engine.ports import CommandOutput, HostCommand, Hosts, may_be_cut
from orchestrator.engine.work.pace import TICK_S, Pace

TOLD = 2
"""Records of the event log that are told with what somebody changed."""
COMMAND_S = 20.0
"""How long one program may take: each has a few milliseconds to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What came of keeping one service down (`config`: as it was before), or of releasing it (as it is after)."""

    said: str
    record: Record | None = None
    config: Config | None = None
    wrong: tuple[str, ...] = ()
    """What is not as it should be, in words; empty: it went well."""
    beside: tuple[str, ...] = ()
    """What somebody else changed meanwhile, or sc.exe did not take, and is worth knowing."""


@dataclass(slots=True)
class Keeper:
    """Keeps services of one host down, and releases them, within the time until *ends_s* of the loop's clock.

    `acted` says whether anything was changed. Raises HostError: from `keep` and `release` one of
    TRANSIENT only when the time is up.
    """

    host: str
    command: HostCommand
    pace: Pace
    ends_s: float
    note: Callable[[str], None]
    acted: Acted = Acted.NO
    exchanges: int = 0
    _failures: int = field(default=0, init=False)

    async def record(self, name: str) -> Record | None:
        """What stands on the host of *name*; None: it is not kept down."""
        said = await self._query(kept_down.kept_key(name), kept_down.WIDE)
        found = kept_down.read_records(said)
        return found[0] if found else None

    async def records(self, *, surely: bool = True) -> Sequence[Record]:
        """All that stand on the host, by name. Unless *surely*, none also where the host does not let them be read: one
        exchange less where there is none."""
        found = kept_down.read_records(await self._query(kept_down.KEPT, "/s", kept_down.WIDE, surely=surely))
        return sorted(found, key=lambda record: record.service.lower())

    async def config(self, name: str, *, whole: bool = False) -> Config:
        """What is configured of *name* now; its triggers only if *whole*. Raises Refused if the host has no such
        service."""
        key = kept_down.service_key(name)
        own = await self._query(key, surely=False)
        asked = whole and kept_down.has_triggers(own)
        triggers = await self._query(f"{key}\\{kept_down.TRIGGERS}", "/s", surely=False) if asked else ""
        config = kept_down.read_config(own, triggers)
        if config is None:
            text = f"{self.host} does not tell how {name} is configured: {key} has no start type there"
            raise Refused(self.host, Problem(ProblemKind.MISSING, text))
        return config

    async def keep(self, name: str, *, run: str, at: float) -> Kept:
        """Take away what could revive *name*, unless it is so already. A record that is there is never overwritten."""
        record = await self.record(name)
        before = record is not None
        config = first = await self.config(name, whole=not before)
        if record is None:
            record = kept_down.record_of(name, config, run=run, at=at)
            for command in kept_down.writing_down(record, with_triggers=bool(config.triggers)):
                await self._change(command)
            if await self.record(name) != record:
                text = f"what was to be put back of {name} could not be written down on {self.host}; it is as it was"
                raise Refused(self.host, Problem(ProblemKind.REFUSED, text))
        for command in kept_down.neutralising(name, config):
            await self._change(command)
        config = await self.config(name) if self.acted is not Acted.NO else config
        wrong = tuple(kept_down.rewritten(config))
        since = f", as run {record.run} had begun to" if before and record.run != run else ""
        said = f"is kept down{since}; its start puts back: {record.words}"
        if wrong:
            said = f"is not kept down: {'; '.join(wrong)}; what was is on record on {self.host}"
        return Kept(said=said, record=record, config=first, wrong=wrong)

    async def release(self, name: str) -> Kept:
        """Put back what the record has, to the byte, and then take the record away. Without one there is nothing to
        do."""
        record = await self.record(name)
        if record is None:
            return Kept(said=f"is not kept down on {self.host}: there is nothing to put back")
        config, refused = await self._put_back(record)
        wrong, beside = tuple(kept_down.not_back(record, config)), refused
        if wrong:
            said = f"is not as it was: {'; '.join(wrong)}; the record stays on {self.host}"
            return Kept(said=said, record=record, config=config, wrong=wrong, beside=beside)
        if kept_down.triggers_changed(record, await self.config(name, whole=True)):
            beside = (*beside, "somebody changed its triggers meanwhile: they are left as they are now")
        refusal = await self._tried(kept_down.forgetting(name))
        if await self.record(name) is not None:
            why = refusal.text if refusal else "it is still there"
            text = f"{name} is as it was, but its record can't be taken off: {kept_down.kept_key(name)}: {why}"
            raise Refused(self.host, Problem(ProblemKind.REFUSED, text))
        return Kept(said=f"is released: {record.words} again", record=record, config=config, beside=beside)

    async def _put_back(self, record: Record) -> tuple[Config, tuple[str, ...]]:
        """What is configured after that, and what sc.exe refused on the way: what was read back decides."""
        refused: list[str] = []
        for command in kept_down.restoring(record):
            error = await self._tried(command)
            refused += [error.text] if error is not None else []
        config = await self.config(record.service)
        if repairs := kept_down.repairs(record, config):
            for command in repairs:
                await self._tried(command)
            config = await self.config(record.service)
        return config, tuple(refused)

    async def _query(self, key: str, *more: str, surely: bool = True) -> str:
        """What `reg.exe query` prints of *key*; "" if there is no such key. Raises Refused if that is not sure."""
        said = await self._ask(key, *more)
        if said.exit_code in (0, None):
            return said.output
        if surely and not await self._is_absent(key):
            why = f"exit code {said.exit_code}: {' '.join(said.output.split()) or 'it says nothing'}"
            text = f"{self.host} does not tell what is kept down: reg.exe can't read {key}: {why}"
            raise Refused(self.host, Problem(ProblemKind.REFUSED, text))
        return ""

    async def _is_absent(self, key: str) -> bool:
        """Whether the nearest key above *key* that can be read does not list what leads to it. reg.exe has one exit
        code for what is not there and for what may not be read, and its words are in the host's language."""
        while key.count("\\") > 1:
            above = key.rpartition("\\")[0]
            said = await self._ask(above, kept_down.WIDE)
            if said.exit_code in (0, None):
                return not kept_down.lists(said.output, key)
            key = above
        return False

    async def _ask(self, key: str, *more: str) -> CommandOutput:
        said = await self._run(("reg.exe", ("query", key, *more)))
        if may_be_cut(said.output):
            text = f"reg.exe prints more of {key} than is read"
            raise Refused(self.host, Problem(ProblemKind.REFUSED, text))
        return said

    async def _change(self, command: Command) -> None:
        refused = await self._tried(command)
        if refused is not None:
            raise refused

    async def _tried(self, command: Command) -> Refused | None:
        """Send what changes something; why it was refused, if it was."""
        said = await self._run(command, changes=True)
        if said.exit_code in (0, None):
            self.acted = Acted.YES
            return None
        exe, (verb, *_) = command
        words = " ".join(said.output.split()) or "it says nothing"
        code = in_words(said.exit_code) if exe == "sc.exe" else f"exit code {said.exit_code}"
        number = said.exit_code if exe == "sc.exe" else None
        return Refused(self.host, Problem(ProblemKind.REFUSED, f"{exe} {verb} failed: {code}: {words}", number))

    async def _run(self, command: Command, *, changes: bool = False) -> CommandOutput:
        """Run it; again where the wire failed, for each command may be sent twice."""
        exe, args = command
        loop = asyncio.get_running_loop()
        while True:
            self.exchanges += 1
            try:
                return await self.command.run(exe, args, timeout_s=COMMAND_S)
            except HostError as error:
                if changes and error.sent and self.acted is Acted.NO:
                    self.acted = Acted.MAYBE
                if not isinstance(error, TRANSIENT) or loop.time() + TICK_S >= self.ends_s:
                    raise
                self.note(f"no answer from {self.host}: {error.text}; trying again")
            self._failures += 1
            await asyncio.sleep(min(self.pace.pause_s(self._failures), self.ends_s - loop.time()))


def keeper(host: str, hosts: Hosts, *, tried_s: float, note: Callable[[str], None] = lambda text: None) -> Keeper:
    """Who keeps the services of *host* down, or releases them, and tries for *tried_s* where the wire fails."""
    ends_s = asyncio.get_running_loop().time() + tried_s
    return Keeper(host=host, command=hosts.command(host), pace=Pace(host, 1.0), ends_s=ends_s, note=note)


async def keep_down(step: Step, keeper: Keeper, name: str, *, run: str, at: float) -> Result:
    """The step KEEP_DOWN: *name* can't come up by itself, and what was is on record. *at* is UTC, seconds since
    1970."""
    if not for_sc(name):
        text = f"sc.exe can't be told of a service with the name {name!r}"
        return _failed(step, keeper, HostError(keeper.host, text))
    try:
        return _result(step, keeper, await keeper.keep(name, run=run, at=at))
    except HostError as error:
        return _failed(step, keeper, error)


async def release(step: Step, keeper: Keeper, name: str) -> Result:
    """The step RELEASE: *name* is configured as before it was kept down."""
    try:
        return _result(step, keeper, await keeper.release(name))
    except HostError as error:
        return _failed(step, keeper, error)


async def looked_after(
    result: Result, keeper: Keeper, name: str, *, now: float, log: Callable[[float], Awaitable[Mapping[str, str]]]
) -> Result:
    """*result*, a last reading of *name*, and whether somebody has brought it up, or given back what was taken away,
    with what the host's event log says of that: *log* is asked for so many seconds, *now* is UTC, seconds since 1970.

    Where that can't be told, *result* as it was: a reading is not lost for it.
    """
    try:
        record = await keeper.record(name)
        found = rewritten(await keeper.config(name)) if record is not None else []
    except HostError:
        return result
    if record is None:
        return replace(result, exchanges=result.exchanges + keeper.exchanges)
    up = result.outcome is Outcome.OK and result.after != State.STOPPED
    found = [f"it is {result.after} again"] * up + found
    said = await log(max(0.0, now - record.at)) if found else {}
    words = "; ".join([*found, *list(said.values())[:TOLD]])
    evidence = {**result.evidence, KEPT_DOWN: record.words, **said}
    if not found:
        return replace(result, evidence=evidence, exchanges=result.exchanges + keeper.exchanges)
    return replace(
        result,
        said=f"{result.said}; it was kept down, and somebody changed that: {words}",
        evidence={**evidence, REWRITTEN: words},
        exchanges=result.exchanges + keeper.exchanges,
    )


def _result(step: Step, keeper: Keeper, done: Kept) -> Result:
    evidence = {}
    if done.record is not None:
        evidence = {KEPT_DOWN: done.record.words, RECORD: journalled(done.record, done.config)}
    if done.beside:
        evidence[BESIDE] = "; ".join(done.beside)
    said = f"{step.unit} {'; '.join((done.said, *done.beside))}"
    return Result(
        step=step,
        outcome=Outcome.FAILED if done.wrong else Outcome.OK,
        acted=keeper.acted,
        said=said,
        problem=Problem(ProblemKind.REMOTE, said) if done.wrong else None,
        evidence=evidence,
        exchanges=keeper.exchanges,
    )


def _failed(step: Step, keeper: Keeper, error: HostError) -> Result:
    """Silence and garbage are no answer; a host that said no has answered."""
    lost = isinstance(error, TRANSIENT) or (error.sent and not isinstance(error, Refused))
    what = "how far keeping it down came" if step.phase is Phase.KEEP_DOWN else "how far releasing it came"
    tail = f"; {what} stands on the host, and doing it again goes on from there" if keeper.acted is not Acted.NO else ""
    return Result(
        step=step,
        outcome=Outcome.UNKNOWN if lost else Outcome.FAILED,
        acted=keeper.acted,
        said=f"{step.unit}: {error.text}{tail}",
        problem=error.problem,
        exchanges=keeper.exchanges,
    )
