"""What a person types to put back by hand what a way back could not: one line of PowerShell for each unit, in order.

Room: domain. What is typed is ASCII alone, whatever a service is called, so that no code page spoils it; and a name can
never become code.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.domain.hooks_done import Done, HooksDone
from orchestrator.domain.kinds import is_service, typed
from orchestrator.domain.plan import Action, Plan, Role, Stage, Unit
from orchestrator.domain.powershell_words import literal, wildcard
from orchestrator.domain.results import Acted, Phase
from orchestrator.domain.service import Asked, Control, State
from orchestrator.domain.step_words import hook_words, needs_secret, request_words
from orchestrator.domain.waves import waves
from orchestrator.domain.way_back import TOWARDS, as_before, home, left_behind, whole_way_back

_UNREAD = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """One unit that is not where it was. `command` reaches its host from elsewhere, `local` is typed on the host.
    `note` is what to know before typing it; "" if there is nothing."""

    unit: str
    was: str
    now: str
    command: str
    local: str
    note: str = ""


def by_hand(
    plan: Plan, now: Mapping[str, str], addresses: Mapping[str, str], processes: Mapping[str, str]
) -> tuple[ByHand, ...]:
    """What to type for each unit of *now* that is not where *plan* had it, in the order of the way back.

    *now* has the units that were touched (by id) and their states, "" where that is not known; *addresses* the name or
    address of each host, where it is not the host's own name; *processes* the PIDs that units had last, where they were
    told. For the run of a rollback: where it was to bring them. Cost: O(nodes + edges).
    """
    found: list[ByHand] = []
    for unit, goal, was in _in_order(plan):
        state = now.get(unit.id)
        if state is None or unit.scm_name is None or unit.host is None:
            continue
        if state == goal if plan.action is Action.ROLLBACK else as_before(unit, state):
            continue
        seen = str(unit.seen.pid) if unit.seen and unit.seen.pid else ""
        pid = processes.get(unit.id, seen) if _hangs(unit, state) else ""
        local = _ended_first(unit, was, pid) if pid else _typed_for(unit, was, state)
        host = literal(addresses.get(unit.host, unit.host))
        found.append(
            ByHand(
                unit=unit.id,
                was=was,
                now=state or _UNREAD,
                command=f"Invoke-Command -ComputerName {host} -ScriptBlock {{ {local} }}",
                local=local,
                note=_of_hanging(pid) if _hangs(unit, state) else "",
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookByHand:
    """Something beside a service that may still have to be undone: `what` it is, `why` it is not undone, and `how` it
    is. `unit` is `RUN` for what belongs to the run itself. `secret`: it needs credentials, which the playbook names."""

    unit: str
    what: str
    why: str
    how: str
    secret: bool = False


def hooks_by_hand(
    done: HooksDone,
    run: str,
    *,
    whole: bool,
    ended: bool,
    homes: Mapping[str, State | None] = MappingProxyType({}),
    given_up: AbstractSet[str] = frozenset(),
) -> tuple[HookByHand, ...]:
    """What was to be undone and is not, for all that is known; *whole*: everything that was done and is not undone,
    for nothing comes after that would. *ended*: the run has, and what was done for a unit that did not come to where it
    was done for is to be undone; so is, after a way back, what was not done for where the unit is brought back to, in
    *homes*. Of units that are *given_up* the same is due before the end. *run* is who released what is kept down."""

    def is_due(one: Done) -> bool:
        away = one.unit in homes and one.goal is not homes[one.unit]
        if one.unit in given_up and one.in_vain:
            return True
        return whole or one.failed or (ended and (one.inherited or one.in_vain or away))

    return tuple(_of_hook(one, run) for one in done.due() if is_due(one))


def _of_hook(done: Done, run: str) -> HookByHand:
    secret = False
    if done.hook is None:
        how, what = f"orch release {run}", "it is kept down: what starts it by itself is taken away"
    else:
        undo = done.hook.undo or done.hook.do
        secret = needs_secret(undo)
        how, what = f"{request_words(undo)} from the {done.hook.origin}", hook_words(Phase.UNDO, done.name)
    return HookByHand(unit=done.unit, what=what, why=_why(done), how=how, secret=secret)


def _why(done: Done) -> str:
    if done.lost:
        return "its answer was lost, and nobody knows whether it was done"
    if done.tried is not None:
        problem = done.tried.problem
        return done.tried.said or (problem.text if problem else "") or "it did not succeed"
    said = "it was not undone" if done.acted is Acted.YES else "it may have been done, and was not undone"
    if done.passing and done.now != State.RUNNING:
        return f"{said}: its unit is {done.now or _UNREAD}, and was to come up again"
    if done.goal is not None and done.now in TOWARDS[done.goal] and done.in_vain and not done.passing:
        return f"{said}: its unit is {done.now}, and may still come to {done.goal}; undo it if that stays out"
    return said


def script(run: str, hands: Sequence[ByHand], hooks: Sequence[HookByHand] = ()) -> str:
    """The text of `undo.ps1`: what is where, and what puts it back, in order. It stops at the first error. *hooks* are
    comments: nothing here knows whether they are still in effect."""
    many = "s" * (len(hands) != 1)
    acts = (
        f"# Puts back by hand what run {_comment(run)} could not: {len(hands)} unit{many}, in this order.",
        "# Run it where you can reach the hosts, as somebody who may start and stop their services;",
        "# or type the part in braces on each host itself. Read it first: it acts on whatever is there now.",
    )
    left = f"# {len(hooks)} thing{'s' * (len(hooks) != 1)} to undo by hand"
    none = (f"{left}, after run {_comment(run)}: see below. Nothing here acts.",)
    too = (f"{left} as well: see the end. Nothing here does that.",) if hooks else ()
    lines = [*((*acts, *too) if hands else none), "$ErrorActionPreference = 'Stop'"]
    for hand in hands:
        lines += ["", f"# {_comment(hand.unit)}: was {_comment(hand.was)}, is {_comment(hand.now)}"]
        lines += [f"#     {_comment(hand.note)}"] * bool(hand.note) + [hand.command]
    if hooks:
        lines += ["", "# Beside the services; nothing here does it: look whether it is still in effect, and undo it."]
    for hook in hooks:
        lines.append(f"# {_comment(hook.unit)}: {_comment(hook.what)}: {_comment(hook.how)}")
        lines.append(f"#     {_comment(hook.why)}")
        lines += ["#     it needs credentials, which the playbook names"] * hook.secret
    return "\r\n".join(lines) + "\r\n"


def commands_in(text: str) -> dict[str, str]:
    """The commands of a `script`, by the units that they are for: they lead to where the hosts were then."""
    found: dict[str, str] = {}
    unit = ""
    for line in text.splitlines():
        if line.startswith("# ") and ": was " in line:
            unit = line[2:].rpartition(": was ")[0]
        elif line.startswith("Invoke-Command ") and unit:
            found[unit] = line
    return found


def _in_order(plan: Plan) -> Iterator[tuple[Unit, State, str]]:
    """Each unit that may have to go back, where to, and where it was: as the way back goes, then what it can't move."""
    given: set[str] = set()
    rollback, behind = plan.action is Action.ROLLBACK, left_behind(plan)
    for stage in plan.stages if rollback else whole_way_back(plan):
        for unit in _acting(stage, and_too={unit for unit, of in behind.items() if of is stage}):
            given.add(unit.id)
            was = stage.goal if rollback or unit.seen is None else unit.seen.state
            yield unit, stage.goal, was
    for stage in plan.stages:
        for unit in _acting(stage):
            goal = home(unit)
            if unit.id not in given and goal is not None and unit.seen is not None:
                given.add(unit.id)
                yield unit, goal, unit.seen.state


