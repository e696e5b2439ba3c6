"""What Windows says, read by numbers, ids and positions alone."""

import pytest

from orchestrator.adapters.winrm import statements
from orchestrator.adapters.winrm.answers import (
    Failure,
    Item,
    Output,
    booted_at,
    complete,
    descriptors,
    for_sc,
    moment,
    native_code,
    readings,
)
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.service import Asked, Control, ServiceStatus, StartType, State

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


def controller(name: str, number: int, **changed: object) -> Item:
    return Item(name, properties={"Name": name, "Status": Item("?", number), "StartType": Item("?", 2), **changed})


@pytest.mark.parametrize(
    ("name", "fine"),
    [("Web", True), ("two words", True), ('a"b', False), ("state=", False), ("\\\\host", False), ("", False)],
)
def test_names_that_sc_would_misread_are_kept_from_it(name: str, fine: bool) -> None:
    assert for_sc(name) is fine
    sent = statements.states([Asked(name)], with_sc=True)
    assert (len(sent) == 2) is fine


def test_a_read_is_one_pipeline() -> None:
    sent = statements.states([Asked("A"), Asked("B"), Asked("A"), Asked("C*", pattern=True)], with_sc=True)
    assert [(one.command, one.arguments) for one in sent] == [
        ("Get-Service", ()),
        ("sc.exe", ("queryex", "A")),
        ("sc.exe", ("queryex", "B")),
    ]
    assert sent[0].parameters == (("Name", ("A", "B", "C*")),)
    assert statements.states([Asked("A")], with_sc=False) == [statements.Statement("Get-Service", (("Name", ("A",)),))]


def test_when_the_host_started_is_asked_last_and_bounded() -> None:
    *first, last = statements.states([Asked("A")], with_sc=True, with_start=True)
    assert first == statements.states([Asked("A")], with_sc=True)
    assert (last.command, dict(last.parameters)["OperationTimeoutSec"]) == ("Get-CimInstance", 5)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([], None),
        ([controller("A", 4)], None),
        ([Item("Win32_OperatingSystem", properties={"LastBootUpTime": None})], None),
        ([Item("Win32_OperatingSystem", properties={"LastBootUpTime": "2026-01-01T02:00:00.5+01:00"})], 1767229200.5),
        ([Item("os", properties={"LastBootUpTime": Item("2026-01-01T01:00:00.1234567+00:00")})], 1767229200.123456),
        ([Item("os", properties={"LastBootUpTime": "gestern"})], None),
    ],
)
def test_when_the_host_started_is_read_by_its_property(said: list[object], wanted: float | None) -> None:
    assert booted_at(Output(values=said, ended=True)) == wanted


@pytest.mark.parametrize(
    ("argument", "handed_on"),
    [("plain", "plain"), ("", '""'), ('say "hi"', r"say \"hi\""), (r"C:\x\"y", r"C:\x\\\"y"), (r"C:\x y", r"C:\x y")],
)
def test_arguments_survive_windows_powershell(argument: str, handed_on: str) -> None:
    assert statements.program("x.exe", [argument])[0].arguments == (handed_on,)


def test_the_later_word_wins() -> None:
    """sc.exe was asked after Get-Service, in the same pipeline."""
    output = Output(values=[controller("MSSQLSERVER", 4), *ENGLISH.splitlines()], ended=True)
    (reading,) = readings([Asked("mssqlserver")], output)
    assert (reading.found[0].state, reading.found[0].pid) == (State.STOP_PENDING, 4711)


def test_without_sc_the_state_is_get_services() -> None:
    (reading,) = readings([Asked("X")], Output(values=[controller("x", 7, CanStop=True)], ended=True))
    status = reading.found[0]
    assert (status.state, status.start_type, status.pid, status.can_stop) == (
        State.PAUSED,
        StartType.AUTOMATIC,
        None,
        True,
    )


def test_delayed_start_is_kept_where_the_host_tells_it() -> None:
    (reading,) = readings([Asked("X")], Output(values=[controller("X", 1, DelayedAutoStart=True)], ended=True))
    assert reading.found[0].start_type is StartType.AUTOMATIC_DELAYED


