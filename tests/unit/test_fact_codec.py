"""Facts survive the way to text and back, whatever a host put into them."""

import json
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import cpu_s, times

from orchestrator.domain.errors import OrchError, Problem, ProblemKind
from orchestrator.domain.fact_codec import FACT_KINDS, decode, encode, packed, unpacked
from orchestrator.domain.facts import Fact, RunEnded, StageBegan, StepEnded, StepIntended
from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin, TcpCheck
from orchestrator.domain.life import Hook, Life
from orchestrator.domain.plan import Barrier, Node, Plan, Stage
from orchestrator.domain.results import Outcome, Phase, Result, Step

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(str, st.text(st.characters(), max_size=20))  # half surrogate pairs included


def few(made: type[Any], **parts: type[Any]) -> None:
    """Let a *made* have at most two of these *parts* each: plans of any size get too large for hypothesis."""
    some = {name: st.lists(st.from_type(part), max_size=2).map(tuple) for name, part in parts.items()}
    rest = {field.name: ... for field in fields(made) if field.name not in parts}
    st.register_type_strategy(made, st.builds(made, **rest, **some))


few(Stage, nodes=Node, barriers=Barrier)
few(Plan, stages=Stage, back=Stage)

FACTS = sorted(get_args(Fact), key=lambda made: str(made.__name__))
ENDED = StepEnded(
    Result(
        step=Step(0, "orders@app-03", Phase.STOP),
        outcome=Outcome.FAILED,
        before="Running",
        after="StopPending",
        problem=Problem(ProblemKind.TIMEOUT, "Der Dienst antwortet nicht: \ud800", 1053),
        took_s=90.5,
    )
)


def test_every_fact_has_a_name_on_disk() -> None:
    assert sorted(FACT_KINDS.values(), key=lambda made: str(made.__name__)) == FACTS


@pytest.mark.parametrize("made", FACTS, ids=lambda made: made.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_back(made: type[Any], data: st.DataObject) -> None:
    fact = data.draw(st.from_type(made))
    text = encode(fact)
    assert decode(text) == fact
    assert text.isascii()
    assert "\n" not in text
    assert encode(decode(text)) == text
    read = json.loads(text)
    assert (FACT_KINDS[read["kind"]], read["version"]) == (made, 1)


def test_a_saved_hook_may_have_no_undo_and_no_check() -> None:
    do = HttpCheck(url="http://x/", json=(("a", None),), body="{}")
    bare = Hook(name="one", do=do, origin=Origin.CONTROLLER)
    whole = replace(bare, undo=CommandCheck(exe="y"), check=TcpCheck(host="x", port=1), undoes=True)
    life = Life(prechecks=(Gate(check=do, origin=Origin.HOST, bound=True),), before=(bare, whole), kill_shared=("A",))
    assert unpacked(Life, json.loads(json.dumps(packed(life)))) == life


def test_a_fact_is_written_in_the_order_of_its_fields() -> None:
    assert encode(ENDED) == (
        '{"kind":"step_ended","version":1,"result":{"step":{"stage":0,"unit":"orders@app-03","phase":"stop",'
        '"attempt":1,"delay_s":0.0,"hook":""},"outcome":"failed","acted":"no","before":"Running","after":"StopPending","said":"",'
        '"problem":{"kind":"timeout","text":"Der Dienst antwortet nicht: \\ud800","code":1053,"hint":""},"evidence":{},'
        '"exchanges":0,"took_s":90.5}}'
    )


def test_a_field_that_an_older_orch_did_not_write_has_its_default() -> None:
    text = '{"kind":"run_ended","version":1,"verdict":"done","exit_code":0}'
    assert decode(text) == RunEnded(verdict="done", exit_code=0, counts={}, said="")
    step = '{"stage":0,"unit":"a@b","phase":"stop","attempt":2}'  # before steps could be delayed
    assert decode(f'{{"kind":"step_intended","version":1,"step":{step}}}') == StepIntended(
        Step(0, "a@b", Phase.STOP, 2, delay_s=0.0)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kind":"stage_began","version":1}',
        '{"kind":"stage_began","version":2,"stage":0}',
        '{"kind":"stage_began","version":1,"stage":0,"colour":"red"}',
        '{"kind":"nonsense","version":1}',
        '{"kind":"step_ended","version":1,"result":{"step":null,"outcome":"perhaps"}}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_a_damaged_or_newer_fact_is_refused_in_words(text: str) -> None:
    with pytest.raises(OrchError) as caught:
        decode(text)
    assert "can't be read" in str(caught.value)
    assert "newer orch" in caught.value.hint


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(StepEnded(Result(step=Step(0, "a@b", Phase.READ), outcome=Outcome.OK, took_s=float("nan"))))


@pytest.mark.cost
def test_a_step_fact_costs_little_more_than_its_json() -> None:
    tree = json.loads(encode(ENDED))
    encode(StageBegan(0))

    def json_s() -> float:
        return cpu_s(lambda: [json.dumps(tree) for _ in range(2000)])

    def fact_s() -> float:
        return cpu_s(lambda: [encode(ENDED) for _ in range(2000)])

    assert times("a fact to its JSON", json_s, fact_s, most=5) <= 5