def _acting(stage: Stage, and_too: AbstractSet[str] = frozenset()) -> list[Unit]:
    wave = waves(stage)
    places = sorted(range(len(stage.nodes)), key=lambda place: (wave[place], place))
    nodes = (stage.nodes[place] for place in places)
    return [node.unit for node in nodes if node.role is Role.ACT or node.unit.id in and_too]


def _hangs(unit: Unit, now: str) -> bool:
    """Whether Windows takes no start and no stop of it, for it is on its way down and does not get there."""
    return now == State.STOP_PENDING and unit.scm_name is not None and is_service(unit.scm_name)


def _of_hanging(pid: str) -> str:
    if not pid:
        return (
            "it hangs on its way down, and takes no start and no stop as long as its process lives, whose PID is not"
            " known: `sc.exe queryex` with its name tells it, and `taskkill.exe /PID n /T /F` ends it"
        )
    return (
        f"it hangs on its way down in process {pid}, which is ended first, with all that descends from it; not if"
        f' another service lives in it, which would end too: `tasklist.exe /svc /fi "PID eq {pid}"` names them'
    )


def _ended_first(unit: Unit, was: str, pid: str) -> str:
    """A PID may be another's by the time that somebody types it, and a process may have several services."""
    name = unit.scm_name or ""
    escaped = literal(wildcard(Asked(name)))
    wrong = f"process {int(pid)} is gone, or has other services: look first"
    mine = f"(Get-CimInstance Win32_Service -Filter 'ProcessId={pid}').Name"
    end = (
        f"if ({mine} -ne {literal(name)}) {{ throw '{wrong}' }}",
        f"taskkill.exe /PID {pid} /T /F",
        f"(Get-Service -Name {escaped}).WaitForStatus('Stopped', '00:01:00')",
    )
    down = was in (State.STOPPED, State.STOP_PENDING)
    return "; ".join(end if down else (*end, _typed(escaped, was, State.STOPPED)))


def _typed_for(unit: Unit, was: str, now: str) -> str:
    asked = Asked(unit.scm_name or "", by=unit.by)
    if is_service(asked.name):
        return _typed(literal(wildcard(asked)), was, now)
    down = was in (State.STOPPED, State.STOP_PENDING)
    return typed(asked, Control.STOP if down else Control.START)


def _typed(name: str, was: str, now: str) -> str:
    if was in (State.PAUSED, State.PAUSE_PENDING):
        pause = f"Suspend-Service -Name {name}"
        return pause if now == State.RUNNING else f"Start-Service -Name {name}; {pause}"
    if was in (State.STOPPED, State.STOP_PENDING):
        return f"Stop-Service -Name {name}"
    return f"{'Resume' if now == State.PAUSED else 'Start'}-Service -Name {name}"


def _comment(text: str) -> str:
    """*text* for a comment, which must stay one line of ASCII."""
    return "".join(mark if " " <= mark <= "~" else "?" for mark in text)
