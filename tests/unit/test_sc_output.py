"""What sc.exe and whoami.exe print in any language, read by numbers and positions alone."""

import pytest

from orchestrator.domain import sc_output
from orchestrator.domain.errors import Problem
from orchestrator.domain.powershell_words import matches, wildcard
from orchestrator.domain.sc_output import ScmConfig, ScmRow
from orchestrator.domain.service import Asked, StartType, State

ENGLISH = """
SERVICE_NAME: MSSQLSERVER
        TYPE               : 10  WIN32_OWN_PROCESS
        STATE              : 3  STOP_PENDING
                                (NOT_STOPPABLE, NOT_PAUSABLE, IGNORES_SHUTDOWN)
        WIN32_EXIT_CODE    : 0  (0x0)
        SERVICE_EXIT_CODE  : 42  (0x2a)
        CHECKPOINT         : 0x1c
        WAIT_HINT          : 0x7530
        PID                : 4711
        FLAGS              :
"""
GERMAN = """
DIENSTNAME: Spooler
ANZEIGENAME: Druckwarteschlange: alle
        TYP                : f0  ERROR
        STATUS             : 1  STOPPED
        WIN32_EXITCODE     : 1067  (0x42b)
        DIENST_EXITCODE    : 0  (0x0)
        PRÜFPUNKT          : 0x0
        WARTEHINWEIS       : 0x0
        PID                : 0
        MARKIERUNGEN       :
"""
CONFIG = """
[SC] QueryServiceConfig réussite(s)

SERVICE_NAME: Orders
        TYPE               : 10  WIN32_OWN_PROCESS
        START_TYPE         : 2   AUTO_START  (DIFFÉRÉ)
        ERROR_CONTROL      : 1   NORMAL
        BINARY_PATH_NAME   : "C:\\Services\\o.exe" -x:1
        LOAD_ORDER_GROUP   :
        TAG                : 0
        DISPLAY_NAME       : Orders: all
        DEPENDENCIES       : RpcSs
                           : +NetGroup
                           : Tcpip
        SERVICE_START_NAME : LocalSystem
"""
REFUSALS = [
    ("[SC] StartService FAILED 1056:", 1056),
    ("[SC] EnumQueryServicesStatus:OpenService FEHLER 1060:", 1060),
    ("[SC] ControlService échec(s) 1062 :", 1062),
    ("[SC] OpenService FALHA 5:", 5),
    ("[SC] StartService \ufffd\ufffd 1053:", 1053),
]


def test_a_row_is_read_by_position() -> None:
    rows = sc_output.rows([*ENGLISH.splitlines(), *GERMAN.splitlines()])
    assert rows == {
        "mssqlserver": ScmRow(
            name="MSSQLSERVER",
            state=State.STOP_PENDING,
            win32_exit_code=0,
            service_exit_code=42,
            checkpoint=28,
            wait_hint_s=30.0,
            pid=4711,
            can_stop=False,
        ),
        "spooler": ScmRow(
            name="Spooler",
            state=State.STOPPED,
            win32_exit_code=1067,
            service_exit_code=0,
            checkpoint=0,
            wait_hint_s=0.0,
            pid=0,
        ),
    }


@pytest.mark.parametrize("kept", range(10))
def test_half_a_block_is_no_block(kept: int) -> None:
    lines = ENGLISH.splitlines()[:kept]
    assert sc_output.rows(lines) == {}


@pytest.mark.parametrize("state", ["0", "8", "4294967295", "", "x", "-1"])
def test_a_state_that_is_none_makes_no_row(state: str) -> None:
    assert sc_output.rows(ENGLISH.replace(": 3  STOP", f": {state}  STOP").splitlines()) == {}


def test_what_stands_around_blocks_is_passed_over() -> None:
    lines = ["[SC] EnumQueryServicesStatus:OpenService FEHLER 1060:", "", "Blah: 3", "", *ENGLISH.splitlines()]
    assert list(sc_output.rows(lines)) == ["mssqlserver"]


def test_a_service_that_never_ran_has_no_exit_code() -> None:
    (row,) = sc_output.rows(GERMAN.replace("1067", "1077").splitlines()).values()
    assert row.status("Spooler").win32_exit_code == 0
    assert row.status("Spooler").pid is None


def test_a_configuration_is_read_by_position() -> None:
    assert sc_output.config(CONFIG.splitlines()) == ScmConfig(StartType.AUTOMATIC_DELAYED, ("RpcSs", "Tcpip"))
    plain = CONFIG.replace("  (DIFFÉRÉ)", "").replace(": RpcSs", ":")
    assert sc_output.config(plain.splitlines()) == ScmConfig(StartType.AUTOMATIC, ("Tcpip",))


@pytest.mark.parametrize("kept", range(len(CONFIG.splitlines())))
def test_half_a_configuration_is_none(kept: int) -> None:
    assert sc_output.config(CONFIG.splitlines()[:kept]) is None


@pytest.mark.parametrize(("line", "code"), REFUSALS)
def test_a_refusal_has_its_number_in_any_language(line: str, code: int) -> None:
    problem = sc_output.refusal(["", line, "", "Das geht nicht.", ""])
    assert problem is not None
    assert problem.code == code
    assert problem.text.endswith("Das geht nicht.")
    assert not sc_output.accepted([line])


@pytest.mark.parametrize("line", ["[SC] QueryServiceConfig SUCCESS", "", "FAILED 5:", "[SC] GetServiceConfig: 5 more"])
def test_a_line_that_is_no_refusal(line: str) -> None:
    assert sc_output.refusal([line]) is None


