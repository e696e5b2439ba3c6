"""What a preview says of the life around an act: whole, in order, once for all that are alike, and without secrets."""

import io
import json
from dataclasses import asdict, replace

from lives import DRAIN, UNITS, starts, stops
from rich.console import Console

from orchestrator.domain.plan import Plan
from orchestrator.domain.preview import What, preview
from orchestrator.domain.survey import Survey
from orchestrator.interfaces import preview_view


def drawn(plan: Plan) -> list[str]:
    paper = io.StringIO()
    console = Console(file=paper, width=300, color_system=None, force_terminal=False)
    console.print(preview_view.render(preview(plan, dry_run=True), Survey({}), console))
    return [" ".join(line.split()) for line in paper.getvalue().splitlines()]


def test_the_life_around_a_stop_is_told_in_its_order_and_for_one_of_many() -> None:
    lines = drawn(stops())
    begins = lines.index("the stop of orders 2 units, shown for orders@app-01")
    assert lines[begins + 1 : begins + 7] == [
        "precheck command no-backup.exe from host: exit code 0, within 30 s",
        "pre_stop hook drain DELETE https://lb/pools/orders/app-01 from the controller; undone by a start after it: "
        "PUT https://lb/pools/orders/app-01; left out where this holds already: tcp lb:443",
        "drained http GET http://app-01/sessions from controller: status 200, within 5 min 00 s",
        "keep down noted down on the host, then Disabled and without recovery actions until its start or a release",
        "stop its deadline stretches up to 5 min 00 s while its checkpoint rises; stuck, or its process outlives it: "
        "their processes (now PID 4242 on app-01, 4243 on app-02) are ended, with all its children; OrdersAgent may go "
        "with it, nothing else that lives in the same process",
        "post_stop hook 1 clear.exe /all <secret env:LB_TOKEN> from the host",
    ]
    assert "the stop of sql" not in " ".join(lines)
    assert "on_begin hook silence before anything is touched: /opt/monitor silence shop from the controller; " in (
        " ".join(lines)
    )


def test_a_start_undoes_what_the_stop_did_and_says_how_long_it_must_stay_up() -> None:
    lines = drawn(starts())
    assert "release its start type and recovery actions are put back as they were" in lines
    assert "healthy for 30 s in the same process; another process is a crash loop, and fails" in lines
    assert "undo of drain PUT https://lb/pools/orders/app-01 from the controller" in lines


def test_prechecks_are_told_first_and_are_no_action() -> None:
    found = preview(stops(), dry_run=True)
    assert found.totals == {"stop": 3}
    assert {row.what for row in found.stages[0].waves[0]} == {What.PRECHECK}
    assert not any(row.unit in found.not_ready for row in found.stages[0].waves[0])
    lines = drawn(stops())
    first = lines.index("checked before anything is touched, and again before its own stop: 2 units")
    assert (
        lines[first + 1]
        == "orders (2; shown for orders@app-01) command no-backup.exe from host: exit code 0, within 30 s"
    )
    assert preview_view.question(found) == "Stop 3 units on 3 hosts?"
    [doubt] = [one for one in found.not_verified if one.why.startswith("what prechecks and hooks")]
    assert doubt.units == UNITS


def test_what_is_taken_in_from_beside_the_playbook_is_named() -> None:
    lines = drawn(replace(stops(), taken_in=("orders:Reports@app-01",)))
    [line] = [line for line in lines if line.startswith("! beside the playbook")]
    assert line.endswith("(dependents: stop_and_restore): orders:Reports@app-01")


def test_the_life_is_json_and_has_no_secret_in_it() -> None:
    told = json.loads(json.dumps(asdict(preview(stops()))))
    [row, _] = told["stages"][1]["waves"][0]
    assert (row["pid"], row["around"]["if_stuck"], row["around"]["max_timeout_s"]) == (4242, "kill", 300.0)
    assert row["around"]["before"] == [
        {
            "name": "drain",
            "words": "pre_stop hook drain",
            "does": "DELETE https://lb/pools/orders/app-01",
            "origin": "controller",
            "undone_by": "PUT https://lb/pools/orders/app-01",
            "check": "tcp lb:443",
            "once": not DRAIN.idempotent,
        }
    ]
    assert (told["stages"][0]["checks"], told["hooks"]["begin"][0]["words"]) == (True, "on_begin hook silence")
    assert "LB_TOKEN" not in json.dumps(told["stages"][1]["waves"][0][0]["around"]["before"])
