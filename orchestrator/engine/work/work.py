"""The work: carries out one step and always comes back with a result."""

import asyncio
import math
import traceback
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial

from orchestrator.domain import kinds
from orchestrator.domain.errors import AuthRejected, HostError, Problem, ProblemKind, Refused
from orchestrator.domain.gates import Gate
from orchestrator.domain.leaving import Leaving
from orchestrator.domain.life import Hook, Reboot
from orchestrator.domain.parts import ACTS, faced, goal_of, hook_of
from orchestrator.domain.plan import Action, Batch, Node, Plan, Role, Stage, Unit
from orchestrator.domain.results import HOOKS, REACHED_BY, RUN, Acted, Note, Outcome, Phase, Result, Step
from orchestrator.domain.service import Asked, ServiceStatus, State
from orchestrator.engine.ports import Hosts, LocalCommand, NoteTaker, Probe
from orchestrator.engine.work import counting, events, gates, keep_down, steady
from orchestrator.engine.work.by_command import ByCommand
from orchestrator.engine.work.drive import Drive
from orchestrator.engine.work.hooks import Errand
from orchestrator.engine.work.keep_down import Keeper
from orchestrator.engine.work.kill import Kill
from orchestrator.engine.work.looks import Had, Host, Looks
from orchestrator.engine.work.pace import Pace
from orchestrator.engine.work.reader import Reader
from orchestrator.engine.work.reboot import Reboots
from orchestrator.engine.work.record import evidence
from orchestrator.engine.work.sights import Eyes

READ_S = 30.0
"""How long a READ is tried: a state that nobody waits for has no deadline of its own in a playbook."""
LOOK_S = 10.0
"""How long a LOOK is tried: whoever is silent meanwhile counts as unread, and all others wait for the round to end."""


_NONE = counting.Doubts()
LOOKED = (Phase.READ, Phase.LOOK, Phase.WATCH)
"""The phases that read a service."""
GATES = (Phase.GATE, Phase.PRECHECK, Phase.DRAINED)
"""The phases that wait for gates."""


