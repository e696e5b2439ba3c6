"""Answers out of what shells print: noise around them, line ends, code pages, and answers that were cut anywhere."""

import base64
import json
from collections.abc import Sequence

import pytest

from orchestrator.adapters.ssh import answers
from orchestrator.adapters.ssh.answers import Garbled, Outcome
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.service import Asked, Control, StartType, State

NONCE = "0123456789abcdef"
STATES = {
    "cp850": "DIENSTNAME: Web|        TYP                : 10  EIGENER|        STATUS             : 4  AUSGEFÜHRT|"
    "        WIN32_EXITCODE     : 0  (0x0)|        DIENST_EXITCODE    : 0  (0x0)|        PRÜFPUNKT          : 0x2|"
    "        WARTEHINWEIS       : 0x7d0|        PID                : 88|        MARKIERUNGEN       : ",
    "cp932": "サービス名: Web|        種類               : 10  WIN32|        状態               : 4  RUNNING|"
    "        WIN32 終了コード   : 0  (0x0)|        サービス終了コード : 0  (0x0)|        チェックポイント   : 0x2|"
    "        待機ヒント         : 0x7d0|        PID                : 88|        フラグ             : ",
    "utf-8": "SERVICE_NAME: Web|        TYPE               : 10  PROPRE|        ÉTAT               : 4  DÉMARRÉ|"
    "        CODE_SORTIE_WIN32  : 0  (0x0)|        CODE_SORTIE_SERVICE: 0  (0x0)|        POINT_DE_CTRL      : 0x2|"
    "        INDICATION_ATTENTE : 0x7d0|        PID                : 88|        INDICATEURS        : ",
}
REFUSED = "[SC] ControlService échec(s) 1051 :||Un contrôle d'arrêt a été envoyé.|"


def printed(text: str, code_page: str, end: str) -> bytes:
    return text.replace("|", end).encode(code_page)


def framed(*rows: object, end: str = "\r\n") -> bytes:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return f"{NONCE}:{base64.b64encode(text.encode()).decode()}:{NONCE}{end}".encode()


def service(**changed: object) -> dict[str, object]:
    row: dict[str, object] = {"q": 0, "name": "Web", "status": 4, "type": 2, "delayed": 0, "display": "Das Web"}
    return {**row, "stop": True, "requires": "Base/Rpc", "wanted": "", "sc": "", **changed}


@pytest.mark.parametrize("before", [b"", b"\xff\xfeWelcome!\r\n", f"+ OrchRead '{NONCE}' '{NONCE}'\r\n".encode()])
@pytest.mark.parametrize("end", ["\r\n", "\n", "", "\r\r\n"])
def test_an_answer_is_found_in_any_noise(before: bytes, end: str) -> None:
    assert answers.framed(before + framed({"a": 1}, {"b": "ü"}, end=end) + before, NONCE) == [{"a": 1}, {"b": "ü"}]


@pytest.mark.parametrize("cut", range(len(framed({"text": "Grüße"}, end=""))))
def test_an_answer_that_was_cut_is_waited_for(cut: int) -> None:
    assert answers.framed(framed({"text": "Grüße"})[:cut], NONCE) is None


@pytest.mark.parametrize("cut", range(1, len(framed({"text": "Grüße"}, end="")) - len(NONCE)))
def test_an_answer_without_its_beginning_is_garbled(cut: int) -> None:
    with pytest.raises(Garbled):
        answers.framed(framed({"text": "Grüße"})[cut:], NONCE)


@pytest.mark.parametrize(
    "said",
    [
        f"{NONCE}:?:{NONCE}".encode(),
        f"{NONCE}:/w==:{NONCE}".encode(),
        framed("[1]"),
        framed("nonsense"),
        framed({"a": 1}).replace(b":", b":\xff", 1),
    ],
)
def test_a_frame_around_nonsense_is_garbled(said: bytes) -> None:
    with pytest.raises(Garbled):
        answers.framed(said, NONCE)


def test_a_service_is_told_in_full() -> None:
    (reading,) = answers.readings([Asked("web")], [service(delayed=1)])
    (status,) = reading.found
    assert (status.name, status.state, status.start_type) == ("Web", State.RUNNING, StartType.AUTOMATIC_DELAYED)
    assert (status.display_name, status.requires, status.required_by) == ("Das Web", ("Base", "Rpc"), ())
    assert (status.pid, status.can_stop) == (None, True)


def test_the_later_word_wins() -> None:
    """sc.exe was asked after Get-Service."""
    said = STATES["utf-8"].replace("|", "\n").replace(": 4  DÉ", ": 3  AR")
    (reading,) = answers.readings([Asked("Web")], [service(sc=said)])
    assert (reading.found[0].state, reading.found[0].pid, reading.found[0].checkpoint) == (State.STOP_PENDING, 88, 2)