def test_a_control_was_taken_if_a_state_is_printed() -> None:
    assert sc_output.accepted(ENGLISH.splitlines())
    assert not sc_output.accepted(ENGLISH.splitlines()[:3])
    assert not sc_output.accepted([])


def test_descriptors_and_refusals_come_in_order() -> None:
    lines = [
        "",
        "D:(A;;CC;;;SY)",
        "[SC] OpenService FEHLER 1060:",
        "",
        "Der Dienst ist nicht da.",
        "O:SYD:(A;;RP;;;BA)",
    ]
    first, second, third = sc_output.descriptors(lines)
    assert (first, third) == ("D:(A;;CC;;;SY)", "O:SYD:(A;;RP;;;BA)")
    assert isinstance(second, Problem)
    assert second.code == 1060


def test_sids_are_found_in_any_language() -> None:
    lines = ['"corp\\jürgen","S-1-5-21-1-2-3-500"', '"JEDER","Bekannte Gruppe","S-1-1-0","..."', '"x","S-1-1-0"']
    assert sc_output.sids(lines) == ("S-1-5-21-1-2-3-500", "S-1-1-0")


@pytest.mark.parametrize(
    ("name", "fine"),
    [("Web", True), ("two words", True), ("a$b", True), ("state=", False), ("\\\\h", False), ("", False)]
    + [("a\\", False), ("Web\0x", False), ("a\nb", False), ("Grüße", True)],
)
def test_names_that_sc_would_misread_are_kept_from_it(name: str, fine: bool) -> None:
    assert sc_output.for_sc(name) is fine


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (Asked("Web"), "Web"),
        (Asked("a[b]c*d?e`f"), "a`[b`]c`*d`?e``f"),
        (Asked("Orders.*", pattern=True), "Orders.*"),
        (Asked("[ab]?*`", pattern=True), "`[ab`]?*``"),
    ],
)
def test_wildcards_mean_what_was_asked(asked: Asked, sent: str) -> None:
    assert wildcard(asked) == sent


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("Orders.*", "ORDERS.Api", True),
        ("W?b", "web", True),
        ("W?b", "wb", False),
        ("[ab]*", "abc", False),
        ("*", "", True),
    ],
)
def test_patterns_know_star_and_question_mark_alone(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


def listing(*names: str) -> list[str]:
    return "\n".join(ENGLISH.replace("MSSQLSERVER", name) for name in names).splitlines()


def test_a_pattern_finds_in_a_whole_list() -> None:
    lines = ["[SC] EnumQueryServicesStatus:OpenService FEHLER 1060:", "", "Der Dienst ist nicht da.", ""]
    found = sc_output.listed([*lines, *listing("Web2", "Web1", "Other"), ""], ["web*", "x*"])
    assert not isinstance(found["web*"], Problem)
    assert [row.name for row in found["web*"]] == ["Web1", "Web2"]
    assert found["x*"] == []


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([], None, "no list"),
        (["", "[SC] OpenSCManager FAILED 5:", "", "Access is denied.", ""], 5, "denied"),
        ([*listing("Web"), "", "Enum: more data, need 1822 bytes start resume at index 79"], None, "write their names"),
        ([*listing("Web"), "", "[SC] EnumServicesStatus FAILED 5:", "", "Access is denied."], 5, "denied"),
    ],
)
def test_half_a_list_finds_nothing(lines: list[str], code: int | None, said: str) -> None:
    """A service that is left out in silence would be left running."""
    problem = sc_output.listed(lines, ["Web"])["Web"]
    assert isinstance(problem, Problem)
    assert problem.code == code
    assert said in problem.text


@pytest.mark.parametrize("printed", ["Gr\ufffd\ufffde", "Gr??e", "Gr\ufffd\ufffd\ufffd\ufffde"])
@pytest.mark.parametrize(
    ("pattern", "told"), [("Gr*", False), ("Gr??e", False), ("grü*", False), ("Web*", True), ("Gra*", True)]
)
def test_a_name_that_can_not_be_read_is_not_passed_over(printed: str, pattern: str, told: bool) -> None:
    found = sc_output.listed(listing("Web", printed), [pattern])[pattern]
    assert isinstance(found, list) is told


def test_what_depends_on_a_service_is_told_with_its_configuration() -> None:
    """As it is printed where one of several may not be asked: refusals name nobody."""

    def asked(name: str, above: str) -> list[str]:
        named = [text.replace("MSSQLSERVER", name).replace("Orders\n", f"{name}\n") for text in (ENGLISH, CONFIG)]
        return "".join([*named, above]).splitlines()

    head, refused = (
        "[SC] EnumDependentServices: entriesread = {}\n",
        "[SC] OpenService FEHLER 5:\n\nZugriff verweigert\n",
    )
    entry = "\nDIENSTNAME: {}\nANZEIGENAME: x: y\n" + "\n".join(GERMAN.splitlines()[3:9]) + "\n"
    two = head.format(2) + entry.format("Reports") + entry.format("Mail")
    lines = [*asked("A", head.format(0)), *asked("B", refused), *asked("C", two), *asked("D", head.format(0))]
    assert sc_output.dependents_of([*lines, *ENGLISH.splitlines()]) == {"a": (), "c": ("Reports", "Mail"), "d": ()}
    assert sc_output.dependents(two.splitlines()) == ("Reports", "Mail")
    assert sc_output.dependents(refused.splitlines()) == ()
    assert list(sc_output.configs(lines)) == ["a", "b", "c", "d"]
    assert list(sc_output.rows(lines)) == ["a", "b", "c", "d"]
