"""What `orch check` says: missing services in the words of a refusal, and a last line that hides no refused stop."""

import io

import pytest
from drafts import DENIED, NO_SUCH, status
from rich.console import Console

from orchestrator.domain.checkup import Checkup, UnitCheck, unit_checks
from orchestrator.domain.draft import Instance
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.keep_down import Record
from orchestrator.domain.life import Life
from orchestrator.domain.service import Asked, Reading, StartType, State
from orchestrator.interfaces.status_view import checkup_tables

RAW = Problem(ProblemKind.REFUSED, "[SC] EnumQueryServicesStatus:OpenService FAILED 1060", code=1060)


def checked(reading: Reading) -> UnitCheck:
    instance = Instance(id="queue@mes-02", service="queue", host="mes-02", asked=(reading.asked,))
    (row,) = unit_checks(instance, (reading,), {}, ())
    return row


def last_line(*units: UnitCheck) -> str:
    paper = io.StringIO()
    Console(file=paper, width=200).print(checkup_tables(Checkup((), units, ())))
    return paper.getvalue().splitlines()[-1].strip()


@pytest.mark.parametrize("problem", [NO_SUCH, RAW], ids=["cmdlet", "sc"])
def test_a_missing_service_is_told_as_a_refused_plan_tells_it(problem: Problem) -> None:
    row = checked(Reading(asked=Asked("MSMQ"), problem=problem))
    assert not row.ok
    assert row.said == (
        "there is no service MSMQ on mes-02; correct `service:` or `hosts:` of queue in the playbook, or add"
        " --exclude mes-02"
    )


def test_a_pattern_that_matches_nothing_is_told_so() -> None:
    row = checked(Reading(asked=Asked("MSMQ*", pattern=True)))
    assert row.said.startswith("no service on mes-02 matches MSMQ*; correct `service:`")


def test_what_is_there_but_not_to_be_read_keeps_its_own_words() -> None:
    assert "Zugriff verweigert" in checked(Reading(asked=Asked("MSMQ"), problem=DENIED)).said


def test_the_last_line_tells_of_stops_that_would_be_refused() -> None:
    dns = checked(Reading(asked=Asked("DNS"), found=(status("DNS"),)))
    log = checked(Reading(asked=Asked("EventLog"), found=(status("EventLog"),)))
    fine = checked(Reading(asked=Asked("Orders"), found=(status("Orders"),)))
    gone = checked(Reading(asked=Asked("MSMQ"), problem=NO_SUCH))
    assert [row.stop_refused for row in (dns, log, fine, gone)] == [True, True, False, False]
    assert last_line(fine) == "ready for the night"
    assert last_line(fine, dns, log) == "ready for a start; a stop would be refused for 2 units (see above)"
    assert last_line(dns, gone) == "1 problem to solve before the night; a stop would be refused for 1 unit (see above)"


@pytest.mark.parametrize("released", [True, False])
def test_what_is_kept_down_is_no_problem_where_its_start_releases_it(released: bool) -> None:
    life = Life(keep_down=True) if released else None
    asked = Asked("MSMQ")
    instance = Instance(id="queue@mes-02", service="queue", host="mes-02", asked=(asked,), start_life=life)
    reading = Reading(asked=asked, found=(status("MSMQ", State.STOPPED, StartType.DISABLED),))
    kept = {"msmq": Record(service="MSMQ", run="r1", at=0.0, start=2, words="Automatic")}
    (row,) = unit_checks(instance, (reading,), {}, (), None, kept)
    (other,) = unit_checks(instance, (reading,), {}, ())
    words = "its start puts back Automatic" if released else "orch release --host mes-02 lets it be started"
    assert (row.ok, row.said) == (released, f"kept down by run r1: {words}")
    assert (other.ok, other.said) == (False, "Disabled: it can't be started (1058)")
