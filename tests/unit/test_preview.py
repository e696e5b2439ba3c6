"""The dry run's view of a plan, and what `status` says."""

import dataclasses
import io
import json
from dataclasses import replace
from datetime import datetime

import pytest
from drafts import NO_SUCH, READY, draft, entry, status, survey
from rich.console import Console

from orchestrator.domain.gates import Check, CommandCheck, Gate, HttpCheck, Origin, TcpCheck
from orchestrator.domain.kinds import full
from orchestrator.domain.life import Life
from orchestrator.domain.plan import Action, LeftAlone
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.status import expectations
from orchestrator.domain.policy import Approval, Policy, Window
from orchestrator.domain.preview import Preview, What, preview
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import Asked, StartType, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.way_back import Touch, rollback_plan, way_back
from orchestrator.interfaces import preview_view

SHOP = draft(
    entry("sql", "db-01", of_instance={"ready": (READY,), "start_expected_s": 30.0}),
    entry("broker", "mq-01", "sql"),
    entry("orders", "app-01 app-02", "broker"),
)


def waves(found: Preview, stage: int = 0) -> list[list[str]]:
    return [[row.unit for row in wave] for wave in found.stages[stage].waves]


def test_waves_are_the_distance_in_the_graph() -> None:
    assert waves(preview(build(SHOP, Choice(), Action.START, survey(SHOP, State.STOPPED)))) == [
        *(["sql@db-01"], ["broker@mq-01"], ["orders@app-01", "orders@app-02"])
    ]


def test_a_row_says_what_is_and_what_would_be() -> None:
    found = preview(
        build(SHOP, Choice(), Action.START, survey(SHOP, State.STOPPED, but={"broker@mq-01": State.RUNNING}))
    )
    sql, broker = found.stages[0].waves[0][0], found.stages[0].waves[1][0]
    assert (sql.state, sql.wanted, sql.what) == (State.STOPPED, State.RUNNING, What.START)
    assert sql.gates == ("tcp 127.0.0.1:1433 from controller: within 2 min 00 s",)
    assert (broker.state, broker.what, broker.expected_s) == (State.RUNNING, What.ALREADY_THERE, 0.0)
    assert found.totals == {"start": 3, "already there": 1}


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (HttpCheck(url="http://x/"), "http GET http://x/ from host: status 200, within 30 s"),
        (
            HttpCheck(url="http://u:p@x/", status=(200, 204), text="up", json=(("ok", True), ("is", "UP"))),
            'http GET http://x/ from host: status 200 or 204, "up" in it, ok is true, is is UP, within 30 s',
        ),
        (
            CommandCheck(exe="q.exe", args=("--key", embed(SecretRef("env", "K"))), exit_codes=(0, 3), regex="^0$"),
            "command q.exe --key <secret env:K> from host: exit code 0 or 3, /^0$/ in it, within 30 s",
        ),
        (TcpCheck(host="x", port=80), "tcp x:80 from host: within 30 s"),
    ],
)
def test_a_gate_is_shown_with_all_that_it_wants(check: Check, words: str) -> None:
    assert Gate(check=check, origin=Origin.HOST, deadline_s=30.0).in_full == words
    sure = Gate(check=TcpCheck(host="x", port=80), origin=Origin.HOST, bound=True, success_threshold=3)
    assert sure.in_full == "tcp x:80 from host: by its own process, 3 times in a row, within 2 min 00 s"


def test_a_restart_says_where_units_will_be_when_they_are_started_and_what_is_waited_for() -> None:
    shown = drawn(preview(build(SHOP, Choice(), Action.RESTART, survey(SHOP)), dry_run=True), 200)
    text = "\n".join(" ".join(line.split()) for line in shown.splitlines())
    assert "sql sql@db-01 Running Stopped stop" in text
    assert "sql sql@db-01 Stopped by then Running start tcp" in text
    assert "sql@db-01 Running Running" not in text
    assert (
        "gates of the start: what waits for it waits for them\nsql@db-01 tcp 127.0.0.1:1433 from controller: with"
        in (text)
    )
    assert "gates of the stop" not in text


def test_what_is_no_service_has_no_start_type_to_be_known() -> None:
    pool = draft(entry("shop", "web-01", asked=[Asked(full("app_pool", "Shop"))]))
    seen = survey(pool, but={"shop@web-01": (status(full("app_pool", "Shop"), State.STOPPED, None),)})
    assert preview(build(pool, Choice(), Action.START, seen), dry_run=True).not_verified == ()


def test_the_estimate_says_how_much_of_it_is_guessed() -> None:
    found = preview(build(SHOP, Choice(), Action.START, survey(SHOP, State.STOPPED)))
    assert found.expected_s == 30.0 + 22.5 + 22.5
    assert [step.unit for step in found.stages[0].critical_path][:2] == ["sql@db-01", "broker@mq-01"]
    assert found.guessed_share == pytest.approx(67.5 / 97.5)