@pytest.mark.parametrize(
    "changed",
    [
        {"q": 1},
        {"q": -1},
        {"q": True},
        {"name": ""},
        {"name": 5},
        {"status": 8},
        {"status": "4"},
        {"stop": None},
        {"sc": 1},
    ],
    ids=str,
)
def test_a_row_that_is_none_of_a_service_is_garbled(changed: dict[str, object]) -> None:
    with pytest.raises(Garbled):
        answers.readings([Asked("Web")], [service(**changed)])


@pytest.mark.parametrize("rows", [[], [service(), service()]], ids=["none", "two"])
def test_a_name_has_one_answer(rows: Sequence[answers.Row]) -> None:
    with pytest.raises(Garbled):
        answers.readings([Asked("Web")], rows)


def test_an_error_is_its_own_questions_alone() -> None:
    failed = {"q": 0, "id": "NoServiceFoundForGivenName,Microsoft.PowerShell", "text": " Nicht da. ", "code": None}
    missing, there, none = answers.readings(
        [Asked("Nope"), Asked("W*", pattern=True), Asked("X*", pattern=True)], [failed, service(q=1)]
    )
    assert missing.problem == Problem(ProblemKind.REFUSED, "Nicht da.", 1060)
    assert [status.name for status in there.found] == ["Web"]
    assert (none.found, none.problem) == ((), None)


@pytest.mark.parametrize(
    ("id", "native", "code"),
    [("CouldNotStopService,x", 5, 5), ("ServiceHasDependentServices,x", None, 1051), ("Whatever", None, None)],
)
def test_an_error_has_the_number_of_its_exceptions_or_of_its_id(id: str, native: int | None, code: int | None) -> None:
    outcome = answers.failure({"id": id, "text": "Nein.", "code": native})
    assert outcome == Outcome(Problem(ProblemKind.REFUSED, "Nein.", code), id.partition(",")[0])


@pytest.mark.parametrize("code_page", sorted(STATES))
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_sections_are_read_in_any_code_page(code_page: str, end: str) -> None:
    one = printed(STATES[code_page], code_page, end)
    said = f"Banner{end}{NONCE} {end}".encode() + one + f"{end}{NONCE} {end}noise{end}".encode()
    (lines,) = answers.sections(said, NONCE, 1)
    row = answers.scm_row("web", lines)
    assert not isinstance(row, Problem)
    assert (row.name, row.state, row.checkpoint, row.wait_hint_s, row.pid) == ("Web", State.RUNNING, 2, 2.0, 88)


@pytest.mark.parametrize("code_page", sorted(STATES))
def test_sections_that_were_cut_anywhere_are_garbled_or_whole(code_page: str) -> None:
    """Between the bytes of a letter too."""
    one = printed(STATES[code_page], code_page, "\r\n")
    said = f"{NONCE} \r\n".encode() + one + f"\r\n{NONCE} \r\n".encode()
    whole = answers.scm_row("Web", answers.sections(said, NONCE, 1)[0])
    assert not isinstance(whole, Problem)
    for cut in range(1, len(said) - len(" \r\n")):
        for part in (said[:cut], said[cut:]):
            with pytest.raises(Garbled):
                answers.scm_row("Web", answers.sections(part, NONCE, 1)[0])


@pytest.mark.parametrize(
    ("control", "said", "outcome"),
    [
        (Control.STOP, STATES["cp850"], None),
        (Control.STOP, REFUSED, 1051),
        (Control.START, REFUSED.replace("1051", "1056"), None),
        (Control.STOP, REFUSED.replace("1051", "1056"), 1056),
        (Control.STOP, REFUSED.replace("1051", "1062"), None),
        (Control.RESUME, REFUSED.replace("1051", "1062"), 1062),
    ],
)
def test_a_control_was_taken_or_refused(control: Control, said: str, outcome: int | None) -> None:
    problem = answers.taken(control, said.split("|")).problem
    assert (problem.code if problem else None) == outcome


@pytest.mark.parametrize("said", ["", "what?", "[SC] ControlService", "DIENSTNAME: Web|   TYP : 10"])
def test_neither_yes_nor_no_is_garbled(said: str) -> None:
    with pytest.raises(Garbled):
        answers.taken(Control.STOP, said.split("|"))


START = {"now": 638_976_672_000_000_000, "up": 36_000_000, "per": 1_000_000}


def test_when_the_host_started_stands_beside_the_services() -> None:
    rows = answers.framed(framed(START, service()), NONCE)
    assert rows is not None
    assert answers.booted_at(rows) == 1_762_070_400.0 - 36
    assert len(answers.readings([Asked("Web")], rows)) == 1
    assert answers.booted_at(rows[1:]) is None


@pytest.mark.parametrize("row", [{**START, "per": 0}, {**START, "up": -1}, {**START, "now": "soon"}, {"up": 1}])
def test_a_start_that_can_t_be_read_is_garbled(row: dict[str, object]) -> None:
    with pytest.raises(Garbled):
        answers.booted_at([row])
