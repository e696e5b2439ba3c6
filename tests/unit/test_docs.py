"""What the documentation says is what the code does: commands, options, tables, examples, links."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer._click.core import Command, Context  # typer's own copy of click, which it exports nowhere else
from typer._click.exceptions import ClickException, MissingParameter, UsageError
from typer.core import TyperGroup

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.adapters.documents.inventory_files import load as load_inventory
from orchestrator.adapters.templates import sandbox
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.adapters.winrm import statements
from orchestrator.domain.connection import Connection
from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.durations import seconds
from orchestrator.domain.errors import Mistakes, OrchError
from orchestrator.domain.fact_codec import FACT_KINDS
from orchestrator.domain.gates import Gate
from orchestrator.domain.inventory import connection_variables as known
from orchestrator.domain.inventory import ssh_arguments
from orchestrator.domain.inventory.connecting import connect
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.rendering import Rendered
from orchestrator.domain.playbook.gate_shapes import ORIGINS_OF
from orchestrator.domain.playbook.reading import read_playbook
from orchestrator.domain.playbook.shapes import DEFAULT_PER_HOST, DEFAULT_TIMEOUT_S, SettingsShape
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.domain.runstate import EXIT_CODES, Standing, Verdict
from orchestrator.domain.secrets import KINDS
from orchestrator.domain.service import Asked, Control
from orchestrator.domain.vital_services import ALWAYS, EVERYBODY, OF_WIRE
from orchestrator.engine.jobs.journey import EXIT_PARKED
from orchestrator.engine.work import curl
from orchestrator.interfaces import boundary
from orchestrator.interfaces.cli import app
from orchestrator.lab import faults

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]}
CLI = typer.main.get_command(app)


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next one."""
    text = PAGES[page].split(f"\n## {heading}\n", 1)[1] if f"\n## {heading}\n" in PAGES[page] else ""
    text = text or PAGES[page].split(f"\n### {heading}\n", 1)[1]
    return re.split(r"\n##+ ", text, maxsplit=1)[0]


def tables(text: str) -> list[list[list[str]]]:
    """The rows of each table, heads left out; each row its cells."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if re.fullmatch(r"[|\- :]+", line):
            found.append([])
            inside = True
        elif inside:
            found[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return found


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


# Commands


def commands(command: Command = CLI, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    if isinstance(command, TyperGroup):
        for name in sorted(command.commands):
            yield from commands(command.commands[name], (*path, name))
    else:
        yield " ".join(path), command


def typed() -> Iterator[tuple[str, str]]:
    """Every command line in a code block of the pages."""
    for page, text in sorted(PAGES.items()):
        for line in text.splitlines():
            if found := re.match(r"(?:    |\$ |    \$ )(orch .*)", line):
                yield page, found[1]


def mentioned() -> Iterator[tuple[str, str]]:
    """Every command in the middle of a sentence."""
    for page, text in sorted(PAGES.items()):
        for words in re.findall(r"`(orch [a-z][^`]*)`", text):
            yield page, words


def parse(line: str, *, whole: bool) -> None:
    """Raises ClickException for what the command line would refuse."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|><;&" if whole else "")
    lexer.whitespace_split = True
    words = list(lexer)[1:]
    words = words[: next((place for place, word in enumerate(words) if word in ("|", ">", ";", "&", "&&")), len(words))]
    command: Command = CLI
    context = Context(CLI, info_name="orch")
    while isinstance(command, TyperGroup) and words:
        name = words.pop(0)
        if name.startswith("-"):
            return
        found = command.get_command(context, name)
        if found is None:
            raise UsageError(f"no command {name} in: {line}")
        command = found
    if isinstance(command, TyperGroup):
        return
    try:
        command.make_context(command.name, words)
    except MissingParameter:
        if whole:
            raise


@pytest.mark.parametrize(("page", "line"), sorted(set(typed())))
def test_every_command_line_can_be_typed(page: str, line: str) -> None:
    parse(line, whole=True)


@pytest.mark.parametrize(("page", "words"), sorted(set(mentioned())))
def test_every_command_that_is_mentioned_is_there(page: str, words: str) -> None:
    if words != "orch COMMAND --help":
        parse(words, whole=False)


def test_a_wrong_command_line_would_be_found() -> None:
    for wrong in ("orch stop", "orch stop --plan x --frob", "orch halt --plan x", "orch lab fault"):
        with pytest.raises(ClickException):
            parse(wrong, whole=True)