class Work:
    """The conductor's `run` port. One per run; steps may run side by side, and those of one host share a reader.

    On the way back a step gives a silent host up soon: it is tried again, in the bounds of the policy's
    `rollback_timeout_s`, which a node's own timeout must not stretch. *run* and *clock* (UTC, seconds since 1970) are
    what is written down on hosts where a service is kept down. *doubts* are about units that may be of no use
    although they run.
    """

    def __init__(
        self,
        plan: Plan,
        hosts: Hosts,
        probe: Probe,
        local: LocalCommand,
        note: NoteTaker,
        *,
        run: str = "",
        clock: Callable[[], float] = lambda: 0.0,
        doubts: counting.Doubts = _NONE,
    ) -> None:
        self._run = run
        self._clock = clock
        self._doubts = doubts
        self._counted: dict[int, counting.Services] = {}
        self._watched = steady.Watched()
        self._poll_s = plan.poll_s
        self._back_from = 0 if plan.action is Action.ROLLBACK else len(plan.stages)
        self._patience_s = min(LOOK_S, plan.policy.rollback_timeout_s)
        self._hosts = hosts
        self._probe = probe
        self._local = local
        self._note = note
        self._stages: list[Stage] = []
        self._nodes: list[dict[str, int]] = []
        self._known: dict[str, Host] = {}
        self._leaving: dict[str, dict[str, Had]] = {}
        self._objects: dict[tuple[str, float], Host] = {}
        self._hooks = plan.hooks
        self._reboots = Reboots()
        self._acts_since_s: dict[str, float] = {}
        """When each unit's last start or stop began, or its first step: what fails later may have said so then."""
        self.learn(plan.stages)

    def learn(self, stages: Sequence[Stage]) -> None:
        """Take further stages in, numbered on from those that are known: those of a way back."""
        self._stages += stages
        self._nodes += [{node.unit.id: index for index, node in enumerate(stage.nodes)} for stage in stages]

    def recall(self, left: Iterable[Leaving]) -> None:
        """Know the processes that the run's process before had asked to go. To be called before the first step."""
        for one in left:
            self._leaving.setdefault(one.host, {})[one.scm_name.lower()] = Had(one.pid, one.booted_at)

    async def run(self, step: Step) -> Result:
        """Wait the step's delay, then carry it out. Never raises but for cancellation; bounded by the delay and the
        node's timeout or its gates' deadlines, plus a few seconds for exchanges that began in time.

        A bug of ours becomes a result too (unknown, kind internal, its traceback as evidence): this is the one place
        for that.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            if step.delay_s > 0:
                await asyncio.sleep(step.delay_s)
            if step.phase in ACTS or step.unit not in self._acts_since_s:
                self._acts_since_s[step.unit] = loop.time()
            result = await self._carry_out(step)
        except Exception as bug:  # noqa: BLE001 - the conductor is promised a result, and its other steps must go on
            result = _broken(step, bug)
        if detour := self._detour(step):
            result = replace(result, evidence={**result.evidence, REACHED_BY: detour})
        return replace(result, took_s=loop.time() - began_s)

    def _detour(self, step: Step) -> str:
        """How the step's host is reached, if not by the first of its ways; "" too if it was never asked."""
        host = step.unit.rpartition("@")[2]
        return self._hosts.detour(host) if host in self._known else ""

    async def _carry_out(self, step: Step) -> Result:
        if step.unit == RUN:
            every = (*self._hooks.begin, *self._hooks.end, *self._hooks.failure)
            return await self._hook(step, _named(every, step.hook), undo=step.phase is Phase.UNDO, host=None)
        stage = self._stages[step.stage]
        index = self._nodes[step.stage][step.unit]
        node = self._as_of(step, stage.nodes[index])
        host = self._host_of(node)
        if step.phase in HOOKS or step.phase is Phase.UNDO:
            return await self._hook_of(step, node, host)
        if node.batch is not None:
            return await self._count(step, stage, node, node.batch)
        if step.phase in GATES:
            return await self._gates(step, stage, node, host)
        if host is None or node.unit.scm_name is None:
            return Result(step=step, outcome=Outcome.OK, said=f"{step.unit} is external: it has gates and no service")
        if step.phase in LOOKED:
            return await self._look(step, stage, index, host)
        if node.role is not Role.ACT:
            raise ValueError(f"{step.id}: a node with the role {node.role} is never acted on")
        return await self._act(step, stage, node, host)

    def _as_of(self, step: Step, node: Node) -> Node:
        """*node* as *step* has it. What one that lives both ways does before its reboot was no other process."""
        if node.down is not None and step.phase not in (Phase.LOOK, Phase.BETWEEN):
            self._reboots.came_by(step)
        return faced(node, step)

    async def _count(self, step: Step, stage: Stage, node: Node, batch: Batch) -> Result:
        """COUNT: the pause before a batch, and then where the units of the one before are."""
        note = self._notes_of(step)
        if batch.at_least is not None:
            if step.stage not in self._counted:
                self._counted[step.stage] = counting.Services(stage)
            staying = [self._is_counted(unit, gates, note) for unit, gates in self._counted[step.stage].staying(node)]
            return await counting.enough(step, batch, staying, node.timeout_s, note)
        looks = [
            (one.unit, Looks(host, one.unit.scm_name, note))
            for one in counting.batch_before(stage, node)
            if (host := self._host_of(one)) is not None and one.unit.scm_name is not None
        ]
        return await counting.count(step, batch, stage.goal, looks, note)

    def _is_counted(self, unit: Unit, gates: tuple[Gate, ...], note: Callable[[str], None]) -> counting.Counted:
        host = self._host_of(Node(unit=unit, role=Role.PROBE))
        looks = Looks(host, unit.scm_name, note) if host is not None and unit.scm_name is not None else None
        eyes = self._eyes(host, unit.scm_name)
        return counting.Counted(unit, looks, gates, eyes, self._doubts)

    async def _look(self, step: Step, stage: Stage, index: int, host: Host) -> Result:
        """READ, LOOK and WATCH: nothing is done to the service."""
        node, note = stage.nodes[index], self._notes_of(step)
        scm_name = node.unit.scm_name or ""
        if step.phase is Phase.WATCH:
            with self._watched.on(host.name):
                return await steady.watch(step, stage.goal, host, scm_name, note, self._watched.every_s)
        result = await _read(step, stage, index, Looks(host, scm_name, note))
        last = step.phase is Phase.READ and not step.hook and node.role is Role.ACT
        if not last or node.life is None or not node.life.keep_down:
            return result
        keeper = self._keeper(host, keep_down.COMMAND_S, note)
        log = partial(events.gathered, host, scm_name)
        return await keep_down.looked_after(result, keeper, scm_name, now=self._clock(), log=log)

    async def _act(self, step: Step, stage: Stage, node: Node, host: Host) -> Result:
        """Whatever changes something on the host itself, and HEALTHY."""
        note = self._notes_of(step)
        patience_s = self._patience_s if step.stage >= self._back_from else math.inf
        if step.phase in (Phase.KEEP_DOWN, Phase.RELEASE):
            return await self._keep(step, node, self._keeper(host, min(node.timeout_s, patience_s), note))
        if step.phase is Phase.KILL:
            return await Kill(step, node, host, note).run()
        if step.phase is Phase.HEALTHY:
            eyes = self._eyes(host, node.unit.scm_name)
            return await self._looked_up(await steady.healthy(step, node, host, eyes, note), host, node)
        if step.phase not in (Phase.START, Phase.STOP):
            raise ValueError(f"{step.id}: nobody carries that phase out")
        drive = Drive(step, node, goal_of(step, stage.goal), host, note, patience_s=patience_s)
        return await self._looked_up(await drive.run(), host, node)

    async def _gates(self, step: Step, stage: Stage, node: Node, host: Host | None) -> Result:
        """GATE, PRECHECK and DRAINED. A started service that goes down while its gates wait ends them."""
        note, life = self._notes_of(step), node.life
        eyes = self._eyes(host, node.unit.scm_name)
        if life is not None and step.phase is Phase.DRAINED:
            return await gates.hold(step, life.drained, eyes, note)
        if life is not None and step.phase is Phase.PRECHECK:
            return await gates.hold(step, life.prechecks, eyes, note)
        if host is None or node.unit.scm_name is None:
            return await gates.hold(step, node.gates, eyes, note)
        starts = goal_of(step, stage.goal) is State.RUNNING and node.role is Role.ACT
        started = starts and step.phase is Phase.GATE and node.gates
        beside = steady.while_gates_wait(step, node, host, note, probed_s=self._poll_s) if started else None
        result = await gates.hold(step, node.gates, eyes, note, beside=beside)
        return await self._looked_up(result, host, node) if node.role is Role.ACT else result

    async def _hook_of(self, step: Step, node: Node, host: Host | None) -> Result:
        """A hook of a node, or its undo; or what is done on a host between stop and start."""
        hook = hook_of(node, step)
        if hook is not None and isinstance(hook.do, Reboot) and host is not None:
            return await self._reboots.run(step, node, host, self._notes_of(step))
        self._reboots.came_by(step)
        undoes = step.phase is Phase.UNDO or (hook is not None and hook.undoes)
        return await self._hook(step, hook, undo=undoes, host=host, scm_name=node.unit.scm_name)

    async def _hook(
        self, step: Step, hook: Hook | None, *, undo: bool, host: Host | None, scm_name: str | None = None
    ) -> Result:
        if hook is None:
            raise ValueError(f"{step.id}: the plan has no such hook")
        pace = host.pace if host else Pace(RUN, self._poll_s)
        eyes = self._eyes(host, scm_name)
        return await Errand(step=step, hook=hook, undo=undo, eyes=eyes, pace=pace, note=self._notes_of(step)).run()

    async def _looked_up(self, result: Result, host: Host, node: Node) -> Result:
        """*result*, and if it is a failure, what the host's event logs say of it."""
        if not events.worth_a_look(result) or not kinds.is_service(node.unit.scm_name or ""):
            return result
        since_s = asyncio.get_running_loop().time() - self._acts_since_s[result.step.unit]
        found = await events.gathered(host, node.unit.scm_name or "", since_s)
        return replace(result, evidence=result.evidence | found, exchanges=result.exchanges + events.EXCHANGES)

    def _notes_of(self, step: Step) -> Callable[[str], None]:
        return lambda text: self._note(Note(step, text))

    def _eyes(self, host: Host | None, scm_name: str | None) -> Eyes:
        return Eyes(
            scm_name=scm_name,
            reader=host.reader if host else None,
            command=host.command if host else None,
            probe=self._probe,
            local=self._local,
        )

    async def _keep(self, step: Step, node: Node, keeper: Keeper) -> Result:
        name = node.unit.scm_name or ""
        if step.phase is Phase.RELEASE:
            return await keep_down.release(step, keeper, name)
        return await keep_down.keep_down(step, keeper, name, run=self._run, at=self._clock())

    @staticmethod
    def _keeper(host: Host, tried_s: float, note: Callable[[str], None]) -> Keeper:
        ends_s = asyncio.get_running_loop().time() + tried_s
        return Keeper(host=host.name, command=host.command, pace=host.pace, ends_s=ends_s, note=note)

    def _host_of(self, node: Node) -> Host | None:
        """The node's host; for what is no service, with services that are that object alone."""
        unit = node.unit
        if unit.host is None:
            return None
        host = self._host(unit.host)
        if unit.scm_name is None or kinds.is_service(unit.scm_name):
            return host
        key = unit.id, node.timeout_s
        if key not in self._objects:
            services = ByCommand(
                host.name,
                self._hosts.command,
                Asked(unit.scm_name, by=unit.by, ways=unit.ways),
                others=host.reader.read,
                control_s=node.timeout_s,
                booted_at=host.services.booted_at,
            )
            self._objects[key] = replace(host, services=services, reader=Reader(services))
        return self._objects[key]

    def _host(self, name: str) -> Host:
        if name not in self._known:
            services = self._hosts.services(name)
            self._known[name] = Host(
                name=name,
                services=services,
                command=self._hosts.command(name),
                reader=Reader(services),
                pace=Pace(name, self._poll_s),
                had=self._leaving.pop(name, {}),
            )
        return self._known[name]


