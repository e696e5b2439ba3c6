"""What a run would do, for `--dry-run`: a plan, looked at by a person before anything is touched."""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.domain.gates import describe
from orchestrator.domain.kinds import is_service
from orchestrator.domain.life import Hook, IfStuck, Life, Reboot, RunHooks
from orchestrator.domain.plan import Action, Batch, Down, LeftAlone, Node, Plan, Role, Stage
from orchestrator.domain.policy import Approval, Window
from orchestrator.domain.results import Phase
from orchestrator.domain.service import StartType, State
from orchestrator.domain.step_words import hook_words, request_words
from orchestrator.domain.waves import waves
from orchestrator.domain.way_back import stops_running, undone_by
from orchestrator.domain.window import window_of

_AT_BOOT = (StartType.AUTOMATIC, StartType.AUTOMATIC_DELAYED)


class What(StrEnum):
    """What would happen to a unit."""

    STOP = "stop"
    START = "start"
    RESTART = "restart"
    ALREADY_THERE = "already there"
    UNDO = "undo"
    """It is there; what was done for it is undone."""
    PROBE_ONLY = "probe only"
    PASS = "pass"
    PRECHECK = "precheck"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRow:
    """One hook: what it is called, what it sends or runs and from where, what undoes it later ("": nothing), and what
    tells beforehand that it needs not be done ("": nothing)."""

    name: str
    words: str
    does: str
    origin: str
    undone_by: str
    check: str
    once: bool
    """It is never carried out twice by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is done around the act of a unit: see `life.Life`. Gates are in words, with all that they want."""

    prechecks: tuple[str, ...]
    before: tuple[HookRow, ...]
    drained: tuple[str, ...]
    after: tuple[HookRow, ...]
    healthy_s: float
    if_stuck: IfStuck
    max_timeout_s: float | None
    kill_shared: tuple[str, ...]
    keep_down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WayDown:
    """How a unit goes down that comes up again in the same life: what has to hold when it is stopped, and what is done
    around that."""

    gates: tuple[str, ...]
    around: Around | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One unit in one wave. `state` None: it was not read; `wanted` None: nobody acts on it; `pid` is the process that
    it had when it was read; `around` None: the act and its gates are all."""

    unit: str
    service: str
    host: str | None
    state: State | None
    wanted: State | None
    start_type: StartType | None
    what: What
    gates: tuple[str, ...]
    expected_s: float
    guessed: bool
    pid: int | None = None
    around: Around | None = None
    down: WayDown | None = None
    """Of a rolling restart: `gates` and `around` are of its way up."""


@dataclass(frozen=True, slots=True)
class PathStep:
    """One unit of the critical path."""

    unit: str
    expected_s: float
    guessed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRows:
    """How many instances of a service go at a time, one batch after the other, and what passes between two: `pause_s`,
    and the word of a person if it `asks`. In a rolling restart `at_least` of the `instances` that are counted have to
    be up without those of each batch (None: nobody counts); `running` of them did when they were read. `needed_by` are
    the services of the same restart that wait for it."""

    service: str
    sizes: tuple[int, ...]
    pause_s: float
    asks: bool
    instances: int = 0
    running: int = 0
    at_least: int | None = None
    needed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePreview:
    """One direction. A wave holds what waits for nothing but earlier waves; a run goes unit by unit, not by waves.

    `checks`: nothing is moved in it, its units are those whose prechecks must hold before anything is. `between` is
    what is done on each of its hosts, which stand for units in it; or, in a `rolling` one, on each while its unit is
    down.
    """

    goal: State
    waves: tuple[tuple[Row, ...], ...]
    critical_path: tuple[PathStep, ...]
    expected_s: float
    checks: bool = False
    between: tuple[HookRow, ...] = ()
    batches: tuple[BatchRows, ...] = ()
    rolling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHookRows:
    """The hooks of the run itself, carried out on the controller: see `life.RunHooks`."""

    begin: tuple[HookRow, ...] = ()
    end: tuple[HookRow, ...] = ()
    failure: tuple[HookRow, ...] = ()


@dataclass(frozen=True, slots=True)
class NotVerified:
    """Something that the preview can't vouch for, and the units that it is about."""

    why: str
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A plan in words and figures; `dataclasses.asdict` of it is JSON.

    `totals` counts units by what would happen, over all stages that move something. `stops_running` is how many running
    units a way back (a rollback, a restore) would stop. `starts_at_boot` are units that a stop brings down and a reboot
    would bring up again. `ignored` are dependents that are neither stopped nor looked at. `not_ready` are units that a
    start needs and does not start, and that do not run. `guessed_share` is how much of the expected work (0 to 1) rests
    on guesses. `window` is the one that it is refused past; `approval` who approves before anything is touched (None:
    nobody). `hooks` are those of the run itself; `taken_in` units that stand in no entry, and need what is stopped.
    `reboots`: hosts are started again between stop and start.
    """

    name: str
    action: Action
    stages: tuple[StagePreview, ...]
    totals: dict[str, int]
    stops_running: int
    not_verified: tuple[NotVerified, ...]
    not_ready: tuple[str, ...]
    starts_at_boot: tuple[str, ...]
    left_alone: tuple[LeftAlone, ...]
    ignored: tuple[str, ...]
    expected_s: float
    guessed_share: float
    window: Window | None = None
    approval: Approval | None = None
    hooks: RunHookRows = RunHookRows()
    taken_in: tuple[str, ...] = ()
    reboots: bool = False


def preview(plan: Plan, *, dry_run: bool = False) -> Preview:
    """What *plan* would do. With *dry_run* it is all that is done: no gate will be probed. Cost: O(nodes + edges)."""
    acting = [stage for stage in plan.stages if not stage.checks]
    again = plan.action is Action.RESTART  # what it starts is what it has stopped
    back = plan.action is Action.ROLLBACK
    stages = tuple(
        _stage(stage, first=not again or stage.checks or stage is acting[0], back=back) for stage in plan.stages
    )
    rows = [row for stage in stages for wave in stage.waves for row in wave if not stage.checks]
    work_s = sum(row.expected_s for row in rows)
    guessed_s = sum(row.expected_s for row in rows if row.guessed)
    return Preview(
        name=plan.name,
        action=plan.action,
        stages=stages,
        totals=dict(Counter(str(row.what) for row in rows)),
        stops_running=stops_running(plan) if plan.action in (Action.ROLLBACK, Action.RESTORE) else 0,
        not_verified=tuple(_not_verified(rows, _no_services(plan), dry_run=dry_run)),
        not_ready=tuple(
            row.unit
            for stage in stages
            for wave in stage.waves
            for row in wave
            if row.what is What.PROBE_ONLY and stage.goal is State.RUNNING and row.state not in (None, State.RUNNING)
        ),
        starts_at_boot=tuple(row.unit for row in rows if _starts_at_boot(row)) if _may_boot(plan) else (),
        left_alone=plan.left_alone,
        ignored=plan.ignored,
        expected_s=sum(stage.expected_s for stage in stages),
        guessed_share=guessed_s / work_s if work_s else 0.0,
        window=window_of(plan),
        approval=plan.policy.approval if plan.policy.approve_before else None,
        hooks=_run_hooks(plan.hooks),
        taken_in=plan.taken_in,
        reboots=_reboots(plan),
    )


def _reboots(plan: Plan) -> bool:
    return any(isinstance(hook.do, Reboot) for stage in plan.stages for hook in _done_between(stage))


def _may_boot(plan: Plan) -> bool:
    """Whether hosts may start again, or will, while what *plan* stops is down."""
    return plan.action is Action.STOP or _reboots(plan)


def _starts_at_boot(row: Row) -> bool:
    """Whether a reboot after its stop would start it: what is down already is not kept down."""
    around = row.around if row.down is None else row.down.around
    kept = around is not None and around.keep_down and row.state is not State.STOPPED
    goes_down = row.wanted is State.STOPPED or row.down is not None
    return goes_down and row.start_type in _AT_BOOT and not kept


def _batches(stage: Stage) -> Iterator[BatchRows]:
    """The first of a service's batches has nothing before it, so it has what the others leave."""
    between: dict[str, list[Batch]] = {}
    acting: dict[str, set[str]] = {}
    known: dict[str, dict[str, bool]] = {}
    for node in stage.nodes:
        if node.batch is not None:
            between.setdefault(node.unit.service, []).append(node.batch)
        elif node.role is Role.ACT:
            acting.setdefault(node.unit.service, set()).add(node.unit.instance)
    looked_at = (node.unit for node in stage.nodes if node.role is not Role.PASS and node.unit.host is not None)
    for unit in (*looked_at, *stage.others):
        runs = unit.seen is not None and unit.seen.state is State.RUNNING
        of = known.setdefault(unit.service, {})
        of[unit.instance] = of.get(unit.instance, True) and runs
    needed = _needed(stage) if stage.rolling else {}
    for service in acting if stage.rolling else between:
        batches = between.get(service, [])
        later = [batch.size for batch in batches if batch.number > 1]
        yield BatchRows(
            service=service,
            sizes=(len(acting[service]) - sum(later), *later),
            pause_s=batches[-1].pause_s if batches else 0.0,
            asks=bool(batches) and batches[-1].asks,
            instances=len(known[service]),
            running=sum(known[service].values()),
            at_least=batches[0].at_least if batches else None,
            needed_by=tuple(needed.get(service, ())),
        )


