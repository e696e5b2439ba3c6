"""Inventories and patterns mean what ansible-core says they mean."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from asking_ansible import Case, ask, command, compare_groups, compare_hosts, ordered

from orchestrator.adapters.documents.inventory_files import load
from orchestrator.domain.errors import BadInput
from orchestrator.domain.inventory.patterns import select

CASES = 120
_VARIABLES = ("ansible_host", "ansible_port", "role", "rack", "text", "flags")
_VALUES: tuple[object, ...] = (
    *(1433, 0, -5, 1.5, True, False, None, "plain", "{{ role }}.example", "007", "yes", "1:30", "", "ä ✓"),
    *([1, "two"], {"a": {"b": 1}}, [], {}),
)
_ENTRIES = (
    *("web-[01:03]", "web-[02:05]", "db[a:c]", "node[0:6:2]", "x[a:b]-[1:2]", "lone", "10.0.0.[1:3]", "fe80::1"),
    *("p-1:2222", "p-1", "app.example.org", "[fe80::2]:5986", "w[X:Z]", "m[:3]"),
)


class Inventories:
    """Writes random inventories: groups in groups, ranges, repeated mentions, group_vars and host_vars of all kinds."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.names = [f"g{index}" for index in range(self.random.randint(1, 6))]
        self.deep = self.random.random() < 0.5

    def write(self) -> Path:
        """The path of a new inventory."""
        tops = ["all", *self.random.sample(self.names, self.random.randint(0, len(self.names)))]
        document = {name: self._group(name, -1 if name == "all" else self.names.index(name)) for name in tops}
        self.folder.mkdir()
        path = self.folder / self.random.choice(["hosts.yaml", "hosts.yml", "hosts", "hosts.json"])
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        path.write_text(json.dumps(document) if path.suffix == ".json" else text, encoding="utf-8")
        for kind, names in (("group_vars", ["all", "ungrouped", *self.names]), ("host_vars", self._some_hosts())):
            for name in names:
                if self.random.random() < 0.3:
                    self._variables_file(self.folder / kind, name)
        return path

    def _some_hosts(self) -> list[str]:
        return ["web-01", "web-02", "dba", "lone", "10.0.0.1", "fe80::1", "p-1", "nobody"]

    def _variables(self) -> dict[str, object]:
        names = self.random.sample(_VARIABLES, self.random.randint(0, 3))
        return {name: self.random.choice(_VALUES) for name in names}

    def _variables_file(self, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        form = self.random.choice(["", ".yml", ".yaml", ".json", "/", "/", "both"])
        if form in ("/", "both"):
            inside = folder / name
            inside.mkdir()
            for file in ("10.yml", "20.yaml", "plain", ".hidden.yml", "old.yml~", "note.txt"):
                if self.random.random() < 0.5:
                    self._dump(inside / file)
            if self.random.random() < 0.3:
                (inside / "deeper").mkdir()
                self._dump(inside / "deeper" / "a.yml")
        if form != "/":
            self._dump(folder / (name + (".yml" if form == "both" else form)))

    def _dump(self, path: Path) -> None:
        path.write_text(json.dumps(self._variables()) if path.suffix == ".json" else yaml.safe_dump(self._variables()))

    def _group(self, name: str, index: int, level: int = 0) -> dict[str, Any] | None:
        sections: dict[str, Callable[[], object]] = {
            "hosts": self._hosts,
            "children": lambda: self._children(index, level),
            "vars": lambda: self._group_variables(name),
        }
        chosen = self.random.sample(sorted(sections), self.random.randint(0, 3))
        return {section: sections[section]() for section in chosen} or None

    def _hosts(self) -> object:
        if self.random.random() < 0.1:
            return "lone"
        return {
            entry: self._variables() or None for entry in self.random.sample(_ENTRIES, self.random.randint(0, 4))
        } or None

    def _children(self, index: int, level: int) -> object:
        later = self.names[index + 1 :] if self.deep or level == 0 else []
        chosen = self.random.sample(later, self.random.randint(0, min(3, len(later))))
        return {child: self._group(child, self.names.index(child), level + 1) for child in chosen} or None

    def _group_variables(self, name: str) -> dict[str, object]:
        variables = self._variables()
        if name != "all" and self.random.random() < 0.3:
            variables["ansible_group_priority"] = self.random.choice([0, 2, 10, "20"])
        return variables

    def patterns(self) -> list[str]:
        """Random patterns, and every part of each by itself."""
        atoms = [*self.names, "all", "ungrouped", "*", "web-*", "web-01", "g*", "~web-0[12]", "~g[0-2]", "lone", "dba"]
        atoms += [
            "g0[0]",
            "g1[0:1]",
            "all[-1]",
            "all[1:]",
            "g*[2]",
            "web-0?",
            "nobody",
            "fe80::1",
            "10.0.0.*",
            "all[0:0]",
        ]
        patterns = list(atoms)
        for _ in range(10):
            parts = [self.random.choice(["", "", "&", "!"]) + self.random.choice(atoms) for _ in range(3)]
            plain = all("fe80" not in part and "[" not in part for part in parts)
            patterns.append((":" if plain and self.random.random() < 0.5 else ",").join(parts))
        return patterns


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Random inventories as both read them; Ansible is asked once for all."""
    folder = tmp_path_factory.mktemp("inventories")
    written = []
    for seed in range(CASES):
        maker = Inventories(seed, folder / str(seed))
        written.append((maker.write(), maker.patterns()))
    answers = ask(folder, [{"inventory": str(path), "patterns": patterns} for path, patterns in written])
    return [Case(load(path), theirs) for (path, _), theirs in zip(written, answers, strict=True)]


def test_groups_hosts_and_their_order(cases: list[Case]) -> None:
    assert sum(map(ordered, cases)) > CASES // 4
    for case in cases:
        compare_groups(case)


def test_the_variables_and_groups_of_each_host(cases: list[Case]) -> None:
    assert sum(map(compare_hosts, cases)) > 1000


def _parts(pattern: str) -> list[str]:
    pieces = pattern.split("," if "," in pattern or "fe80" in pattern or "[" in pattern else ":")
    return [piece.lstrip("&!") for piece in pieces]


def test_patterns(cases: list[Case]) -> None:
    chosen = 0
    for case in cases:
        in_order = ordered(case)
        for pattern, theirs in case.theirs["patterns"].items():
            if not in_order and "[" in pattern:
                continue
            try:
                ours = select(case.ours, pattern)
            except BadInput:
                # We refuse a part that names nothing, where Ansible goes on without it.
                alone = [case.theirs["patterns"][part] for part in _parts(pattern)]
                assert [] in alone or None in alone, f"{case.ours.file}: {pattern}"
                continue
            assert theirs is not None
            assert sorted(ours) == sorted(theirs), f"{case.ours.file}: {pattern}"
            assert not in_order or list(ours) == theirs, f"{case.ours.file}: {pattern}"
            chosen += len(ours)
    assert chosen > 1000


def test_the_commands_that_users_compare_with(tmp_path: Path) -> None:
    """`ansible-inventory --list` and `ansible PATTERN --list-hosts`, as typed."""
    path = tmp_path / "shop.yaml"
    path.write_text(
        "all:\n  vars: { domain: example.org }\n  children:\n"
        "    prod:\n      vars: { tier: prod, ansible_user: svc }\n      children: { web: , db: }\n"
        "    web: { hosts: { 'web-[01:12]': { role: front } } }\n"
        "    db: { hosts: { db-a: , db-b: { ansible_host: 10.1.1.2 } }, vars: { tier: data } }\n"
    )
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "web-03.yml").write_text("role: canary\n")
    ours = load(path)
    theirs = json.loads(command(tmp_path, "inventory", "-i", str(path), "--list"))
    variables = {name: dict(host.variables) for name, host in ours.hosts.items()}
    assert variables == theirs["_meta"]["hostvars"]
    assert theirs["prod"] == {"children": ["web", "db"]}
    for pattern in ("all", "prod:!web-03", "web-1*:db"):
        shown = command(tmp_path, "adhoc", "-i", str(path), pattern, "--list-hosts")
        assert [line.strip() for line in shown.splitlines()[1:]] == list(select(ours, pattern))
