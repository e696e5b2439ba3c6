"""What each answer to an open decision would mean, told before it is given.

Room: domain. Nothing is guessed from the graph: a twin of the run's state is given the answer, and is played to its end
with steps that all go well and take as long as expected. So what is shown is what the run itself would do.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from orchestrator.domain.decisions import LEAVES_ALL, Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.enough import too_few
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import DecisionAnswered, DecisionAsked, RollbackBegan, StepEnded, StepIntended, Strayed
from orchestrator.domain.parts import KEPT_DOWN, both_ways, faced, goal_of, is_last_reading
from orchestrator.domain.plan import Node, Plan, Role, Stage, Unit
from orchestrator.domain.results import HOOKS, MOVES, RUN, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import State
from orchestrator.domain.step_words import hook_words, step_words, undoes
from orchestrator.domain.way_back import home, in_words

NAMED = 3
"""How many of the units that stay as they are a sentence names."""
_DOES = (*HOOKS, Phase.UNDO, Phase.KEEP_DOWN, Phase.RELEASE, Phase.ON_BEGIN)
"""What changes something beside a service."""
_ONWARD = (Choice.RETRY, Choice.CONTINUE)
"""With which of its answers something goes on as it was to."""
_GOES_ON = {
    CauseKind.APPROVAL: "begins the run",
    CauseKind.CANCELLED: "goes on as if nobody had cancelled",
    CauseKind.BUDGET: "goes on with the rest, and counts failures anew",
    CauseKind.CHANGED: "goes on with the run, and leaves what others moved as it is",
    CauseKind.HOOK: "begins the run without it",
    CauseKind.PAUSE: "goes on with the next batch",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What one answer would mean if all goes well from there.

    `said` is one sentence. `units` are those that would be started or stopped, in the order in which they would begin;
    `expected_s` is how long that takes. `stays_down` are those that would not run at the end, although they ran before
    the run, or it was to start them. `warning` is what to know before saying so; "" if there is nothing.
    """

    choice: Choice
    said: str
    units: tuple[str, ...] = ()
    expected_s: float = 0.0
    stays_down: tuple[str, ...] = ()
    warning: str = ""


def consequences(state: RunState, decision: int) -> tuple[Consequence, ...]:
    """What each choice of an open *decision* would mean, in the order in which they are offered.

    Raises:
        KeyError: no such decision is open.
    Cost: for each choice that acts, that of a run of what is left, without its waiting.
    """
    asked = state.open[decision]
    return tuple(_consequence(state, decision, asked.cause, choice) for choice in asked.choices)


def _consequence(state: RunState, decision: int, cause: Cause, choice: Choice) -> Consequence:
    twin = _played(state, {decision: choice})
    back = choice is Choice.ROLLBACK
    later = twin if back or choice in LEAVES_ALL else _once_answered(twin)
    waiting = _waiting(twin, later)
    apart = _left_out_between(state, decision, later) if choice in (Choice.SKIP, Choice.EXCLUDE) else ""
    return Consequence(
        choice=choice,
        said="; ".join([_in_words(twin, cause, choice, waiting) + apart, *twin.held_up.values()])
        + _that_wait(twin, waiting)
        + _of_pauses(twin.pauses),
        units=tuple(twin.moved),
        expected_s=0.0 if choice in LEAVES_ALL else twin.now_s,
        stays_down=tuple(unit for unit in _down(twin.state, choice) if unit not in waiting),
        warning="; ".join(_warnings(twin)) if back else "",
    )


def _played(state: RunState, choices: Mapping[int, Choice]) -> "_Twin":
    """A twin of *state*, played on with a person's *choices*, by decision."""
    again = any(choice is Choice.RETRY and _counted(state, state.open[one].cause) for one, choice in choices.items())
    twin = _Twin(state, counts=not again)
    twin.play(
        *(
            DecisionAnswered(decision=number, answer=Answer(choice=choice, source=Source.PERSON, by=""))
            for number, choice in choices.items()
        )
    )
    return twin


