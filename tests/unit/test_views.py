"""What people and machines see of a run: the key content is there, and nothing that a host says can do harm."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import typer
from fake_run import BEGAN_AT, NASTY, SMALL, facts, fleet, play
from nights import HEAD, Night, failing, going_back, incomplete, parked, rolled_back
from rich.console import Console, RenderableType

from orchestrator.domain.decisions import CauseKind, Choice, Source
from orchestrator.domain.errors import BadInput, Mark, Mistake, Mistakes, OrchError
from orchestrator.domain.fact_codec import decode, encode
from orchestrator.domain.facts import DecisionWithdrawn, Fact, OrderTaken, Stamped, StepIntended, Strayed
from orchestrator.domain.plan import Plan
from orchestrator.domain.policy import Approval, Policy
from orchestrator.domain.results import Note, Outcome, Phase, Step
from orchestrator.domain.timeline import Timeline
from orchestrator.engine.book_ports import RunSummary
from orchestrator.engine.book_ports import Standing as PortStanding
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.frame import Canvas, frame
from orchestrator.interfaces.live import LiveView
from orchestrator.interfaces.plain import JsonView, PlainView
from orchestrator.interfaces.report import report
from orchestrator.interfaces.report_end import undo_of
from orchestrator.interfaces.runs_view import runs_json, runs_table, show, show_json
from orchestrator.interfaces.theme import ASCII_MARKS, UNICODE_MARKS
from orchestrator.interfaces.views import View

BAD = {"orders@orders-07": Outcome.FAILED, "orders@orders-09": Outcome.UNKNOWN}


TWO_EYES = Policy(
    approval=Approval(approvers=("ada", "bob", "cem"), min_approvals=2, not_requester=True, timeout_s=3600.0)
)


def drawn(picture: RenderableType, width: int = 100) -> str:
    paper = io.StringIO()
    Console(file=paper, width=width, height=500, color_system=None, force_terminal=False).print(picture)
    return paper.getvalue()


def folded(events: list[Stamped]) -> Timeline:
    timeline = Timeline()
    for stamped in events:
        timeline.fact(stamped)
    return timeline


def under_way(
    plan: Plan, count: int, *, busy: int = 1, bad: dict[str, Outcome] | None = None
) -> tuple[Timeline, float]:
    """The timeline at the first moment after *count* units have ended and *busy* are under way, and that moment."""
    timeline = Timeline()
    for event in play(plan, bad=bad, error=NASTY):
        if isinstance(event, Stamped):
            timeline.fact(event)
            if timeline.ended_count >= count and len(timeline.under_way(busy)) == busy:
                return timeline, event.elapsed_s
        else:
            timeline.note(event[1])
    raise AssertionError("never came to that point")


SIZES = [(80, 24), (60, 14), (200, 60), (40, 8), (20, 4)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("bad", [False, True])
def test_the_picture_fits_whatever_the_terminal(width: int, height: int, bad: bool) -> None:
    plan = fleet((*((f"service-{number}", 3) for number in range(40)), ("orders", 12), ("sql", 60)), slots=30)
    timeline, now_s = under_way(plan, 11, bad={"service-3@service-3-01": Outcome.FAILED} if bad else None)
    lines = drawn(frame(timeline, now_s, Canvas(width, height, UNICODE_MARKS)), width).splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert "stopping shop" in lines[0]
    if bad and height >= 8:
        assert any("DECISION 1 WAITS" in line for line in lines), "who is asked sees it"
    if bad and height >= 14:
        assert any("failures" in line for line in lines), "failures are kept in sight"


def test_the_picture_says_who_is_under_way_and_who_waits_for_whom() -> None:
    timeline, now_s = under_way(fleet(), 8, busy=6)
    text = drawn(frame(timeline, now_s + 12, Canvas(120, 40, UNICODE_MARKS)), 120)
    assert "8/35" in text
    assert "orders@orders-07" in text
    assert "stopping" in text
    assert "12 s" in text
    assert "billing@billing-01 and 3 more wait for orders@orders-" in text
    assert "6 units may go on as soon as there is a free place" in text
    assert "web      ████████████████    8/8  ✓ done" in text
    assert "left" in text


def test_a_failure_shows_the_hosts_own_words_and_what_is_asked() -> None:
    timeline, now_s = under_way(fleet(), 10, bad=BAD)
    text = drawn(frame(timeline, now_s, Canvas(120, 40, UNICODE_MARKS)), 120)
    assert "DECISION 1 WAITS   orders@orders-07 failed (timeout)" in text
    assert "answer: orch decide 20261121-0213-k7q2 CHOICE" in text
    assert "failures (1)  what waits for them waits; the rest goes on" in text
    assert "✗ orders@orders-07  failed  [bold red]Zugriff verweigert[/]" in text
    assert "✗ 1 failed" in text


def test_marks_of_a_poor_terminal_are_ascii() -> None:
    timeline, now_s = under_way(fleet(), 10, bad=BAD)
    assert drawn(frame(timeline, now_s, Canvas(60, 40, ASCII_MARKS)), 60).isascii()
    assert drawn(report(folded(facts(fleet(), bad=BAD)), ASCII_MARKS)).isascii()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("[bold]x[/]", "[bold]x[/]"),
        ("a\r\nb\tc\n\n", "a b c"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://evil\x1b\\link", "xlink"),
        ("\x1b]0;never ended", ""),
        ("\x1bPdcs\x1b\\x\x1b(Bb\x1b7", "xb"),
        ("\x9b2Jx", "x"),
        ("bell\x07 null\x00", "bell\\x07 null\\x00"),
        ("\u202egnp.exe \u200b \ufeff", "\\u202egnp.exe \\u200b \\ufeff"),
        ("half \ud83d pair", "half \\ud83d pair"),
        ("Dienst „größe“ 日本", "Dienst „größe“ 日本"),
        ("pass \ue000env:NAME\ue001", "pass <secret env:NAME>"),
    ],
)
def test_text_of_hosts_is_made_harmless(said: str, shown: str) -> None:
    assert clean(said) == shown


def harmless(text: str) -> bool:
    return (
        not any(bad in text for bad in ("\x1b", "\x07", "\u202e", "\ud800"))
        and "[bold red]Zugriff verweigert[/]" in text
    )


def test_no_view_passes_on_what_a_host_injects() -> None:
    events = facts(fleet(), bad=BAD, error=NASTY)
    stream = io.StringIO()
    view = PlainView(stream)
    for stamped in events:
        view.fact(stamped)
    view.close()
    timeline, now_s = under_way(fleet(), 10, bad=BAD)
    for text in (
        stream.getvalue(),
        drawn(report(folded(events)), 200),
        drawn(show(events), 200),
        drawn(frame(timeline, now_s, Canvas(120, 40, UNICODE_MARKS)), 120),
    ):
        assert harmless(text)


def test_lines_say_when_who_what_state_and_how_long() -> None:
    stream = io.StringIO()
    view = PlainView(stream)
    for stamped in facts(fleet(), bad=BAD):
        view.fact(stamped)
    view.close()
    view.close()
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith(
        "run 20261121-0213-k7q2 begins: stop shop, 35 units, about 51 s by the plan, asked for by ada@ops on ctl-01"
    )
    assert re.match(r"2026-11-2\d \d\d:\d\d:\d\d[+-]\d\d:\d\d  run ", lines[0])
    said = [line[27:] for line in lines]
    assert "web@web-01  stop begins" in said
    assert "web@web-01  stop ok: Running -> Stopped, 5.0 s" in said
    assert (
        "orders@orders-07  stop FAILED: Running -> StopPending, 1 min 30 s: Orders was not Stopped after 90 s: "
        "The service did not respond. (error 1053)"
    ) in said
    assert any(line.startswith("orders@orders-09  stop UNKNOWN: state not read, perhaps acted") for line in said)
    assert "web@web-01  STRAYED: left Stopped, found Running: started at 02:14 by somebody else" in said
    assert "run ends: failed, exit code 1" in said
    assert sum(line.startswith("FAILED  stop shop") for line in lines) == 1


def test_json_is_one_fact_a_line_and_reads_back() -> None:
    events = facts(fleet(), bad=BAD, error=NASTY)
    stream = io.StringIO()
    view = JsonView(stream)
    for stamped in events:
        view.fact(stamped)
    view.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(events)
    for line, stamped in zip(lines, events, strict=True):
        read = json.loads(line)
        assert read.pop("number") == stamped.number
        assert read.pop("at").startswith("2026-11-2")
        assert read.pop("elapsed_s") == pytest.approx(stamped.elapsed_s)
        assert decode(json.dumps(read)) == stamped.fact


def test_every_line_is_flushed_at_once() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as stream, os.fdopen(reading, "rb", 0) as reader:
        view = JsonView(stream)
        view.fact(facts(fleet(SMALL))[0])
        assert reader.read(9) == b'{"number"'


def test_a_view_whose_reader_has_gone_falls_silent() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="utf-8")
    view = PlainView(stream)
    for stamped in facts(fleet(SMALL)):
        view.fact(stamped)
    view.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_a_poor_stream_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    view = PlainView(stream)
    for stamped in facts(fleet(), bad=BAD, error="Größe"):
        view.fact(stamped)
    view.close()
    assert b"Gr\\xf6\\xdfe" in raw.getvalue()


def views() -> list[Callable[[], View]]:
    return [
        lambda: LiveView(Console(file=io.StringIO(), force_terminal=True, width=80, height=24)),
        lambda: PlainView(io.StringIO()),
        lambda: JsonView(io.StringIO()),
    ]


@pytest.mark.parametrize("make", views(), ids=["live", "plain", "json"])
@pytest.mark.parametrize("twice", [False, True])
def test_every_view_takes_every_fact(make: Callable[[], View], twice: bool) -> None:
    events = facts(fleet(twice=twice), bad=BAD)
    events.insert(5, Stamped(0, BEGAN_AT, 0.0, OrderTaken("cancel")))
    events += rolled_back().facts
    assert {type(stamped.fact) for stamped in events} == set(get_args(Fact))
    view = make()
    view.history(events[0])
    for stamped in events:
        view.fact(stamped)
        view.note(Note(Step(0, "web@web-01", Phase.STOP), "StopPending"))
    view.note(Note(Step(9, "nobody@nowhere", Phase.STOP), "StopPending"))
    view.close()
    view.close()


def test_a_view_closed_before_anything_happened_says_nothing() -> None:
    for make in views():
        make().close()


def test_the_live_view_draws_leaves_the_report_and_gives_the_terminal_back() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, height=30, color_system=None)
    view = LiveView(console, monotonic=lambda: 0.0)
    for stamped in facts(fleet(), bad=BAD):
        view.fact(stamped)
    drawn_once = threading.Event()
    for _ in range(200):
        if "services" in stream.getvalue():
            drawn_once.set()
            break
        drawn_once.wait(0.05)
    view.close()
    text = stream.getvalue()
    assert "services" in text
    assert text.rstrip().endswith("orch start --from 20261121-0213-k7q2")
    assert "\x1b[?25h" in text, "the cursor is back"


def test_the_report_says_what_why_and_what_next() -> None:
    text = drawn(report(folded(facts(fleet(), bad=BAD))), 140)
    assert text.startswith(
        "FAILED  stop shop, run 20261121-0213-k7q2, 34 s; nothing more was begun once abort was decided\n"
        "✓ 18 ok · ✗ 1 failed · ? 1 unknown · – 15 untouched · ! 1 strayed · 1 left alone\n"  # noqa: RUF001
    )
    assert "✗ orders@orders-07  failed  StopPending\n      stop after 1 min 30 s, acted: Orders was not Stopped" in text
    assert "? orders@orders-09  unknown  unknown\n      stop after 1 min 30 s, perhaps acted: " in text
    assert "– billing@billing-01 and 3 more  untouched  Running\n      waits for orders@orders-07, which failed" in text  # noqa: RUF001
    assert "· mail@mail-01  left alone\n      mail-01 does not answer" in text
    assert "next: orch show 20261121-0213-k7q2" in text
    assert "or:   orch rollback 20261121-0213-k7q2" in text
    assert "or:   orch stop --plan playbooks/shop.yaml --yes" in text
    assert "1  orders@orders-07 and 1 more failed (timeout)\n      abort by bob@ops after 3.0 s: not tonight" in text


def told(facts_: list[Stamped]) -> list[str]:
    """The plain lines, without their times."""
    stream = io.StringIO()
    view = PlainView(stream)
    for stamped in facts_:
        view.fact(stamped)
    return [line[27:] for line in stream.getvalue().splitlines()]


def test_a_waiting_decision_stands_at_the_top_with_what_to_type_and_who_may() -> None:
    plan = replace(fleet(SMALL), policy=TWO_EYES)
    night = Night(plan).begin().intend("web@web-02").later(90).ended("web@web-02", outcome=Outcome.FAILED)
    timeline = folded(night.ask(1, "web@web-02").ask(2, kind=CauseKind.BUDGET, pauses=True).facts)
    lines = drawn(frame(timeline, timeline.last_s + 75, Canvas(110, 30, UNICODE_MARKS)), 110).splitlines()
    assert lines[2].startswith("nothing new begins: more units failed than max_failures allows")
    assert lines[3].startswith(" DECISION 1 WAITS   web@web-02 failed (timeout)  for 1 min 15 s")
    block = "\n".join(lines[4:9])
    assert "answer: orch decide 20261121-0213-k7q2 CHOICE --decision 1" in block
    assert "CHOICE is rollback, retry, skip, exclude, hold or abort" in block
    assert "2 of ada, bob, cem must agree, but not ada@ops, who began the run; hold at " in block
    assert "decision 2 waits too: more units failed than max_failures allows" in block
    short = drawn(frame(timeline, timeline.last_s, Canvas(80, 7, ASCII_MARKS)), 80).splitlines()
    assert len(short) <= 7
    assert "DECISION 1 WAITS" in short[3]
    assert "orch decide 20261121-0213-k7q2 CHOICE" in short[4]


def test_the_way_back_has_its_own_heading_progress_and_list_of_what_is_left_alone() -> None:
    timeline = folded(going_back(changed=[Strayed("sql@sql-01", "Stopped", "Running")]).facts)
    text = drawn(frame(timeline, timeline.last_s, Canvas(120, 30, UNICODE_MARKS)), 120)
    assert text.startswith("ROLLING BACK  stopping shop")
    assert "0/2" in text
    assert "! sql@sql-01  changed since: the run left it Stopped, and it is Running; --accept-drift" in text


def test_what_is_tried_again_on_the_way_back_is_under_way_and_says_when() -> None:
    night = going_back().intend("web@web-01", "web@web-02", stage=1, phase=Phase.START).later(5)
    night.ended("web@web-01", stage=1, phase=Phase.START, after="Running")
    night.ended("web@web-02", stage=1, phase=Phase.START, after="", outcome=Outcome.UNKNOWN)
    again = StepIntended(Step(1, "web@web-02", Phase.START, 2, 34.0))
    timeline = folded(night.tell(again).later(4).facts)
    text = drawn(frame(timeline, night.elapsed_s, Canvas(120, 30, UNICODE_MARKS)), 120)
    assert "1/2  50 %" in text
    assert "under way (1)" in text
    assert "tried again after 34 s, attempt 2: " in text
    assert "100 %" not in text
    assert "start begins, attempt 2, after 34 s" in told(night.facts)[-1]


def test_lines_tell_each_of_a_decision_once() -> None:
    said = told(incomplete().facts)
    for words in (
        "DECISION 1 WAITS: web@web-02 failed (timeout)",
        "decision 1: 1 unit more for the same reason: web@web-01",
        "the run is parked and keeps its locks: decision 1 waits; orch decide 20261121-0213-k7q2 CHOICE --resume",
        "the run goes on: resumed by bob@ops on ctl-02",
        "decision 2: withdrawn: they are where the run left them again",
        "decision 1: rollback by bob@ops after 2 min 05 s: the window is over",
        "ROLLBACK begins: 2 units, about 6.0 s",
        "run ends: rollback incomplete, exit code 4",
    ):
        assert said.count(words) == 1, words


def test_an_answer_that_came_late_and_is_not_applied_is_told_so() -> None:
    night = failing().answer(1, Choice.ROLLBACK, by="root")
    assert folded(night.facts).halted == "rollback was decided"
    night.tell(DecisionWithdrawn(decision=1, why="units changed meanwhile: web@web-01 is Running and not Stopped"))
    assert "decision 1: rollback by root NOT APPLIED: units changed meanwhile" in told(night.facts)[-1]
    assert folded(night.facts).halted == ""


def test_nobody_is_told_to_answer_what_the_policy_answers_at_once() -> None:
    night = Night(fleet(SMALL)).begin().intend("web@web-01").later(90)
    night.ended("web@web-01", outcome=Outcome.FAILED, after="StopPending")
    asked = len(night.ask(1, "web@web-01", waits=False, pauses=True).facts)
    night.answer(1, Choice.RETRY, by="rule 2", source=Source.POLICY)
    assert told(night.facts)[-2:] == [
        "decision 1: web@web-01 failed (timeout)",
        "decision 1: retry by the policy (rule 2)",
    ]
    between = folded(night.facts[:asked])  # a picture may be drawn there
    assert "WAITS" not in drawn(frame(between, between.last_s, Canvas(120, 30, UNICODE_MARKS)), 120)
    assert not between.halted


def test_a_report_of_a_way_back_says_what_is_where_and_what_to_type() -> None:
    undo = undo_of(folded(incomplete().facts), {"web-02": "10.0.0.2"})
    assert undo is not None
    text = drawn(report(folded(incomplete().facts), undo=replace(undo, path="/state/runs/r/undo.ps1")), 120)
    assert text.startswith("ROLLBACK INCOMPLETE  stop shop")
    assert "rolled back: 1 of 2 touched units are as before the run\n! web@web-02  was Running, is Stopped\n" in text
    assert (
        "by hand, in this order:\n"
        "      Invoke-Command -ComputerName '10.0.0.2' -ScriptBlock { Start-Service -Name 'Web' }\n"
    ) in text
    assert "the same as a file: /state/runs/r/undo.ps1" in text
    assert "rollback by bob@ops after 2 min 05 s: the window is over" in text
    assert f"journal head {HEAD}" in text
    assert "--from" not in text, "nothing is left to bring up"
    back = drawn(report(folded(rolled_back().facts)), 120)
    assert undo_of(folded(rolled_back().facts), {}) is None
    assert "rolled back: 2 of 2 touched units are as before the run" in back
    assert "by hand" not in back


def test_a_report_of_a_parked_run_says_what_waits_and_what_to_type() -> None:
    text = drawn(report(folded(parked().facts)), 120)
    assert text.startswith("PARKED  stop shop")
    assert "waits since 2026-11-2" in text
    assert "next: orch decide 20261121-0213-k7q2 CHOICE --resume" in text
    broken_off = drawn(report(folded(failing().intend("sql@sql-01").facts)), 120)
    assert "next: orch resume 20261121-0213-k7q2" in broken_off


def test_a_good_stop_ends_with_how_to_start_again() -> None:
    good = facts(fleet(SMALL))
    text = drawn(report(folded([stamped for stamped in good if not isinstance(stamped.fact, Strayed)])))
    assert text.rstrip().endswith("back: orch start --from 20261121-0213-k7q2")
    assert "next:" not in text


def test_the_report_of_thousands_stays_short() -> None:
    plan = fleet((("web", 3000), ("orders", 3000)), slots=200)
    bad = {f"web@web-{number:02}": Outcome.FAILED for number in range(1, 3000)}
    assert len(drawn(report(folded(facts(plan, bad=bad)))).splitlines()) < 200


def test_show_has_a_line_per_unit_with_states_times_and_error() -> None:
    events = facts(fleet(), bad=BAD)
    text = drawn(show(events), 120)
    assert "command  orch stop --plan playbooks/shop.yaml --yes" in text
    assert "failed, exit code 1" in text
    [line] = [line for line in text.splitlines() if line.startswith("✓ web@web-01 ")]
    assert line.split()[2] == "ok"
    assert line.split()[-2:] == ["s", "1"]
    assert "      The service did not respond. (error 1053)" in text
    opened = drawn(show(events[:-1]), 120)
    assert "no end is recorded" in opened


def test_show_and_runs_as_json() -> None:
    shown = json.loads(show_json(facts(fleet(), bad=BAD)))
    assert shown["verdict"] == "failed"
    assert shown["began_at"].endswith("Z")
    assert shown["units"][0]["unit"] == "web@web-01"
    summary = RunSummary(
        run="r-1",
        plan="shop",
        action="stop",
        requester="[b]ada",
        began_at=BEGAN_AT,
        ended_at=None,
        verdict=None,
        counts={},
        standing=PortStanding.PARKED,
        asks=(1, 2),
        of="r-0",
    )
    [told] = json.loads(runs_json([summary]))["runs"]
    assert (told["ended_at"], told["standing"], told["asks"]) == (None, "parked", [1, 2])
    table = drawn(runs_table([summary]))
    assert "parked" in table
    assert "stop shop · of r-0 · asks 2 decisions" in table
    assert "[b]ada" in table
    assert "no runs yet" in drawn(runs_table([]))


def test_facts_on_disk_and_on_screen_are_the_same_text() -> None:
    stamped = facts(fleet(SMALL))[3]
    stream = io.StringIO()
    JsonView(stream).fact(stamped)
    assert stream.getvalue().rstrip().endswith(encode(stamped.fact)[1:])


# --- the boundary --------------------------------------------------------------------------------------------------


def ended(error: BaseException, state: Path) -> int:
    with pytest.raises(typer.Exit) as caught, boundary(state):
        raise error
    return caught.value.exit_code


def test_errors_are_said_with_what_to_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(BadInput("no \x1b[31msuch\nplan", hint="orch validate"), tmp_path) == 2
    assert capsys.readouterr().err == "error: no such\n    plan\ntry: orch validate\n"
    group = ExceptionGroup("tasks", [OrchError("one"), ExceptionGroup("more", [BadInput("two")])])
    assert ended(group, tmp_path) == 2
    assert capsys.readouterr().err == "error: one\nerror: two\n"


def test_mistakes_are_said_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [
        Mistake(Mark("shop.yaml", 3, 5), "unknown key", "did you mean x?"),
        Mistake(Mark("shop.yaml", 1, 1), "bad"),
    ]
    assert ended(Mistakes(wrong), tmp_path) == 2
    assert capsys.readouterr().err == (
        "error: shop.yaml:1:1: bad\nerror: shop.yaml:3:5: unknown key\n    did you mean x?\n"
        "2 mistakes; nothing was touched\n"
    )


def test_a_bug_leaves_a_log_without_values_of_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        password = "hunter2" * 2
        raise ZeroDivisionError(f"of {len(password)}")

    with pytest.raises(typer.Exit) as caught, boundary(tmp_path / "state"):
        fail()
    assert caught.value.exit_code == 70
    [log] = (tmp_path / "state" / "crash").iterdir()
    said = capsys.readouterr().err
    assert str(log) in said
    assert "ZeroDivisionError: of 14" in log.read_text()
    assert "hunter2hunter2" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_bug_where_no_log_can_be_written_is_said_on_the_spot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").touch()
    assert ended(ZeroDivisionError("x"), tmp_path / "state") == 70
    assert "ZeroDivisionError: x" in capsys.readouterr().err


def test_typers_own_exits_pass(tmp_path: Path) -> None:
    assert ended(typer.Exit(3), tmp_path) == 3
    assert ended(KeyboardInterrupt(), tmp_path) == 130
    with pytest.raises(typer.Abort), boundary(tmp_path):
        raise typer.Abort


def test_a_reader_that_has_gone_ends_the_program_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "talk.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nimport typer\nfrom orchestrator.interfaces.boundary import boundary\n"
        "try:\n    with boundary(Path('.')):\n        while True:\n            sys.stdout.write('x' * 4096)\n"
        "except typer.Exit as exc:\n    sys.exit(exc.exit_code)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
