"""What a run keeps its hands off: what carries it, the machine that it runs on, and what others need unless allowed."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from drafts import draft, entry, survey

from orchestrator.domain.connection import Transport
from orchestrator.domain.draft import Draft
from orchestrator.domain.drift import questions
from orchestrator.domain.errors import BadInput
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.planning.vital import refuse_vital
from orchestrator.domain.service import Asked, ServiceStatus, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.vital_services import ALWAYS, EVERYBODY, OF_WIRE

DOMAIN = draft(entry("names", "dc-01 dc-02", asked=[Asked("DNS")]), entry("orders", "app-01", asked=[Asked("Orders")]))


def on(name: str) -> Draft:
    return draft(entry("it", "h", asked=[Asked(name)]))


def reached_by(transport: Transport | None, seen: Survey, clustered: Mapping[str, str] | None = None) -> Survey:
    return Survey(
        {host: replace(one, transport=transport, clustered=clustered or {}) for host, one in seen.hosts.items()}
    )


def planned(of: Draft, action: Action, seen: Survey, *allow: str, controller: Iterable[str] = ()) -> Plan:
    return build(of, Choice(allow=allow), action, seen, controller=frozenset(controller))


def refusal(of: Draft, action: Action, seen: Survey, *allow: str, controller: Iterable[str] = ()) -> str:
    with pytest.raises(PlanRefused) as caught:
        planned(of, action, seen, *allow, controller=controller)
    assert caught.value.exit_code == 2
    return str(caught.value)


CARRIED = sorted((transport, name) for transport, own in OF_WIRE.items() for name in (*own, *ALWAYS))


@pytest.mark.parametrize(("transport", "name"), CARRIED)
def test_nothing_lifts_the_refusal_to_stop_what_carries_us(transport: Transport, name: str) -> None:
    of = on(name.upper())
    seen = reached_by(transport, survey(of))
    for action in (Action.STOP, Action.RESTART):
        said = refusal(of, action, seen, name)
        assert f"{name.upper()} carries our own connection to h" in said
        assert "nothing lifts this" in said
    # It may be started until the run gets there.
    assert "nothing lifts this" in refusal(of, Action.STOP, reached_by(transport, survey(of, State.STOPPED)))
    planned(of, Action.START, reached_by(transport, survey(of, State.STOPPED)))


@pytest.mark.parametrize("name", sorted(name for own in OF_WIRE.values() for name in own))
def test_on_a_host_with_several_ways_what_carries_any_of_them_is_kept(name: str) -> None:
    said = refusal(on(name), Action.STOP, reached_by(None, survey(on(name))), name)
    assert f"{name} carries our own connection to h" in said


def test_the_other_wires_service_may_be_stopped() -> None:
    planned(on("sshd"), Action.STOP, reached_by(Transport.PSRP, survey(on("sshd"))))
    planned(on("WinRM"), Action.STOP, reached_by(Transport.SSH, survey(on("WinRM"))))


def test_what_carries_us_by_way_of_another_service_is_found_in_the_live_readings() -> None:
    of = on("Sensor")
    below = ServiceStatus(name="Sensor", state=State.RUNNING, required_by=("Other", "winrm"))
    seen = survey(of, but={"it@h": (below,)})
    said = refusal(of, Action.STOP, reached_by(Transport.PSRP, seen))
    assert "Sensor carries our own connection to h (winrm needs it, and it is what answers us)" in said
    planned(of, Action.STOP, reached_by(Transport.SSH, seen))


@pytest.mark.parametrize("action", [Action.STOP, Action.START, Action.RESTART])
def test_nothing_is_moved_on_the_controller(action: Action) -> None:
    seen = survey(DOMAIN, State.STOPPED if action is Action.START else State.RUNNING)
    said = refusal(DOMAIN, action, seen, "DNS", controller=["app-01"])
    assert "orders@app-01: app-01 is the very machine that orch runs on" in said
    assert "--exclude app-01" in said
    assert "dc-01" not in said


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_what_everybody_needs_is_stopped_only_if_it_is_allowed_by_name(name: str) -> None:
    of = on(name)
    for action in (Action.STOP, Action.RESTART):
        assert f"add --allow {name} if that is what you want, or --allow it@h" in refusal(of, action, survey(of))
        for allow in (name, name.lower(), "it@h", "IT@H"):
            planned(of, action, survey(of), allow)
    planned(of, Action.START, survey(of, State.STOPPED))


def test_one_unit_may_be_allowed_alone() -> None:
    said = refusal(DOMAIN, Action.STOP, survey(DOMAIN), "names@dc-01")
    assert "names@dc-02: DNS on dc-02 is a DNS server" in said
    assert "names@dc-01" not in said
    planned(DOMAIN, Action.STOP, survey(DOMAIN), "names@dc-01", "names@dc-02")


@pytest.mark.parametrize("name", ["DNSS", "D*", "*", "names", "dc-01", ""])
def test_a_name_that_nothing_has_is_no_permission(name: str) -> None:
    with pytest.raises(BadInput, match="nothing that was chosen is named so") as caught:
        planned(DOMAIN, Action.STOP, survey(DOMAIN), "DNS", name)
    assert caught.value.exit_code == 2


def test_a_name_of_an_excluded_host_is_known_all_the_same() -> None:
    of = draft(entry("names", "dc-01 dc-02", asked=[Asked("DNS"), Asked("IAS")]))
    allow = ("names:DNS@dc-01", "NAMES:ias@dc-01", "DNS", "IAS")
    build(of, Choice(allow=allow), Action.STOP, survey(of, silent=["dc-01"]), excluded=frozenset({"dc-01"}))


@pytest.mark.parametrize("name", ["D*", "it@h"])
def test_neither_a_pattern_of_the_playbook_nor_an_instance_of_several_is_a_name(name: str) -> None:
    """It would lift nothing, and who typed it thinks that it does."""
    of = draft(entry("it", "h", asked=[Asked("D*", pattern=True)]))
    found = (ServiceStatus(name="DNS", state=State.RUNNING), ServiceStatus(name="Docs", state=State.RUNNING))
    seen = survey(of, but={"it@h": found})
    with pytest.raises(BadInput, match="nothing that was chosen is named so"):
        planned(of, Action.STOP, seen, "DNS", name)
    planned(of, Action.STOP, seen, "IT:dns@H")


def test_what_a_refusal_says_can_be_typed_into_a_shell() -> None:
    """SQL Server's instances have a dollar in their names."""
    of = draft(entry("sql", "db-01", asked=[Asked("MSSQL$SHOP"), Asked("SQLAgent$SHOP")]))
    seen = reached_by(Transport.PSRP, survey(of), {"mssql$shop": "SQL Server (SHOP)"})
    said = refusal(of, Action.STOP, seen)
    typed = [shlex.split(words)[1] for words in re.findall(r"--allow (?:'[^']*'|\S+)", said)]
    assert typed == ["MSSQL$SHOP", "sql:MSSQL$SHOP@db-01"]
    assert "'MSSQL$SHOP'" in said
    planned(of, Action.STOP, seen, typed[1])