def _once_answered(twin: "_Twin") -> "_Twin":
    """*twin*, played on as if all goes well with what else is asked, too; itself if nothing is."""
    choices = {
        number: next(choice for choice in _ONWARD if choice in asked.choices)
        for number, asked in twin.state.open.items()
        if twin.held_up.keys().isdisjoint(asked.cause.units)
        if not set(_ONWARD).isdisjoint(asked.choices)
    }
    if not choices:
        return twin
    later = _played(twin.state, choices)
    later.between |= twin.between
    return later


def _waiting(twin: "_Twin", later: "_Twin") -> dict[str, None]:
    """The units that are not where the run is to bring them only because something else is asked, too."""
    if twin is later:
        return {}
    goals = _goals(twin.state.plan).items()
    short = {unit: goal for unit, (_, goal) in goals if twin.state.whereabouts(unit) != goal}
    return {unit: None for unit, goal in short.items() if later.state.whereabouts(unit) == goal}


def _that_wait(twin: "_Twin", waiting: Collection[str]) -> str:
    if not waiting:
        return ""
    numbers = [str(number) for number in twin.state.open]
    which = f"decision {numbers[0]} waits" if len(numbers) == 1 else f"decisions {', '.join(numbers)} wait"
    return f"; as long as {which}, so do{'es' * (len(waiting) == 1)} {_units(waiting)}: {_some(waiting)}"


def _left_out_between(state: RunState, decision: int, later: "_Twin") -> str:
    """On which hosts nothing is done between stop and start, although it would be after a retry."""
    betweens = any(stage.between or (stage.rolling and _between(stage)) for stage in state.plan.stages)
    if not betweens or Choice.RETRY not in state.open[decision].choices:
        return ""
    asked = state.open[decision].cause
    told = [unit.rpartition("@")[2] for unit in asked.units if unit in _between_units(state)]
    best = _once_answered(_played(state, {decision: Choice.RETRY}))
    hosts = [host for host in best.between if host not in later.between and host not in told]
    return f"; what is done between stop and start is left out on {_some(hosts)}" if hosts else ""


def _between(stage: Stage) -> bool:
    return any(node.down is not None and node.down.between for node in stage.nodes)


def _between_units(state: RunState) -> set[str]:
    """The hosts between stop and start, as units."""
    return {node.unit.id for stage in state.stages if stage.between for node in stage.nodes}