def test_an_object_that_is_no_service_is_passed_over() -> None:
    values: list[object] = [Item("junk"), Item("x", properties={"Name": "X", "Status": Item("?", 99)}), None, 5]
    (reading,) = readings([Asked("X")], Output(values=values, ended=True))
    assert reading.problem is not None
    assert reading.problem.code == 1060


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("System.ComponentModel.Win32Exception (5): Access is denied.", 5),
        ("... ---> System.ComponentModel.Win32Exception (1058): Der Dienst ...", 1058),
        ("System.ComponentModel.Win32Exception (0x80004005): Access is denied", None),
        ("System.ComponentModel.Win32Exception: Zugriff verweigert", None),
    ],
)
def test_numbers_of_exceptions_are_read_where_dotnet_prints_them(text: str, code: int | None) -> None:
    assert native_code(text) == code


def status(state: State, **changed: object) -> ServiceStatus:
    return ServiceStatus(**{"name": "X", "state": state, **changed})  # type: ignore[arg-type] # named by the tests


@pytest.mark.parametrize(
    ("control", "failure_id", "before", "after", "code"),
    [
        (Control.START, "CouldNotStartService", None, status(State.STOPPED, start_type=StartType.DISABLED), 1058),
        (Control.START, "StartServiceFailed", None, status(State.STOPPED, win32_exit_code=1067), 1067),
        (
            Control.START,
            "CouldNotStartService",
            status(State.STOPPED),
            status(State.STOPPED, win32_exit_code=1069),
            1069,
        ),
        # An exit code that stood there before tells nothing of this failure.
        (
            Control.START,
            "CouldNotStartService",
            status(State.STOPPED, win32_exit_code=1069),
            status(State.STOPPED, win32_exit_code=1069),
            None,
        ),
        (Control.START, "CouldNotStartService", None, status(State.STOPPED, win32_exit_code=1069), None),
        (Control.STOP, "CouldNotStopService", None, status(State.START_PENDING), 1061),
        (Control.STOP, "CouldNotStopService", None, status(State.RUNNING, can_stop=False), 1052),
        (Control.STOP, "CouldNotStopService", None, status(State.RUNNING, can_stop=True), None),
        (Control.STOP, "CouldNotStopService", None, None, None),
        (Control.STOP, "ServiceHasDependentServices", None, status(State.RUNNING), 1051),
    ],
)
def test_a_number_is_told_or_left_out_never_guessed(
    control: Control, failure_id: str, before: ServiceStatus | None, after: ServiceStatus | None, code: int | None
) -> None:
    said = Failure("Das geht nicht.", failure_id)
    assert complete(control, said, before, after) == Problem(ProblemKind.REFUSED, "Das geht nicht.", code)


def test_descriptors_come_in_order_of_the_names() -> None:
    lines = [
        "",
        "D:(A;;CC;;;SY)",
        "[SC] OpenService FEHLER 1060:",
        "",
        "Der Dienst ist nicht da.",
        "",
        "O:SYD:(A;;RP;;;BA)",
    ]
    first, second, third = descriptors(["a", "b", "c"], Output(values=list(lines), ended=True))
    assert (first, third) == ("D:(A;;CC;;;SY)", "O:SYD:(A;;RP;;;BA)")
    assert isinstance(second, Problem)
    assert second.code == 1060


def test_descriptors_that_do_not_add_up_are_nobodys() -> None:
    answers = descriptors(["a", "b"], Output(values=["D:(A;;CC;;;SY)"], ended=True))
    assert [isinstance(answer, Problem) and answer.kind for answer in answers] == [ProblemKind.PROTOCOL] * 2


def test_moments() -> None:
    assert moment("2026-11-21T09:30:00.1234567+01:00") == pytest.approx(1795249800.123456)
    assert moment("2026-11-21T08:30:00Z") == 1795249800.0
    assert moment("2026-11-21T08:30:00") is None
    assert moment("gestern") is None
