"""What to type by hand: the right command for each unit, in order, and nothing in a name ever becomes code."""

import re
from collections.abc import Iterator

import pytest
import tree_sitter
import tree_sitter_powershell
from drafts import draft, entry, survey
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.gates import CommandCheck, HttpCheck, Origin
from orchestrator.domain.hooks_done import HooksDone
from orchestrator.domain.kinds import is_service
from orchestrator.domain.life import Hook
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.powershell_words import literal, wildcard
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import Asked, State
from orchestrator.domain.undo import ByHand, HookByHand, by_hand, commands_in, hooks_by_hand, script
from orchestrator.domain.way_back import Touch, rollback_plan, way_back

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
NASTY = st.sampled_from(
    ["'", '"', "`", "\u2018", "\u2019", "\u201a", "\u201b", "\u201c", "\n", "\r", "$(", ")", "{", "}", "{0}", "#", ";"]
)
TEXTS = st.lists(NASTY | st.text(st.characters(exclude_characters="\0")), max_size=6).map("".join)
RUNNING, STOPPED, PAUSED = State.RUNNING, State.STOPPED, State.PAUSED


def planned(action: Action, was: State, scm_name: str = "Orders.Api") -> Plan:
    made = draft(entry("sql", "db-01"), entry("orders", "app-01", "sql", asked=[Asked(scm_name)]))
    return build(made, Choice(), action, survey(made, was))


def tree(text: str) -> tree_sitter.Node:
    assert text.isascii()
    root = PARSER.parse(text.encode("ascii")).root_node
    assert not root.has_error, text
    return root


def commands(node: tree_sitter.Node) -> Iterator[str]:
    """The names of everything that would be run, in order."""
    if node.type == "command_name" and node.text is not None:
        yield node.text.decode("ascii")
    for child in node.children:
        yield from commands(child)


def value(written: str) -> str:
    """What PowerShell makes of a value: a literal, or a literal and the characters that are put into it."""
    plain = re.fullmatch(r"'((?:[^']|'')*)'", written)
    if plain:
        return plain[1].replace("''", "'")
    filled = re.fullmatch(r"\('((?:[^']|'')*)' -f (\[char\]0x[0-9A-F]+(?:, \[char\]0x[0-9A-F]+)*)\)", written)
    assert filled is not None, written
    units = [int(number, 16) for number in re.findall(r"0x([0-9A-F]+)", filled[2])]
    made = filled[1].replace("''", "'").format(*map(chr, units))
    return made.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


@given(TEXTS)
def test_a_value_is_one_value_and_comes_back(text: str) -> None:
    written = literal(text)
    assert written.isascii()
    assert written.isprintable()
    assert value(written) == text
    assert list(commands(tree(f"Start-Service -Name {written}"))) == ["Start-Service"]


@settings(deadline=None)
@given(TEXTS.filter(lambda name: name != "" and is_service(name)), TEXTS.filter(bool), TEXTS)
def test_no_name_becomes_code_anywhere_in_the_script(scm_name: str, address: str, run: str) -> None:
    hands = by_hand(planned(Action.STOP, RUNNING, scm_name), {"orders@app-01": "Stopped"}, {"app-01": address}, {})
    (hand,) = hands
    assert hand.local == f"Start-Service -Name {literal(wildcard(Asked(scm_name)))}"
    text = script(run, [ByHand(unit=address, was=run, now=scm_name, command=hand.command, local=hand.local)])
    assert list(commands(tree(text))) == ["Invoke-Command", "Start-Service"]
    assert text.count("\r\n") == text.count("\n") == 7
    hooks = [HookByHand(unit=address, what=scm_name, why=run, how=address)]
    assert list(commands(tree(script(run, [], hooks)))) == []


@pytest.mark.parametrize(
    ("action", "was", "now", "typed"),
    [
        (Action.STOP, RUNNING, "Stopped", "Start-Service -Name 'Orders.Api'"),
        (Action.STOP, RUNNING, "", "Start-Service -Name 'Orders.Api'"),
        (Action.STOP, RUNNING, "Paused", "Resume-Service -Name 'Orders.Api'"),
        (Action.STOP, RUNNING, "Running", None),
        (Action.STOP, PAUSED, "Stopped", "Start-Service -Name 'Orders.Api'; Suspend-Service -Name 'Orders.Api'"),
        (Action.START, PAUSED, "Running", "Suspend-Service -Name 'Orders.Api'"),
        (Action.START, STOPPED, "Running", "Stop-Service -Name 'Orders.Api'"),
        (Action.START, STOPPED, "Stopped", None),
        (Action.RESTART, RUNNING, "Stopped", "Start-Service -Name 'Orders.Api'"),
        (Action.START, RUNNING, "Stopped", "Start-Service -Name 'Orders.Api'"),
    ],
)
def test_what_is_typed_brings_the_unit_to_where_it_was(action: Action, was: State, now: str, typed: str | None) -> None:
    hands = by_hand(planned(action, was), {"orders@app-01": now}, {}, {})
    assert [hand.local for hand in hands] == ([] if typed is None else [typed])
    assert [hand.command for hand in hands] == [
        f"Invoke-Command -ComputerName 'app-01' -ScriptBlock {{ {hand.local} }}" for hand in hands
    ]


