"""Whether an HTTP answer is the wanted one, whoever asked."""

import json
import re
from collections.abc import Callable

from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.secrets import has_secret, shown

BODY_LIMIT = 64 * 1024
"""Bytes of a body that are looked at. A user's expression that backtracks for ever can't be interrupted in Python;
the limit keeps honest ones quick."""
_SHOWN = 80


def verdict(
    check: HttpCheck, status: int, body: str, *, reveal: Callable[[str], str] = lambda text: text
) -> tuple[bool, str]:
    """Whether the answer holds, and what was seen in a few words: of the body its first ones where they are not the
    wanted ones, and nothing of it where a secret was sent or is wanted, for it may echo it.

    *reveal* resolves the secret references of the wanted text at the moment of comparing.
    """
    if check.status and status not in check.status:
        return False, f"status {status}, wanted {' or '.join(map(str, check.status))}"
    wrong = _wrong_text(check, body[:BODY_LIMIT], reveal) or _wrong_json(check, body, reveal)
    return (False, f"status {status}, but {wrong}") if wrong else (True, f"status {status}")


def says_nothing(status: int) -> bool:
    """Whether an answer with that *status* is about the server or the sign-in, and not about what was asked."""
    return status >= 500 or status in (401, 403, 407, 408, 429)


def _wrong_text(check: HttpCheck, body: str, reveal: Callable[[str], str]) -> str:
    if check.text and reveal(check.text) not in body:
        return f"it does not hold {_short(shown(check.text))}{_came(check, body)}"
    wrong = wrong_match(check.regex, body, reveal)
    return f"{wrong}{_came(check, body)}" if wrong else ""


def _came(check: HttpCheck, body: str) -> str:
    """What it says in place of what is wanted."""
    if any(map(has_secret, (check.url, check.text, check.regex, check.body, *(value for _, value in check.headers)))):
        return ""
    words = " ".join(body[:BODY_LIMIT].split())
    return f"; it says: {_short(words)}" if words else "; it is empty"


def wrong_match(regex: str, text: str, reveal: Callable[[str], str] = lambda text: text) -> str:
    """What is wrong about *text* when *regex* should match somewhere in it; "" if nothing is, or there is no regex."""
    try:
        found = not regex or re.search(reveal(regex), text[:BODY_LIMIT])
    except re.error as error:
        return f"{_short(shown(regex))} is no regular expression: {error.msg}"
    return "" if found else f"nothing in it matches {_short(shown(regex))}"


def _wrong_json(check: HttpCheck, body: str, reveal: Callable[[str], str]) -> str:
    if not check.json:
        return ""
    try:
        answer: object = json.loads(body)
    except (ValueError, RecursionError):
        return "it is not JSON"
    for path, wanted in check.json:
        try:
            found = _at(answer, path)
        except LookupError:
            return f"it has no {path}"
        right = reveal(wanted) if isinstance(wanted, str) else wanted
        if found != right or isinstance(found, bool) is not isinstance(right, bool):
            words = _short(shown(wanted)) if isinstance(wanted, str) else json.dumps(wanted)
            return f"{path} is {_short(json.dumps(found))}, wanted {words}"
    return ""


def _at(value: object, path: str) -> object:
    for part in path.split("."):
        if isinstance(value, dict):
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdigit():
            value = value[int(part)]
        else:
            raise LookupError(part)
    return value


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
