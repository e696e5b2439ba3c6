"""A rolling restart before the eyes of people: its preview, its lines, the live picture, and what an answer means."""

import io
from dataclasses import replace

import pytest
from drafts import CLOSED, READY, draft, entry, survey
from rich.console import Console, RenderableType
from scripted_work import Answer, Decision, ScriptedWork
from virtual_time import run_virtual

from orchestrator.domain.budget import Budget
from orchestrator.domain.consequences import consequences
from orchestrator.domain.decisions import Choice as Answered
from orchestrator.domain.draft import Batches, Draft
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAsked, RunBegan, RunParked, Stamped, StepEnded, StepIntended
from orchestrator.domain.gates import CommandCheck, Origin
from orchestrator.domain.life import Hook, Life, Reboot
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.preview import preview
from orchestrator.domain.results import Outcome, Phase
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import ServiceStatus, StartType, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.timeline_json import as_json
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.interfaces.fact_lines import lines_of
from orchestrator.interfaces.frame import Canvas, frame
from orchestrator.interfaces.preview_view import question, render
from orchestrator.interfaces.report import report
from orchestrator.interfaces.runs_view import show
from orchestrator.interfaces.theme import UNICODE_MARKS

DRAIN = Hook(
    name="drain",
    do=CommandCheck(exe="drain.exe"),
    undo=CommandCheck(exe="undrain.exe"),
    origin=Origin.CONTROLLER,
    idempotent=True,
)
STUCK = Answer(Outcome.FAILED, 90.0, "Stopped", ProblemKind.REMOTE)
BOOT = Hook(name="between.1", do=Reboot(timeout_s=600.0), origin=Origin.HOST, timeout_s=600.0)
LIVES = {
    "ready": (READY,),
    "stopped": (CLOSED,),
    "stop_timeout_s": 45.0,
    "stop_life": Life(before=(DRAIN,), prechecks=(READY,)),
    "start_life": Life(after=(replace(DRAIN, undoes=True),), healthy_s=30.0),
}
FARM = draft(
    entry("web", "w-1 w-2 w-3 w-4 w-5", of_instance=LIVES, min_available=Budget(60, percent=True)),
    entry("api", "a-1 a-2 a-3", "web", batches=Batches(sizes=(Budget(1), Budget(2)), pause_s=60.0)),
    between=(BOOT,),
)


def seen(made: Draft) -> Survey:
    """All runs, by itself after a boot, on hosts that tell when they started."""

    def automatic(status: ServiceStatus) -> ServiceStatus:
        return replace(status, start_type=StartType.AUTOMATIC)

    found = survey(made)
    hosts = {
        name: replace(
            host,
            booted_at=1e9,
            readings=tuple(replace(one, found=tuple(map(automatic, one.found))) for one in host.readings),
        )
        for name, host in found.hosts.items()
    }
    return Survey(hosts)


def planned(made: Draft = FARM) -> Plan:
    return build(made, Choice(rolling=True), Action.RESTART, seen(made))


def on_paper(drawn: RenderableType, width: int = 110) -> str:
    paper = io.StringIO()
    Console(file=paper, width=width, color_system=None, force_terminal=False).print(drawn)
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines())


SHOWN = """\
shop: rolling restart, nothing touched yet

checked before anything is touched, and again before its own stop: 5 units
  web  (5; shown for web@w-1)  tcp 127.0.0.1:1433 from controller: within 2 min 00 s

wave  service  units                                  now      wanted   what     gates      estimate
1     web      web@w-1, web@w-2, web@w-3, web@w-4,    Running  Running  restart  port, tcp  3 min 34 s (guess)
               web@w-5
2     api      api@a-1, api@a-2, api@a-3              Running  Running  restart             3 min 15 s (guess)
critical path: web 3 x 3 min 34 s (guess) → api 2 x 3 min 15 s (guess), and 1 min 00 s of pauses
web: restart in 3 batches of at most 2, never below 3 of 5
api: restart in 2 batches (1, 2), 1 min 00 s between them; without min_available nobody counts who is up

gates of the stop: it comes up when they hold
  web (5; shown for web@w-1)  port 8080 closed from host: within 2 min 00 s
gates of the start: what waits for it waits for them
  web (5; shown for web@w-1)  tcp 127.0.0.1:1433 from controller: within 2 min 00 s

the restart of web  5 units, shown for web@w-1
  precheck                 tcp 127.0.0.1:1433 from controller: within 2 min 00 s
  pre_stop hook drain      drain.exe from the controller; undone by its own way up: undrain.exe
  stop
  between hook 1 (reboot)  reboot, back within 10 min 00 s
  start
  healthy                  for 30 s in the same process; another process is a crash loop, and fails
  undo of drain            undrain.exe from the controller
the restart of api  3 units, shown for api@a-1
  stop
  between hook 1 (reboot)  reboot, back within 10 min 00 s
  start

! the reboot starts 8 units (Automatic), before what they need and before the run does; keep_down keeps them
down: web (5), api (3)
8 restart; estimated duration 18 min 11 s (100% of it guessed as a quarter of the timeout; `expected` says
better)"""