@pytest.mark.parametrize("name", sorted(dict(commands())))
def test_help_is_complete(name: str) -> None:
    command = dict(commands())[name]
    assert command.help, f"orch {name} says nothing of itself"
    with Context(command, info_name=name) as context:
        for parameter in command.get_params(context):
            assert getattr(parameter, "help", ""), f"orch {name}: {parameter.name} has no help"


def test_every_answer_is_told() -> None:
    (told,) = [parameter.metavar for parameter in dict(commands())["decide"].params if parameter.name == "choice"]
    answers = {word.value for word in Choice}
    assert set((told or "").split("|")) == answers
    what_each_does, *_ = tables(section("decisions.md", "The question"))
    assert {code(row[0])[0] for row in what_each_does} == answers


def test_every_command_is_documented() -> None:
    everything = "".join(PAGES.values())
    assert [name for name, _ in commands() if f"orch {name}" not in everything] == ["demo"]
    assert "make demo" in everything


def test_every_option_of_a_run_is_explained() -> None:
    told = "".join(PAGES[page] for page in ("running.md", "inventory.md", "snapshots.md", "decisions.md"))
    options = {
        longest
        for name in ("stop", "start", "restart", "status")
        for parameter in dict(commands())[name].params
        for longest in (max(parameter.opts, key=len),)
    }
    assert {option for option in options if f"`{option}" not in told and f" {option} " not in told} == set()


# Examples

BLOCKS = [
    (page, kind, text)
    for page, content in sorted(PAGES.items())
    for kind, text in re.findall(r"```yaml (\w+)\n(.*?)```", content, re.DOTALL)
]
ELSEWHERE = ("service", "gates")
"""Kinds of blocks that test_drafting reads: they need a playbook around them."""


