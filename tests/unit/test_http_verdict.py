"""Whether an HTTP answer is the wanted one."""

import pytest

from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.http_verdict import BODY_LIMIT, verdict
from orchestrator.domain.secrets import SecretRef, embed

URL = "http://app-01/health"
BODY = '{"status": "UP", "count": 3, "ok": true, "none": null, "checks": [{"name": "db", "up": 1}]}'
CASES = [
    (HttpCheck(url=URL), 200, True, "status 200"),
    (HttpCheck(url=URL), 204, False, "status 204, wanted 200"),
    (HttpCheck(url=URL, status=(200, 204)), 500, False, "status 500, wanted 200 or 204"),
    (HttpCheck(url=URL, status=()), 500, True, "status 500"),
    (HttpCheck(url=URL, text="UP"), 200, True, "status 200"),
    (HttpCheck(url=URL, text="DOWN"), 200, False, 'status 200, but it does not hold DOWN; it says: {"status": "UP"'),
    (HttpCheck(url=URL, regex='"count": [1-9]'), 200, True, "status 200"),
    (HttpCheck(url=URL, regex="^no"), 200, False, "status 200, but nothing in it matches ^no; it says: {"),
    (HttpCheck(url=URL, regex="("), 200, False, "status 200, but ( is no regular expression: missing ), "),
    (HttpCheck(url=URL, json=(("status", "UP"), ("checks.0.name", "db"))), 200, True, "status 200"),
    (HttpCheck(url=URL, json=(("status", "DOWN"),)), 200, False, 'status 200, but status is "UP", wanted DOWN'),
    (HttpCheck(url=URL, json=(("count", 3.0), ("ok", True), ("none", None))), 200, True, "status 200"),
    (HttpCheck(url=URL, json=(("checks.0.up", True),)), 200, False, "checks.0.up is 1, wanted true"),
    (HttpCheck(url=URL, json=(("ok", 1),)), 200, False, "ok is true, wanted 1"),
    (HttpCheck(url=URL, json=(("checks.1.name", "db"),)), 200, False, "it has no checks.1.name"),
    (HttpCheck(url=URL, json=(("status.deep", "x"),)), 200, False, "it has no status.deep"),
]


@pytest.mark.parametrize(("check", "status", "held", "saw"), CASES)
def test_the_verdict(check: HttpCheck, status: int, held: bool, saw: str) -> None:
    said = verdict(check, status, BODY)
    assert said[0] is held
    assert said[1] == saw or (not held and saw in said[1])


@pytest.mark.parametrize("body", ["", "<html>", "[" * 100_000, '{"a": 1} x'], ids=["empty", "html", "deep", "two"])
def test_an_answer_that_is_no_json_is_a_no(body: str) -> None:
    assert verdict(HttpCheck(url=URL, json=(("a", 1),)), 200, body) == (False, "status 200, but it is not JSON")


def test_text_past_the_limit_is_not_looked_at() -> None:
    body = "x" * BODY_LIMIT + "UP"
    assert not verdict(HttpCheck(url=URL, text="UP"), 200, body)[0]


def test_what_came_is_one_short_line_and_nothing_of_it_where_a_secret_was_sent() -> None:
    check = HttpCheck(url=URL, text="UP")
    assert verdict(check, 200, "  degraded:\n\tno disk ")[1] == (
        "status 200, but it does not hold UP; it says: degraded: no disk"
    )
    assert verdict(check, 200, "\n")[1] == "status 200, but it does not hold UP; it is empty"
    assert verdict(check, 200, "x" * 100)[1].endswith("x...")
    sends = HttpCheck(url=URL, text="UP", headers=(("Authorization", embed(SecretRef("env", "KEY"))),))
    assert verdict(sends, 200, "you sent hunter2")[1] == "status 200, but it does not hold UP"


def test_secrets_are_compared_and_never_shown() -> None:
    key = embed(SecretRef("env", "KEY"))
    check = HttpCheck(url=URL, text=f"key={key}")

    def reveal(text: str) -> str:
        return text.replace(key, "hunter2")

    assert verdict(check, 200, "key=hunter2", reveal=reveal) == (True, "status 200")
    assert verdict(check, 200, "key=other", reveal=reveal) == (
        False,
        "status 200, but it does not hold key=<secret env:KEY>",
    )
