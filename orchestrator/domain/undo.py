"""What a person types to put back by hand what a way back could not: one line of PowerShell for each unit, in order.

Room: domain. What is typed is ASCII alone, whatever a service is called, so that no code page spoils it; and a name can
never become code.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from orchestrator.domain.plan import Action, Plan, Role, Stage, Unit
from orchestrator.domain.powershell_words import literal, wildcard
from orchestrator.domain.preview import waves
from orchestrator.domain.service import Asked, State
from orchestrator.domain.way_back import as_before, home, left_behind, whole_way_back

_UNREAD = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """One unit that is not where it was. `command` reaches its host from elsewhere, `local` is typed on the host."""

    unit: str
    was: str
    now: str
    command: str
    local: str


def by_hand(plan: Plan, now: Mapping[str, str], addresses: Mapping[str, str]) -> tuple[ByHand, ...]:
    """What to type for each unit of *now* that is not where *plan* had it, in the order of the way back.

    *now* has the units that were touched (by id) and their states, "" where that is not known; *addresses* the name or
    address of each host, where it is not the host's own name. For the run of a rollback: where it was to bring them.
    Cost: O(nodes + edges).
    """
    found: list[ByHand] = []
    for unit, goal, was in _in_order(plan):
        state = now.get(unit.id)
        if state is None or unit.scm_name is None or unit.host is None:
            continue
        if state == goal if plan.action is Action.ROLLBACK else as_before(unit, state):
            continue
        local = _typed(literal(wildcard(Asked(unit.scm_name))), was, state)
        host = literal(addresses.get(unit.host, unit.host))
        found.append(
            ByHand(
                unit=unit.id,
                was=was,
                now=state or _UNREAD,
                command=f"Invoke-Command -ComputerName {host} -ScriptBlock {{ {local} }}",
                local=local,
            )
        )
    return tuple(found)


def script(run: str, hands: Sequence[ByHand]) -> str:
    """The text of `undo.ps1`: what is where, and what puts it back, in order. It stops at the first error."""
    many = "s" * (len(hands) != 1)
    lines = [
        f"# Puts back by hand what run {_comment(run)} could not: {len(hands)} unit{many}, in this order.",
        "# Run it where you can reach the hosts, as somebody who may start and stop their services;",
        "# or type the part in braces on each host itself. Read it first: it acts on whatever is there now.",
        "$ErrorActionPreference = 'Stop'",
    ]
    for hand in hands:
        lines += ["", f"# {_comment(hand.unit)}: was {_comment(hand.was)}, is {_comment(hand.now)}", hand.command]
    return "\r\n".join(lines) + "\r\n"


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
