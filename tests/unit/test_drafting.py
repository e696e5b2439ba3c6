"""Drafts: a playbook put together with an inventory; and what the documentation shows of both."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from orchestrator.adapters.documents.yaml_nodes import parse
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.draft import Dependency, Draft, Instance, OnUnreachable
from orchestrator.domain.drafting.drafting import draft
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.gates import (
    CommandCheck,
    Gate,
    HttpCheck,
    Origin,
    PortClosedCheck,
    ServiceCheck,
    TcpCheck,
)
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.playbook.pieces import models_in
from orchestrator.domain.playbook.reading import read_playbook
from orchestrator.domain.playbook.shapes import PlaybookShape
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import Asked, State

ROOT = Path(__file__).parents[2]


def inventory(text: bytes) -> Inventory:
    return merge(declare(parse(text, "fleet.yaml")), {}, {})


FLEET = inventory(
    b"""
all:
  vars: { base: 1400, sql_port: "{{ base + 33 }}" }
  children:
    db: { hosts: { db-01: {}, db-02: { sql_port: 1500 } } }
    app: { hosts: { app-01: { instance: A }, app-02: { instance: B } } }
"""
)
LAB = inventory((ROOT / "inventory" / "lab.yaml").read_bytes())


def drafted(text: str, fleet: Inventory = FLEET, file: str = "plans/shop.yaml") -> Draft:
    return draft(read_playbook(parse(text.encode(), file)), fleet, Renderer(), lambda name: f"{name}.example.com")


def in_sql(*lines: str) -> tuple[Instance, ...]:
    """The instances of one service `sql` with *lines*."""
    text = "services:\n  sql:\n    hosts: db\n" + "".join(f"    {line}\n" for line in lines)
    return drafted(text).entries[0].instances


def ready(*lines: str) -> Gate:
    """The one gate of *lines*, on db-01."""
    (gate,) = in_sql("ready:", *(f"  {line}" for line in lines))[0].ready
    return gate


def test_the_smallest_playbook_has_the_stated_defaults() -> None:
    result = drafted("services: { MSSQLSERVER: { hosts: db } }")
    assert (result.name, result.hosts) == ("shop", ("db-01", "db-02"))
    assert (result.max_parallel, result.max_parallel_per_host) == (None, 4)
    assert (result.unreachable, result.poll_s) == (OnUnreachable.ASK, 2.0)
    (entry,) = result.entries
    assert (entry.max_parallel, entry.in_order, entry.external, entry.depends_on) == (None, False, False, ())
    assert entry.instances[0] == Instance(
        id="MSSQLSERVER@db-01", service="MSSQLSERVER", host="db-01", asked=(Asked("MSSQLSERVER"),)
    )


def test_settings_come_through_and_may_be_templates() -> None:
    result = drafted(
        "name: Shop {{ vars.site }}\nvars: { site: north, n: 7 }\nmax_parallel: '{{ vars.n }}'\n"
        "max_parallel_per_host: 2\nunreachable: exclude\npoll: 500ms\n"
        "services: { a: { hosts: '{{ vars.group }}', max_parallel: '{{ vars.n - 6 }}', order: inventory } }".replace(
            "n: 7 }", "n: 7, group: app }"
        )
    )
    assert (result.name, result.max_parallel, result.max_parallel_per_host) == ("Shop north", 7, 2)
    assert (result.unreachable, result.poll_s, result.hosts) == (OnUnreachable.EXCLUDE, 0.5, ("app-01", "app-02"))
    assert (result.entries[0].max_parallel, result.entries[0].in_order) == (1, True)


def test_timing_is_the_services_own_then_the_defaults() -> None:
    result = drafted(
        "defaults: { timeout: 10s, stop: { timeout: 20s, expected: 5s } }\nvars: { slow: 3m }\n"
        "services:\n  a: { hosts: db-01 }\n  b:\n    hosts: db-01\n"
        "    start: { timeout: '{{ vars.slow }}', expected: 1m }\n    stop: { timeout: 40 }\n"
    )
    a, b = (entry.instances[0] for entry in result.entries)
    assert (a.start_timeout_s, a.start_expected_s, a.stop_timeout_s, a.stop_expected_s) == (10, None, 20, 5)
    assert (b.start_timeout_s, b.start_expected_s, b.stop_timeout_s, b.stop_expected_s) == (180, 60, 40, 5)


def test_names_may_be_a_list_patterns_and_templates() -> None:
    assert in_sql("service: [A, 'B.*', C?]")[0].asked == (
        Asked("A"),
        Asked("B.*", pattern=True),
        Asked("C?", pattern=True),
    )
    instances = drafted("services: { x: { hosts: app, service: 'App${{ host.instance }}' } }").entries[0].instances
    assert [one.asked for one in instances] == [(Asked("App$A"),), (Asked("App$B"),)]


def test_dependencies_in_each_form() -> None:
    result = drafted(
        "services:\n  a: { hosts: db }\n  b: { hosts: db, depends_on: a }\n  c: { hosts: db, depends_on: [a, b] }\n"
        "  d: { hosts: db, depends_on: { a: { need: 1 }, b: { same_host: true }, c: { soft: true } } }\n"
        "  e: { hosts: db, depends_on: }\n"
    )
    assert [entry.depends_on for entry in result.entries] == [
        (),
        (Dependency(service="a"),),
        (Dependency(service="a"), Dependency(service="b")),
        (Dependency(service="a", need=1), Dependency(service="b", same_host=True), Dependency(service="c", soft=True)),
        (),
    ]


def test_an_external_service_without_hosts_is_one_instance_that_nothing_is_asked_of() -> None:
    result = drafted("services: { dc: { external: true, ready: [ { tcp: { host: db-02, port: 389 } } ] } }")
    (instance,) = result.entries[0].instances
    assert (instance.id, instance.host, instance.asked, result.hosts) == ("dc", None, (), ())
    assert instance.ready[0].check == TcpCheck(host="db-02.example.com", port=389)


def test_only_hosts_that_something_is_asked_of_must_be_reached() -> None:
    result = drafted(
        "services:\n  a: { external: true, hosts: db-01, ready: [ { tcp: 1 } ] }\n"
        "  b: { external: true, hosts: db-02, ready: [ { service: { name: X, state: Running } } ] }\n"
    )
    assert result.hosts == ("db-02",)


@pytest.mark.parametrize(
    ("text", "check", "origin"),
    [
        ("tcp: 1433", TcpCheck(host="db-01.example.com", port=1433), Origin.CONTROLLER),
        ("{ tcp: 1433, from: host }", TcpCheck(host="localhost", port=1433), Origin.HOST),
        ("tcp: { host: example.org, port: '80' }", TcpCheck(host="example.org", port=80), Origin.CONTROLLER),
        ("tcp: '{{ host.sql_port }}'", TcpCheck(host="db-01.example.com", port=1433), Origin.CONTROLLER),
        ("port_closed: 8080", PortClosedCheck(port=8080), Origin.HOST),
        ("service: running", ServiceCheck(state=State.RUNNING), Origin.HOST),
        ("service: { name: X, state: Paused }", ServiceCheck(state=State.PAUSED, name="X"), Origin.HOST),
        ("http: http://x/", HttpCheck(url="http://x/"), Origin.CONTROLLER),
        (
            "http: { url: 'http://{{ host.address }}/{{ service.name }}', method: post, status: [200, 204],"
            " text: up, regex: a+, json: { a.b: 1, c: null },"
            " headers: { X: \"{{ secret('env:T') }}\" }, verify: false, ca: c.pem }",
            HttpCheck(
                url="http://db-01.example.com/sql",
                method="POST",
                status=(200, 204),
                text="up",
                regex="a+",
                json=(("a.b", 1), ("c", None)),
                headers=(("X", embed(SecretRef("env", "T"))),),
                verify=False,
                ca="plans/c.pem",
            ),
            Origin.CONTROLLER,
        ),
        (
            "command: { exe: x.exe, args: [-n, 1, '{{ host.name }}'], exit_code: 3, text: ok }",
            CommandCheck(exe="x.exe", args=("-n", "1", "db-01"), exit_codes=(3,), text="ok"),
            Origin.HOST,
        ),
        ("{ command: { exe: x, exit_code: [0, 2], regex: ^a }, from: controller }",
         CommandCheck(exe="x", exit_codes=(0, 2), regex="^a"), Origin.CONTROLLER),
    ],
)  # fmt: skip
def test_a_gate_in_each_form(text: str, check: object, origin: Origin) -> None:
    assert ready(f"- {text}") == Gate(check=check, origin=origin)  # type: ignore[arg-type]  # checks of all kinds


@pytest.mark.parametrize(
    "check",
    [
        "http: { url: 'http://x/', text: \"{{ secret('env:T') }}\" }, from: host",
        "http: { url: 'http://x/', json: { a: \"{{ secret('env:T') }}\" } }, from: host",
        "command: { exe: x, regex: \"{{ secret('env:T') }}\" }, from: controller",
    ],
)
def test_a_secret_that_would_be_compared_as_its_name_is_a_mistake(check: str) -> None:
    with pytest.raises(Mistakes, match="a secret can't be looked for"):
        ready(f"- {{ {check} }}")


@pytest.mark.parametrize("header", ["'@C:/passwords': y", '"A\\nB": y', '"A B": y', 'A: "y\\r\\nB: z"'])
def test_a_header_that_is_something_else_to_curl_is_a_mistake(header: str) -> None:
    with pytest.raises(Mistakes, match="header"):
        ready(f"- {{ http: {{ url: 'http://x/', headers: {{ {header} }} }}, from: host }}")


def test_a_url_is_told_without_its_sign_in() -> None:
    gate = ready("- http: 'http://u:pw@x/a?b=c@d'")
    assert gate.words == "http GET http://x/a?b=c@d from controller"


def test_a_gates_timing_is_its_own_then_the_defaults() -> None:
    result = drafted(
        "defaults: { gate: { period: 1s, deadline: '{{ vars.d }}' } }\nvars: { d: 50s }\n"
        "services:\n  a:\n    hosts: db-01\n    ready:\n"
        "      - { tcp: 1, period: 3s, initial_delay: 2, timeout: 1500ms, success_threshold: 2 }\n"
    )
    gate = result.entries[0].instances[0].ready[0]
    assert (gate.initial_delay_s, gate.period_s, gate.timeout_s) == (2, 3, 1.5)
    assert (gate.success_threshold, gate.deadline_s) == (2, 50)


def test_inventory_variables_name_each_other_without_host_as_in_ansible() -> None:
    gates = [instance.ready[0].check for instance in in_sql("ready: [ { tcp: '{{ host.sql_port }}' } ]")]
    assert gates == [TcpCheck(host="db-01.example.com", port=1433), TcpCheck(host="db-02.example.com", port=1500)]


def test_a_gate_that_is_the_same_everywhere_is_one_object() -> None:
    first, second = in_sql("ready: [ { port_closed: 1 }, { http: 'http://{{ service.key }}/' } ]")
    assert first.ready[0] is second.ready[0]
    assert first.ready[1] is second.ready[1]


def test_the_shipped_playbook_is_right() -> None:
    file = ROOT / "playbooks" / "shop.yaml"
    result = drafted(file.read_text(encoding="utf-8"), LAB, str(file))
    assert [entry.key for entry in result.entries] == ["directory", "sql", "broker", "orders", "billing", "web"]
    assert len(LAB.hosts) == 12


WRAPPED = {
    "playbook": "{}",
    "service": "services:\n  x:\n    {}",
    "gates": "services:\n  x:\n    hosts: db\n    ready:\n      {}",
}
DOCS = "".join(
    (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for page in ("playbook", "lifecycle", "kinds", "batches", "patching", "policy")
)
BLOCKS = re.findall(r"```yaml (\w+)\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize(("kind", "block"), BLOCKS)
def test_every_example_of_the_documentation_is_right(kind: str, block: str) -> None:
    before, _, _ = WRAPPED[kind].partition("{}")
    indent = len(before) - before.rfind("\n") - 1
    assert drafted(before + block.replace("\n", "\n" + " " * indent), LAB).entries


def _keys(model: type[BaseModel]) -> set[str]:
    keys = set()
    for name, info in model.model_fields.items():
        keys.add(info.alias or name)
        for inner in models_in(info.annotation):
            keys |= _keys(inner)
    return keys


@pytest.mark.parametrize("key", sorted(_keys(PlaybookShape)))
def test_every_key_is_documented(key: str) -> None:
    assert f"`{key}`" in DOCS
