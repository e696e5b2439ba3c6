"""The JSON Schema for editors: it takes what the reader takes, and refuses what is wrong by form."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator.adapters.documents.yaml_nodes import parse
from orchestrator.domain.durations import seconds
from orchestrator.domain.gates import Gate
from orchestrator.domain.playbook.gate_shapes import KINDS
from orchestrator.domain.playbook.reading import read_playbook
from orchestrator.domain.playbook.schema import DIALECT, playbook_schema

ROOT = Path(__file__).parents[2]
SCHEMA = playbook_schema()
CHECK = jsonschema.Draft202012Validator(SCHEMA)
DOCS = "".join(
    (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for page in ("playbook", "lifecycle", "kinds", "batches", "policy", "patching")
)
WRITING = (ROOT / "docs" / "writing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml (\w+)\n(.*?)```", DOCS, re.DOTALL)
CASES: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "tests" / "data" / "playbook_mistakes.yaml").read_text(encoding="utf-8")
)
NOT_OF_FORM = {
    "hosts that are not there",
    "an SCM service twice",
    "two circles",
    "timing that can't work",
    "templates",
    "a mistake on many hosts with many faces is told a few times",
    "hooks and gates that no host can hold",
    "a service that would be taken for the run",
}
"""Mistakes that no single place of the file shows."""


def wrong(text: str) -> set[str]:
    """Where the schema refuses the playbook *text*: the paths, keys joined by slashes, those within choices too."""
    return set(_places(CHECK.iter_errors(yaml.safe_load(text))))


def _places(errors: Iterable[jsonschema.ValidationError]) -> Iterator[str]:
    for error in errors:
        yield "/".join(map(str, error.absolute_path))
        yield from _places(error.context)


def of_gates(*lines: str) -> str:
    return "services:\n  x:\n    hosts: db\n    ready:\n" + "".join(f"    - {line}\n" for line in lines)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DIALECT == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    json.dumps(SCHEMA)


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_playbook_fits(path: Path) -> None:
    assert wrong(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(("kind", "block"), BLOCKS)
def test_every_example_of_the_documentation_fits(kind: str, block: str) -> None:
    data = yaml.safe_load(block)
    if kind == "service":
        data = {"services": {"x": data}}
    elif kind == "gates":
        data = {"services": {"x": {"hosts": "db", "ready": data}}}
    assert list(CHECK.iter_errors(data)) == []


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", WRITING, re.DOTALL))
def test_every_example_of_several_files_fits(block: str) -> None:
    assert wrong(block) == set()


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["name"] not in NOT_OF_FORM], ids=lambda one: one["name"]
)
def test_mistakes_of_form_are_refused(case: dict[str, Any]) -> None:
    assert wrong(case["playbook"])


GOOD = """
- tcp: 1433
- tcp: "1433"
- tcp: { port: "{{ host.port }}", host: }
- tcp: "{{ host.port }}"
- http: http://x/
- http: { url: "https://x:1/", status: 204, json: { a.b: null }, headers: { A: 1 }, verify: "FALSE", ca: , method: get }
- http: { url: "{{ vars.url }}", status: ["200", "{{ vars.x }}"] }
- service: running
- service: { state: Stopped, name: 10 }
- port_closed: 80
- { port_closed: 80, from: HOST, tcp: }
- { command: { exe: x, exit_code: -1 }, from: "{{ vars.from }}" }
- { tcp: 1, period: 500ms, timeout: 1.5s, deadline: 1h30m, initial_delay: 0, success_threshold: "2" }
- { tcp: 1, period: 0.5, deadline: "1e3", timeout: }
- { tcp: 1, bound: "TRUE" }
- { service: Running, bound: false }
"""


def test_the_short_forms_that_people_write_fit() -> None:
    assert wrong(of_gates(*[line[2:] for line in GOOD.strip().splitlines()])) == set()
    assert read_playbook(parse(of_gates(*[x[2:] for x in GOOD.strip().splitlines()]).encode(), "p")).mistakes == ()


def test_what_is_not_external_may_say_all_however_that_is_written() -> None:
    for word in ('"false"', "FALSE", "false", "no", "~"):
        text = f"services: {{ a: {{ external: {word}, hosts: b, service: X, start: {{ timeout: 1s }} }} }}"
        assert wrong(text) == set()
        assert read_playbook(parse(text.encode(), "p")).mistakes == ()
    assert wrong('services: { a: { external: "TRUE", hosts: b, service: X } }')


BAD_GATES = [
    "tcp",
    "{}",
    "{ tcp: 70000 }",
    "{ tcp: , http: }",
    "{ tcp: 1, port_closed: 2 }",
    "{ port_closed: 80, from: controller }",
    "{ service: Runing }",
    "{ http: x/y }",
    "{ http: { url: 'http://x/', status: [2000] } }",
    "{ http: { method: GET } }",
    "{ http: { url: 'http://x/', json: { a: [1] } } }",
    "{ http: { url: 'http://x/', verify: maybe } }",
    "{ command: whoami }",
    "{ command: { exe: x, args: whoami } }",
    "{ command: { exe: x, exit_code: [a] } }",
    "{ tcp: 1, from: hots }",
    "{ tcp: 1, period: 10 ms }",
    "{ tcp: 1, period: 0.05 }",
    "{ tcp: 1, period: [1] }",
    "{ tcp: 1, success_threshold: 0 }",
    "{ tpc: 1 }",
    "{ tcp: { port: 1, hsot: x } }",
]


@pytest.mark.parametrize("line", BAD_GATES)
def test_each_wrong_gate_is_refused_at_its_place(line: str) -> None:
    places = wrong(of_gates("tcp: 1", line))
    assert places
    assert {"/".join(place.split("/")[:4]) for place in places} == {"services/x/ready/1"}


BAD = {
    "nmae: x\nservices: { a: { hosts: b } }": "",
    "name: x": "",
    "name: [x]\nservices: { a: { hosts: b } }": "name",
    "poll: 1ms s\nservices: { a: { hosts: b } }": "poll",
    "unreachable: exclud\nservices: { a: { hosts: b } }": "unreachable",
    "max_parallel: many\nservices: { a: { hosts: b } }": "max_parallel",
    "vars: [a]": "vars",
    "defaults: { gate: { perod: 1s } }": "defaults/gate",
    "services: [a]": "services",
    "services: { a: }": "services/a",
    "services: { a: {} }": "services/a",
    "services: { 'a@b': { hosts: b } }": "services",
    "services: { a: { hosts: [] } }": "services/a/hosts",
    "services: { a: { hosts: b, service: [a/b] } }": "services/a/service",
    "services: { a: { hosts: b, stop: 90s } }": "services/a/stop",
    "services: { a: { hosts: b, ready: { tcp: 1 } } }": "services/a/ready",
    "services: { a: { hosts: b, depends_on: [c, c] } }": "services/a/depends_on",
    "services: { a: { hosts: b, depends_on: { c: { sfot: true } } } }": "services/a/depends_on",
    "services: { a: { external: true } }": "services/a",
    "services: { a: { external: true, ready: [ { tcp: { host: x, port: 1 } } ], service: X } }": "services/a/service",
    "services: { a: { external: '{{ x }}', ready: [] } }": "services/a/external",
    "include: { a: b }": "include",
    "on_failure: retry\nservices: { a: { hosts: b } }": "on_failure",
    "on_failure: { strat: ask }": "on_failure",
    "failure_rules: [ { kind: gate } ]": "failure_rules/0",
    "failure_rules: [ { do: ask, kind: internal } ]": "failure_rules/0/kind",
    "max_failures: 0%": "max_failures",
    "max_failures: [1]": "max_failures",
    "decisions: { on_timeout: retry }": "decisions/on_timeout",
    "approve_before: [stop, reboot]": "approve_before/1",
    "window: { until: '24:00', tz: UTC }": "window/until",
    "window: { until: 22:30, tz: UTC }": "window/until",
    "window: { until: '05:00' }": "window",
    "notify: { url: nowhere }": "notify/url",
    "hooks: { on_begin: [ { undo: { http: 'http://x/' } } ] }": "hooks/on_begin/0",
    "services: { a: { hosts: b, pre_stop: [ { http: x } ] } }": "services/a/pre_stop/0/http",
    "services: { a: { hosts: b, pre_stop: [ { do: { tcp: 1 } } ] } }": "services/a/pre_stop/0/do",
    "services: { a: { hosts: b, post_stop: [ { http: 'http://x/', name: a/b } ] } }": "services/a/post_stop/0/name",
    "services: { a: { hosts: b, stop: { if_stuck: kil } } }": "services/a/stop/if_stuck",
    "services: { a: { hosts: b, ready: [ { service: Running, bound: true } ] } }": "services/a/ready/0",
    "services: { a: { external: true, ready: [ { tcp: 1 } ], keep_down: true } }": "services/a/keep_down",
    "notify: [ { events: [end] } ]": "notify/0",
}


@pytest.mark.parametrize(("text", "place"), sorted(BAD.items()))
def test_each_mistake_of_form_is_refused_at_its_place(text: str, place: str) -> None:
    assert place in wrong(text)


def any_of(*values: object) -> st.SearchStrategy[Any]:
    """Forms that a value may have, a template, nothing, or (seldom right) nothing but blanks."""
    return st.sampled_from([*values, *values, "{{ vars.a }}", "{{ vars.a }}", None, " "])


def keyed(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with any of *fields*; `from_` is from."""
    return st.fixed_dictionaries({}, optional={name.rstrip("_"): value for name, value in fields.items()})


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=2)