def test_a_preview_says_how_many_go_together_what_stays_up_and_what_each_goes_through() -> None:
    found = preview(planned())
    assert on_paper(render(found, Survey({}), Console(width=110))) == SHOWN
    assert question(found) == "Restart 8 units on 8 hosts, and reboot the hosts, one batch after the other?"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (draft(entry("web", "w-1 w-2 w-3")), "restart one at a time, 3 in all; without min_available nobody counts"),
        (draft(entry("web", "w-1")), "restart of one instance; without min_available nobody counts"),
        (draft(entry("web", "w-1 w-2 w-3", min_available=Budget(2))), "one at a time, 3 in all, never below 2 of 3"),
        (draft(entry("web", "w-1 w-2 w-3", min_available=Budget(1))), "in 2 batches of at most 2, never below 1 of 3"),
        (
            draft(entry("web", "w-1 w-2 w-3", batches=Batches(sizes=(Budget(1),), asks=True))),
            "without min_available nobody counts who is up; before each next one somebody is asked",
        ),
        (draft(entry("web", "w-1 w-2", batches=Batches(sizes=(Budget(2),)))), "restart in 1 batch of 2; without"),
    ],
)
def test_one_line_says_how_a_service_goes(made: Draft, words: str) -> None:
    assert words in " ".join(on_paper(render(preview(planned(made)), Survey({}), Console(width=110))).split())


def test_who_needs_what_goes_down_without_a_count_is_told() -> None:
    made = draft(
        entry("sql", "db-1"),
        entry("web", "w-1 w-2", "sql"),
        entry("api", "a-1 a-2", "web", "sql", min_available=Budget(1)),
        entry("gui", "g-1", "api"),
    )
    drawn = on_paper(render(preview(planned(made)), Survey({}), Console(width=120)), 120)
    assert [line for line in drawn.splitlines() if "while it restarts" in line] == [
        "! sql has one instance: it is down while it restarts, and web and 1 more need it",
        "! web has no min_available: nobody counts who is up while it restarts, and api needs it",
    ]


def test_who_does_not_run_is_missed_before_anything_goes_down() -> None:
    made = draft(entry("web", "w-1 w-2 w-3 w-4", min_available=Budget(3)))
    found = survey(made, but={"web@w-3": State.STOPPED})
    plan = build(made, Choice(rolling=True), Action.RESTART, found)
    drawn = " ".join(on_paper(render(preview(plan), Survey({}), Console(width=110))).split())
    assert "one at a time, 3 in all, never below 3 of 4; only 3 of them run now: it waits for more, then asks" in drawn
    assert "run now" not in on_paper(render(preview(planned(made)), Survey({}), Console(width=110)))


def carried(work: ScriptedWork, made: Draft = FARM, command: str = "") -> tuple[RunState, list[Stamped]]:
    """The run to its end, and its facts."""
    plan = planned(made)
    state = run_virtual(conduct(plan, RunState.begin(plan), work.ports))
    began = RunBegan(run="20261121-0213-k7q2", plan=plan, requester="ada", controller="ctl-01", command=command)
    facts = [(0.0, began), *work.facts]
    return state, [Stamped(number, 1e9 + at, at, fact, "") for number, (at, fact) in enumerate(facts, 1)]


