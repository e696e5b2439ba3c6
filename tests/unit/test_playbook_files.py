"""Playbooks in several files: they are one, and what is wrong is told with the file in which it stands."""

from pathlib import Path

import pytest

from orchestrator.adapters.documents.playbook_files import DEEPEST, MOST_FILES, load
from orchestrator.adapters.documents.project_files import load_both
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.draft import Draft
from orchestrator.domain.drafting.drafting import draft
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.gates import HttpCheck

HOSTS = "all: { children: { db: { hosts: { db-01: {}, db-02: {} } }, app: { hosts: { app-01: {} } } } }\n"


def written(folder: Path, **files: str) -> Path:
    """A project in *folder*: `main` is its playbook, `sub__x` is sub/x.yaml."""
    (folder / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "main.yaml"


def drafted(plan: Path) -> Draft:
    playbook, inventory = load_both(plan, [plan.parent / "hosts.yaml"])
    return draft(playbook, inventory, Renderer(), lambda name: name)


def told(plan: Path) -> list[str]:
    """Every mistake, without the folder; wrong | right."""
    try:
        drafted(plan)
    except Mistakes as caught:
        return [str(one).replace(f"{plan.parent}/", "").replace("\n    ", " | ") for one in caught.mistakes]
    return []


def test_fragments_are_read_as_if_they_stood_before_the_playbook(tmp_path: Path) -> None:
    plan = written(
        tmp_path,
        main="include: [base.yaml, sub/app.yaml]\nname: whole\nvars: { c: main }\n"
        "defaults: { start: { expected: 3s } }\n"
        "services: { web: { hosts: app, depends_on: orders, ready: [ { tcp: 1 } ] } }\n",
        base="vars: { a: base, b: base, c: base }\n"
        "defaults: { timeout: 40s, start: { timeout: 50s, expected: 1s }, gate: { period: 1s } }\n"
        "services: { sql: { hosts: db } }\n",
        sub__app="include: more.yaml\nvars: { b: app }\n"
        "services: { orders: { hosts: app, depends_on: [sql], ready: [\n"
        "  { http: 'http://{{ vars.a }}/{{ vars.b }}/{{ vars.c }}' } ] } }\n",
        sub__more="defaults: { gate: { period: 7s, deadline: 70s } }\nservices: { more: { hosts: db } }\n",
    )
    made = drafted(plan)
    assert made.name == "whole"
    assert [entry.key for entry in made.entries] == ["sql", "more", "orders", "web"]
    check = made.entries[2].instances[0].ready[0].check
    assert isinstance(check, HttpCheck)
    assert check.url == "http://base/app/main"
    for entry in made.entries:
        for one in entry.instances:
            assert (one.start_timeout_s, one.start_expected_s, one.stop_timeout_s) == (50, 3, 40)
    gate = made.entries[3].instances[0].ready[0]
    assert (gate.period_s, gate.deadline_s) == (7, 70)


def test_a_fragment_on_two_routes_counts_once(tmp_path: Path) -> None:
    plan = written(
        tmp_path,
        main="include: [a.yaml, b.yaml, link.yaml]\nservices: {}\n",
        a="include: base.yaml\n",
        b="include: [ ./base.yaml ]\nservices: { web: { hosts: app } }\n",
        base="services: { sql: { hosts: db } }\n",
    )
    (tmp_path / "link.yaml").symlink_to("base.yaml")
    assert [entry.key for entry in drafted(plan).entries] == ["sql", "web"]


def test_paths_in_a_fragment_count_from_its_own_folder(tmp_path: Path) -> None:
    plan = written(
        tmp_path,
        main="include: sub/a.yaml\n",
        sub__a="services: { web: { hosts: app, ready: [ { http: { url: 'https://x/', ca: ca.pem } } ] } }\n",
    )
    check = drafted(plan).entries[0].instances[0].ready[0].check
    assert isinstance(check, HttpCheck)
    assert check.ca == f"{tmp_path}/sub/ca.pem"


def test_mistakes_of_all_files_are_told_at_once_in_their_own(tmp_path: Path) -> None:
    plan = written(
        tmp_path,
        main="include: [a.yaml, b.yaml]\nservices:\n"
        "  sql: { hosts: dbb }\n  web: { hosts: app, depends_on: [orders] }\n",
        a="name: x\nvars: [1]\nfoo: 1\nservices:\n  sql: { hosts: db, strat: {} }\n",
        b="defaults: { timeout: soon }\n"
        "services: { orders: { hosts: app, depends_on: [web, nobody], ready: [ { tcp: '{{ prt }}' } ] } }\n",
    )
    assert told(plan) == [
        "a.yaml:1:1: 'name' is said by the playbook alone, not by a fragment | move it to the playbook",
        "a.yaml:2:7: 'vars' is a list, not a mapping | write `vars: { ... }` or its keys below it",
        "a.yaml:3:1: unknown key 'foo' | known: include, vars, defaults, services",
        "a.yaml:5:21: unknown key 'strat' | the nearest known one is 'start'",
        "b.yaml:1:22: 'soon' is no duration | write 90s, 2m, 1h30m, or a number of seconds",
        "b.yaml:2:48: services depend on each other in a circle: orders -> web -> orders"
        " | remove one of: orders -> web at b.yaml:2:48, web -> orders at main.yaml:4:35",
        "b.yaml:2:53: 'nobody' is no service of this playbook | known: orders, sql, web",
        "b.yaml:2:78: {{ prt }}: 'prt' is undefined; known: host, secret, service, vars (for app-01)",
        "main.yaml:3:3: 'sql' is a service already, at a.yaml:5:3 | give one of the two another key, or remove it",
    ]


def test_a_fragment_that_cannot_be_read_makes_no_mistakes_elsewhere(tmp_path: Path) -> None:
    plan = written(
        tmp_path,
        main="include:\n- gone.yaml\n- sub\n- bad.yaml\n- list.yaml\n- 5\n- '{{ x }}'\n- ''\n- \"a\\0b\"\n"
        f"- {'n' * 300}\n- latin.yaml\n"
        "services: { web: { hosts: app, depends_on: sql, strat: 1, ready: [ { tcp: '{{ vars.p }}' } ] } }\n",
        sub__x="",
        bad="a: [\n",
        list="- sql\n",
    )
    (tmp_path / "latin.yaml").write_bytes(b"vars: { a: \xfc }")
    counts = "the path counts from the folder of main.yaml"
    write = "write `include: [ FILE ]`"
    assert told(plan) == [
        "bad.yaml:2:1: this is no YAML: did not find expected node content (while parsing a flow node)",
        "latin.yaml:1:12: this is not UTF-8 | save the file as UTF-8",
        "list.yaml:1:1: this is a list, not a fragment of a playbook"
        " | a fragment is a mapping; its keys: include, vars, defaults, services",
        f"main.yaml:2:3: there is no gone.yaml: No such file or directory | {counts}",
        f"main.yaml:6:3: a fragment is the path of a file, this is a number | {write}",
        "main.yaml:7:3: a fragment's path can't hold a template | write the path",
        f"main.yaml:8:3: '' is no path of a file | {write}",
        f"main.yaml:9:3: 'a\\x00b' is no path of a file | {write}",
        f"main.yaml:10:3: there is no {'n' * 300}: File name too long | {counts}",
        "main.yaml:12:49: unknown key 'strat' | the nearest known one is 'start'",
        "sub:1:1: this is no file | name a YAML file",
    ]


def test_circles_are_refused_with_their_chain(tmp_path: Path) -> None:
    plan = written(
        tmp_path, main="include: a.yaml\n", a="include: [sub/b.yaml]\n", sub__b="include: [ ../a.yaml, ../main.yaml ]\n"
    )
    assert told(plan) == [
        "sub/b.yaml:1:12: files include each other in a circle: a.yaml -> sub/b.yaml -> a.yaml"
        " | remove one of these includes",
        "sub/b.yaml:1:23: files include each other in a circle: main.yaml -> a.yaml -> sub/b.yaml -> main.yaml"
        " | remove one of these includes",
    ]
    (tmp_path / "main.yaml").write_text("include: main.yaml\n", encoding="utf-8")
    assert told(plan) == [
        "main.yaml:1:10: files include each other in a circle: main.yaml -> main.yaml | remove one of these includes"
    ]


def test_depth_and_number_are_bounded(tmp_path: Path) -> None:
    deep = {f"f{level}": f"include: f{level + 1}.yaml\n" for level in range(DEEPEST + 5)}
    (told_deep,) = told(written(tmp_path, main="include: f0.yaml\n", **deep))
    assert told_deep.startswith(
        f"f{DEEPEST - 1}.yaml:1:10: files include each other more than {DEEPEST} deep: main.yaml -> f0.yaml -> f1.yaml"
    )
    assert told_deep.endswith(f"f{DEEPEST}.yaml | include it higher up")
    many = [f"m{number}" for number in range(MOST_FILES + 5)]
    plan = written(
        tmp_path, main=f"include: [{', '.join(f'{name}.yaml' for name in many)}]\n", **dict.fromkeys(many, "vars: {}\n")
    )
    assert [one.partition(": ")[2] for one in told(plan)] == [
        f"more than {MOST_FILES} fragments | put some of them together"
    ]


def test_files_that_all_include_all_later_ones_are_too_much_once(tmp_path: Path) -> None:
    names = [f"w{number:02}" for number in range(DEEPEST + 20)]
    files = {
        one: f"include: [{', '.join(f'{other}.yaml' for other in names[index + 1 :])}]\n"
        for index, one in enumerate(names)
    }
    (only,) = told(written(tmp_path, main="include: w00.yaml\n", **files))
    assert "more than 16 deep" in only


def test_a_playbook_of_fragments_alone_needs_no_services_of_its_own(tmp_path: Path) -> None:
    assert load(written(tmp_path, main="include: a.yaml\n", a="services: { sql: { hosts: db } }\n")).mistakes == ()
    assert [one.wrong for one in load(written(tmp_path, main="include: a.yaml\n", a="vars: {}\n")).mistakes] == [
        "the playbook has no services"
    ]


@pytest.mark.parametrize("fragment", ["", "~\n"])
def test_an_empty_fragment_is_told_and_nothing_that_follows_from_it(tmp_path: Path, fragment: str) -> None:
    main = "include: a.yaml\nservices: { web: { hosts: app, depends_on: sql } }\n"
    (said,) = told(written(tmp_path, main=main, a=fragment))
    assert said.startswith("a.yaml:1:1: this is nothing, not a fragment of a playbook")