def test_units_that_only_hand_order_on_take_no_wave() -> None:
    ends = Choice(services=("sql", "orders"))
    found = preview(build(SHOP, ends, Action.STOP, survey(SHOP, but={"broker@mq-01": State.STOPPED})))
    assert waves(found) == [["orders@app-01", "orders@app-02"], ["broker@mq-01", "sql@db-01"]]
    assert found.totals == {"stop": 3, "pass": 1}


def test_a_stop_names_what_a_reboot_would_bring_up_again() -> None:
    seen = survey(
        SHOP,
        but={
            "sql@db-01": (status("sql", State.RUNNING, StartType.AUTOMATIC_DELAYED),),
            "broker@mq-01": (status("broker", State.STOPPED, StartType.AUTOMATIC),),
        },
    )
    assert preview(build(SHOP, Choice(), Action.STOP, seen)).starts_at_boot == ("broker@mq-01", "sql@db-01")
    assert preview(build(SHOP, Choice(), Action.RESTART, seen)).starts_at_boot == ()
    kept = {"stop_life": Life(keep_down=True)}
    shop = draft(entry("sql", "db-01", of_instance=kept), entry("broker", "mq-01", "sql", of_instance=kept))
    assert preview(build(shop, Choice(), Action.STOP, seen)).starts_at_boot == ("broker@mq-01",)  # down already


def test_what_could_not_be_verified_is_said() -> None:
    seen = survey(SHOP, State.STOPPED, but={"orders@app-01": (status("orders", State.STOPPED, None),)})
    found = preview(build(SHOP, Choice(services=("orders",)), Action.START, seen), dry_run=True)
    assert [(one.why.split(";")[0], one.units) for one in found.not_verified] == [
        ("gates are not probed in a dry run", ("sql@db-01",)),
        ("the start type is not known", ("orders@app-01",)),
    ]
    asked = preview(build(SHOP, Choice(services=("orders",)), Action.START, seen))
    assert [one.units for one in asked.not_verified] == [("orders@app-01",)]
    assert found.not_ready == ("sql@db-01", "broker@mq-01")


def told_of(policy: Policy, action: Action, now: str) -> list[str]:
    plan = replace(build(SHOP, Choice(), action, survey(SHOP)), policy=policy)
    at = datetime.fromisoformat(now).timestamp()
    return [str(line) for line in preview_view.by_policy(preview(plan), at)]


def test_what_the_policy_will_do_is_said_and_no_more() -> None:
    window = Policy(window=Window(until="05:00", tz="Europe/Berlin"))
    late = "2026-11-21T05:10:00+01:00"
    assert told_of(window, Action.STOP, late) == [
        "! its window is closed since 05:00 (Europe/Berlin): this would be refused"
    ]
    assert told_of(window, Action.RESTART, "2026-11-21T02:50:00+01:00") == [
        "! its window ends at 05:00 (Europe/Berlin), in 2 h 10 min"
    ]
    [short] = told_of(window, Action.STOP, "2026-11-21T04:59:50+01:00")
    assert short.endswith("in 10 s: this is expected to take longer")
    assert told_of(window, Action.START, late) == []
    approval = Approval(approvers=("ada", "ben"), min_approvals=2, not_requester=True)
    assert told_of(Policy(approve_before=True, approval=approval), Action.START, late) == [
        "! approve_before: asks for approval before anything is touched "
        "(2 of ada, ben must agree, but not who begins it)"
    ]
    assert told_of(Policy(), Action.STOP, late) == []


def test_a_restart_is_shown_as_two_stages_and_what_it_leaves_alone() -> None:
    found = preview(build(SHOP, Choice(), Action.RESTART, survey(SHOP, but={"orders@app-02": State.STOPPED})))
    assert [stage.goal for stage in found.stages] == [State.STOPPED, State.RUNNING]
    assert found.stages[1].waves[0][0].what is What.START
    assert found.left_alone == (LeftAlone(unit="orders@app-02", why="was not running"),)


def test_a_preview_is_json() -> None:
    found = preview(build(SHOP, Choice(), Action.RESTART, survey(SHOP)))
    assert json.loads(json.dumps(dataclasses.asdict(found)))["stages"][0]["waves"][0][0]["what"] == "stop"


def test_a_plan_in_which_nothing_is_left_to_do_is_a_preview_too() -> None:
    found = preview(build(SHOP, Choice(), Action.RESTART, survey(SHOP, State.STOPPED)))
    assert [waves(found, stage) for stage in (0, 1)] == [[], []]
    assert (found.expected_s, found.guessed_share) == (0.0, 0.0)


