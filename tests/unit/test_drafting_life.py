"""Drafts of lives: hooks rendered and mirrored, shared where they are the same, and what a playbook may leave out."""

import pytest
from test_drafting import LAB, ROOT, drafted

from orchestrator.domain.draft import Draft, OnDependents
from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin, TcpCheck
from orchestrator.domain.life import Hook, IfStuck, Life, RunHooks
from orchestrator.domain.secrets import SecretRef, embed


def lives(*lines: str, top: str = "") -> list[tuple[Life | None, Life | None]]:
    """Start and stop of one service on db-01 and db-02 with *lines*."""
    text = f"{top}services:\n  sql:\n    hosts: db\n" + "".join(f"    {line}\n" for line in lines)
    return [(one.start_life, one.stop_life) for one in drafted(text).entries[0].instances]


def stopping(*lines: str) -> Life:
    life = lives(*lines)[0][1]
    assert life is not None
    return life


def hook(line: str) -> Hook:
    (made,) = stopping(f"pre_stop: [ {line} ]").before
    return made


def marked(hooks: tuple[Hook, ...]) -> list[str]:
    return [f"{'undo ' * one.undoes}{one.name}" for one in hooks]


def test_what_says_nothing_has_no_life() -> None:
    assert lives("stop: { timeout: 60s, expected: 1s }", "ready: [ { tcp: 1 } ]") == [(None, None)] * 2
    assert lives("min_healthy: 0s", "keep_down: false", "stop: { if_stuck: fail }") == [(None, None)] * 2
    result = drafted("services: { a: { hosts: db } }")
    assert (result.hooks, result.entries[0].ready_all, result.entries[0].dependents) == (
        RunHooks(),
        (),
        OnDependents.FAIL,
    )


def test_each_direction_undoes_what_the_other_did_last_to_first() -> None:
    both = "{ command: { exe: x }, undo: { command: { exe: y } } }"
    one = "{ command: { exe: x } }"
    (start, stop), _ = lives(
        f"pre_stop: [ {both}, {one}, {both} ]",
        f"post_stop: [ {both}, {both} ]",
        f"pre_start: [ {one}, {both} ]",
        f"post_start: [ {both} ]",
    )
    assert start is not None
    assert stop is not None
    assert marked(start.before) == ["undo post_stop.2", "undo post_stop.1", "pre_start.1", "pre_start.2"]
    assert marked(start.after) == ["post_start.1", "undo pre_stop.3", "undo pre_stop.1"]
    assert marked(stop.before) == ["undo post_start.1", "pre_stop.1", "pre_stop.2", "pre_stop.3"]
    assert marked(stop.after) == ["post_stop.1", "post_stop.2", "undo pre_start.2"]


def test_a_hook_has_its_stated_defaults() -> None:
    assert hook("{ command: { exe: x } }") == Hook(name="pre_stop.1", do=CommandCheck(exe="x"), origin=Origin.HOST)
    posted = HttpCheck(url="http://lb/", method="POST", status=(200, 201, 202, 204))
    assert hook("{ http: http://lb/ }") == Hook(name="pre_stop.1", do=posted, origin=Origin.CONTROLLER, timeout_s=30.0)
    assert hook("{ do: { http: http://lb/ } }") == hook("{ http: http://lb/ }")


def test_a_hook_says_all_it_can() -> None:
    made = hook(
        "{ do: { http: { url: http://lb/, method: put, status: 409, body: out } }, name: out of the pool, from: host,"
        " undo: { command: { exe: y } }, check: { tcp: 80 }, idempotent: true, timeout: 5s }"
    )
    assert made == Hook(
        name="out of the pool",
        do=HttpCheck(url="http://lb/", method="PUT", status=(409,), body="out"),
        undo=CommandCheck(exe="y"),
        check=TcpCheck(host="localhost", port=80),
        origin=Origin.HOST,
        idempotent=True,
        timeout_s=5.0,
    )
    assert hook("{ http: http://lb/, check: { tcp: 80 } }").check == TcpCheck(host="db-01.example.com", port=80)


def test_a_json_body_says_what_it_is_and_null_is_a_value() -> None:
    made = hook("{ http: { url: http://lb/, json_body: { host: '{{ host.name }}', weight: 0, until: null } } }").do
    assert isinstance(made, HttpCheck)
    assert made.body == '{"host": "db-01", "weight": 0, "until": null}'
    assert made.headers == (("Content-Type", "application/json"),)
    own = hook("{ http: { url: http://lb/, json_body: {}, headers: { content-type: application/merge-patch+json } } }")
    assert isinstance(own.do, HttpCheck)
    assert (own.do.body, own.do.headers) == ("{}", (("content-type", "application/merge-patch+json"),))