_NUMBER = any_of(1, 204, "7", " 80 ")
_LASTING = any_of(5, 0.5, "90s", "1h30m", "1.5s", "1e2")
_FLAG = any_of(True, False, "TRUE", "false")
_TEXT = any_of("x", 10, "Two words")
_MOVES = keyed(timeout=any_of("2m", 90), expected=any_of(1, "2s")) | st.none()
_TIMING = {"initial_delay": _LASTING, "period": _LASTING, "timeout": _LASTING, "success_threshold": _NUMBER}
_URL = any_of("http://x/", "https://{{ host.name }}")
_STATE = any_of("Running", "stopped")
_CHECKS: dict[str, st.SearchStrategy[Any]] = {
    "service": _STATE | keyed(state=_STATE, name=_TEXT),
    "tcp": _NUMBER | keyed(port=_NUMBER, host=_TEXT),
    "port_closed": _NUMBER,
    "http": _URL
    | keyed(
        url=_URL, method=any_of("get"), status=some(any_of(200, "204")), json=keyed(a=_TEXT), headers=keyed(a=_TEXT),
        verify=_FLAG, ca=_TEXT,
    ),
    "command": keyed(exe=_TEXT, args=st.lists(_TEXT, max_size=2), exit_code=some(_NUMBER), text=_TEXT, regex=_TEXT),
}  # fmt: skip
_GATE = st.sampled_from(KINDS).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"http" if kind != "http" else "tcp": st.none(), kind: _CHECKS[kind]},
        optional={**_TIMING, "from": st.sampled_from(["host", "Controller", None])},
    )
)
_GATES = st.lists(_GATE, max_size=2) | st.none()
_ACT = st.fixed_dictionaries({"http": any_of("http://x/") | keyed(url=_URL, json_body=keyed(a=_TEXT))}) | keyed(
    command=_CHECKS["command"]
)
_HOOKS = st.lists(
    _ACT
    | st.fixed_dictionaries(
        {"do": _ACT},
        optional={
            "undo": _ACT, "check": st.fixed_dictionaries({"tcp": _CHECKS["tcp"]}), "idempotent": _FLAG,
            "timeout": _LASTING, "from": st.sampled_from(["host", "Controller", None]), "name": any_of("a b", 7),
        },
    ),
    max_size=2,
)  # fmt: skip
_STOPS = keyed(
    timeout=any_of("2m", 90), max_timeout=any_of("5m"), if_stuck=any_of("kill", "Ask"), kill_shared=some(_TEXT)
)
_ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "service": some(_TEXT),
        "external": st.sampled_from([True, False, None, "FALSE"]),
        "depends_on": any_of(
            "b", ["b"], [], {}, {"b": None}, {"b": {"need": "1"}}, {"b": {"soft": "True", "need": None}}
        ),
        "max_parallel": _NUMBER,
        "order": any_of("inventory", "Inventory"),
        "batch": some(any_of(1, "2", "10%", " 100 % ")),
        "pause": any_of("5m", 0, "Decision"),
        "min_available": any_of(1, "2", "60%", " 100 % "),
        "start": _MOVES,
        "stop": _MOVES | _STOPS,
        "ready": _GATES,
        "stopped": _GATES,
        "prechecks": _GATES,
        "ready_all": _GATES,
        "pre_stop": _HOOKS,
        "post_start": _HOOKS,
        "min_healthy": _LASTING,
        "keep_down": _FLAG,
        "dependents": any_of("fail", "Stop_and_restore"),
    },
)
_ANSWERS = any_of("ask", "Rollback", "hold", "continue")
_WORDS = some(any_of("stop", "start", "Restart"))
_RULES = st.fixed_dictionaries(
    {"do": any_of("ask", "hold", "RETRY")},
    optional={
        "kind": some(any_of("gate", "remote error")),
        "service": some(any_of("a", "b")),
        "group": st.sampled_from(["db", ["db", "app"], None]),
        "count": _NUMBER,
    },
)
_PEOPLE = keyed(
    timeout=_LASTING, on_timeout=any_of("hold", "Abort"), approvers=some(any_of("ann", 7)),
    min_approvals=any_of(1, "1"), not_requester=_FLAG,
)  # fmt: skip
_NOTICES = st.fixed_dictionaries(
    {"url": any_of("json://x/", "slack://{{ vars.a }}")},
    optional={"events": some(any_of("decision", "End")), "title": _TEXT, "body": _TEXT, "remind": _LASTING},
)
_POLICY: dict[str, st.SearchStrategy[Any]] = {
    "on_failure": _ANSWERS | keyed(stop=_ANSWERS, start=_ANSWERS, default=_ANSWERS),
    "failure_rules": some(_RULES),
    "max_failures": any_of(0, "3", "10%", " 100 % "),
    "decisions": _PEOPLE,
    "approve_before": _WORDS,
    "window": st.fixed_dictionaries({"until": any_of("5:00", "22:30"), "tz": _TEXT}),
    "rollback": keyed(timeout=_LASTING),
    "notify": some(_NOTICES),
}
_FILES = keyed(
    name=_TEXT,
    max_parallel=_NUMBER,
    max_parallel_per_zone=_NUMBER,
    unreachable=any_of("ask", "Fail"),
    poll=_LASTING,
    vars=keyed(a=_TEXT) | st.none(),
    hooks=keyed(on_begin=_HOOKS, on_end=_HOOKS),
    defaults=keyed(timeout=any_of("2m", 90), min_healthy=_LASTING, stop=_MOVES, gate=keyed(**_TIMING)) | st.none(),
    **_POLICY,
)
_HOSTS = st.sampled_from(["db", "db:&app", ["db", "app"], ["", "db"], "{{ vars.a }}", 10])


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@given(_FILES, _HOSTS, _ENTRIES, _ENTRIES)
def test_what_the_reader_takes_fits(
    top: dict[str, Any], hosts: object, entry: dict[str, Any], other: dict[str, Any]
) -> None:
    data = {**top, "services": {"a": {"hosts": hosts, **entry}, "b": {"hosts": hosts, **other, "depends_on": None}}}
    assume(not read_playbook(parse(json.dumps(data).encode(), "p.yaml")).mistakes)
    assert [f"{error.json_path}: {error.message}" for error in CHECK.iter_errors(data)] == []


def described(schema: Any) -> Iterator[str]:
    """What editors show of each key."""
    if isinstance(schema, dict):
        for key, said in schema.get("properties", {}).items():
            if "description" in said and isinstance(key, str):
                yield said["description"]
        for inner in schema.values():
            yield from described(inner)


def test_what_editors_show_is_what_the_documentation_says() -> None:
    told = " ".join(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", DOCS).split())
    shown = sorted(set(described(SCHEMA)))
    assert len(shown) > 40
    assert [text for text in shown if text not in told] == []


def test_defaults_are_those_that_hold() -> None:
    gate = SCHEMA["$defs"]["GateShape"]["properties"]
    assert set(gate) == {*KINDS, "from", "bound", "initial_delay", "period", "timeout", "success_threshold", "deadline"}
    assert SCHEMA["properties"]["poll"]["default"] == seconds("2s") == Gate.__dataclass_fields__["period_s"].default


def test_the_command_prints_it() -> None:
    ended = subprocess.run([sys.executable, "-m", "orchestrator", "schema"], capture_output=True, text=True, check=True)
    assert (json.loads(ended.stdout), ended.stderr) == (SCHEMA, "")
