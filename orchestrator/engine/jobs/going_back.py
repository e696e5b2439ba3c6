"""The way back of a run that has ended, days later too: from its journal and a fresh look."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import RollbackBegan, RunBegan, Stamped, StepEnded, Strayed
from orchestrator.domain.parts import CHANGES, KEPT_DOWN, hook_of
from orchestrator.domain.plan import Plan, Stage, Unit
from orchestrator.domain.planning.observed import questions_about
from orchestrator.domain.results import Acted, Outcome, Phase, Result
from orchestrator.domain.runstate import RunState, fold
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.domain.way_back import rollback_plan, way_back
from orchestrator.engine.jobs.resuming import began_of
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.jobs.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What a rollback of a run would do now: `plan`, to be run with that run as `Header.of`.

    `plan` has no stages if nothing is left to put back. `live` are the units that the run touched, as they are now;
    `changed_since` those of them that are not acted on, or not brought to where they were, and why.
    """

    plan: Plan
    live: Survey
    changed_since: tuple[Strayed, ...]


async def plan_rollback(
    run: str,
    facts: Sequence[Stamped],
    world: World,
    *,
    later: Sequence[Sequence[Stamped]] = (),
    accept_drift: bool = False,
    answered: Callable[[HostSurvey], None] = lambda _: None,
) -> Rollback:
    """Look at what *run* touched, and plan what puts it back. *facts* are all of the run's. Changes nothing.

    *later* are the facts of rollbacks and starts of that run since, oldest first: what they undid is not undone again.

    *accept_drift*: also where somebody else moved a unit since. A unit that can't be read is acted on: what becomes of
    it is found out then.

    Raises:
        BadInput: there is no such run, or it has not ended.
    """
    began = began_of(run, facts)
    state = fold(stamped.fact for stamped in facts)
    if state.ended is None:
        raise BadInput(
            f"run {run} has not ended: its rollback is an answer to what it asks",
            hint=f"`orch decide {run} rollback --resume`; if it asks nothing, `orch cancel {run}` first",
        )
    units = touched_units(state)
    live = await survey(questions_about(units), world.hosts, answered=answered)
    seen = _states(live)
    touched = {unit.id: state.touch(unit.id, seen.get(_key(unit), "")) for unit in units}
    undone = _undone(later)
    for unit, touch in touched.items():
        touched[unit] = replace(touch, owes=tuple(name for name in touch.owes if (unit, name) not in undone))
    way = way_back(began.plan, touched, accept_drift=accept_drift)
    plan = rollback_plan(began.plan, way, touched)
    return Rollback(plan=plan, live=live, changed_since=way.changed_since)


def _undone(runs: Iterable[Sequence[Stamped]]) -> dict[tuple[str, str], None]:
    """(unit, hook) of what *runs*, one after the other, have undone; KEPT_DOWN for a release."""
    undone: dict[tuple[str, str], None] = {}
    for facts in runs:
        stages: tuple[Stage, ...] = ()
        for fact in (stamped.fact for stamped in facts):
            if isinstance(fact, RunBegan):
                stages = fact.plan.stages
            elif isinstance(fact, RollbackBegan):
                stages += fact.stages
            elif isinstance(fact, StepEnded) and fact.result.step.phase in CHANGES:
                _turn(undone, fact.result, stages)
    return undone


def _turn(undone: dict[tuple[str, str], None], result: Result, stages: tuple[Stage, ...]) -> None:
    step = result.step
    node = next((one for one in stages[step.stage].nodes if one.unit.id == step.unit), None)
    hook = None if node is None else hook_of(node, step)
    key = (step.unit, hook.name if hook else KEPT_DOWN)
    if step.phase in (Phase.UNDO, Phase.RELEASE) or (hook is not None and hook.undoes):
        undone.update({key: None} if result.outcome is Outcome.OK else {})
    elif result.acted is not Acted.NO:
        undone.pop(key, None)


def touched_hosts(run: str, facts: Sequence[Stamped]) -> tuple[str, ...]:
    """The hosts that a rollback of *run* has to reach, in plan order. Raises BadInput if there is no such run."""
    began_of(run, facts)
    units = touched_units(fold(stamped.fact for stamped in facts))
    return tuple(dict.fromkeys(unit.host for unit in units if unit.host is not None))


def touched_units(state: RunState) -> list[Unit]:
    """The units that the run acted on or may have acted on, each once, in plan order."""
    units = {node.unit.id: node.unit for stage in state.stages for node in stage.nodes}
    return [unit for unit in units.values() if unit.id in state.touched]


def _key(unit: Unit) -> tuple[str, str]:
    return unit.host or "", (unit.scm_name or "").lower()


def _states(live: Survey) -> dict[tuple[str, str], str]:
    """(host, SCM name in lower case) -> state, of all that could be read."""
    return {
        (host, reading.asked.name.lower()): str(status.state)
        for host, found in live.hosts.items()
        for reading in found.readings
        for status in reading.found
    }