def test_the_lines_of_a_run_tell_each_way_by_its_own_words() -> None:
    state, facts = carried(ScriptedWork(before="Running"))
    assert state.verdict().exit_code == 0
    timeline, lines = Timeline(), list[str]()
    for one in facts:
        own = isinstance(one.fact, StepEnded) and timeline.owns(one.fact.result.step)
        timeline.fact(one)
        lines += lines_of(one.fact, timeline, own=own)
    assert [line for line in lines if line.startswith(("stage", "web@w-1", "web#1"))] == [
        "stage 1 of 2 begins: prechecks",
        "web@w-1  precheck ok, 1.0 s",
        "stage 2 of 2 begins: rolling restart",
        "web#1  count ok, 1.0 s",
        "web@w-1  precheck ok, 1.0 s",
        "web@w-1  pre_stop hook drain begins",
        "web@w-1  pre_stop hook drain ok, 1.0 s",
        "web@w-1  stop begins",
        "web@w-1  stop ok: Stopped, 1.0 s",
        "web@w-1  stopped gate ok, 1.0 s",
        "web@w-1  between hook 1 (reboot) begins",
        "web@w-1  between hook 1 (reboot) ok, 1.0 s",
        "web@w-1  start begins",
        "web@w-1  start ok: Running, 1.0 s",
        "web@w-1  gate ok, 1.0 s",
        "web@w-1  healthy ok, 1.0 s",
        "web@w-1  undo of drain begins",
        "web@w-1  undo of drain ok, 1.0 s",
    ]
    told = as_json(timeline, 0.0)
    assert {row["unit"]: row["standing"] for row in told["units"] if row["stage"] == 1 and "@" in row["unit"]} == (
        dict.fromkeys([f"web@w-{n}" for n in range(1, 6)] + [f"api@a-{n}" for n in range(1, 4)], "ok")
    )
    assert told["to_undo"] == []


def test_the_live_picture_says_which_batch_goes_on_and_what_each_unit_is_doing() -> None:
    _, facts = carried(ScriptedWork(before="Running"))
    timeline, pictures = Timeline(), dict[tuple[str, Phase, str], str]()
    for one in facts:
        timeline.fact(one)
        if isinstance(one.fact, StepIntended) and one.fact.step.unit == "web@w-3":
            step = one.fact.step
            canvas = Canvas(120, 40, UNICODE_MARKS)
            drawn = on_paper(frame(timeline, one.elapsed_s, canvas), 120)
            pictures[step.unit, step.phase, step.hook] = " ".join(drawn.split())
    stopping = pictures["web@w-3", Phase.STOP, ""]
    assert "2/8" in stopping, "units are counted, and no counts"
    assert "web" in stopping
    assert "batch 2 of 3" in stopping
    assert "web@w-3 stopping Running 0.0 s of 45 s" in stopping
    assert "web@w-3 stopped gate Stopped" in pictures["web@w-3", Phase.GATE, "stopped"]
    assert "between hook 1 (reboot) Stopped" in pictures["web@w-3", Phase.BETWEEN, "between.1"]
    assert "web@w-3 starting Stopped 0.0 s of 1 min 30 s" in pictures["web@w-3", Phase.START, ""]
    assert "web@w-3 undoing drain Running" in pictures["web@w-3", Phase.POST_START, "drain"]


def test_too_few_that_are_up_are_a_question_of_their_own() -> None:
    asked: list[DecisionAsked] = []

    def never(found: DecisionAsked) -> Decision | None:
        asked.append(found)
        return Decision(Answered.HOLD)

    short = Answer(Outcome.FAILED, 90.0, "", ProblemKind.GATE)
    state, facts = carried(ScriptedWork({"0/web#1/count/1": short}, before="Running", decide=never), plain(FARM))
    assert [one.cause.units for one in asked] == [("web#1",)]
    (number,) = state.open
    said = {one.choice: one.said for one in consequences(state, number)}
    assert said[Answered.RETRY] == "counts again before batch 1 of 3 of web, and goes on with it once enough are up"
    assert said[Answered.SKIP] == "leaves batch 1 of 3 of web and all that waits for that, and goes on with the rest"
    assert said[Answered.ROLLBACK] == "ends the run: nothing has to be put back"
    assert Answered.EXCLUDE not in said, "it is on no host"
    timeline = Timeline()
    for one in facts:
        timeline.fact(one)
    assert [track.unit for track in timeline.failures] == ["web#1"]


def plain(made: Draft) -> Draft:
    """The same without hooks, checks and reboots."""
    entries = tuple(
        replace(one, instances=tuple(replace(item, stop_life=None, start_life=None) for item in one.instances))
        for one in made.entries
    )
    return replace(made, entries=entries, between=())