class _Twin:
    """A copy of a run's state that is played forward. `moved` are the units that it starts or stops, in order;
    `stopped` how many of those ran, `unread` those whose state nobody knows, `not_back` what the way back leaves.
    `undone` are the undos, in words, of units that are given up halfway; `taken_back` those of units that are moved the
    other way; `between` the hosts on which something is done between stop and start; `pauses` how many questions of the
    playbook stand on the way, and are taken as answered with continue. `held_up` are the batches, by their nodes, that
    can't begin, as too few would be up, in words; without *counts* who is ill is taken for well again."""

    def __init__(self, state: RunState, *, counts: bool) -> None:
        self.held_up: dict[str, str] = {}
        self._counts = counts
        self._out = frozenset(state.failed_coming_up)
        self.state = RunState.load(state.plan, state.dump())
        self.now_s = 0.0
        self.moved: dict[str, None] = {}
        self.stopped = 0
        self.unread: list[str] = []
        self.not_back: tuple[Strayed, ...] = ()
        self.undone: dict[str, list[str]] = {}
        self.taken_back: dict[str, list[str]] = {}
        self.between: dict[str, None] = {}
        self.pauses = 0
        self._ends: list[tuple[float, int, Step]] = []
        self._count = 0
        self._nodes: list[Mapping[str, Node]] = []

    def play(self, *answers: DecisionAnswered) -> None:
        """Give the answers, and go on until nothing is left but what others have to decide."""
        self._issue(self.state.under_way)
        for answered in answers:
            if answered.decision in self.state.open:
                self.state.apply(answered)
        goes_on = all(answered.answer.choice not in LEAVES_ALL for answered in answers)
        if goes_on:
            self._continue(number for number, asked in self.state.open.items() if asked.cause.kind is CauseKind.PAUSE)
        while self._follow(goes_on):
            while self._ends and self._ends[0][0] == self.now_s:
                self.state.apply(StepEnded(self._result(heappop(self._ends)[2])))

    def _follow(self, goes_on: bool) -> bool:
        """Issue what follows, and let the time pass until the next step ends. False: nothing is left that moves."""
        facts = self.state.decide()
        for fact in facts:
            if isinstance(fact, RollbackBegan):
                self.not_back = fact.changed_since
        steps = [fact.step for fact in facts if isinstance(fact, StepIntended)]
        if any(map(self._is_end, steps)):
            return False
        self._note(steps)
        self._issue(steps)
        asked = [fact for fact in facts if isinstance(fact, DecisionAsked) and goes_on]
        if self._continue(fact.decision for fact in asked if fact.cause.kind is CauseKind.PAUSE):
            return self._follow(goes_on)
        if self._ends:
            self.now_s = self._ends[0][0]
        return bool(self._ends)

    def _continue(self, decisions: Iterable[int]) -> int:
        """Go on where the playbook wants a person. Returns how often."""
        answer = Answer(choice=Choice.CONTINUE, source=Source.PERSON, by="")
        answers = [DecisionAnswered(decision=number, answer=answer) for number in decisions]
        for answered in answers:
            self.state.apply(answered)
        self.pauses += len(answers)
        return len(answers)

    def _issue(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._count += 1
            heappush(self._ends, (self.now_s + self._takes_s(step), self._count, step))

    def _note(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.phase is Phase.UNDO or (step.phase is Phase.RELEASE and self._goal(step) is State.STOPPED):
                self.undone.setdefault(step.unit, []).append(step_words(step))
            elif step.phase in HOOKS and undoes(step, life := faced(self._node(step), step).life):
                self.taken_back.setdefault(step.unit, []).append(step_words(step, life))
            if step.phase is Phase.BETWEEN:
                self.between[step.unit.rpartition("@")[2]] = None
            left = self.state.whereabouts(step.unit)
            if step.phase in MOVES and left != self._goal(step):
                self.moved[step.unit] = None
                self.stopped += step.phase is Phase.STOP and left not in ("", State.STOP_PENDING)
                self.unread += [] if left else [step.unit]

    def _takes_s(self, step: Step) -> float:
        """What a unit is expected to take includes its gates; a retry's pause is no part of it."""
        if step.phase is Phase.COUNT:
            return self._node(step).expected_s
        node = None if step.unit == RUN else self._node(step)
        if step.phase is Phase.BETWEEN and node is not None and node.down is None:
            return node.expected_s / max(len(node.life.before) if node.life else 0, 1)
        if node is None or step.phase not in MOVES or self.state.whereabouts(step.unit) == self._goal(step):
            return 0.0
        return node.expected_s / (1 if node.down is None else 2)  # half of it is the way down

    def _result(self, step: Step) -> Result:
        """A look, and the reading with which a life begins, find a unit where it was left or seen last; all else finds
        it at its goal, or brings it there. Of one whose state nobody knows the reading finds that it is to be moved."""
        left = "" if step.unit == RUN else self.state.whereabouts(step.unit)
        if self._is_first_reading(step) and not left:
            self.unread.append(step.unit)
            left = State.STOPPED if self._goal(step) is State.RUNNING else State.RUNNING
        if step.phase is Phase.LOOK or self._is_first_reading(step):
            return Result(step=step, outcome=Outcome.OK if left else Outcome.UNKNOWN, before=left, after=left)
        if step.phase is Phase.COUNT and (lack := self._lacks(step)):
            self.held_up[step.unit] = lack
            return Result(step=step, outcome=Outcome.FAILED, said=lack, problem=Problem(ProblemKind.GATE, lack))
        if step.phase not in (*MOVES, Phase.READ):
            return Result(step=step, outcome=Outcome.OK, acted=Acted.YES if step.phase in _DOES else Acted.NO)
        goal = self._goal(step)
        acted = Acted.YES if step.phase in MOVES and left != goal else Acted.NO
        return Result(step=step, outcome=Outcome.OK, acted=acted, before=left, after=goal)

    def _lacks(self, step: Step) -> str:
        """Why the batch that is counted for can't begin; "" if nothing is known that says so."""
        node = self._node(step)
        if node.batch is None or node.batch.at_least is None:
            return ""
        out = self._out if self._counts else None
        return too_few(self.state, self.state.stages[step.stage], node, node.batch, out)

    def _is_first_reading(self, step: Step) -> bool:
        return step.phase is Phase.READ and step.hook != ""

    def _is_end(self, step: Step) -> bool:
        """Whether nothing is moved any more from *step* on: it is a last reading, or a hook of the run at its end."""
        if step.unit == RUN:
            return step.phase is not Phase.ON_BEGIN
        return is_last_reading(step, self._node(step).role)

    def _goal(self, step: Step) -> State:
        return goal_of(step, self.state.stages[step.stage].goal)

    def _node(self, step: Step) -> Node:
        while len(self._nodes) <= step.stage:
            stage = self.state.stages[len(self._nodes)]
            self._nodes.append({node.unit.id: node for node in stage.nodes})
        return self._nodes[step.stage][step.unit]


def _goals(plan: Plan) -> dict[str, tuple[Unit, State]]:
    """The units that *plan* acts on, and where it brings them in the end."""
    return {
        node.unit.id: (node.unit, stage.goal) for stage in plan.stages for node in stage.nodes if node.role is Role.ACT
    }


def _down(state: RunState, choice: Choice) -> tuple[str, ...]:
    """The units that would not run, of those that ran before or (unless all is put back) were to run after."""
    back, leaves = choice is Choice.ROLLBACK, choice in LEAVES_ALL
    return tuple(
        name
        for name, (unit, goal) in _goals(state.plan).items()
        if state.whereabouts(name) != State.RUNNING
        and ((goal is State.RUNNING and not back) or (home(unit) is State.RUNNING and (back or leaves)))
    )


def _of_pauses(count: int) -> str:
    if not count:
        return ""
    each = "each" if count > 1 else "it"
    return f"; {count} more pause{'s' * (count != 1)} of the playbook, told as if {each} is continued"


def _warnings(twin: _Twin) -> Iterable[str]:
    if twin.stopped:
        yield f"this STOPS {twin.stopped} running unit{'s' * (twin.stopped != 1)}"
    if twin.unread:
        yield f"the state of {_units(twin.unread)} is not known: it is read first"
    for strayed in twin.not_back:
        yield f"{strayed.unit} is not put back: {in_words(strayed)}"


def _in_words(twin: _Twin, cause: Cause, choice: Choice, waiting: Collection[str]) -> str:
    match choice:
        case Choice.HOLD:
            parks = "leaves all as it is and parks the run, which keeps its locks; the same can be answered any time"
            stay = _owing(twin, dict.fromkeys([*cause.units, *both_ways(twin.state.plan)]))
            return (
                f"{parks}; what was done for {_names(stay)} stays so meanwhile ({_undos(stay)} waits)"
                if stay
                else parks
            )
        case Choice.ABORT:
            ended = twin.state.verdict()
            later = "orch rollback can put it back later" if twin.state.touched else "nothing was touched"
            ends = f"ends the run ({ended.verdict}, exit {ended.exit_code}); {later}"
            first = _first(twin)
            left = _left_over(twin, dict.fromkeys([*cause.units, *both_ways(twin.state.plan)]))
            return f"{first}leaves all {'else ' * bool(first)}as it is{left and f'{left},'} and {ends}"
        case Choice.ROLLBACK:
            parts = [f"puts {_units(twin.moved)} back to the state before the run"] if twin.moved else []
            parts += _taken_back(twin)
            return " and ".join(parts) or "ends the run: nothing has to be put back"
        case Choice.KILL:
            return f"ends the process of {_names(cause.units)}, and then goes on with what waits for that"
        case Choice.RETRY:
            return _again(twin, cause)
        case Choice.CONTINUE:
            return _GOES_ON[cause.kind]
        case _:
            return _without(twin, cause, choice, waiting)


def _again(twin: _Twin, cause: Cause) -> str:
    if cause.kind is CauseKind.HOOK:
        return "carries it out again, and then begins the run"
    batch = _batch(twin, cause)
    if batch:
        return f"counts again before {batch}, and goes on with it once enough are up"
    return f"does {_names(cause.units)} again, and then goes on with what waits for that"


def _without(twin: _Twin, cause: Cause, choice: Choice, waiting: Collection[str]) -> str:
    what = f"leaves {_batch(twin, cause) or _names(cause.units)} and all that waits for that"
    if _between_units(twin.state).issuperset(cause.units):
        what = f"does nothing more between stop and start on {_names(unit.rpartition('@')[2] for unit in cause.units)}"
    if choice is Choice.EXCLUDE:
        what = f"does without {_names(dict.fromkeys(unit.rpartition('@')[2] for unit in cause.units))} from here on"
    goals = _goals(twin.state.plan).items()
    short = [unit for unit, (_, goal) in goals if twin.state.whereabouts(unit) != goal and unit not in waiting]
    verb = "and" if what.startswith("leaves ") else "leaves"
    what = f"{_first(twin)}{what}{_left_over(twin, cause.units, verb)}"
    if not short:
        return f"{what}, and goes on with the rest"
    left = f"{_units(short)} would not be where the run was to bring them: {_some(short)}"
    return f"{what}, and goes on with the rest; {left}"


def _counted(state: RunState, cause: Cause) -> list[Node]:
    """The nodes before batches that are asked about."""
    counted = {node.unit.id: node for stage in state.stages for node in stage.nodes if node.batch is not None}
    return [counted[unit] for unit in cause.units if unit in counted]


def _batch(twin: _Twin, cause: Cause) -> str:
    """`batch 2 of 4 of web`, if it is a batch that waits for a count; else ""."""
    found = _counted(twin.state, cause)
    batch = found[0].batch if len(found) == 1 == len(cause.units) else None
    return "" if batch is None else f"batch {batch.number} of {batch.of} of {found[0].unit.service}"


def _first(twin: _Twin) -> str:
    """What is undone before anything else, for it was done for units that are given up halfway: `puts orders@app-02
    back first (undo of drain); `; "" if nothing is."""
    if not twin.undone:
        return ""
    return f"puts {_names(twin.undone)} back first ({_undos(twin.undone)}); "


def _left_over(twin: _Twin, units: Iterable[str], verb: str = "and") -> str:
    """What is not undone of *units*, for nobody knows whether its unit still comes to where it was done for, or it came
    up and did not get to its undo."""
    owing = {unit: undos for unit, undos in _owing(twin, units).items() if unit not in twin.undone}
    return f", {verb} what was done for {_names(owing)} as it is ({_undos(owing)} is left to you)" if owing else ""


def _owing(twin: _Twin, units: Iterable[str]) -> dict[str, list[str]]:
    """The undos that are left, in words, of each of *units* that is not where it was to be, or of what was not to
    stay."""
    goals, state = _goals(twin.state.plan), twin.state
    found: dict[str, list[str]] = {}
    for unit in (unit for unit in units if unit in goals):
        there = state.whereabouts(unit) == goals[unit][1]
        names = state.in_vain(unit) if there else tuple(state.owed.get(unit, ()))
        if names:
            found[unit] = [_undo(name) for name in reversed(names)]
    return found


def _undo(name: str) -> str:
    return "release" if name == KEPT_DOWN else hook_words(Phase.UNDO, name)


def _taken_back(twin: _Twin) -> list[str]:
    back = twin.taken_back
    return [f"takes back what was done for {_names(back)} ({_undos(back)})"] if back else []


def _undos(of: Mapping[str, Sequence[str]]) -> str:
    """`undo of drain, undo of silence and 3 more`."""
    words = list(dict.fromkeys(word for undos in of.values() for word in undos))
    return ", ".join(words[:NAMED]) + (f" and {len(words) - NAMED} more" if len(words) > NAMED else "")


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join([*names][:NAMED]) + more


def _units(names: Collection[str]) -> str:
    return f"{len(names)} unit{'s' * (len(names) != 1)}"


def _names(names: Iterable[str]) -> str:
    """`orders@app-02 and 3 more`."""
    first, *others = names
    return f"{first} and {len(others)} more" if others else first
