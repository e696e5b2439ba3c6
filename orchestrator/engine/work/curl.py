"""Probes that a Windows host runs itself with its own curl.exe (part of Windows since 2018): arguments and answers."""

import re

from orchestrator.domain.gates import HttpCheck, TcpCheck

EXE = "curl.exe"
REFUSED = 7
"""The exit code of a connection that was refused; one that is not answered, or to a name that is not known, has
another."""
NOT_SENT = (1, 2, 3, 4, 5, 6, 7, 35, 58, 59, 60, 77, 83, 90, 91)
"""Exit codes before a request is sent: what can't be asked, names, connections, TLS."""
_QUIET = ("-q", "-s")  # -q comes first: no .curlrc of the account changes what is asked
_STATUS = re.compile(r"HTTP/\d(?:\.\d)? (\d{3})(?: [^\n]*)?")
_BREAK = re.compile(r"\n\n|\n\Z")


def tcp_args(check: TcpCheck, timeout_s: float) -> list[str]:
    """Connect and print the seconds that it took; 0 when there was no connection."""
    host = f"[{check.host}]" if ":" in check.host else check.host
    wanted = (
        "-m",
        f"{timeout_s:g}",
        "--noproxy",
        "*",
        "-w",
        "%{time_connect}",
        "--url",
        f"telnet://{host}:{check.port}",
    )
    return [*_QUIET, *wanted]


def connected(output: str) -> bool | None:
    """Whether *output* of `tcp_args` tells of a connection; None where there is no number in it."""
    numbers = re.findall(r"\d+[.,]\d+", output)
    return float(numbers[-1].replace(",", ".")) > 0 if numbers else None


def http_args(check: HttpCheck, timeout_s: float) -> list[str]:
    """Ask once and print status line, headers and body. Redirects are not followed, proxies not used. A body is sent as
    it is, with no type but what the headers say."""
    method = ["-I"] if check.method == "HEAD" else ["-i", "-X", check.method]
    trust = ["--cacert", check.ca] if check.ca else []
    headers = [word for name, value in check.headers for word in ("-H", f"{name}: {value}")]
    typed = any(name.lower() == "content-type" for name, _ in check.headers)
    sent = [*([] if typed else ["-H", "Content-Type:"]), "--data-raw", check.body] if check.body else []
    blind = [] if check.verify else ["-k"]
    limits = ("-m", f"{timeout_s:g}", "--noproxy", "*")
    return [*_QUIET, "-S", "-g", *method, *limits, *blind, *trust, *headers, *sent, "--url", check.url]


def answer(output: str) -> tuple[int, str] | None:
    """Status and body of the last answer in *output* of `http_args`; None where there is none.

    Answers before the last one (100 Continue) are skipped.
    """
    text = output.replace("\r\n", "\n")
    while True:
        status = _STATUS.match(text)
        end = _BREAK.search(text)
        if status is None or end is None:
            return None
        body = text[end.end() :]
        if not status[1].startswith("1"):
            return int(status[1]), body
        text = body


def failure(output: str) -> str:
    """What curl said of its failure at the end, `curl: (7) Failed to connect ...`; "" if it said nothing."""
    last = output.rstrip().rpartition("\n")[2].strip()
    return last if last.startswith("curl: (") else ""


def number(output: str) -> int | None:
    """The number of the failure that `failure` finds."""
    found = re.match(r"curl: \((\d+)\)", failure(output))
    return int(found[1]) if found else None
