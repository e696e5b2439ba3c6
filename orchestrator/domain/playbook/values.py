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

from orchestrator.domain.durations import seconds
from orchestrator.domain.gates import Origin
from orchestrator.domain.secrets import OPEN, shown
from orchestrator.domain.service import State
from orchestrator.domain.templates import is_template

FINAL = "final"
LONGEST_SCM_NAME = 256
SHORTEST_PERIOD_S = 0.1


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
    """The check of a field, and what JSON Schema says of it. *now*: a template can't stand there.

    As pydantic's PlainValidator, which also prepares for writing values out: most of the time that a model takes to
    build, and no playbook is written out.
    """

    def __init__(self, check: Callable[[Any], Any], schema: dict[str, Any], *, now: bool = False) -> None:
        self._check = check
        self._schema = schema
        self._now = now

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self._schema)

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


def _one_of(words: list[str], what: str) -> Callable[[object], str]:
    by_lower = {word.lower(): word for word in words}

    def check(value: object) -> str:
        word = by_lower.get(str(value).lower())
        if word is None:
            raise Wrong(f"{_told(value)} is no {what}", nearest(str(value), words))
        return word

    return check


STATES = [str(state) for state in State]
ORIGINS = [str(origin) for origin in Origin]
UNREACHABLE = ["ask", "exclude", "fail"]
_JSON_TEXT = {"type": ["string", "integer"]}
_JSON_NUMBER = {"type": ["integer", "string"]}
_JSON_DURATION = {"type": ["number", "string"], "description": "90s, 2m, 1h30m, or a number of seconds"}

Whole = Annotated[int, _Checked(_whole, _JSON_NUMBER)]
Port = Annotated[int, _Checked(_port, _JSON_NUMBER)]
Count = Annotated[int, _Checked(_count, _JSON_NUMBER)]
Status = Annotated[int, _Checked(_status, _JSON_NUMBER)]
Duration = Annotated[float, _Checked(_duration, _JSON_DURATION)]
Period = Annotated[float, _Checked(_period, _JSON_DURATION)]
Text = Annotated[str, _Checked(_text, _JSON_TEXT)]
Filled = Annotated[str, _Checked(_filled, _JSON_TEXT)]
Header = Annotated[str, _Checked(_header, _JSON_TEXT)]
Regex = Annotated[str, _Checked(_regex, {"type": "string", "format": "regex"})]
Url = Annotated[str, _Checked(_url, {"type": "string"})]
Method = Annotated[str, _Checked(_method, {"type": "string"})]
ScmName = Annotated[str, _Checked(_scm_name, _JSON_TEXT)]
Flag = Annotated[bool, _Checked(_flag, {"type": ["boolean", "string"]})]
External = Annotated[bool, _Checked(_flag, {"type": "boolean"}, now=True)]
Scalar = Annotated[str | int | float | bool | None, _Checked(_scalar, {}, now=True)]
StateName = Annotated[State, _Checked(_one_of(STATES, "service state"), {"enum": STATES})]
OriginName = Annotated[Origin, _Checked(_one_of(ORIGINS, "place to probe from"), {"enum": ORIGINS})]
Order = Annotated[str, _Checked(_one_of(["inventory"], "order"), {"enum": ["inventory"]})]
Unreachable = Annotated[str, _Checked(_one_of(UNREACHABLE, "answer to unreachable hosts"), {"enum": UNREACHABLE})]
