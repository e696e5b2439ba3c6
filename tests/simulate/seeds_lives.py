"""What a seed throws for the lives of its units: hooks and what becomes of them, checks, patience, stuck processes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from orchestrator.adapters.memory.fleet import MemoryService
from orchestrator.domain.draft import Draft, Entry, Instance
from orchestrator.domain.drafting.hooks import undone
from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin
from orchestrator.domain.life import Hook, IfStuck, Life, RunHooks
from orchestrator.domain.service import Control, StartType, State

NEVER_S = 1e6
BYSTANDER = "bystander"
"""A service that no playbook knows."""
_SIDES = ("pre_stop", "post_stop", "pre_start", "post_start")
_DOWN_SIDES = _SIDES[:2]
_WELL_BEHAVED = ("calm", "killed")
"""The profiles in which nothing beside the services fails of itself."""
_WAYS = ("well", "well", "refused", "half", "lost after", "lost before", "nowhere")


@dataclass(slots=True)
class Thrown:
    """What came of it, for the script. The keys of `behaves` and `holds_from` are those of `Beside`."""

    draft: Draft
    behaves: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    holds_from: list[tuple[str, float]] = field(default_factory=list)
    hooks: list[tuple[str, str]] = field(default_factory=list)
    """(unit, hook), in the order in which they were thrown."""


def lives(draft: Draft, profile: str, dice: Random) -> Thrown:
    """Give the units of *draft* a life, and the run its hooks."""
    thrown = Thrown(draft)
    entries = tuple(_lived(entry, profile, dice, thrown) for entry in draft.entries)
    hooks = RunHooks()
    if dice.random() < 0.5:
        hooks = RunHooks(
            begin=_run_hooks("begin", profile, dice, thrown),
            end=_run_hooks("end", profile, dice, thrown, undo=False),
            failure=_run_hooks("failure", profile, dice, thrown, undo=False),
        )
    thrown.draft = replace(draft, entries=entries, hooks=hooks)
    return thrown


def _lived(entry: Entry, profile: str, dice: Random, thrown: Thrown) -> Entry:
    if dice.random() < 0.25:
        return entry
    sides = {side: dice.random() < 0.45 and len(entry.instances[0].asked) == 1 for side in _SIDES}
    traits = {side: (dice.random() < 0.5, dice.random() < 0.5, dice.random() < 0.8, dice.random()) for side in _SIDES}
    origin = dice.choice((Origin.HOST, Origin.CONTROLLER))
    prechecks, drained = dice.random() < 0.3, dice.random() < 0.2
    healthy_s, keep_down = dice.choice((0.0, 0.0, 5.0, 12.0)), dice.random() < 0.3
    if_stuck = dice.choice(tuple(IfStuck))
    max_timeout_s = dice.choice((None, 60.0))
    shared = tuple(key for key in (BYSTANDER, *(other.key for other in thrown.draft.entries)) if dice.random() < 0.4)
    made = []
    for instance in entry.instances:
        of = {
            side: _hooks(instance, side, traits[side], origin, profile, dice, thrown) if on else ()
            for side, on in sides.items()
        }
        start = Life(
            before=(*undone(of["post_stop"]), *of["pre_start"]),
            after=(*of["post_start"], *undone(of["pre_stop"])),
            healthy_s=healthy_s,
            keep_down=keep_down,
        )
        stop = Life(
            prechecks=_gates(instance, "precheck", origin, profile, dice, thrown) if prechecks else (),
            before=(*undone(of["post_start"]), *of["pre_stop"]),
            drained=_gates(instance, "drained", origin, profile, dice, thrown) if drained else (),
            after=(*of["post_stop"], *undone(of["pre_start"])),
            if_stuck=if_stuck,
            max_timeout_s=max_timeout_s,
            kill_shared=shared,
            keep_down=keep_down,
        )
        made.append(replace(instance, start_life=start, stop_life=stop))
    return replace(entry, instances=tuple(made))


def _hooks(
    instance: Instance,
    side: str,
    traits: tuple[bool, bool, bool, float],
    origin: Origin,
    profile: str,
    dice: Random,
    thrown: Thrown,
) -> tuple[Hook, ...]:
    idempotent, checked, undo, more = traits
    if profile == "killed" and not idempotent:
        checked = True  # else a kill in the middle is a question, which the night without kills does not have
    names = [f"{side}.{number}" for number in range(1, 3 if more < 0.2 else 2)]
    return tuple(
        _hook(instance.id, name, origin, thrown, dice, profile, undo=undo, checked=checked, idempotent=idempotent)
        for name in names
    )


def _run_hooks(name: str, profile: str, dice: Random, thrown: Thrown, *, undo: bool = True) -> tuple[Hook, ...]:
    idempotent = profile == "killed" or dice.random() < 0.5
    made = (
        _hook("run", f"{name}.{number}", None, thrown, dice, profile, undo=undo, checked=False, idempotent=idempotent)
        for number in range(1, dice.choice((1, 2, 3)))
    )
    return tuple(made)


def _hook(
    unit: str,
    name: str,
    origin: Origin | None,
    thrown: Thrown,
    dice: Random,
    profile: str,
    *,
    undo: bool,
    checked: bool,
    idempotent: bool,
) -> Hook:
    thrown.hooks.append((unit, name))
    if profile not in _WELL_BEHAVED:
        for word in ("do", "undo"):
            if dice.random() < 0.3:
                ways = tuple(dice.choice(_WAYS) for _ in range(dice.choice((1, 2, 2, 3))))
                thrown.behaves.append((f"{unit}/{name}/{word}", ways))
        if dice.random() < 0.15:
            thrown.behaves.append((f"{unit}/{name}/check", tuple(dice.choice(("well", "nowhere")) for _ in range(4))))
    ask = {word: _asks(unit, name, word, origin) for word in ("do", "undo", "check")}
    return Hook(
        name=name,
        do=ask["do"],
        undo=ask["undo"] if undo else None,
        check=ask["check"] if checked else None,
        origin=origin or Origin.CONTROLLER,
        idempotent=idempotent,
        timeout_s=5.0,
    )


def _asks(unit: str, name: str, word: str, origin: Origin | None) -> HttpCheck | CommandCheck:
    if origin is Origin.CONTROLLER:
        return HttpCheck(
            url=f"http://beside/{unit}/{name}/{word}", method="GET" if word in ("check", "gate") else "POST"
        )
    return CommandCheck(exe="hook.exe", args=(unit, name, word))


def _gates(
    instance: Instance, name: str, origin: Origin, profile: str, dice: Random, thrown: Thrown
) -> tuple[Gate, ...]:
    times = (0.0, 0.0, 0.0, NEVER_S) if profile == "killed" else (0.0, 0.0, 0.0, 2.0, 12.0, 60.0, NEVER_S)
    thrown.holds_from.append((f"{instance.id}/{name}", 0.0 if profile == "calm" else dice.choice(times)))
    return (Gate(check=_asks(instance.id, name, "gate", origin), origin=origin, period_s=1.0, deadline_s=8.0),)


def in_effect(thrown: Thrown, services: Sequence[tuple[str, MemoryService]]) -> tuple[str, ...]:
    """The hooks that are in effect when the night begins: a service that is down was drained, one that is up is in."""
    at = {(host, service.name): service for host, service in services}
    found = []
    for unit, name in thrown.hooks:
        key, _, host = unit.partition("@")
        service = at.get((host, key))
        if service is not None and (service.state is State.STOPPED) == (name.partition(".")[0] in _DOWN_SIDES):
            found.append(f"{unit}/{name}")
    return tuple(found)


def processes(services: list[tuple[str, MemoryService]], profile: str, dice: Random) -> None:
    """Give services processes of their own kind: shared, slow to go, revived. A bystander shares what is shared."""
    wild = profile not in _WELL_BEHAVED
    shared: dict[tuple[str, str], int] = {}
    for number, (host, service) in enumerate(services):
        throw = dice.random()
        if wild and throw < 0.2:
            service.shares = "group"
        elif wild and throw < 0.45:
            service.lingers_s = dice.choice((3.0, 15.0, NEVER_S))
        if wild and dice.random() < 0.2:
            service.revives_s = dice.choice((1.0, 4.0))
        if wild and dice.random() < (0.4 if service.shares else 0.12):
            service.hangs |= {Control.STOP}
        if service.start_type is StartType.AUTOMATIC and dice.random() < 0.3:
            service.start_type = StartType.AUTOMATIC_DELAYED
        if service.state is not State.STOPPED:
            own = 704 + 4 * number
            service.pid = shared.setdefault((host, service.shares), own) if service.shares else own
    services += [
        (host, MemoryService(name=BYSTANDER, state=State.RUNNING, shares=group, pid=pid))
        for (host, group), pid in shared.items()
    ]
