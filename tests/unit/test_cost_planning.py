"""What planning costs: from two YAML files and a survey to a plan, held against what reading and sorting alone cost."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import networkx
import yaml
from drafts import survey
from measuring import cpu_s, grown, times

from orchestrator import wiring
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.service import State
from orchestrator.domain.survey import Survey

ENTRIES = 10
TCP = "tcp: 1433"
HTTP = "http: 'http://{{ host.address }}:8080/health'"


def write(folder: Path, units: int, *, gate: str = TCP) -> Path:
    """A playbook of ten services in layers, on a tenth of the hosts each, and its inventory; the fifth has *gate*."""
    folder.mkdir()
    hosts = ["all:", "  vars:", "    ansible_connection: psrp", "    ansible_psrp_protocol: http"]
    hosts += ["    ansible_user: orch", "    ansible_password: \"{{ secret('env:PW') }}\"", "  children:"]
    services = ["name: big", "inventory: hosts.yaml", "services:"]
    for entry in range(ENTRIES):
        hosts += [f"    group{entry}:", "      hosts:"]
        for number in range(entry * units // ENTRIES, (entry + 1) * units // ENTRIES):
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            hosts += [
                f"        host-{number:05}:",
                f"          ansible_host: {address}",
                f"          rack: r{number % 40}",
            ]
        needed = ", ".join(f"s{other}" for other in (entry - 1, entry - 3) if other >= 0)
        services += [f"  s{entry}:", f"    hosts: group{entry}", f"    depends_on: [{needed}]"]
        services.append(f"    ready: [ {{ {gate if entry == 5 else TCP} }} ]")
    (folder / "hosts.yaml").write_text("\n".join(hosts), encoding="utf-8")
    playbook = folder / "big.yaml"
    playbook.write_text("\n".join(services), encoding="utf-8")
    return playbook


def planned(playbook: Path, found: Survey) -> Plan:
    draft = wiring.load(playbook, None, answers={}).draft
    return build(draft, Choice(), Action.START, found)


def planning(playbook: Path) -> Callable[[], float]:
    """The CPU seconds of planning the start of everything."""
    found = survey(wiring.load(playbook, None, answers={}).draft, State.STOPPED)
    return lambda: cpu_s(lambda: planned(playbook, found))


def read_and_sorted(playbook: Path) -> list[str]:
    """The least that any planner does: both files read in C, a graph of N + M edges, its topological order."""
    hosts = yaml.load(playbook.with_name("hosts.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    services = yaml.load(playbook.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["services"]
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for key, service in services.items():
        units = [f"{key}@{host}" for host in hosts["all"]["children"][service["hosts"]]["hosts"]]
        graph.add_nodes_from(units)
        graph.add_edges_from((unit, key) for unit in units)
        graph.add_edges_from((needed, unit) for needed in service["depends_on"] for unit in units)
    return list(networkx.topological_sort(graph))


def test_planning_costs_at_most_three_times_reading_and_sorting(tmp_path: Path) -> None:
    playbook = write(tmp_path / "tcp", 10_000)
    assert len(read_and_sorted(playbook)) == 10_000 + ENTRIES
    read_s = partial(cpu_s, partial(read_and_sorted, playbook))
    assert times("planning to reading and sorting", read_s, planning(playbook), most=3) <= 3


def test_a_template_in_a_gate_of_a_tenth_costs_little_more(tmp_path: Path) -> None:
    plain, templated = write(tmp_path / "tcp", 10_000), write(tmp_path / "http", 10_000, gate=HTTP)
    assert times("planning with a template to without", planning(plain), planning(templated), most=1.5) <= 1.5


def test_a_unit_costs_the_same_among_ten_thousand_as_among_one(tmp_path: Path) -> None:
    small, large = write(tmp_path / "small", 1_000), write(tmp_path / "large", 10_000)
    assert grown("planning", planning(small), planning(large)) <= 1.3