def _needed(stage: Stage) -> dict[str, dict[str, None]]:
    """Of each service, who waits for it. Cost: O(nodes + edges)."""
    waits = {(node.unit.service, number): None for node in stage.nodes for number in node.waits_for}
    needed: dict[str, dict[str, None]] = {}
    for service, number in waits:
        places = (place for instance in stage.barriers[number].instances for place in instance)
        for other in {stage.nodes[place].unit.service: None for place in places}:
            if other != service:
                needed.setdefault(other, {})[service] = None
    return needed


def _stage(stage: Stage, *, first: bool, back: bool) -> StagePreview:
    levels = waves(stage)
    grouped: list[list[Row]] = [[] for _ in range(max(levels, default=-1) + 1)]
    lives: dict[int, Around] = {}  # by identity: instances that need the same share one
    downs: dict[int, WayDown] = {}
    for level, node in zip(levels, stage.nodes, strict=True):
        if node.batch is not None:
            continue
        row = _row(node, stage, first=first)
        if node.down is not None:
            if id(node.down) not in downs:
                downs[id(node.down)] = _way_down(node.down)
            row = replace(row, down=downs[id(node.down)])
        if back and row.what is What.ALREADY_THERE and undone_by(node, stage):
            around = _around(_undos_of(node.life or Life()), stage.goal)
            row = replace(row, what=What.UNDO, around=around)
        if node.life is not None and row.what in (What.STOP, What.START, What.RESTART):
            if id(node.life) not in lives:
                lives[id(node.life)] = _around(node.life, stage.goal)
            row = replace(row, around=lives[id(node.life)])
        grouped[level].append(row)
    path = (stage.nodes[index] for index in stage.critical_path)
    return StagePreview(
        goal=stage.goal,
        waves=tuple(map(tuple, grouped)),
        critical_path=tuple(PathStep(node.unit.id, node.expected_s, node.guessed) for node in path),
        expected_s=stage.expected_s,
        checks=stage.checks,
        between=tuple(_hook(hook, Phase.BETWEEN) for hook in _done_between(stage)),
        batches=tuple(_batches(stage)),
        rolling=stage.rolling,
    )