def test_what_a_skipped_unit_did_not_do_while_it_was_down_is_told_at_the_end() -> None:
    failed = {"1/web@w-2/between:between.1/1": Answer(Outcome.FAILED, 600.0, "")}
    state, facts = carried(ScriptedWork(failed, before="Running", decide=lambda _: Decision(Answered.SKIP)))
    timeline = Timeline()
    for one in [*facts, Stamped(len(facts) + 1, 1e9, facts[-1].elapsed_s, state.verdict())]:
        timeline.fact(one)
    text = " ".join(on_paper(report(timeline), 160).split())
    assert "by hand: reboot, back within 10 min 00 s on w-2: left out between stop and start" in text
    assert "on w-1" not in text


@pytest.mark.parametrize("answered", [Answered.ABORT, Answered.SKIP])
def test_what_was_done_for_a_unit_that_stays_down_needs_hands_and_the_answer_says_so(answered: Answered) -> None:
    asked: list[DecisionAsked] = []

    def decide(found: DecisionAsked) -> Decision:
        asked.append(found)
        return Decision(answered if len(asked) > 1 else Answered.HOLD)

    plan = planned()
    work = ScriptedWork({"1/web@w-2/start/1": STUCK}, before="Running", decide=decide)
    state = run_virtual(conduct(plan, RunState.begin(plan), work.ports))
    (number,) = state.open
    said = {one.choice: one.said for one in consequences(state, number)}
    done = ", and what was done for web@w-2 as it is (undo of drain is left to you), and "
    assert done in said[answered], said

    work = ScriptedWork({"1/web@w-2/start/1": STUCK}, before="Running", decide=lambda _: Decision(answered))
    state, facts = carried(work)
    assert state.verdict().counts["not undone"] == 1
    timeline = folded([*facts, Stamped(len(facts) + 1, 1e9, facts[-1].elapsed_s, state.verdict())])
    text = " ".join(on_paper(report(timeline), 160).split())
    why = "it was not undone: its unit is Stopped, and was to come up again"
    assert f"needs hands: ! web@w-2 undo of drain {why} by hand: undrain.exe from the controller" in text, text
    assert "#" not in text, "counts are no units"
    table = on_paper(show(facts), 160)
    assert "web@w-5" in table
    assert "#" not in table


def folded(facts: list[Stamped]) -> Timeline:
    timeline = Timeline()
    for one in facts:
        timeline.fact(one)
    return timeline


def test_each_part_counts_its_own_attempts() -> None:
    failed = {"1/web@w-1/post_start:drain/1": STUCK, "1/web@w-2/stop/1": STUCK}
    _, facts = carried(ScriptedWork(failed, before="Running", decide=lambda _: Decision(Answered.RETRY)))
    timeline, lines = Timeline(), list[str]()
    for one in facts:
        timeline.fact(one)
        lines += lines_of(one.fact, timeline, own=False)
    again = [line for line in lines if line.startswith("web@w-") and "begins, attempt" in line]
    assert again == ["web@w-2  stop begins, attempt 2", "web@w-1  undo of drain begins, attempt 2"]
    later = [one.fact.step for one in facts if isinstance(one.fact, StepIntended) and one.fact.step.unit == "web@w-2"]
    numbers = {step.attempt for step in later if step.phase is Phase.BETWEEN}
    assert numbers == {2}, "the own number of a step is that of the whole life"


TYPED = "orch restart -p shop.yaml --rolling -s api --with-dependents --limit=web:api --yes"


def told(answers: dict[str, Answer], choice: Answered, command: str = TYPED) -> str:
    """The report of a run in which everything that is asked is answered with *choice*, as one line."""
    work = ScriptedWork(answers, before="Running", decide=lambda _: Decision(choice))
    state, facts = carried(work, command=command)
    timeline = folded([*facts, Stamped(len(facts) + 1, 1e9, facts[-1].elapsed_s, state.verdict())])
    return " ".join(on_paper(report(timeline), 240).split())


REST = "rest: orch restart -p shop.yaml --rolling --yes --service web --service api --limit w-3,w-4,w-5,a-1,a-2,a-3"