@pytest.mark.parametrize(("page", "kind", "text"), BLOCKS)
def test_every_example_file_is_right(page: str, kind: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(text, encoding="utf-8")
    if kind == "playbook":
        assert read_playbook(yaml_nodes.read(file)).mistakes == ()
    elif kind == "inventory":
        inventory = load_inventory(file)
        assert [connect(Rendered(host, Renderer())) for host in inventory.hosts.values()]
    else:
        assert (page, kind in ELSEWHERE) == ("playbook.md", True)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_link_leads_somewhere(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        assert (folder / file).exists() or not file, f"{page}: {target}"
        if anchor:
            named = PAGES[Path(file).name if file else page]
            headings = [re.sub(r"[^\w\- ]", "", head.lower()) for head in re.findall(r"\n#+ (.*)", named)]
            assert anchor in [head.replace(" ", "-") for head in headings], f"{page}: {target}"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_pages_are_short_enough_to_be_read(page: str) -> None:
    lines = PAGES[page].splitlines()
    assert len(lines) <= 230
    assert [line for line in lines if len(line) > 130 and not line.startswith("|")] == []


# Inventory

VARIABLES = tables(section("connections.md", "WinRM"))[0]


def test_the_connection_variables_are_those_that_count() -> None:
    def names(cell: str) -> tuple[str, ...]:
        return tuple(code(cell))

    of_psrp = {names(row[0]) for row in VARIABLES} - {()}
    of_winrm = {names(row[0] if row[1] == "the same" else row[1]) for row in VARIABLES} - {()}
    assert of_psrp == {getattr(known.PSRP, field) for field in known.Names.__annotations__} - {()}
    assert of_winrm == {getattr(known.WINRM, field) for field in known.Names.__annotations__} - {()}
    assert {name for name in known.KNOWN if f"`{name}`" not in PAGES["connections.md"]} == set()


def test_the_connection_variables_of_ssh_are_those_that_count() -> None:
    variables, arguments = tables(section("connections.md", "SSH"))
    assert {tuple(code(row[0])) for row in variables} == {names for names in known.SSH if names}
    said = " ".join(row[0] for row in arguments)
    assert [name for name in ssh_arguments.OPTIONS if f"-o {name}=" not in said] == []
    assert [letter for letter in ssh_arguments.LETTERS if f"`{letter}`" not in said] == []
    without = section("connections.md", "SSH").rpartition("|")[2]
    names = (*ssh_arguments.WITHOUT_EFFECT, *ssh_arguments.LETTERS_WITHOUT_EFFECT)
    assert [name for name in names if f"`{name}`" not in without] == []


def test_the_ways_to_sign_in_are_listed() -> None:
    said = section("connections.md", "WinRM")
    assert {word for word in (*known.AUTH, *known.WINRM_AUTH) if f"`{word}`" not in said} == set()


def reached(tmp_path: Path, **variables: object) -> Connection:
    """How a host with *variables* is reached."""
    text = "".join(f"\n      {name}: {value}" for name, value in variables.items())
    (tmp_path / "hosts.yaml").write_text(f"all:\n  hosts:\n    a:{text or ' {}'}\n", encoding="utf-8")
    inventory: Inventory = load_inventory(tmp_path / "hosts.yaml")
    return connect(Rendered(inventory.hosts["a"], Renderer()))[0]


@pytest.mark.parametrize("row", VARIABLES, ids=lambda row: code(row[0])[0])
def test_what_is_said_to_be_the_default_is(row: list[str], tmp_path: Path) -> None:
    of_psrp, _, of_winrm = row[3].partition("winrm:")
    for kind, cell, said in (("psrp", row[0], of_psrp), ("winrm", row[1], of_winrm or of_psrp)):
        values = [value for value in code(said) if not value.startswith("--")]
        if not values or not code(cell):
            continue
        bare = reached(tmp_path, ansible_connection=kind)
        assert reached(tmp_path, ansible_connection=kind, **{code(cell)[0]: values[0]}) == bare


def test_what_has_no_effect_and_what_is_refused_is_listed() -> None:
    accepted = {
        name for row in tables(section("connections.md", "Accepted, without effect"))[0] for name in code(row[0])
    }
    assert accepted == set(known.IGNORED)
    refused = {
        name for row in tables(section("connections.md", "Refused, with file and line"))[0] for name in code(row[0])
    }
    assert refused == set(known.REFUSED)


def test_what_is_refused_is_refused(tmp_path: Path) -> None:
    for name in known.REFUSED:
        with pytest.raises(Mistakes, match=name):
            reached(tmp_path, **{name: 1})


def test_kinds_of_secrets_are_listed() -> None:
    listed = [code(row[0])[0].partition(":")[0] for row in tables(section("inventory.md", "Secrets"))[0]]
    assert sorted(listed) == sorted(set(KINDS) - {"ask", "vault"})


# Hosts


def asked_of_hosts() -> Mapping[str, set[str]]:
    """Every command that is ever sent, with the parameters that it is given."""
    pipelines = [
        statements.states([Asked("a")], with_sc=True, with_start=True),
        *(statements.control("a", wanted) for wanted in Control),
        statements.descriptors(["a"]),
        *statements.facts(),
        statements.program(curl.EXE, ()),
        statements.program("netstat.exe", ()),
        statements.program("reg.exe", ()),
        statements.processes([4]),
        statements.tasks(),
        statements.program("taskkill.exe", ()),
        statements.program("wevtutil.exe", ()),
    ]
    sent: dict[str, set[str]] = {}
    for statement in (one for pipeline in pipelines for one in pipeline):
        sent.setdefault(statement.command, set()).update(name for name, _ in statement.parameters)
    return sent


def test_the_constrained_endpoint_offers_what_is_asked_and_nothing_more() -> None:
    (block,) = re.findall(r"```powershell\n(VisibleCmdlets.*?)```", PAGES["hosts.md"], re.DOTALL)
    cmdlets, _, programs = block.partition("VisibleExternalCommands")
    offered: dict[str, set[str]] = {
        name: set(re.findall(r"@\{ Name = '(\w+)'", parameters))
        for name, parameters in re.findall(r"@\{ Name = '(\w+-\w+)'; +Parameters = (.*(?:\n {8}.*)*)", cmdlets)
    }
    offered |= {name: set() for name in re.findall(r"(?m)^    '(\w+-\w+)'", cmdlets)}
    offered |= {path.rpartition("\\")[2]: set() for path in re.findall(r"'([^']+)'", programs)}
    assert offered == asked_of_hosts()


def test_what_happens_without_a_command_is_told_of_each() -> None:
    told = {name for row in tables(section("hosts.md", "A JEA endpoint"))[0] for name in code(row[0])}
    assert told == set(asked_of_hosts())


# Running


def test_exit_codes_are_all_listed() -> None:
    kinds: list[type[OrchError]] = [OrchError, *OrchError.__subclasses__()]
    codes = {*EXIT_CODES.values(), *(kind.exit_code for kind in kinds), EXIT_PARKED, boundary.BUG}
    for text in (section("running.md", "Exit codes"), section("README.md", "When something goes wrong")):
        assert {int(row[0].strip("`")) for row in tables(text)[0]} == codes
    assert str(boundary.INTERRUPTED) in section("running.md", "Exit codes")
    epilog = str(app.info.epilog)
    assert {int(number) for number in re.findall(r"\b(\d+) \w", epilog)} == codes


def test_what_is_refused_is_listed() -> None:
    allowed, carrying = tables(section("running.md", "What is never stopped"))
    assert {code(row[0])[0] for row in carrying} == {*ALWAYS, *(name for own in OF_WIRE.values() for name in own)}
    assert {code(row[0])[0] for row in allowed} == {*EVERYBODY}


def test_kinds_of_facts_and_their_fields_are_listed() -> None:
    table = {code(row[0])[0]: code(row[1]) for row in tables(section("json.md", "Facts"))[0]}
    assert {kind: sorted(fields) for kind, fields in table.items()} == {
        kind: sorted(made.__dataclass_fields__) for kind, made in FACT_KINDS.items()
    }
    said = section("json.md", "Facts")
    words = {word for kind in (CauseKind, Source, Verdict, Phase) for word in kind}
    assert {word for word in words if f"`{word}`" not in said} == set()
    for made in (Step, Result, Cause, Answer):
        assert [name for name in made.__dataclass_fields__ if f"`{name}`" not in said] == []


def test_outcomes_are_all_explained() -> None:
    listed = {code(row[0])[0] for row in tables(section("decisions.md", "When it fails"))[0]}
    assert listed >= {str(outcome) for outcome in Outcome}
    assert listed == {str(one) for one in Standing} - {"waiting", "under way"} | {"strayed", "left alone"}


# Lab


def test_faults_of_what_is_no_service_are_all_listed() -> None:
    rows = [code(row[0])[0] for row in tables(section("lab.md", "Faults"))[1]]
    assert [faults.check_thing(kind, None) for kind in rows] == list(faults.THING_KINDS)


@pytest.mark.parametrize(("number", "kinds"), [(0, faults.UNIT_KINDS), (2, faults.HOST_KINDS)])
def test_faults_are_all_listed_and_their_values_are_taken(number: int, kinds: Mapping[str, str]) -> None:
    rows = tables(section("lab.md", "Faults"))[number]
    assert {code(row[0])[0] for row in rows} == set(kinds)
    for row in rows:
        kind, of_service = code(row[0])[0], number == 0
        ways, _, default = row[1].rpartition("; ")
        first = faults.check(kind, None, of_service=of_service)
        if default.isdigit():
            assert first == float(default)
        elif ways:
            assert first.how == default.strip("`")
            for way in code(ways):
                assert faults.check(kind, way, of_service=of_service).how == way


def test_kinds_of_lines_in_the_labs_log_are_listed() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "orchestrator" / "lab").glob("*.py")))
    written = set(re.findall(r"""(?:\blog|_log|record\.write)\(\s*"([a-z-]+)\"""", source))
    assert {kind for row in tables(section("lab.md", "Its log"))[0] for kind in code(row[0])} == written


