"""What programs of a Windows host print, and what orch reads from it: numbers and positions alone."""

import pytest

from orchestrator.domain.gates import HttpCheck, TcpCheck
from orchestrator.engine.ports import OUTPUT_MOST
from orchestrator.engine.work import curl
from orchestrator.engine.work.listeners import listens

ENGLISH = """
Active Connections

  Proto  Local Address          Foreign Address        State           PID
  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1044
  TCP    0.0.0.0:8080           0.0.0.0:0              LISTENING       4
  TCP    10.0.0.4:5985          10.0.0.9:50112         ESTABLISHED     4
  TCP    10.0.0.4:50555         10.0.0.7:1433          ESTABLISHED     812
  TCP    10.0.0.4:9090          10.0.0.7:61000         TIME_WAIT       0
  TCP    [::]:135               [::]:0                 LISTENING       1044
  TCP    [::]:7070              [::]:0                 LISTENING       96
  TCP    [fe80::1%4]:6060       [::]:0                 LISTENING       96
  UDP    0.0.0.0:500            *:*                                    3412
  UDP    [::]:4500              *:*                                    3412
"""
GERMAN = ENGLISH.replace("LISTENING", "ABHÖREN  ").replace("ESTABLISHED", "HERGESTELLT").replace("TIME_WAIT", "WARTEND")
GERMAN = GERMAN.replace("Active Connections", "Aktive Verbindungen").replace("Local Address", "Lokale Adresse")
FRENCH = ENGLISH.replace("LISTENING", "À L'ÉCOUTE").replace("Active Connections", "Connexions actives")
FRENCH = FRENCH.replace("Foreign Address", "Adresse distante").replace("\n", "\r\n")


@pytest.mark.parametrize("table", [ENGLISH, GERMAN, FRENCH], ids=["en", "de", "fr"])
@pytest.mark.parametrize(
    ("port", "open_"),
    [
        (135, True), (8080, True), (7070, True), (6060, True),
        (80, False), (808, False), (5985, False), (1433, False), (50112, False), (9090, False), (500, False),
        (4500, False), (0, False),
    ],
)  # fmt: skip
def test_listeners_are_read_by_numbers_alone(table: str, port: int, open_: bool) -> None:
    assert listens(table, port) is open_


@pytest.mark.parametrize("table", ["", "Zugriff verweigert", "TCP", "  TCP  0.0.0.0:80", ENGLISH[:100]])
def test_no_table_is_not_an_empty_one(table: str) -> None:
    assert listens(table, 80) is None


def test_a_table_that_may_be_cut_says_only_that_somebody_listens() -> None:
    row = "  TCP    10.0.0.4:50555         10.0.0.7:1433          ESTABLISHED     812\r\n"
    cut = (ENGLISH + row * 2000)[:OUTPUT_MOST]
    assert listens(cut, 8080) is True
    assert listens(cut, 80) is None


@pytest.mark.parametrize(
    ("output", "held"),
    [
        ("0.012345", True), ("0,012", True), ("\r\n0.000421\r\n", True),
        ("0.000000", False), ("0,000", False),
        ("", None), ("curl: unknown option", None),
    ],
)  # fmt: skip
def test_a_connection_takes_time(output: str, held: bool | None) -> None:
    assert curl.connected(output) is held


def test_a_tcp_probe_is_a_connect_and_nothing_else() -> None:
    args = curl.tcp_args(TcpCheck(host="fe80::1", port=389), 2.5)
    assert args[-2:] == ["--url", "telnet://[fe80::1]:389"]
    assert args[args.index("-m") + 1] == "2.5"
    assert args[args.index("-w") + 1] == "%{time_connect}"


def test_an_http_probe_carries_method_headers_and_trust() -> None:
    check = HttpCheck(
        url="https://[::1]/a[1]{x}",
        method="POST",
        headers=(("X-Key", "a b"), ("Host", "shop")),
        verify=False,
        ca="ca.pem",
    )
    args = curl.http_args(check, 5)
    assert args[:3] == ["-q", "-s", "-S"]
    assert [args[i + 1] for i, word in enumerate(args) if word == "-H"] == ["X-Key: a b", "Host: shop"]
    assert {"-g", "-k", "-i", "--noproxy"} <= set(args)
    assert (args[args.index("-X") + 1], args[-2:]) == ("POST", ["--url", "https://[::1]/a[1]{x}"])
    assert "-I" in curl.http_args(HttpCheck(url="http://a", method="HEAD"), 5)


def test_a_body_is_sent_as_it_is_and_its_type_is_what_the_headers_say() -> None:
    plain = curl.http_args(HttpCheck(url="http://a", method="POST", body="@not-a-file\n{}"), 5)
    assert plain[-6:] == ["-H", "Content-Type:", "--data-raw", "@not-a-file\n{}", "--url", "http://a"]
    json = HttpCheck(url="http://a", method="POST", body="{}", headers=(("content-type", "application/json"),))
    assert "Content-Type:" not in curl.http_args(json, 5)
    assert "--data-raw" not in curl.http_args(HttpCheck(url="http://a"), 5)


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("HTTP/1.1 200 OK\r\nServer: x\r\n\r\nUP", (200, "UP")),
        ("HTTP/1.1 200 OK\nServer: x\n\nUP\n\nHTTP/1.1 500 no\n\n", (200, "UP\n\nHTTP/1.1 500 no\n\n")),
        ("HTTP/2 204 \r\n\r\n", (204, "")),
        ("HTTP/1.1 503 \r\nA: b\r\n", (503, "")),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Introuvable\r\n\r\n", (404, "")),
        ("HTTP/1.1 200 OK", None),
        ("<html>", None),
        ("", None),
        ("HTTP/1.1 abc\r\n\r\n", None),
        ("HTTP/1.1 100 Continue\r\n\r\n", None),
    ],
)
def test_an_answer_is_taken_apart(output: str, answer: tuple[int, str] | None) -> None:
    assert curl.answer(output) == answer


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("curl: (7) Failed to connect to a port 80\r\n", "curl: (7) Failed to connect to a port 80"),
        ("HTTP/1.1 200 OK\r\n\r\nhalf\ncurl: (18) transfer closed", "curl: (18) transfer closed"),
        ("HTTP/1.1 200 OK\r\n\r\ncurl: (18) is only text\nof a body", ""),
        ("", ""),
    ],
)
def test_a_failure_is_what_curl_says_last(output: str, said: str) -> None:
    assert curl.failure(output) == said
