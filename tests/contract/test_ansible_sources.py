"""INI inventories, scripts, listings, folders, several sources and ansible-vault mean what ansible-core says."""

import json
import random
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from asking_ansible import Case, ask, compare_groups, compare_hosts, encrypted

from orchestrator.adapters.documents.inventory_files import load
from orchestrator.adapters.secrets import SecretStore
from orchestrator.adapters.vault import Vault
from orchestrator.domain.secrets import Secret, VaultPassword

CASES = 100
PASSWORD = "correct horse"
GROUPS = ("web", "db", "prod", "edge-1", "eu.west")
ENTRIES = (
    *("web-[01:03]", "web-[02:05]", "db[a:c]", "node[0:6:2]", "lone", "10.0.0.[1:3]", "fe80::1", "p-1:2222", "p-1"),
    *("[fe80::2]:5986", "app.example.org", "x[a:b]-[1:2]", "w[X:Z]:22"),
)
NAMES = ("role", "rack", "ansible_host", "ansible_port", "text", "flags")
TYPED = (
    *(
        "5",
        "-5",
        "0x10",
        "007",
        "1.5",
        "1e3",
        "True",
        "true",
        "None",
        "yes",
        "10.0.0.1",
        "a=b",
        "x-y",
        "a.b_c",
        "",
        "...",
    ),
    *("1_000", "b'x'", "1+2j", "[1,2]", "{'a':1}", "(1,2)", "{{role}}.x", "http://x/?a=1", "12:30", "+5", "--x", "ü"),
)
"""Values that are the same in both places of an INI file."""
IN_HOST_LINES = (
    *('"two words"', "'two words'", r'"C\\D"', r"CORP\svc", r"'CORP\svc'", "\"[1, 'two']\"", "'{\"a\": [1, None]}'"),
    *("it''s", '"# no comment"', '"5"', "'\"5\"'", "x\\ y", "'{{ role }}'"),
)
IN_VARS = (
    *('"two words"', "two words", r"CORP\svc", r"'CORP\\svc'", "[1, 'two', (3, 4)]", "{'a': {'b': None}}", "5 # five"),
    *("foo # bar", "'x' # y", "a = b", "{{ role }} x", "'a' 'b'", "{1: 2}", "{'set'}", "# c", '"', "it's", "[1, x]"),
)
PLAIN: tuple[object, ...] = (
    1433,
    -5,
    1.5,
    True,
    None,
    "plain",
    "{{ role }}.example",
    "",
    "ä ✓ 😀",
    [1, "two"],
    {"a": {"b": 1}},
)