def _named(hooks: Sequence[Hook], name: str) -> Hook | None:
    return next((hook for hook in hooks if hook.name == name), None)


async def _read(step: Step, stage: Stage, index: int, looks: Looks) -> Result:
    try:
        tried_s = LOOK_S if step.phase is Phase.LOOK else READ_S
        status = await looks.status(asyncio.get_running_loop().time() + tried_s)
    except HostError as error:
        # A host that said no has answered; silence and garbage are no answer.
        outcome = Outcome.FAILED if isinstance(error, AuthRejected | Refused) else Outcome.UNKNOWN
        said = f"{step.unit}: its state can't be read ({error.text})"
        return Result(step=step, outcome=outcome, said=said, problem=error.problem, exchanges=looks.exchanges)
    problem = None if step.phase is Phase.LOOK else _not_there(step, stage, index, status)
    return Result(
        step=step,
        outcome=Outcome.OK if problem is None else Outcome.FAILED,
        before=str(status.state),
        after=str(status.state),
        said=f"{step.unit} is {status.state}" if problem is None else problem.text,
        problem=problem,
        evidence=evidence(status, status),
        exchanges=looks.exchanges,
    )


def _not_there(step: Step, stage: Stage, index: int, status: ServiceStatus) -> Problem | None:
    """What is wrong with the state of a unit that is only probed: others count on its being at the goal."""
    if stage.nodes[index].role is not Role.PROBE or status.state is stage.goal:
        return None
    behind = {number: one for number, one in enumerate(stage.barriers) if any(index in them for them in one.instances)}
    strict = [number for number, one in behind.items() if one.need == len(one.instances)]
    needing = ", ".join(_waiting_for(stage, strict))
    words = (
        f"{step.unit} is {status.state}, and {needing or 'the run'} {'need' if needing else 'needs'} it {stage.goal}"
    )
    if behind and not strict:
        one = next(iter(behind.values()))
        counting = ", ".join(_waiting_for(stage, behind)) or "the run"
        words = f"{step.unit} is {status.state}; {counting} can do with {one.need} of {len(one.instances)}"
    return Problem(ProblemKind.GATE, words)


def _waiting_for(stage: Stage, barriers: Collection[int]) -> Sequence[str]:
    """The services that wait for *barriers*, in plan order. Cost: O(stage); only asked when something is wrong."""
    return list(dict.fromkeys(one.unit.service for one in stage.nodes if not set(barriers).isdisjoint(one.waits_for)))


def _broken(step: Step, bug: Exception) -> Result:
    text = f"{type(bug).__name__}: {bug}"
    acting = step.phase not in (*LOOKED, *GATES, Phase.HEALTHY, Phase.COUNT)
    return Result(
        step=step,
        outcome=Outcome.UNKNOWN,
        acted=Acted.MAYBE if acting else Acted.NO,
        said=f"{step.unit}: a bug of orch broke off the {step.phase} ({text}); read the state before going on",
        problem=Problem(ProblemKind.INTERNAL, text),
        evidence={"traceback": "".join(traceback.format_exception(bug))},
    )