def _undos_of(life: Life) -> Life:
    """What is left of *life* on a way back for a unit that is where it was."""
    return replace(
        life,
        prechecks=(),
        before=tuple(hook for hook in life.before if hook.undoes),
        drained=(),
        after=tuple(hook for hook in life.after if hook.undoes),
        if_stuck=IfStuck.FAIL,
        max_timeout_s=None,
    )


def _done_between(stage: Stage) -> tuple[Hook, ...]:
    """What is done on each of its hosts, or while each of its units is down: all have the same."""
    if stage.rolling:
        return next(node.down.between for node in stage.nodes if node.down is not None)
    life = stage.nodes[0].life if stage.between else None
    return life.before if life is not None else ()


def _way_down(down: Down) -> WayDown:
    around = None if down.life is None else _around(down.life, State.STOPPED)
    return WayDown(gates=tuple(gate.in_full for gate in down.gates), around=around)


def _around(life: Life, goal: State) -> Around:
    stops = goal is State.STOPPED
    return Around(
        prechecks=tuple(gate.in_full for gate in life.prechecks),
        before=tuple(_hook(hook, Phase.PRE_STOP if stops else Phase.PRE_START) for hook in life.before),
        drained=tuple(gate.in_full for gate in life.drained),
        after=tuple(_hook(hook, Phase.POST_STOP if stops else Phase.POST_START) for hook in life.after),
        healthy_s=life.healthy_s,
        if_stuck=life.if_stuck,
        max_timeout_s=life.max_timeout_s,
        kill_shared=life.kill_shared,
        keep_down=life.keep_down,
    )