def test_what_a_cluster_owns_is_neither_stopped_nor_started_behind_its_back() -> None:
    of = on("Orders Api")
    owned = {"orders api": "Orders of the shop"}
    running, stopped = (
        reached_by(Transport.PSRP, survey(of, state), owned) for state in (State.RUNNING, State.STOPPED)
    )
    acts = [(action, seen) for action in (Action.STOP, Action.START) for seen in (running, stopped)]
    for action, seen in (*acts, (Action.RESTART, running)):
        said = refusal(of, action, seen)
        assert "Orders Api on h belongs to the failover cluster, as 'Orders of the shop'" in said
        assert "--allow 'Orders Api', or --allow it@h" in said
        planned(of, action, seen, "orders API")


@pytest.mark.parametrize("action", [Action.STOP, Action.START, Action.RESTART])
def test_a_plan_of_another_day_is_held_against_what_its_hosts_are_now(action: Action) -> None:
    """Frozen when nothing stood against it, for it was reached by another wire, from another machine, on no node."""
    of = draft(*(entry(name, "h", asked=[Asked(name)]) for name in ("DNS", "Sensor", "Orders", "Batch")))
    state = State.STOPPED if action is Action.START else State.RUNNING
    below = (ServiceStatus(name="Sensor", state=state, required_by=("sshd",)),)
    seen = survey(of, state, but={"Sensor@h": below})
    plan = planned(of, action, reached_by(Transport.PSRP, seen), "DNS")
    assert Asked("ClusSvc") in questions(plan)["h"]
    refuse_vital(plan, reached_by(Transport.PSRP, seen), allow=["dns"], controller=frozenset())
    now = reached_by(Transport.SSH, seen, {"orders": "Orders of the shop", "batch": "Nightly"})
    with pytest.raises(PlanRefused) as caught:
        refuse_vital(plan, now, allow=["Batch@H"], controller=frozenset())
    said = str(caught.value)
    moved = action is not Action.START
    assert ("DNS@h: DNS on h is a DNS server" in said) is moved
    assert ("Sensor@h: Sensor carries our own connection to h (sshd needs it" in said) is moved
    assert "Orders@h: Orders on h belongs to the failover cluster" in said
    assert "Batch" not in said
    assert "save it anew" in caught.value.hint
    with pytest.raises(PlanRefused, match="Batch@h: h is the very machine"):
        refuse_vital(plan, now, allow=["DNS", "Orders", "Batch"], controller=frozenset({"h"}))


def test_all_reasons_stand_in_one_refusal() -> None:
    of = draft(
        entry("names", "dc-01", asked=[Asked("DNS")]),
        entry("wire", "dc-01", asked=[Asked("WinRM")]),
        entry("orders", "app-01", asked=[Asked("Orders")]),
    )
    said = refusal(of, Action.STOP, survey(of), controller=["app-01"])
    for words in ("names@dc-01: DNS", "wire@dc-01: WinRM carries", "orders@app-01: app-01 is the very machine"):
        assert words in said
