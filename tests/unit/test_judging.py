"""What a failure is taken for: rules in order, one cause for many, how many are too many."""

import pytest
from stages import unit

from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.judging import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    PAUSING,
    Failure,
    Judgement,
    Reach,
    Tally,
    choices,
    judge,
    of_failure,
    pause_s,
    rule_number,
)
from orchestrator.domain.policy import Do, Policy, Rule

SQL = unit("sql@db-01")
TIMEOUT = Failure(ProblemKind.TIMEOUT, "it took too long")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(do=Do.HOLD), True),
        (Rule(do=Do.HOLD, kinds=(ProblemKind.GATE, ProblemKind.TIMEOUT)), True),
        (Rule(do=Do.HOLD, kinds=(ProblemKind.GATE,)), False),
        (Rule(do=Do.HOLD, services=("sql",), hosts=("db-01",)), True),
        (Rule(do=Do.HOLD, services=("sql",), hosts=("db-02",)), False),
        (Rule(do=Do.HOLD, services=("mq",)), False),
        (Rule(do=Do.HOLD, count=3), True),
        (Rule(do=Do.HOLD, count=2), False),
    ],
)
def test_a_rule_decides_what_fits_it_as_often_as_it_may(rule: Rule, fits: bool) -> None:
    policy = Policy(on_failure=Do.ROLLBACK, rules=(Rule(do=Do.RETRY, services=("web",), count=1), rule))
    judged = judge(policy, {2: 2}, TIMEOUT, SQL)
    assert judged == (Judgement(Do.HOLD, "rule 2") if fits else Judgement(Do.ROLLBACK, "on_failure"))
    assert rule_number(judged.by) == (2 if fits else None)


@pytest.mark.parametrize("kind", sorted(ProblemKind))
def test_hosts_and_accounts_are_one_cause_for_all_services_and_the_rest_one_for_each(kind: ProblemKind) -> None:
    one, other = (of_failure(Failure(kind, "no"), service) for service in ("sql", "mq"))
    assert (one == other) == (kind in (ProblemKind.UNREACHABLE, ProblemKind.AUTH))
    assert one == of_failure(Failure(kind, "other words"), "sql")


@pytest.mark.parametrize("kind", sorted(CauseKind))
def test_hold_and_abort_can_always_be_answered_and_a_way_back_only_where_there_is_one(kind: CauseKind) -> None:
    every = choices(kind, way_back=True)
    assert {Choice.HOLD, Choice.ABORT} <= set(every)
    assert Choice.ROLLBACK not in choices(kind, way_back=False)
    before = choices(kind, way_back=True, begun=False)
    assert (Choice.RETRY in before) == (kind is CauseKind.HOOK), "a hook of the run is before anything else"
    assert (kind in PAUSING) == (kind not in (CauseKind.FAILURE, CauseKind.PAUSE))


def test_pauses_double_up_to_a_minute_and_are_spread_by_the_step() -> None:
    first = {pause_s(f"0/web@{host}/start/2", 2) for host in range(50)}
    assert len(first) > 40
    assert all(FIRST_PAUSE_S / 2 <= one <= FIRST_PAUSE_S for one in first)
    assert pause_s("0/a@b/start/2", 2) == pause_s("0/a@b/start/2", 2)
    assert all(LONGEST_PAUSE_S / 2 <= pause_s("0/a@b/start/9", n) <= LONGEST_PAUSE_S for n in (7, 30, 10**6))


def test_most_hosts_or_most_of_a_zone_are_more_than_half_and_two_at_least() -> None:
    reach = Reach(["a", "b", "c", "d", "e"], [("east", ("a", "b", "x")), ("west", ("c", "d", "e"))])
    said = []
    for host in ("a", "a", "x", None, "c", "d"):
        reach.lost(host)
        said.append(reach.vanished())
    assert said == ["", "", "", "", "", "3 of 5 hosts can't be reached any more"]
    reach.met("a")
    assert reach.vanished() == "2 of 3 hosts of the zone west can't be reached any more"
    reach.without("d")
    assert reach.vanished() == ""
    reach.lost("d")
    assert list(reach.gone) == ["c"]


def test_one_host_alone_is_not_most_hosts() -> None:
    reach = Reach(["a"], [("east", ("a",))])
    reach.lost("a")
    assert reach.vanished() == ""


def test_failures_count_once_a_unit_in_all_and_by_service() -> None:
    tally = Tally(Policy(max_failures=3, max_failures_of=(("sql", 1),)))
    for name in ("sql@1", "mq@1", "sql@1"):
        tally.add(name, name.partition("@")[0])
    assert tally.exceeded() is None
    tally.add("sql@2", "sql")
    cause = tally.exceeded()
    assert cause is not None
    assert (cause.service, cause.units) == ("sql", ("sql@1", "sql@2"))
    tally.drop("sql@1")
    tally.add("web@1", "web")
    tally.add("web@2", "web")
    cause = tally.exceeded()
    assert cause is not None
    assert cause.said == "4 units failed, and max_failures is 3"
    tally.begin_anew()
    assert tally.exceeded() is None