def _hook(hook: Hook, phase: Phase) -> HookRow:
    act = hook.undo if hook.undoes and hook.undo is not None else hook.do
    return HookRow(
        name=hook.name,
        words=hook_words(phase, hook.name, undoes=hook.undoes, act=hook.do),
        does=request_words(act),
        origin=str(hook.origin),
        undone_by=request_words(hook.undo) if hook.undo is not None and not hook.undoes else "",
        check=describe(hook.check) if hook.check is not None and not hook.undoes else "",
        once=not hook.idempotent,
    )


def _run_hooks(hooks: RunHooks) -> RunHookRows:
    return RunHookRows(
        begin=tuple(_hook(hook, Phase.ON_BEGIN) for hook in hooks.begin),
        end=tuple(_hook(hook, Phase.ON_END) for hook in hooks.end),
        failure=tuple(_hook(hook, Phase.ON_FAILURE) for hook in hooks.failure),
    )


def _row(node: Node, stage: Stage, *, first: bool) -> Row:
    unit, seen, goal = node.unit, node.unit.seen, stage.goal
    acting = node.role is Role.ACT
    return Row(
        unit=unit.id,
        service=unit.service,
        host=unit.host,
        state=seen.state if seen else None,
        wanted=goal if acting else None,
        start_type=seen.start_type if seen else None,
        what=What.PRECHECK if stage.checks else _what(node, goal, first=first),
        gates=tuple(gate.in_full for gate in node.gates),
        expected_s=node.expected_s,
        guessed=node.guessed,
        pid=seen.pid if seen else None,
    )


def _what(node: Node, goal: State, *, first: bool) -> What:
    if node.role is Role.PROBE:
        return What.PROBE_ONLY if node.life is None else What.BETWEEN
    if node.role is Role.PASS:
        return What.PASS
    if node.down is not None:
        return What.RESTART
    if first and node.unit.seen is not None and node.unit.seen.state is goal:
        return What.ALREADY_THERE
    return What.START if goal is State.RUNNING else What.STOP


def _asks_others(row: Row) -> bool:
    arounds = (row.around, row.down.around if row.down else None)
    return any(one.prechecks or one.before or one.drained or one.after for one in arounds if one is not None)


def _no_services(plan: Plan) -> AbstractSet[str]:
    """The units that have no start type: pools, tasks, what commands move."""
    units = (node.unit for stage in plan.stages for node in stage.nodes)
    return {unit.id for unit in units if unit.scm_name is not None and not is_service(unit.scm_name)}


def _not_verified(rows: list[Row], no_services: AbstractSet[str], *, dry_run: bool) -> Iterator[NotVerified]:
    gated = tuple(dict.fromkeys(row.unit for row in rows if row.gates or (row.down and row.down.gates)))
    if gated and dry_run:
        yield NotVerified("gates are not probed in a dry run; `orch check` probes each once", gated)
    lived = tuple(dict.fromkeys(row.unit for row in rows if _asks_others(row)))
    if lived and dry_run:
        yield NotVerified("what prechecks and hooks would say is not known: a dry run carries none out", lived)
    starts = [row for row in rows if row.wanted is State.RUNNING and row.unit not in no_services]
    untyped = [row.unit for row in starts if row.start_type is None]
    if untyped:
        yield NotVerified("the start type is not known; a Disabled service can't be started", tuple(untyped))
