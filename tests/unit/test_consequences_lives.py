"""What an answer means for units with a whole life: who is undone first, who is killed, and hooks of the run."""

from dataclasses import replace

from lives import UNITS, stops

from orchestrator.domain.consequences import consequences
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import DecisionAsked, StepEnded, StepIntended
from orchestrator.domain.life import IfStuck
from orchestrator.domain.plan import Node, Plan
from orchestrator.domain.results import RUN, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import RunState

ONE = UNITS[0]
AFTER = {Phase.READ: "Running", Phase.STOP: "Stopped"}
ACTS = (Phase.PRE_STOP, Phase.POST_STOP, Phase.KEEP_DOWN, Phase.STOP, Phase.ON_BEGIN)


def ended(step: Step, bad: tuple[str, Phase]) -> Result:
    acted = Acted.YES if step.phase in ACTS else Acted.NO
    if (step.unit, step.phase) != bad:
        return Result(step=step, outcome=Outcome.OK, acted=acted, before="Running", after=AFTER.get(step.phase, ""))
    stuck = step.phase is Phase.STOP
    problem = Problem(ProblemKind.TIMEOUT if stuck else ProblemKind.GATE, "it did not come to that")
    after = "StopPending" if stuck else ""
    return Result(step=step, outcome=Outcome.FAILED, acted=acted, before="Running", after=after, problem=problem)


def foretold(plan: Plan, *bad: str | Phase) -> dict[str, str]:
    """What is said of each answer when the step *bad* has failed, and all others that could go on have ended well."""
    unit, phase = bad
    state = RunState.begin(plan)
    asked: list[int] = []
    waiting: list[Step] = []
    while True:
        facts = state.decide()
        asked += [fact.decision for fact in facts if isinstance(fact, DecisionAsked)]
        waiting += [fact.step for fact in facts if isinstance(fact, StepIntended)]
        if not waiting:
            return {str(one.choice): one.said for one in consequences(state, asked[0])}
        state.apply(StepEnded(ended(waiting.pop(0), (str(unit), Phase(phase)))))


def asks(plan: Plan) -> Plan:
    """*plan*, whose stuck units are asked about."""

    def asking(node: Node) -> Node:
        return replace(node, life=node.life and replace(node.life, if_stuck=IfStuck.ASK))

    checks, down = plan.stages
    return replace(plan, stages=(checks, replace(down, nodes=tuple(map(asking, down.nodes)))))


def test_who_is_given_up_halfway_is_put_back_first() -> None:
    told = foretold(stops(), ONE, Phase.DRAINED)
    assert told["skip"].startswith(f"puts {ONE} back first (undo of drain); leaves {ONE} and all that waits for that")
    assert told["exclude"].startswith(f"puts {ONE} back first (undo of drain); does without app-01 from here on")
    assert told["abort"].startswith(f"puts {ONE} back first (undo of drain); leaves all else as it is and ends the run")
    assert told["hold"].endswith(f"; what was done for {ONE} stays so meanwhile (undo of drain waits)")
    back = "puts 1 unit back to the state before the run and takes back what was done for"
    assert told["rollback"] == f"{back} {ONE} and 1 more (undo of drain)"


def test_a_kill_is_an_answer_where_the_playbook_asks_and_says_whose_process_ends() -> None:
    told = foretold(asks(stops()), ONE, Phase.STOP)
    assert told["kill"] == f"ends the process of {ONE}, and then goes on with what waits for that"
    left = f"leaves {ONE} and all that waits for that, and what was done for {ONE} as it is"
    assert told["skip"].startswith(f"{left} (release, undo of drain is left to you), and goes on with the rest; ")
    without = f"does without app-01 from here on, leaves what was done for {ONE} as it is (release, undo of drain is"
    assert told["exclude"].startswith(f"{without} left to you), and goes on with the rest; ")


def test_a_hook_of_the_run_that_failed_is_done_again_or_done_without() -> None:
    told = foretold(stops(), RUN, Phase.ON_BEGIN)
    assert told["retry"] == "carries it out again, and then begins the run"
    assert told["continue"] == "begins the run without it"
