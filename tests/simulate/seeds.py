"""What a seed makes: a small cluster, a plan for it, and a script of misfortunes. The same seed makes the same.

A seed's profile (its remainder by the number of profiles) says what kind of night it is, so that any run of seeds has
its share of each. Times are seconds of virtual time from the beginning of the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from misfortunes import Blow, Event, blows_of, events_of
from seeds_batches import by_hand_alone, grouped, patches, rolling
from seeds_lives import NEVER_S, Thrown, in_effect, lives, processes

from orchestrator.adapters.memory.fleet import BOOTED_AT, MemoryPort, MemoryService, refused
from orchestrator.domain.draft import Dependency, Draft, Entry, Instance
from orchestrator.domain.errors import OrchError, ProblemKind
from orchestrator.domain.gates import Gate, Origin, PortClosedCheck, ServiceCheck, TcpCheck
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice as Chosen
from orchestrator.domain.policy import Approval, Do, OnTimeout, Policy, Rule, Window
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus, StartType, State
from orchestrator.domain.survey import HostSurvey, Survey

PROFILES = ("calm", "services", "network", "people", "killed", "takeover", "disk", "mixed")
"""calm: order and limits alone. services: they fail, hang, crash, flap. network: hosts vanish, answers are lost.
people: decisions, approvals, cancels, windows. killed: the controller is killed and resumed, and nothing else differs
from a run that was not. takeover: frozen, taken over, woken. disk: it is full for a while. mixed: all of that."""
UNITS_MOST = 12
BEGAN_AT = 1_795_000_020.0
"""UTC, seconds since 1970: 11:07, to the second."""
WINDOW = Window(until="11:07", tz="UTC")
PEOPLE = ("anna", "ben", "carla")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One night. `latency_s` is what an exchange takes, `commit_s` a write. None: there is no such thing."""

    seed: int
    profile: str
    plan: Plan
    draft: Draft
    services: tuple[tuple[str, MemoryService], ...]
    latency_s: float
    commit_s: float
    events: tuple[Event, ...] = ()
    blows: tuple[Blow, ...] = ()
    patient: bool = True
    cancel_at_s: float | None = None
    window_s: float | None = None
    rivals_at_s: tuple[float, ...] = ()
    resume_after_s: float = 5.0
    undo_after_s: float | None = None
    accept_drift: bool = False
    close_after_lives: int = -1
    behaves: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What becomes of the requests of hooks, one after the other, where it is not well: by unit/hook/word."""
    holds_from: tuple[tuple[str, float], ...] = ()
    """From when on checks and gates of units hold: by unit/gate."""
    in_effect: tuple[str, ...] = ()
    """The hooks that are in effect when the night begins."""
    faults: tuple[str, ...] = field(default=())
    """The kinds of misfortune that are in it, for the tally."""

    def without_blows(self) -> "Script":
        """The same night with a controller that nothing befalls."""
        return replace(self, blows=())


def script(seed: int) -> Script:
    """The night of *seed*."""
    dice = Random(seed)
    profile = PROFILES[seed % len(PROFILES)]
    while True:
        made = _try(seed, profile, dice)
        if made is not None:
            return made


def _try(seed: int, profile: str, dice: Random) -> Script | None:
    """One attempt; None if the planner refuses what was thrown."""
    thrown = Thrown(_draft(dice))
    own = Random(f"the lives of {seed}, {dice.random()}") if _lived(seed) else None
    if own is not None:
        thrown = lives(thrown.draft, profile, own)
    action = dice.choice((Action.STOP, Action.START, Action.RESTART, Action.STOP, Action.START))
    rolls = False
    if _batched(seed):
        action, rolls = _in_batches(thrown, profile, action, Random(f"the batches of {seed}, {dice.random()}"))
    draft = thrown.draft
    services = _services(draft, action, profile, dice)
    if own is not None:
        processes(services, profile, own)
    if draft.between and profile == "killed":
        by_hand_alone(services)
    chosen = replace(_chosen(draft, action, dice), rolling=rolls)
    try:
        plan = build(draft, chosen, action, _survey(draft, services))
    except OrchError:
        return None
    plan = replace(plan, hooks=draft.hooks)
    acting = [node for stage in plan.stages for node in stage.nodes if node.role == "act"]
    if not acting:
        return None
    many = len({node.unit.host for node in acting})
    events = tuple(events_of(draft, profile, dice))
    blows = tuple(blows_of(profile, dice))
    if own is not None and profile in ("takeover", "mixed"):  # hooks are lost more often than acts
        blows += tuple(Blow(at=own.randint(2, 24), kind="kill before") for _ in range(2))
    people = profile in ("people", "mixed")
    window_s = dice.uniform(1.0, 20.0) if people and action is not Action.START and dice.random() < 0.2 else None
    made = Script(
        seed=seed,
        profile=profile,
        plan=replace(plan, policy=_policy(draft, profile, dice, many, windowed=window_s is not None)),
        draft=draft,
        services=tuple(services),
        latency_s=0.0 if profile in ("calm", "killed") else dice.choice((0.0, 0.05, 0.4)),
        commit_s=dice.choice((0.0, 0.004)),
        events=events,
        blows=blows,
        patient=profile == "killed" or dice.random() < 0.6,
        cancel_at_s=dice.uniform(0.0, 20.0) if people and dice.random() < 0.25 else None,
        window_s=window_s,
        rivals_at_s=tuple(sorted(dice.uniform(0.0, 60.0) for _ in range(2)))
        if profile in ("people", "takeover", "mixed")
        else (),
        resume_after_s=dice.choice((0.5, 5.0, 40.0)),
        accept_drift=profile in ("people", "mixed") and dice.random() < 0.2,
        close_after_lives=dice.choice((1, 2)) if profile in ("disk", "mixed") and dice.random() < 0.1 else -1,
        undo_after_s=dice.choice((None, None, 1.0, 90.0)) if profile not in ("calm", "killed") else None,
        behaves=tuple(thrown.behaves),
        holds_from=tuple(thrown.holds_from),
        in_effect=in_effect(thrown, services),
    )
    return replace(made, faults=_kinds(made))


def _lived(seed: int) -> bool:
    """Whether the units of that seed have a whole life: a third of each profile."""
    return seed // len(PROFILES) % 3 == 1


def _batched(seed: int) -> bool:
    """Whether instances of that seed go in batches and zones, and restarts do something between: half of those with a
    whole life, and another third of each profile."""
    turn = seed // len(PROFILES)
    return turn % 3 == 2 or turn % 6 == 1


def _in_batches(thrown: Thrown, profile: str, action: Action, dice: Random) -> tuple[Action, bool]:
    """Throw who goes with whom into the draft; the action that it is after that, and whether it is a rolling one."""
    action = Action.RESTART if dice.random() < 0.5 else action
    between = patches(thrown.draft, profile, action, dice)
    thrown.draft = replace(grouped(thrown.draft, dice), between=between.between)
    thrown.behaves += between.behaves
    rolls = action is Action.RESTART and dice.random() < 0.5
    if rolls:
        thrown.draft = rolling(thrown.draft, dice)
    return action, rolls


def _draft(dice: Random) -> Draft:
    hosts = [f"h{number}" for number in range(1, dice.randint(1, 6) + 1)]
    entries: list[Entry] = []
    left = dice.randint(2, UNITS_MOST)
    while left > 0 and len(entries) < 6:
        key = "abcdef"[len(entries)]
        here = sorted(dice.sample(hosts, min(len(hosts), left, dice.choice((1, 1, 2, 3, 4)))))
        names = (Asked(key), Asked(f"{key}2")) if left > len(here) * 2 and dice.random() < 0.15 else (Asked(key),)
        left -= len(here) * len(names)
        ready, stopped = _gates(key, names, dice)
        times = dice.choice((20.0, 30.0))
        entries.append(
            Entry(
                key=key,
                instances=tuple(
                    Instance(
                        id=f"{key}@{host}",
                        service=key,
                        host=host,
                        asked=names,
                        ready=tuple(replace(gate, check=_at(gate, host)) for gate in ready),
                        stopped=stopped,
                        start_timeout_s=times,
                        stop_timeout_s=times,
                        start_expected_s=dice.choice((None, 2.0, 5.0)),
                    )
                    for host in here
                ),
                depends_on=tuple(_edges(entries, set(here), dice)),
                max_parallel=dice.choice((None, None, 1, 2)),
                in_order=dice.random() < 0.15,
            )
        )
    return Draft(
        name="night",
        entries=tuple(entries),
        hosts=tuple(dict.fromkeys(str(item.host) for entry in entries for item in entry.instances)),
        max_parallel=dice.choice((None, None, 2, 3)),
        max_parallel_per_host=dice.choice((None, 1, 2, 4)),
        poll_s=dice.choice((2.0, 5.0, 8.0)),
    )


def _edges(before: Sequence[Entry], here: set[str], dice: Random) -> list[Dependency]:
    edges = []
    for entry in before:
        if dice.random() > 0.55:
            continue
        shared = here <= {item.host for item in entry.instances}
        kind = dice.random()
        if kind < 0.3 and len(entry.instances) > 1:
            edges.append(Dependency(service=entry.key, need=dice.randint(1, len(entry.instances))))
        elif kind < 0.45 and shared:
            edges.append(Dependency(service=entry.key, same_host=True))
        elif kind < 0.6:
            edges.append(Dependency(service=entry.key, soft=True))
        else:
            edges.append(Dependency(service=entry.key))
    return edges


def _port(key: str) -> int:
    return 8000 + ord(key)


def _gates(key: str, names: Sequence[Asked], dice: Random) -> tuple[tuple[Gate, ...], tuple[Gate, ...]]:
    throw = dice.random()
    if throw < 0.2:
        check = TcpCheck(host="", port=_port(key))
        return (Gate(check=check, origin=Origin.CONTROLLER, period_s=1.0, deadline_s=10.0),), ()
    if throw < 0.3:
        check_closed = PortClosedCheck(port=_port(key))
        return (), (Gate(check=check_closed, origin=Origin.HOST, period_s=1.0, deadline_s=10.0),)
    if throw < 0.4:
        check_state = ServiceCheck(state=State.RUNNING, name=names[0].name)
        return (Gate(check=check_state, origin=Origin.HOST, success_threshold=2, period_s=1.0, deadline_s=10.0),), ()
    return (), ()


def _at(gate: Gate, host: str) -> TcpCheck | ServiceCheck:
    check = gate.check
    assert isinstance(check, TcpCheck | ServiceCheck)
    return TcpCheck(host=host, port=check.port) if isinstance(check, TcpCheck) else check


def _services(draft: Draft, action: Action, profile: str, dice: Random) -> list[tuple[str, MemoryService]]:
    usual = State.STOPPED if action is Action.START else State.RUNNING
    troubled = {"calm": 0.0, "services": 0.35, "killed": 0.12, "network": 0.08}.get(profile, 0.18)
    made: list[tuple[str, MemoryService]] = []
    for entry in draft.entries:
        for instance in entry.instances:
            for asked in instance.asked:
                other = State.RUNNING if usual is State.STOPPED else State.STOPPED
                state = other if dice.random() < 0.12 else usual
                if state is State.RUNNING and dice.random() < 0.03:
                    state = State.PAUSED
                service = MemoryService(
                    name=asked.name,
                    state=state,
                    start_type=StartType.MANUAL if dice.random() < 0.3 else StartType.AUTOMATIC,
                    start_s=dice.choice((0.0, 0.3, 2.0, 6.0)),
                    stop_s=dice.choice((0.0, 0.3, 2.0, 6.0)),
                    ports=(MemoryPort(port=_port(entry.key), warmup_s=dice.choice((0.0, 1.5))),),
                )
                if dice.random() < troubled:
                    _trouble(service, dice, KINDS - 2 * (profile == "killed"))
                made.append((str(instance.host), service))
    return made


KINDS = 7
"""Of trouble with services. The last two depend on when things happen, which a kill changes."""


def _trouble(service: MemoryService, dice: Random, kinds: int) -> None:
    throw = dice.randrange(kinds)
    if throw == 0:
        service.fails_to_start = 1067
    elif throw == 1:
        service.hangs = frozenset({Control.STOP})
    elif throw == 2:
        service.hangs = frozenset({Control.START})
    elif throw == 3:
        service.refuses = {dice.choice((Control.START, Control.STOP)): refused(5, "Access is denied.")}
    elif throw == 4:
        service.can_stop = False
    elif throw == 5:
        service.start_s = service.stop_s = 45.0
    else:
        service.crashes_after_s = dice.uniform(0.5, 15.0)


def _survey(draft: Draft, services: Sequence[tuple[str, MemoryService]]) -> Survey:
    at = {(host, service.name): service for host, service in services}
    found: dict[str, list[Reading]] = {}
    for entry in draft.entries:
        for instance in entry.instances:
            for asked in instance.asked:
                service = at[str(instance.host), asked.name]
                seen = ServiceStatus(
                    name=service.name, state=service.state, start_type=service.start_type, pid=service.pid
                )
                found.setdefault(str(instance.host), []).append(Reading(asked, (seen,)))
    return Survey(
        {host: HostSurvey(host=host, readings=tuple(found.get(host, ())), booted_at=BOOTED_AT) for host in draft.hosts}
    )


def _chosen(draft: Draft, action: Action, dice: Random) -> Chosen:
    throw = dice.random()
    if throw < 0.8:
        return Chosen()
    keys = [entry.key for entry in draft.entries]
    if throw < 0.9:
        kept = tuple(sorted(dice.sample(keys, dice.randint(1, len(keys)))))
        return Chosen(services=kept, with_dependents=action is not Action.START)
    hosts = frozenset(dice.sample(list(draft.hosts), max(1, len(draft.hosts) - 1)))
    return Chosen(hosts=hosts, ignore_dependents=action is not Action.START)


_ANY_RULE = (ProblemKind.UNREACHABLE, ProblemKind.TIMEOUT, ProblemKind.REFUSED, ProblemKind.REMOTE, ProblemKind.GATE)


def _policy(draft: Draft, profile: str, dice: Random, hosts: int, *, windowed: bool) -> Policy:
    if profile == "calm":
        return Policy()
    rules = []
    for _ in range(dice.choice((0, 0, 1, 2))):
        do = dice.choice((Do.RETRY, Do.ROLLBACK, Do.CONTINUE, Do.ASK, Do.HOLD))
        if profile == "killed" and do is not Do.ROLLBACK:
            continue
        rules.append(
            Rule(
                do=do,
                kinds=tuple(sorted(dice.sample(_ANY_RULE, dice.randint(0, 2)))),
                services=(dice.choice(draft.entries).key,) if dice.random() < 0.3 else (),
                count=dice.randint(1, 3) if do is Do.RETRY or dice.random() < 0.4 else None,
            )
        )
    people = profile in ("people", "mixed")
    two = people and dice.random() < 0.3
    return Policy(
        on_failure=dice.choice((Do.ASK, Do.ASK, Do.ASK, Do.ROLLBACK, Do.CONTINUE)),
        rules=tuple(rules),
        max_failures=dice.choice((None, None, 0, 1, 2)) if profile != "killed" else None,
        max_failures_of=((dice.choice(draft.entries).key, 0),) if profile == "services" and dice.random() < 0.3 else (),
        zones=(("z1", tuple(draft.hosts[: (hosts + 1) // 2])),) if dice.random() < 0.3 else (),
        approve_before=people and dice.random() < 0.2,
        approval=Approval(
            approvers=PEOPLE[:2] if people and dice.random() < 0.2 else (),
            min_approvals=2 if two else 1,
            not_requester=people and not two and dice.random() < 0.2,
            timeout_s=dice.choice((None, 30.0, 300.0)) if people else None,
            on_timeout=dice.choice(tuple(OnTimeout)),
        ),
        window=WINDOW if windowed else None,
        rollback_timeout_s=dice.choice((30.0, 120.0)),
    )


def _kinds(made: Script) -> tuple[str, ...]:
    kinds = [event.kind if event.fault is None else f"fault {event.fault.value}" for event in made.events]
    kinds += [blow.kind for blow in made.blows]
    for _, service in made.services:
        kinds += ["fails to start"] if service.fails_to_start else []
        kinds += [f"hangs on {control}" for control in sorted(service.hangs)]
        kinds += [f"refuses {control}" for control in sorted(service.refuses)]
        kinds += ["can't be stopped"] if not service.can_stop else []
        kinds += ["too slow"] if service.start_s > 40 else []
        kinds += ["crashes after its start"] if service.crashes_after_s is not None else []
        kinds += ["process outlives it"] if service.lingers_s else []
        kinds += ["shared process"] if service.shares else []
        kinds += ["revived"] if service.revives_s is not None else []
    for key, ways in made.behaves:
        what = "restart" if key.endswith("/reboot") else "hook"
        kinds += [f"{what} {way}" for way in ways if way != "well"]
    kinds += ["check never holds" for _, since_s in made.holds_from if since_s >= NEVER_S]
    kinds += ["cancel"] if made.cancel_at_s is not None else []
    kinds += ["window"] if made.window_s is not None else []
    kinds += ["rival run"] * len(made.rivals_at_s)
    return tuple(kinds)