def test_a_script_gives_its_commands_back() -> None:
    hands = by_hand(planned(Action.STOP, RUNNING), {"orders@app-01": "Stopped", "sql@db-01": "StopPending"}, {}, {})
    assert commands_in(script("r1", hands)) == {hand.unit: hand.command for hand in hands}
    assert commands_in("") == {}


def test_of_a_hook_only_what_needs_credentials_is_said_to_need_them() -> None:
    def told(undo: HttpCheck | CommandCheck) -> str:
        hook = Hook(name="drain", do=CommandCheck(exe="lb.exe"), undo=undo, origin=Origin.HOST)
        step, done = Step(0, "orders@app-01", Phase.PRE_STOP, hook="drain"), HooksDone()
        done.intended(step, hook)
        done.ended(Result(step=step, outcome=Outcome.OK, acted=Acted.YES))
        return script("r1", [], hooks_by_hand(done, "r1", whole=True, ended=True))

    token = embed(SecretRef("env", "LB_TOKEN"))
    plain = told(CommandCheck(exe="lb.exe", args=("ready", "app-01")))
    assert "# orders@app-01: undo of drain: lb.exe ready app-01 from the host\r\n" in plain
    assert "credentials" not in plain
    for needs in (
        CommandCheck(exe="lb.exe", args=("--token", token)),
        HttpCheck(url="http://lb/", headers=(("Authorization", token),)),
    ):
        assert "it needs credentials, which the playbook names" in told(needs)


@given(TEXTS.filter(lambda name: name != "" and is_service(name)))
@settings(deadline=None)
def test_what_hangs_is_ended_first_where_its_process_is_known_and_its_own(scm_name: str) -> None:
    made, now = planned(Action.STOP, RUNNING, scm_name), {"orders@app-01": "StopPending"}
    (hand,) = by_hand(made, now, {}, {"orders@app-01": "4242"})
    assert list(commands(tree(hand.command))) == [
        "Invoke-Command", "Get-CimInstance", "taskkill.exe", "Get-Service", "Start-Service"
    ]  # fmt: skip
    assert f"-Filter 'ProcessId=4242').Name -ne {literal(scm_name)}) {{ throw 'process 4242 is gone" in hand.local
    assert "; taskkill.exe /PID 4242 /T /F; " in hand.local
    assert "another service" in hand.note
    assert "tasklist.exe" in hand.note
    text = script("20261121-0213-k7q2", [hand])
    assert text.index("tasklist.exe /svc") < text.index("Invoke-Command")
    assert list(commands(tree(text)))[0] == "Invoke-Command"


def test_what_hangs_in_a_process_that_nobody_told_is_said_to() -> None:
    (hand,) = by_hand(planned(Action.STOP, RUNNING), {"orders@app-01": "StopPending"}, {}, {})
    assert hand.local == "Start-Service -Name 'Orders.Api'"
    assert "taskkill.exe /PID n /T /F" in hand.note


def test_starts_go_by_the_graph_and_stops_by_its_reverse() -> None:
    def units(action: Action, was: State, now: str) -> list[str]:
        return [hand.unit for hand in by_hand(planned(action, was), dict.fromkeys(TOUCHED, now), {}, {})]

    assert units(Action.STOP, RUNNING, "Stopped") == ["sql@db-01", "orders@app-01"]
    assert units(Action.START, STOPPED, "Running") == ["orders@app-01", "sql@db-01"]


TOUCHED = {"orders@app-01": Touch("Running", "Running"), "sql@db-01": Touch("Running", "")}


def test_a_rollback_that_failed_is_finished_by_hand() -> None:
    started = planned(Action.START, STOPPED)
    back = rollback_plan(started, way_back(started, TOUCHED, accept_drift=False), TOUCHED)
    hands = by_hand(back, {"orders@app-01": "Stopped", "sql@db-01": ""}, {"db-01": "10.0.0.5"}, {})
    assert [hand.command for hand in hands] == [
        "Invoke-Command -ComputerName '10.0.0.5' -ScriptBlock { Stop-Service -Name 'sql' }"
    ]
    text = script("20261121-0213-k7q2", hands)
    assert "# sql@db-01: was Stopped, is not known\r\n" in text
    assert "run 20261121-0213-k7q2 could not: 1 unit, in this order" in text