def test_what_is_advised_after_a_rolling_run_follows_what_is_left() -> None:
    not_ready = {"1/web@w-2/gate/1": Answer(Outcome.FAILED, 10.0, "", ProblemKind.GATE)}
    text = told(not_ready, Answered.ABORT)
    assert "or: orch rollback 20261121-0213-k7q2 starts what this run left down and undoes what it left done" in text
    assert "orch start" not in text, "nothing is stopped"
    assert f"{REST} 6 units not restarted" in text
    down = {"1/web@w-2/start/1": Answer(Outcome.FAILED, 10.0, "Stopped")}
    text = told(down, Answered.ABORT)
    assert "or: orch rollback 20261121-0213-k7q2 starts" in text
    assert "or: orch start -p shop.yaml -s api --limit=web:api --yes" in text
    assert REST in text
    undrained = {"1/web@w-2/pre_stop:drain/1": Answer(Outcome.FAILED, 10.0, "")}
    text = told(undrained, Answered.SKIP, "orch restart --plan shop.yaml --rolling -l 'w-*,api'")
    assert "rest: orch restart --plan shop.yaml --rolling --limit w-2,a-1,a-2,a-3 4 units not restarted" in text
    assert "orch start" not in text
    text = told(undrained, Answered.SKIP, "orch apply shop.orchplan")
    assert "rest: orch restart --plan PLAYBOOK --rolling --limit w-2,a-1,a-2,a-3 " in text
    assert "rest:" not in told({}, Answered.SKIP)
    build(FARM, Choice(rolling=True, hosts=frozenset({"w-2"})), Action.RESTART, seen(FARM))


def test_a_way_back_in_mid_roll_says_who_was_restarted_by_then_and_stays_so() -> None:
    text = told({"1/web@w-3/stop/1": Answer(Outcome.FAILED, 10.0, "Running")}, Answered.ROLLBACK)
    assert "rolled back: 1 of 1 touched unit is as before the run" in text
    assert "3 were restarted before and stay so: web@w-1, web@w-2, web@w-4" in text
    assert "rest: orch restart -p shop.yaml --rolling --yes --service web --service api --limit w-3,w-5,a-1" in text


def test_every_answer_and_the_report_of_a_parked_run_name_what_stays_drained() -> None:
    """w-2 runs, and is not ready: it never came to the undo of its drain."""
    not_ready = {"1/web@w-2/gate/1": Answer(Outcome.FAILED, 10.0, "", ProblemKind.GATE)}
    plan = planned()
    work = ScriptedWork(not_ready, before="Running", decide=lambda _: Decision(Answered.HOLD))
    state = run_virtual(conduct(plan, RunState.begin(plan), work.ports))
    (number,) = state.open
    said = {one.choice: one.said for one in consequences(state, number)}
    for choice in (Answered.SKIP, Answered.EXCLUDE, Answered.ABORT):
        assert "what was done for web@w-2 as it is (undo of drain is left to you)" in said[choice], said[choice]
    assert said[Answered.HOLD].endswith("what was done for web@w-2 stays so meanwhile (undo of drain waits)")
    parked = " ".join(on_paper(report(folded(begun(plan, work))), 160).split())
    assert "stays as it is while the run waits: ! web@w-2 done and not undone: hook drain" in parked
    assert "needs hands" not in parked, "it may go on"

    stuck = not_ready | {"1/web@w-3/stop/1": Answer(Outcome.FAILED, 10.0, "Running")}

    def decide(found: DecisionAsked) -> Decision:
        return Decision(Answered.SKIP if "web@w-2" in found.cause.units else Answered.HOLD)

    work = ScriptedWork(stuck, before="Running", decide=decide)
    run_virtual(conduct(plan, RunState.begin(plan), work.ports))
    parked = " ".join(on_paper(report(folded(begun(plan, work))), 160).split())
    assert "needs hands: ! web@w-2 undo of drain it was not undone by hand: undrain.exe" in parked
    assert "while the run waits: ! web@w-3 done and not undone: hook drain" in parked


def begun(plan: Plan, work: ScriptedWork) -> list[Stamped]:
    began = RunBegan(run="20261121-0213-k7q2", plan=plan, requester="ada", controller="ctl-01")
    facts = [(0.0, began), *work.facts, (1e4, RunParked())]
    return [Stamped(number, 1e9 + at, at, fact, "") for number, (at, fact) in enumerate(facts, 1)]
