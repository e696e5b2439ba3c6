"""curl.exe, the few options that a health gate needs. It really connects, to loopback addresses only."""

import asyncio
import ipaddress
import ssl
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_LONGEST_ANSWER = 4 * 1024 * 1024
_FLAGS = {
    "-s": "silent",
    "-S": "show_error",
    "-i": "include",
    "-k": "insecure",
    "-I": "head",
    "-q": "no configuration file",
    "-g": "no globbing",
}
_TAKES_VALUE = {"-o", "-w", "-m", "--connect-timeout", "-X", "-H", "--url", "--noproxy", "--cacert", "--data-raw"}
_LONG = {
    "--silent": "-s",
    "--show-error": "-S",
    "--include": "-i",
    "--insecure": "-k",
    "--output": "-o",
    "--write-out": "-w",
    "--max-time": "-m",
    "--request": "-X",
    "--header": "-H",
}
_BAD_OPTION, _BAD_URL, _NO_NAME, _NO_CONNECT, _TIMED_OUT, _TLS, _EMPTY, _UNTRUSTED, _BAD_CA = (
    2,
    3,
    6,
    7,
    28,
    35,
    52,
    60,
    77,
)


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What a program printed, by line, and how it ended."""

    exit_code: int
    output: Sequence[str] = ()
    errors: Sequence[str] = ()


@dataclass(slots=True)
class _Options:
    url: str = ""
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    headers: list[str] = field(default_factory=list)

    def take(self, name: str, value: str) -> None:
        """Keep the value of one option."""
        self.values[name] = value
        if name == "-H":
            self.headers.append(value)
        elif name == "--url":
            self.url = value

    def seconds(self, name: str) -> float | None:
        """A time limit; None if there is none."""
        value = float(self.values.get(name, "0"))
        return value or None


class _Failed(Exception):
    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


@dataclass(slots=True)
class _Seen:
    """What came of it so far, for -w."""

    http_code: int = 0
    time_connect: float = 0.0
    printed: str = ""


async def run(arguments: Sequence[str], resolve: Callable[[str], str | None]) -> ProgramResult:
    """One call. *resolve* gives the loopback address of a host name, as the host where curl runs sees it.

    With telnet:// it ends as soon as the connection stands, for its standard input is empty.
    """
    seen = _Seen()
    try:
        options = _parse(arguments)
    except (_Failed, ValueError) as exc:
        return ProgramResult(_BAD_OPTION, [], [f"curl: {exc}"])
    failed: _Failed | None = None
    try:
        async with asyncio.timeout(options.seconds("-m")):
            await _fetch(options, resolve, seen)
    except TimeoutError:
        failed = _Failed(_TIMED_OUT, "Operation timed out")
    except _Failed as exc:
        failed = exc
    text = seen.printed + _write_out(options.values.get("-w", ""), seen)
    errors = []
    if failed and ("silent" not in options.flags or "show_error" in options.flags):
        errors = [f"curl: ({failed.code}) {failed.text}"]
    return ProgramResult(failed.code if failed else 0, text.splitlines(), errors)


def _parse(arguments: Sequence[str]) -> _Options:
    options, rest = _Options(), list(arguments)
    while rest:
        word = rest.pop(0)
        word = _LONG.get(word, word)
        if word in _TAKES_VALUE:
            if not rest:
                raise _Failed(_BAD_OPTION, f"option {word}: requires parameter")
            options.take(word, rest.pop(0))
        elif word.startswith("-") and not word.startswith("--") and {f"-{c}" for c in word[1:]} <= set(_FLAGS):
            options.flags |= {_FLAGS[f"-{c}"] for c in word[1:]}
        elif word.startswith("-"):
            raise _Failed(_BAD_OPTION, f"option {word}: is unknown")
        else:
            options.url = word
    if not options.url:
        raise _Failed(_BAD_OPTION, "no URL specified")
    return options


async def _fetch(options: _Options, resolve: Callable[[str], str | None], seen: _Seen) -> None:
    url = urllib.parse.urlsplit(options.url if "://" in options.url else f"http://{options.url}")
    ports = {"http": 80, "https": 443, "telnet": 23}
    if url.scheme not in ports or not url.hostname:
        raise _Failed(_BAD_URL, "URL using bad/illegal format or missing URL")
    port = url.port or ports[url.scheme]
    address = resolve(url.hostname)
    if address is None:
        raise _Failed(_NO_NAME, f"Could not resolve host: {url.hostname}")
    if not ipaddress.ip_address(address).is_loopback:
        raise _Failed(_NO_CONNECT, f"Failed to connect to {url.hostname} port {port}: the lab reaches loopback only")
    began_s = time.perf_counter()
    reader, writer = await _connect(options, url, address, port)
    try:
        seen.time_connect = max(1e-6, time.perf_counter() - began_s)
        if url.scheme != "telnet":
            await _exchange(options, url, reader, writer, seen)
    finally:
        writer.transport.abort()


async def _connect(
    options: _Options, url: urllib.parse.SplitResult, address: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context: ssl.SSLContext | None = None
    if url.scheme == "https":
        context = _tls(options)
    try:
        async with asyncio.timeout(options.seconds("--connect-timeout")):
            name = url.hostname if context else None
            return await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError as exc:
        raise _Failed(_UNTRUSTED, f"SSL certificate problem: {exc.verify_message}") from exc
    except ssl.SSLError as exc:
        raise _Failed(_TLS, f"TLS handshake failed: {exc.reason}") from exc
    except TimeoutError as exc:
        raise _Failed(_TIMED_OUT, "Connection timed out") from exc
    except (ConnectionResetError, ConnectionAbortedError) as exc:
        raise _Failed(_TLS, "TLS connect error: the other side hung up") from exc
    except OSError as exc:
        text = f"Failed to connect to {url.hostname} port {port} after 0 ms: Couldn't connect to server"
        raise _Failed(_NO_CONNECT, text) from exc


def _tls(options: _Options) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.values.get("--cacert"))
    except (OSError, ssl.SSLError) as exc:
        raise _Failed(_BAD_CA, "error setting certificate verify locations") from exc
    if "insecure" in options.flags:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _exchange(
    options: _Options,
    url: urllib.parse.SplitResult,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    seen: _Seen,
) -> None:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    given = {header.partition(":")[0].strip().lower() for header in options.headers}
    head_alone = "head" in options.flags
    posted = options.values.get("--data-raw")
    method = options.values.get("-X", "HEAD" if head_alone else "GET" if posted is None else "POST")
    headers = [header for header in options.headers if header.partition(":")[2].strip()]  # an empty one takes it away
    if posted is not None:
        headers += [] if "content-type" in given else ["Content-Type: application/x-www-form-urlencoded"]
        headers.append(f"Content-Length: {len(posted.encode('utf-8'))}")
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"Host: {url.netloc}"] if "host" not in given else []
    lines += ["User-Agent: curl/8.9.1", "Accept: */*", "Connection: close", *headers, "", posted or ""]
    writer.write("\r\n".join(lines).encode("utf-8"))
    data = b""
    try:
        while len(data) < _LONGEST_ANSWER and (part := await reader.read(65536)):
            data += part
    except OSError:
        pass  # what came before the reset is what there is
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.decode("latin-1").split("\r\n")[0].split(" ")
    if len(words) < 2 or not words[1].isdigit():
        raise _Failed(_EMPTY, "Empty reply from server")
    seen.http_code = int(words[1])
    shown = head.decode("latin-1") + "\n\n" if head_alone or "include" in options.flags else ""
    if options.values.get("-o", "").upper() != "NUL":
        seen.printed = shown + ("" if head_alone else body.decode("utf-8", "replace"))


def _write_out(form: str, seen: _Seen) -> str:
    """-w: its variables and its escapes."""
    form = form.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")
    form = form.replace("%{http_code}", f"{seen.http_code:03}").replace("%{response_code}", f"{seen.http_code:03}")
    return form.replace("%{time_connect}", f"{seen.time_connect:.6f}")