# Playbook


def test_defaults_of_a_playbook_are_those_that_hold() -> None:
    gate, settings = Gate.__dataclass_fields__, SettingsShape()
    for table, wanted in (
        (
            tables(section("playbook.md", "Gates"))[0],
            {name[:-2]: gate[name].default for name in gate if name[-2:] == "_s"},
        ),
        (tables(section("playbook.md", "The whole run"))[0], {"poll": settings.poll}),
    ):
        said = {code(row[0])[0]: code(row[1])[0] for row in table if code(row[1])}
        assert {name: seconds(said[name]) for name in wanted} == wanted
    whole: dict[str, Any] = {
        code(row[0])[0]: code(row[1])[0] for row in tables(section("playbook.md", "The whole run"))[0] if code(row[1])
    }
    assert (whole["max_parallel_per_host"], whole["unreachable"]) == (str(DEFAULT_PER_HOST), settings.unreachable)
    assert f"{{ timeout: {DEFAULT_TIMEOUT_S:g}s }}" in PAGES["playbook.md"]


def test_where_gates_look_from_is_as_said() -> None:
    rows = {code(row[0])[0]: tuple(code(row[1])) for row in tables(section("playbook.md", "Gates"))[1]}
    assert rows == {kind: tuple(map(str, origins)) for kind, origins in ORIGINS_OF.items()}


def test_what_templates_may_is_as_said() -> None:
    (listed,) = re.findall(
        r"the filters (.*?), and no text longer than ([\d,]+)", " ".join(PAGES["playbook.md"].split())
    )
    assert set(re.split(r", | and ", listed[0])) == set(sandbox.Sandbox().filters) - {"d"}
    assert int(listed[1].replace(",", "")) == sandbox.LONGEST
