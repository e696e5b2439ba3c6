"""Recorded results, replayed under another hash seed and on a loop with tasks and timers only, give the same calls."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import replay
from scripted_work import FAILED, UNKNOWN, Answer, Decision, ScriptedWork
from stages import barrier, node, plan, stage
from virtual_time import run_virtual

from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.fact_codec import encode
from orchestrator.domain.facts import DecisionAnswered, DecisionAsked, Fact, RunBegan, RunResumed, StepEnded
from orchestrator.domain.plan import Limits, Node, Plan, Stage
from orchestrator.domain.policy import Do, Policy, Rule
from orchestrator.domain.results import Outcome
from orchestrator.domain.runstate import fold
from orchestrator.domain.service import State
from orchestrator.engine.conductor.conduct import conduct

REPLAY = Path(replay.__file__)
LOST = Answer(Outcome.UNKNOWN, 1.0, "", ProblemKind.UNREACHABLE)


def _layers(goal: State) -> Stage:
    """Four services of six units each, one on top of the other, with limits that bind."""
    layers = range(4) if goal is State.RUNNING else range(3, -1, -1)
    nodes: list[Node] = []
    for depth, layer in enumerate(layers):
        nodes += [
            node(
                f"s{layer}@h{host}",
                waits_for=(depth - 1,) if depth else (),
                begins_after=len(nodes) + host - 1 if layer == 2 and host else None,
                gated=layer % 2 == 0,
                rank_s=40.0 - 10 * depth,
            )
            for host in range(6)
        ]
    barriers = [barrier(*range(6 * depth, 6 * depth + 6), need=5 if depth == 1 else None) for depth in range(4)]
    return stage(nodes, barriers, Limits(run=5, host=2, services=(("s1", 2),)), goal)


def _decide(**by_kind: Choice) -> Callable[[DecisionAsked], Decision]:
    """Answers by the kind of cause; whoever is not named is skipped."""

    def decide(asked: DecisionAsked) -> Decision:
        choice = by_kind.get(asked.cause.kind.name.lower(), Choice.SKIP)
        return Decision(choice if asked.cause.kind is not CauseKind.FAILURE or asked.decision < 3 else Choice.SKIP, 3.0)

    return decide


UP, DOWN = _layers(State.RUNNING), _layers(State.STOPPED)
START = plan(UP, back=DOWN)
RESTART = plan(DOWN, UP)
ASKING = plan(
    UP,
    back=DOWN,
    policy=Policy(
        rules=(Rule(do=Do.RETRY, kinds=(ProblemKind.UNREACHABLE,), count=3),), max_failures=3, approve_before=True
    ),
)
GONE = {f"0/s1@h{host}/start/{attempt}": LOST for host in range(4) for attempt in (1, 2)}


@dataclass(frozen=True)
class Night:
    """One recorded run: its plan, what steps meet, and who orders and answers what."""

    plan: Plan
    script: dict[str, Answer] = field(default_factory=dict)
    cancel_at_s: float | None = None
    decide: Callable[[DecisionAsked], Decision] = field(default_factory=_decide)


NIGHTS = {
    "start": Night(START),
    "restart": Night(RESTART),
    "restart cancelled in its second half": Night(RESTART, {}, 40.0, _decide(cancelled=Choice.CONTINUE)),
    "cancelled at once": Night(START, {}, 0.0, _decide(cancelled=Choice.ABORT)),
    "failed": Night(START, {"0/s1@h3/start/1": FAILED}, None, _decide(failure=Choice.ABORT)),
    "unknown, skipped, and strayed": Night(
        START, {"0/s2@h0/gate/1": UNKNOWN, "0/s0@h1/read/1": Answer(after="Stopped")}
    ),
    "most hosts vanish, and it goes back": Night(
        ASKING, GONE, None, _decide(approval=Choice.CONTINUE, vanished=Choice.ROLLBACK, budget=Choice.CONTINUE)
    ),
    "cancelled and gone on with, retried": Night(
        ASKING,
        {"0/s1@h3/start/1": FAILED, "0/s1@h4/start/1": FAILED},
        9.0,
        _decide(approval=Choice.CONTINUE, cancelled=Choice.CONTINUE, failure=Choice.RETRY),
    ),
}


def _recorded(name: str, before: Sequence[Fact] = ()) -> tuple[dict[str, Any], ScriptedWork]:
    night = NIGHTS[name]
    dice = random.Random(name)
    slow = {
        step: Answer(took_s=dice.choice([0.5, 1.0, 2.0, 7.0]))
        for number, each in enumerate((*night.plan.stages, *night.plan.back))
        for one in each.nodes
        for step in (f"{number}/{one.unit.id}/{phase}/1" for phase in ("start", "stop", "gate", "read", "look"))
    }
    work = ScriptedWork({**slow, **night.script}, cancel_at_s=night.cancel_at_s, decide=night.decide)
    work.facts += [(0.0, fact) for fact in before]
    work.states |= {f.result.step.unit: f.result.after for f in before if isinstance(f, StepEnded) and f.result.after}
    began = RunBegan(run="r", plan=night.plan, requester="me", controller="here")
    run_virtual(conduct(night.plan, fold([began, *before]), work.ports))
    answers = {fact.decision: fact for fact in work.journal if isinstance(fact, DecisionAnswered)}
    recording = {
        "began": encode(began),
        "answers": {result.step.id: [result.took_s, encode(StepEnded(result))] for result in work.answered},
        "cancel_at_s": night.cancel_at_s,
        "decisions": {str(number): [fact.answer.waited_s, encode(fact)] for number, fact in answers.items()},
        "before": [encode(fact) for fact in before],
    }
    return recording, work


@pytest.mark.parametrize("name", NIGHTS)
def test_a_replay_asks_the_same_of_its_ports_in_the_same_order(name: str) -> None:
    recording, work = _recorded(name)
    first = replay.replayed(recording, run_virtual)
    assert [line.removeprefix("run ") for line in first if line.startswith("run ")] == work.ids
    if name == "restart":
        assert len(work.ids) > 80
    if name.startswith("most hosts"):
        assert json.loads(first[-1])["verdict"] == "rolled back"
    _played_elsewhere(recording, first)


@pytest.mark.parametrize("name", [name for name in NIGHTS if "cancelled" not in name])
def test_killed_and_resumed_it_decides_the_same_wherever_it_is_replayed(name: str) -> None:
    """Cut in the middle; a cut anywhere is the property tests'."""
    _, whole = _recorded(name)
    facts = [*whole.journal[: len(whole.facts) // 2], RunResumed(requester="me", controller="here", epoch=2)]
    recording, work = _recorded(name, facts)
    first = replay.replayed(recording, run_virtual)
    assert [line.removeprefix("run ") for line in first if line.startswith("run ")] == work.ids
    _played_elsewhere(recording, first)


def _played_elsewhere(recording: dict[str, Any], first: list[str]) -> None:
    for seed in ("0", "4711"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPLAY.parent)}
        again = subprocess.run(
            [sys.executable, "-W", "error", str(REPLAY)],
            input=json.dumps(recording),
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert again.stdout.split("\n") == first
