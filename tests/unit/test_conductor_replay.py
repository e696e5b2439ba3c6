"""Recorded results, replayed under another hash seed and on a loop with tasks and timers only, give the same calls."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import replay
from scripted_work import FAILED, UNKNOWN, Answer, ScriptedWork
from stages import barrier, node, plan, stage
from virtual_time import run_virtual

from orchestrator.domain.fact_codec import encode
from orchestrator.domain.facts import RunBegan, StepEnded
from orchestrator.domain.plan import Limits, Node, Plan, Stage
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import State
from orchestrator.engine.conductor.conduct import conduct

REPLAY = Path(replay.__file__)


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


START = plan(_layers(State.RUNNING))
RESTART = plan(_layers(State.STOPPED), _layers(State.RUNNING))
SCRIPTS: dict[str, tuple[Plan, dict[str, Answer], float | None]] = {
    "start": (START, {}, None),
    "restart": (RESTART, {}, None),
    "restart cancelled in its second half": (RESTART, {}, 40.0),
    "cancelled at once": (START, {}, 0.0),
    "failed": (START, {"0/s1@h3/start/1": FAILED}, None),
    "unknown, and strayed": (START, {"0/s2@h0/gate/1": UNKNOWN, "0/s0@h1/read/1": Answer(after="Stopped")}, None),
}


def _recorded(name: str) -> tuple[dict[str, Any], list[str]]:
    any_plan, script, cancel_at_s = SCRIPTS[name]
    dice = random.Random(name)
    slow = {
        step: Answer(took_s=dice.choice([0.5, 1.0, 2.0, 7.0]))
        for number, each in enumerate(any_plan.stages)
        for one in each.nodes
        for step in (f"{number}/{one.unit.id}/{phase}/1" for phase in ("start", "stop", "gate", "read"))
    }
    work = ScriptedWork({**slow, **script}, cancel_at_s=cancel_at_s)
    run_virtual(conduct(any_plan, RunState.begin(any_plan), work.ports))
    began = RunBegan(run="r", plan=any_plan, requester="me", controller="here")
    recording = {
        "began": encode(began),
        "answers": {result.step.id: [result.took_s, encode(StepEnded(result))] for result in work.answered},
        "cancel_at_s": cancel_at_s,
    }
    return recording, work.ids


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_replay_asks_the_same_of_its_ports_in_the_same_order(name: str) -> None:
    recording, asked = _recorded(name)
    first = replay.replayed(recording, run_virtual)
    assert [line.removeprefix("run ") for line in first if line.startswith("run ")] == asked
    if name == "restart":
        assert len(asked) > 80
    for seed in ("0", "1", "4711"):
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