def test_status_lists_each_chosen_unit_and_judges_all_of_them() -> None:
    names = [Asked("A"), Asked("B")]
    shop = draft(entry("sql", "db-01 db-02 db-03"), entry("orders", "app-01", "sql", asked=names))
    seen = survey(
        shop,
        but={"sql@db-02": NO_SUCH, "orders@app-01": (status("A"), status("B", State.PAUSED))},
        silent=["db-03"],
    )
    found = expectations(shop, Choice(), seen, expected=State.RUNNING)
    assert [(row.unit, row.state) for row in found.rows] == [
        ("sql@db-01", State.RUNNING),
        ("sql@db-02", None),
        ("sql@db-03", None),
        ("orders:A@app-01", State.RUNNING),
        ("orders:B@app-01", State.PAUSED),
    ]
    assert found.rows[2].problem == "gave no usable answer: no answer within 15 s"
    assert found.counts == {"Running": 2, "unknown": 2, "Paused": 1}
    assert found.unmet == ("sql@db-02", "sql@db-03", "orders:B@app-01")
    assert expectations(shop, Choice(hosts=frozenset({"db-01"})), seen, expected=State.RUNNING).unmet == ()
    assert expectations(shop, Choice(), seen).unmet == ()


def test_dependents_that_are_ignored_are_named() -> None:
    of = draft(entry("sql", "db-01"), entry("orders", "app-01 app-02", "sql"))
    choice = Choice(services=("sql",), ignore_dependents=True)
    seen = preview(build(of, choice, Action.STOP, survey(of)))
    assert seen.ignored == ("orders@app-01", "orders@app-02")
    assert preview(build(of, Choice(), Action.STOP, survey(of))).ignored == ()


def drawn(seen: Preview, width: int) -> str:
    paper = io.StringIO()
    console = Console(file=paper, width=width, color_system=None, force_terminal=False)
    console.print(preview_view.render(seen, Survey(), console))
    return paper.getvalue()


def test_what_is_left_alone_for_one_reason_is_one_line() -> None:
    why = "orders@app-01 needs it and may be running"
    left = tuple(LeftAlone(unit=f"sql@db-{number:02}", why=why) for number in range(9))
    seen = dataclasses.replace(preview(build(SHOP, Choice(), Action.STOP, survey(SHOP))), left_alone=left)
    text = drawn(seen, 200)
    assert f"! left alone: sql@db-00 and 8 more: {why}\n" in text
    assert text.count("left alone") == 1


@pytest.mark.parametrize(("width", "broken"), [(80, True), (100, False), (200, False)])
def test_a_name_that_is_wider_than_its_column_breaks_behind_the_at(width: int, broken: bool) -> None:
    of = draft(entry("orders-api", "application-01 application-02 application-03", of_instance={"ready": (READY,)}))
    words = drawn(preview(build(of, Choice(), Action.START, survey(of, State.STOPPED))), width).split()
    assert "," not in words
    assert ("orders-api@" in words, "application-02," in words) == (broken, broken)
    assert ("orders-api@application-02," in words) == (not broken)


def test_a_name_that_just_fits_its_column_stays_whole() -> None:
    text = drawn(preview(build(SHOP, Choice(), Action.STOP, survey(SHOP, but={"orders@app-02": State.STOPPED}))), 200)
    assert {"orders@app-01", "orders@app-02", "sql@db-01"} <= set(text.split())
    assert "@ " not in text
    assert "@\n" not in text


def test_a_rollback_says_first_what_it_would_stop_and_knows_only_what_was_looked_at() -> None:
    touched = {
        "orders@app-01": Touch(left="Running", live="Running"),
        "broker@mq-01": Touch(left="Running", live="Paused"),
        "sql@db-01": Touch(left="Running", live=""),
    }
    started = build(SHOP, Choice(), Action.START, survey(SHOP, State.STOPPED))
    back = preview(rollback_plan(started, way_back(started, touched, accept_drift=False), touched))
    rows = {row.unit: (row.state, row.what) for wave in back.stages[0].waves for row in wave}
    assert rows == {
        "orders@app-01": (State.RUNNING, What.STOP),
        "broker@mq-01": (State.PAUSED, What.PROBE_ONLY),
        "sql@db-01": (None, What.STOP),
    }
    assert back.stops_running == 1
    text = drawn(back, 200)
    assert text.splitlines()[1] == "this STOPS 1 running unit"
    assert "not as it was: broker@mq-01: changed since: the run left it Running, and it is Paused" in text
    assert preview_view.question(back) == "Put back 2 units on 2 hosts?"


def test_a_restore_knows_in_both_directions_what_is_there_already() -> None:
    before = build(SHOP, Choice(), Action.STOP, survey(SHOP, but={"orders@app-01": State.STOPPED})).stages[0].nodes
    now = survey(SHOP, but={"sql@db-01": State.STOPPED})
    plan = build(SHOP, Choice(), Action.RESTORE, now, before=[node.unit for node in before])
    seen = preview(plan)
    assert [[(row.unit, row.what) for wave in stage.waves for row in wave] for stage in seen.stages] == [
        [("orders@app-01", What.STOP)],
        [
            ("sql@db-01", What.START),
            ("broker@mq-01", What.ALREADY_THERE),
            ("orders@app-02", What.ALREADY_THERE),
        ],
    ]
    assert seen.stops_running == 1
    assert preview_view.question(seen) == "Restore 2 units on 2 hosts?"
