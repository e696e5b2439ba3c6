"""Plays a recorded run again and prints what was asked of the ports, in order.

A program of its own, so that a test can choose the PYTHONHASHSEED. Reads a recording from stdin:
{"began": the RunBegan fact, "answers": {step id: [seconds, the StepEnded fact]}, "cancel_at_s": number or null,
"decisions": {number: [seconds, the DecisionAnswered fact]}, "before": the facts that are on record already}.
"""

import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from plain_loop import PlainLoop

from orchestrator.domain.decisions import Answer
from orchestrator.domain.fact_codec import decode, encode
from orchestrator.domain.facts import DecisionAnswered, Fact, OrderTaken, RunBegan, StepEnded
from orchestrator.domain.results import Phase, Result, Step
from orchestrator.domain.runstate import RunState, fold
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.ports import ConductorPorts


def replayed(recording: dict[str, Any], run_loop: Any) -> list[str]:
    """The calls of the ports, one line each, when *recording* is played on the loop whose `run` is given."""
    began = decode(recording["began"])
    assert isinstance(began, RunBegan)
    calls: list[str] = []

    async def run(step: Step) -> Result:
        calls.append(f"{'watch' if step.phase is Phase.WATCH else 'run'} {step.id}")
        if step.phase is Phase.WATCH and step.id not in recording["answers"]:
            await asyncio.get_running_loop().create_future()  # until it is called off
        took_s, text = recording["answers"][step.id]
        await _pass_s(took_s)
        fact = decode(text)
        assert isinstance(fact, StepEnded)
        return fact.result

    async def append(facts: Sequence[Fact]) -> None:
        calls.append("append " + " ".join(map(encode, facts)))

    left = [recording["cancel_at_s"]] if recording["cancel_at_s"] is not None else []

    async def orders() -> OrderTaken:
        if not left:
            await asyncio.get_running_loop().create_future()
        await _pass_s(left.pop())
        return OrderTaken("cancel")

    async def ask(decision: int) -> Answer:
        calls.append(f"ask {decision}")
        took_s, text = recording["decisions"][str(decision)]
        await _pass_s(took_s)
        fact = decode(text)
        assert isinstance(fact, DecisionAnswered)
        return fact.answer

    ports = ConductorPorts(run=run, append=append, orders=orders, ask=ask)
    before = fold([began, *map(decode, recording["before"])])
    main: Coroutine[Any, Any, RunState] = conduct(began.plan, before, ports)
    state: RunState = run_loop(main)
    return [*calls, encode(state.verdict())]


async def _pass_s(duration_s: float) -> None:
    loop = asyncio.get_running_loop()
    passed: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(duration_s, lambda: None if passed.done() else passed.set_result(None))
    try:
        await passed
    finally:
        timer.cancel()


if __name__ == "__main__":
    sys.stdout.write("\n".join(replayed(json.load(sys.stdin), PlainLoop().run)))