class Sources:
    """Writes the random sources of one case."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder

    def write(self) -> list[str]:
        """Their paths; of those that we can read and Ansible can't (a listing in a file), a script that prints it."""
        self.folder.mkdir()
        kinds = [self.ini, self.ini, self.script, self.yaml, self.in_folder]
        chosen = [self.random.choice(kinds) for _ in range(self.random.choice([1, 1, 2, 3]))]
        paths = []
        for number, kind in enumerate(chosen):
            beside = self.folder / self.random.choice(["a", "b"])
            beside.mkdir(exist_ok=True)
            self.variables(beside)
            paths.append(str(kind(beside / f"{number}")))
        return paths

    def variables(self, folder: Path) -> None:
        for kind, names in (("group_vars", ("all", "ungrouped", *GROUPS)), ("host_vars", ("web-01", "lone", "p-1"))):
            for name in names:
                if self.random.random() < 0.2:
                    (folder / kind).mkdir(exist_ok=True)
                    (folder / kind / f"{name}.yml").write_text(yaml.safe_dump(self.some()), encoding="utf-8")

    def some(self) -> dict[str, object]:
        return {name: self.random.choice(PLAIN) for name in self.random.sample(NAMES, self.random.randint(0, 3))}

    def ini(self, path: Path) -> Path:
        path = path.with_suffix(self.random.choice(["", ".ini", ".hosts", ".yml"]))
        names = self.random.sample(GROUPS, self.random.randint(1, len(GROUPS)))
        lines = ["# a comment"] if self.random.random() < 0.5 and path.suffix != ".yml" else []
        if path.suffix != ".yml":
            lines += self.host_lines()
        sections = [f"[{name}]" for name in names]
        sections += [f"[{name}:vars]" for name in (*names, "all") if self.random.random() < 0.5]
        sections += [f"[{name}:children]" for name in names if self.random.random() < 0.4]
        self.random.shuffle(sections)
        for header in sections:
            lines += [header + self.random.choice(["", "  ", " # c"]), *self.lines_of(header, names)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def lines_of(self, header: str, names: list[str]) -> list[str]:
        if header.endswith(":vars]"):
            some = self.random.sample(NAMES, self.random.randint(0, 3))
            blank = self.random.choice(["=", " = "])
            lines = [f"{name}{blank}{self.random.choice(TYPED + IN_VARS)}" for name in some]
            return lines + ["ansible_group_priority=5"] * (self.random.random() < 0.2 and "all" not in header)
        if header.endswith(":children]"):
            later = [name for name in names if GROUPS.index(name) > GROUPS.index(header[1:-10])]
            return [f"{name} # c" for name in later if self.random.random() < 0.4]
        return self.host_lines()

    def host_lines(self) -> list[str]:
        lines = []
        for entry in self.random.sample(ENTRIES, self.random.randint(0, 4)):
            some = self.random.sample(NAMES, self.random.randint(0, 3))
            words = [f"{name}={self.random.choice(TYPED + IN_HOST_LINES)}" for name in some]
            lines.append("  ".join(["", entry, *words, *self.random.choice([[], ["# note"]])]))
        return [*lines, self.random.choice(["", "; note", "   # note"])]

    def yaml(self, path: Path) -> Path:
        path = path.with_suffix(self.random.choice(["", ".yml", ".yaml", ".json"]))
        document: dict[str, Any] = {}
        for name in self.random.sample(GROUPS, self.random.randint(1, 3)):
            hosts = {entry: self.some() for entry in self.random.sample(ENTRIES, self.random.randint(0, 3))}
            document[name] = {"hosts": hosts, "vars": self.some()}
        path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    def listing(self) -> dict[str, Any]:
        hosts = ["web-01", "lone", "p-1", "10.0.0.9", "fe80::1", "new"]
        document: dict[str, Any] = {}
        names = self.random.sample(GROUPS, self.random.randint(1, len(GROUPS)))
        for name in names:
            group: dict[str, Any] = {"hosts": self.random.sample(hosts, self.random.randint(0, 3))}
            if self.random.random() < 0.5:
                group["vars"] = self.some()
            if self.random.random() < 0.5:
                group["children"] = [child for child in GROUPS[GROUPS.index(name) + 1 :] if self.random.random() < 0.3]
            document[name] = group["hosts"] if self.random.random() < 0.1 else group
        document["_meta"] = {"hostvars": {name: self.some() for name in self.random.sample(hosts, 3)}}
        return document

    def script(self, path: Path) -> Path:
        path = path.with_suffix(self.random.choice(["", ".sh", ".py"]))
        document = self.listing()
        known = document["_meta"]["hostvars"]
        if self.random.random() < 0.3:
            del document["_meta"]
        cases = "".join(f"  --host\\ {name}) printf '%s' '{_quoted(own)}';;\n" for name, own in known.items())
        listed = f"  --list) cat <<'END'\n{json.dumps(document, indent=1)}\nEND\n;;\n"
        text = f'#!/bin/sh\necho note >&2\ncase "$*" in\n{listed}{cases}esac\n'
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def in_folder(self, path: Path) -> Path:
        path.mkdir()
        self.variables(path)
        for name in ("10", "Zoo", "a", "b~", ".hidden", "c.bak", "notes.txt", "sub"):
            kind = self.random.choice([self.ini, self.yaml, self.script])
            if name in ("b~", ".hidden", "c.bak", "notes.txt"):
                (path / name).write_text("left out: [\n")
            elif name == "sub":
                (path / name).mkdir()
                kind(path / name / "deep")
            elif self.random.random() < 0.6:
                kind(path / name)
        return path


def _quoted(value: object) -> str:
    return json.dumps(value).replace("'", "'\\''")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Random sources as both read them; Ansible is asked once for all."""
    folder = tmp_path_factory.mktemp("sources")
    written = [Sources(seed, folder / str(seed)).write() for seed in range(CASES)]
    answers = ask(folder, [{"inventory": paths, "patterns": []} for paths in written])
    return [Case(load(list(map(Path, paths))), theirs) for paths, theirs in zip(written, answers, strict=True)]


def test_groups_hosts_and_their_order(cases: list[Case]) -> None:
    for case in cases:
        compare_groups(case)


def test_the_variables_and_groups_of_each_host(cases: list[Case]) -> None:
    assert sum(map(compare_hosts, cases)) > 2000


def test_a_listing_in_a_file_is_what_a_script_would_print(tmp_path: Path) -> None:
    """Ansible itself reads no such file; what it would say of a program that prints it is the measure."""
    seen = 0
    for seed in range(20):
        document = Sources(seed, tmp_path).listing()
        text = json.dumps(document, indent=seed % 3 or None, ensure_ascii=seed % 2 == 0)
        (tmp_path / f"{seed}.json").write_text(text, encoding="utf-8")
        (tmp_path / f"{seed}.sh").write_text(f"#!/bin/sh\ncat '{tmp_path / f'{seed}.json'}'\n")
        (tmp_path / f"{seed}.sh").chmod(0o755)
    answers = ask(tmp_path, [{"inventory": [str(tmp_path / f"{seed}.sh")], "patterns": []} for seed in range(20)])
    for seed, theirs in enumerate(answers):
        case = Case(load(tmp_path / f"{seed}.json"), theirs)
        compare_groups(case)
        seen += compare_hosts(case)
    assert seen > 50


def sealed(text: str) -> str:
    return encrypted(text, PASSWORD)


def test_vault(tmp_path: Path) -> None:
    inline = "!vault |\n" + textwrap.indent(sealed("s3cret ü\n"), "    ")
    files = {
        "hosts.ini": sealed("[web]\nweb-[1:2] role=front rack=5\n[web:vars]\ntext='in a vault'\n"),
        "more.yml": f"db:\n  hosts: {{ db-1: }}\n  vars:\n   ansible_password: {inline}\n",
        "group_vars/all/plain.yml": "ansible_user: '{{ vault_user }}'\nflags: [1]\n",
        "group_vars/all/vault.yml": sealed("vault_user: CORP\\svc\nvault_on: true\nlist: [a, 1, {b: '{{ role }}'}]\n"),
        "host_vars/web-1.yml": sealed("role: own\n"),
        "print.sh": "#!/bin/sh\ncat <<'END'\n"
        + json.dumps({"web": ["web-1"], "_meta": {"hostvars": {"web-1": {"pw": {"__ansible_vault": sealed("x y")}}}}})
        + "\nEND\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "print.sh").chmod(0o755)
    paths = [tmp_path / name for name in ("hosts.ini", "more.yml", "print.sh")]
    (theirs,) = ask(tmp_path, [{"inventory": list(map(str, paths)), "patterns": []}], PASSWORD)
    vault = Vault([VaultPassword(typed=Secret(PASSWORD))])
    store = SecretStore(vault=vault.reveal)

    def reveal(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reveal(one) for key, one in value.items()}
        if isinstance(value, list):
            return [reveal(one) for one in value]
        return store.reveal(value) if isinstance(value, str) else value

    case = Case(load(paths, vault), theirs)
    compare_groups(case)
    assert compare_hosts(case, reveal) > 15
    assert "s3cret" in json.dumps(theirs)
    assert "s3cret" not in repr(case.ours)
    assert "in a vault" not in repr(case.ours)
