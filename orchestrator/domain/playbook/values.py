"""The kinds of values that a playbook holds: numbers, durations, texts, names, each with its check and its words.

Where a template stands, any check is put off until it is rendered: until then a field holds the template's text,
whatever its declared type. Validation with the context FINAL puts nothing off.
"""

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core.core_schema import CoreSchema, with_info_plain_validator_function

from orchestrator.domain import budget
from orchestrator.domain.draft import OnDependents
from orchestrator.domain.durations import LONGEST_S, seconds
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.gates import Origin
from orchestrator.domain.life import IfStuck
from orchestrator.domain.secrets import OPEN, shown
from orchestrator.domain.service import State
from orchestrator.domain.templates import is_template

FINAL = "final"
LONGEST_SCM_NAME = 256
SHORTEST_PERIOD_S = 0.1
SHORTEST_REMINDER_S = 60.0


class Wrong(ValueError):
    """A value that can't stand where it stands: what is wrong, and what would be right."""

    def __init__(self, wrong: str, right: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.right = right


def nearest(word: str, known: list[str]) -> str:
    """What would be right in place of *word*: the nearest of *known*, or all of them."""
    near = get_close_matches(word, known, n=1) or get_close_matches(word.lower(), known, n=1)
    return f"the nearest known one is {near[0]!r}" if near else f"known: {', '.join(known) or 'none'}"


def _told(value: object) -> str:
    text = shown(str(value))
    return repr(text if len(text) <= 60 else text[:57] + "...") if isinstance(value, str) else text[:60]


class _Checked:
    """The check of a field, and the forms of its value as JSON Schema. *now*: a template can't stand there.

    As pydantic's PlainValidator, which also prepares for writing values out: most of the time that a model takes to
    build, and no playbook is written out.
    """

    def __init__(self, check: Callable[[Any], Any], *forms: dict[str, Any], now: bool = False) -> None:
        self._check = check
        self._forms = forms
        self._now = now

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        free = any(
            "string" in form.get("type", ()) and not form.keys() & {"pattern", "maxLength"} for form in self._forms
        )
        forms = [*self._forms, *([] if self._now or free else [_JSON_TEMPLATE])]
        return dict(forms[0]) if len(forms) == 1 else {"anyOf": [dict(form) for form in forms]}

    def _checked(self, value: Any, info: ValidationInfo) -> Any:
        if not self._now and info.context != FINAL and isinstance(value, str) and is_template(value):
            return value
        return self._check(value)


def _whole(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"{_told(value)} is no whole number")
    return value


def _port(value: object) -> int:
    try:
        port = _whole(value)
    except Wrong:
        port = 0
    if not 1 <= port <= 65535:
        raise Wrong(f"{_told(value)} is no port", "a port is a number from 1 to 65535")
    return port


def _count(value: object) -> int:
    count = _whole(value)
    if count < 1:
        raise Wrong(f"{count} is too small", "at least 1")
    return count


def _status(value: object) -> int:
    status = _whole(value)
    if not 100 <= status <= 599:
        raise Wrong(f"{status} is no HTTP status", "a status is a number from 100 to 599")
    return status


def _duration(value: object) -> float:
    if value is not None and not isinstance(value, str | int | float):
        raise Wrong("this is no duration", "write 90s, 2m, 1h30m, or a number of seconds")
    try:
        return seconds(value if value is not None else "")
    except ValueError as error:
        wrong, _, right = str(error).partition("; ")
        raise Wrong(wrong, right) from None


def _period(value: object) -> float:
    period_s = _duration(value)
    if period_s < SHORTEST_PERIOD_S:
        raise Wrong(f"{_told(value)} is too short", f"at least {SHORTEST_PERIOD_S:g} s")
    return period_s


def _reminder(value: object) -> float:
    between_s = _duration(value)
    if between_s < SHORTEST_REMINDER_S:
        raise Wrong(f"{_told(value)} is too often", f"at least {SHORTEST_REMINDER_S:g} s apart, such as 10m")
    return between_s


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        what = "a list or a mapping" if isinstance(value, list | dict) else _told(value)
        raise Wrong(f"{what} is no text", "write it in quotes")
    return value


def _filled(value: object) -> str:
    text = _text(value)
    if not text.strip():
        raise Wrong("the text is empty")
    return text


def _header(value: object) -> str:
    text = _text(value)
    if "\r" in text or "\n" in text:
        raise Wrong("a header can't hold a line break")
    return text


def _regex(value: object) -> str:
    text = _text(value)
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise Wrong(
            f"{_told(text)} is no regular expression: {error}", "Python's syntax; write \\ before . ( [ { to mean them"
        ) from None
    return text


def _url(value: object) -> str:
    text = _text(value)
    if not re.match(r"https?://[^/\s]", text):
        raise Wrong(f"{_told(text)} is no URL", "write http://HOST:PORT/PATH or https://...")
    return text


def _method(value: object) -> str:
    text = _text(value).upper()
    if not re.fullmatch(r"[A-Z]{1,20}", text):
        raise Wrong(f"{_told(value)} is no HTTP method", "GET, HEAD, POST, ...")
    return text


def _flag(value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise Wrong(f"{_told(value)} is neither true nor false", "write true or false")
    return value


def _scalar(value: object) -> object:
    if isinstance(value, list | dict):
        raise Wrong("only text, a number, true, false or null can be compared")
    return value


def _scm_name(value: object) -> str:
    """Source: CreateServiceW; at most 256 characters, no slash or backslash."""
    name = _text(value)
    if OPEN in name:
        raise Wrong("a secret can't be a service name")
    if not name.strip() or len(name) > LONGEST_SCM_NAME or not name.isprintable() or name != name.strip():
        raise Wrong(
            f"{_told(name)} is no service name", f"1 to {LONGEST_SCM_NAME} printable characters, no blanks around"
        )
    if "/" in name or "\\" in name:
        raise Wrong(
            f"{_told(name)} is no service name: Windows allows no slash or backslash in it",
            "the name, not the path: `sc.exe query` lists the names",
        )
    return name


def _object_name(value: object) -> str:
    name = _text(value)
    if OPEN in name:
        raise Wrong("a secret can't be a name")
    if not name or len(name) > LONGEST_SCM_NAME or not name.isprintable() or name != name.strip() or '"' in name:
        right = f"1 to {LONGEST_SCM_NAME} printable characters, no double quote, no blanks around"
        raise Wrong(f"{_told(name)} is no name of such a thing", right)
    return name


def _task_name(value: object) -> str:
    r"""With the folder before it: `Nightly` is `\Nightly`."""
    name = _object_name(value)
    if re.search(r"[/:*?<>|]|\\\\|\\$", name):
        raise Wrong(f"{_told(name)} is no path of a task", "write \\Folder\\Name, as `schtasks.exe /query` shows it")
    return name if name.startswith("\\") else f"\\{name}"


def _one_of(words: list[str], what: str) -> Callable[[object], str]:
    by_lower = {word.lower(): word for word in words}

    def check(value: object) -> str:
        word = by_lower.get(str(value).lower())
        if word is None:
            raise Wrong(f"{_told(value)} is no {what}", nearest(str(value), words))
        return word

    return check


def _on_failure(value: object) -> str:
    if str(value).lower() == "retry":
        raise Wrong("`retry` needs an end", "write it as one of `failure_rules`, with a `count`")
    return _one_of(ON_FAILURE, "answer to failures")(value)


def _budget(value: object) -> budget.Budget:
    percent = re.fullmatch(r"\s*(\d{1,15})\s*%\s*", value) if isinstance(value, str) else None
    if percent is not None:
        if not 1 <= int(percent[1]) <= 100:
            raise Wrong(f"{_told(value)} is no share of the units", "from 1% to 100%, or a number of units")
        return budget.Budget(int(percent[1]), percent=True)
    try:
        most = _whole(value)
    except Wrong as error:
        raise Wrong(error.wrong, "a number of units such as 3, or a share of them such as 10%") from None
    if most < 0:
        raise Wrong(f"{most} is too small", "at least 0: the first failure is one too many")
    return budget.Budget(most)


def _size(value: object) -> budget.Budget:
    return _share(value, "size of a batch", "a number of instances such as 3, or a share of them such as 25%")


def _min_available(value: object) -> budget.Budget:
    right = "a number of instances such as 3, or a share of them such as 60%"
    return _share(value, "number of instances that have to be up", right)


def _share(value: object, what: str, right: str) -> budget.Budget:
    percent = re.fullmatch(r"\s*(\d{1,15})\s*%\s*", value) if isinstance(value, str) else None
    if percent is not None and 1 <= int(percent[1]) <= 100:
        return budget.Budget(int(percent[1]), percent=True)
    try:
        size = 0 if percent is not None else _whole(value)
    except Wrong:
        size = 0
    if size < 1:
        raise Wrong(f"{_told(value)} is no {what}", right)
    return budget.Budget(size)


def _pause(value: object) -> float | str:
    if str(value).lower() == PAUSE_ASKS:
        return PAUSE_ASKS
    try:
        return _duration(value)
    except Wrong:
        raise Wrong(
            f"{_told(value)} is no pause", "write 5m, 90s or 1h30m, or `decision`: then somebody is asked"
        ) from None


def _time_of_day(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        raise Wrong("YAML takes this for a number", f'write it in quotes: "{value // 60:02d}:{value % 60:02d}"')
    text = _text(value).strip()
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
        raise Wrong(f"{_told(text)} is no time of day", 'write "05:00" or "22:30"')
    return text.zfill(5)


def _hook_name(value: object) -> str:
    """It is part of the names of steps, and the same on every host."""
    name = _text(value)
    if is_template(name) or OPEN in name:
        raise Wrong("a hook's name can't hold a template: it is the same on every host", "write the name")
    if not re.fullmatch(r"[^\W_][\w .,()+-]{0,59}", name.strip()) or not name.isprintable():
        raise Wrong(f"{_told(name)} is no name of a hook", "letters, digits, blanks and any of _.,()+-; at most 60")
    return name.strip()


def _notice_url(value: object) -> str:
    text = _text(value)
    if not text.startswith(OPEN) and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://\S", text):
        raise Wrong(f"{_told(text)} is no URL", "write one of apprise's: mailto://..., slack://..., json://HOST/PATH")
    return text


def any_case(*words: str) -> dict[str, Any]:
    """Text that is one of *words*, in capitals or not."""
    letters = ("".join(f"[{each.upper()}{each.lower()}]" for each in word) for word in words)
    return {"type": "string", "pattern": f"^({'|'.join(letters)})$"}


def _number(least: int, most: int | None = None) -> tuple[dict[str, Any], ...]:
    limits = {"minimum": least} | ({} if most is None else {"maximum": most})
    return {"type": "integer", **limits}, {"type": "string", "pattern": r"^\s*\d{1,15}\s*$"}


def _lasting(least_s: float) -> tuple[dict[str, Any], ...]:
    text = r"^\s*((\d+(\.\d+)?(ms|s|m|h|d))+|[0-9._eE+-]+)\s*$"
    return {"type": "string", "pattern": text}, {"type": "number", "minimum": least_s, "maximum": LONGEST_S}


STATES = [str(state) for state in State]
ORIGINS = [str(origin) for origin in Origin]
UNREACHABLE = ["ask", "exclude", "fail"]
ON_FAILURE = ["ask", "rollback", "hold", "continue"]
IN_RULES = [*ON_FAILURE, "retry"]
FAILURES = [str(kind) for kind in ProblemKind if kind is not ProblemKind.INTERNAL]
"""The kinds of failures that rules may name: a bug of orch is for people."""
ON_TIMEOUT = ["hold", "rollback", "abort"]
ACTIONS = ["stop", "start", "restart"]
EVENTS = ["decision", "end"]
PAUSE_ASKS = "decision"
IF_STUCK = [str(word) for word in IfStuck]
DEPENDENTS = [str(word) for word in OnDependents]
_JSON_TEMPLATE = {"type": "string", "pattern": r"\{[{%#]"}
_JSON_TEXT = {"type": ["string", "integer"]}
_JSON_FILLED = ({"type": "string", "pattern": r"\S"}, {"type": "integer"})
_JSON_WHOLE = ({"type": "integer"}, {"type": "string", "pattern": r"^\s*-?\d{1,15}\s*$"})
_JSON_HEADER = ({"type": "string", "pattern": r"^[^\r\n]*$"}, {"type": "integer"})
_JSON_URL = {"type": "string", "pattern": r"^https?://[^/\s]"}
_JSON_NAME = (
    {"type": "string", "pattern": r"^[^\s/\\]([^/\\]*[^\s/\\])?$", "maxLength": LONGEST_SCM_NAME},
    {"type": "integer"},
)
_JSON_OBJECT = (
    {"type": "string", "pattern": r'^[^\s"]([^"]*[^\s"])?$', "maxLength": LONGEST_SCM_NAME},
    {"type": "integer"},
)
_JSON_TASK = (
    {
        "type": "string",
        "pattern": r'^(?!.*\\\\)[^\s"/:*?<>|]([^"/:*?<>|]*[^\s"/:*?<>|\\])?$',
        "maxLength": LONGEST_SCM_NAME,
    },
    {"type": "integer"},
)
_JSON_BUDGET = (*_number(0), {"type": "string", "pattern": r"^\s*0*([1-9]\d?|100)\s*%\s*$"})
_JSON_SIZE = (*_number(1), {"type": "string", "pattern": r"^\s*0*([1-9]\d?|100)\s*%\s*$"})
_JSON_TIME = {"type": "string", "pattern": r"^\s*([01]?\d|2[0-3]):[0-5]\d\s*$"}
_JSON_HOOK = {"type": ["string", "integer"], "pattern": r"^\s*[^\W_][\w .,()+-]{0,59}\s*$"}
_JSON_NOTICE_URL = {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9+.-]*://\S"}
_JSON_FLAG = ({"type": "boolean"}, any_case("true", "false"))
_JSON_SCALAR = {"type": ["string", "number", "boolean", "null"]}

Whole = Annotated[int, _Checked(_whole, *_JSON_WHOLE)]
Port = Annotated[int, _Checked(_port, *_number(1, 65535))]
Count = Annotated[int, _Checked(_count, *_number(1))]
Status = Annotated[int, _Checked(_status, *_number(100, 599))]
Duration = Annotated[float, _Checked(_duration, *_lasting(0))]
Period = Annotated[float, _Checked(_period, *_lasting(SHORTEST_PERIOD_S))]
Reminder = Annotated[float, _Checked(_reminder, *_lasting(SHORTEST_REMINDER_S))]
Text = Annotated[str, _Checked(_text, _JSON_TEXT)]
Filled = Annotated[str, _Checked(_filled, *_JSON_FILLED)]
Header = Annotated[str, _Checked(_header, *_JSON_HEADER)]
Regex = Annotated[str, _Checked(_regex, _JSON_TEXT)]
Url = Annotated[str, _Checked(_url, _JSON_URL)]
Method = Annotated[str, _Checked(_method, {"type": "string", "pattern": "^[A-Za-z]{1,20}$"})]
ScmName = Annotated[str, _Checked(_scm_name, *_JSON_NAME)]
ObjectName = Annotated[str, _Checked(_object_name, *_JSON_OBJECT)]
TaskName = Annotated[str, _Checked(_task_name, *_JSON_TASK)]
Flag = Annotated[bool, _Checked(_flag, *_JSON_FLAG)]
External = Annotated[bool, _Checked(_flag, *_JSON_FLAG, now=True)]
Scalar = Annotated[str | int | float | bool | None, _Checked(_scalar, _JSON_SCALAR, now=True)]
StateName = Annotated[State, _Checked(_one_of(STATES, "service state"), {"enum": STATES}, any_case(*STATES))]
OriginName = Annotated[Origin, _Checked(_one_of(ORIGINS, "place to probe from"), {"enum": ORIGINS}, any_case(*ORIGINS))]
Order = Annotated[str, _Checked(_one_of(["inventory"], "order"), {"enum": ["inventory"]}, any_case("inventory"))]
Unreachable = Annotated[
    str,
    _Checked(_one_of(UNREACHABLE, "answer to unreachable hosts"), {"enum": UNREACHABLE}, any_case(*UNREACHABLE)),
]
Budget = Annotated[budget.Budget, _Checked(_budget, *_JSON_BUDGET)]
BatchSize = Annotated[budget.Budget, _Checked(_size, *_JSON_SIZE)]
MinAvailable = Annotated[budget.Budget, _Checked(_min_available, *_JSON_SIZE)]
Pause = Annotated[float | str, _Checked(_pause, *_lasting(0), any_case(PAUSE_ASKS))]
OnFailureWord = Annotated[str, _Checked(_on_failure, {"enum": ON_FAILURE}, any_case(*ON_FAILURE))]
RuleWord = Annotated[str, _Checked(_one_of(IN_RULES, "answer to failures"), {"enum": IN_RULES}, any_case(*IN_RULES))]
FailureKind = Annotated[str, _Checked(_one_of(FAILURES, "kind of failure"), {"enum": FAILURES}, any_case(*FAILURES))]
OnTimeoutWord = Annotated[
    str, _Checked(_one_of(ON_TIMEOUT, "answer to silence"), {"enum": ON_TIMEOUT}, any_case(*ON_TIMEOUT))
]
ActionName = Annotated[str, _Checked(_one_of(ACTIONS, "action"), {"enum": ACTIONS}, any_case(*ACTIONS))]
EventName = Annotated[str, _Checked(_one_of(EVENTS, "event"), {"enum": EVENTS}, any_case(*EVENTS))]
IfStuckWord = Annotated[
    str, _Checked(_one_of(IF_STUCK, "answer to a stop that is stuck"), {"enum": IF_STUCK}, any_case(*IF_STUCK))
]
DependentsWord = Annotated[
    str, _Checked(_one_of(DEPENDENTS, "answer to dependents"), {"enum": DEPENDENTS}, any_case(*DEPENDENTS))
]
HookName = Annotated[str, _Checked(_hook_name, _JSON_HOOK, now=True)]
TimeOfDay = Annotated[str, _Checked(_time_of_day, _JSON_TIME)]
NoticeUrl = Annotated[str, _Checked(_notice_url, _JSON_NOTICE_URL)]