def test_hooks_may_hold_secrets_as_gates_do() -> None:
    made = hook("""{ http: { url: http://lb/, headers: { X-Token: "{{ secret('env:T') }}" } } }""").do
    assert isinstance(made, HttpCheck)
    assert made.headers == (("X-Token", embed(SecretRef("env", "T"))),)


def test_instances_that_need_the_same_share_one_life() -> None:
    first, second = lives("pre_stop: [ { http: 'http://lb/{{ service.key }}' } ]", "min_healthy: '{{ 1 + 1 }}s'")
    assert first[0] is second[0]
    assert first[1] is second[1]
    own = lives("pre_stop: [ { http: 'http://lb/{{ host.name }}' } ]", "min_healthy: 5s")
    urls = [stop.before[0].do.url for _, stop in own if stop and isinstance(stop.before[0].do, HttpCheck)]
    assert urls == ["http://lb/db-01", "http://lb/db-02"]
    by_address = [stop and stop.drained[0].check for _, stop in lives("drained: [ { tcp: 80 } ]")]
    assert by_address == [TcpCheck(host=f"db-0{n}.example.com", port=80) for n in (1, 2)]


def test_how_long_it_stays_and_what_follows_when_it_is_stuck() -> None:
    top = "defaults: { min_healthy: 10s, keep_down: true, stop: { max_timeout: 5m, if_stuck: ask } }\n"
    assert lives(top=top)[0] == (
        Life(healthy_s=10.0, keep_down=True),
        Life(if_stuck=IfStuck.ASK, max_timeout_s=300.0, keep_down=True),
    )
    own = (
        "min_healthy: 0s",
        "keep_down: false",
        "stop: { timeout: 60s, if_stuck: KILL, kill_shared: '{{ service.key }}-2' }",
    )
    assert lives(*own, top=top)[0] == (
        None,
        Life(if_stuck=IfStuck.KILL, max_timeout_s=300.0, kill_shared=("sql-2",)),
    )


def test_gates_before_a_stop_and_who_owns_a_port() -> None:
    made = stopping("prechecks: [ { command: { exe: x }, period: 1s } ]", "drained: [ { http: http://lb/ } ]")
    assert made.prechecks == (Gate(check=CommandCheck(exe="x"), origin=Origin.HOST, period_s=1.0),)
    assert made.drained == (Gate(check=HttpCheck(url="http://lb/"), origin=Origin.CONTROLLER),)
    ready = "ready: [ { tcp: 1, bound: true }, { http: 'http://{{ host.name }}/', bound: '{{ true }}' }, { tcp: 2 } ]"
    gates = drafted(f"services:\n  a:\n    hosts: db\n    {ready}").entries[0].instances[0].ready
    assert [gate.bound for gate in gates] == [True, True, False]


def test_gates_of_all_instances_and_hooks_of_the_run_know_no_host() -> None:
    result: Draft = drafted(
        "vars: { lb: http://lb }\nhooks:\n"
        "  on_begin: [ { http: '{{ vars.lb }}/quiet', undo: { command: { exe: loud } } } ]\n"
        "  on_end: [ { command: { exe: x }, check: { tcp: { host: db-02, port: 1 } } } ]\n"
        "  on_failure: [ { http: '{{ vars.lb }}/page', name: page } ]\n"
        "services:\n  a:\n    hosts: db\n    dependents: stop_and_restore\n"
        "    ready_all: [ { http: '{{ vars.lb }}/{{ service.name }}' } ]\n"
    )
    assert result.entries[0].ready_all == (Gate(check=HttpCheck(url="http://lb/a"), origin=Origin.CONTROLLER),)
    assert result.entries[0].dependents is OnDependents.STOP_AND_RESTORE
    hooks = result.hooks
    assert [one.name for one in (*hooks.begin, *hooks.end, *hooks.failure)] == ["on_begin.1", "on_end.1", "page"]
    assert {one.origin for one in (*hooks.begin, *hooks.end, *hooks.failure)} == {Origin.CONTROLLER}
    assert hooks.begin[0].undo == CommandCheck(exe="loud")
    assert hooks.end[0].check == TcpCheck(host="db-02.example.com", port=1)


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "playbooks").glob("*.yaml")))
def test_every_shipped_playbook_is_right(name: str) -> None:
    file = ROOT / "playbooks" / name
    assert drafted(file.read_text(encoding="utf-8"), LAB, str(file)).entries
