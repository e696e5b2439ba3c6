"""Programs of the hosts of a `MemoryFleet`, as far as orch runs them: what they do, and what they print."""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from orchestrator.adapters.memory import objects, registry
from orchestrator.adapters.memory.fleet import MemoryEvent, MemoryFleet, MemoryHost, clock
from orchestrator.engine.ports import CommandOutput

_NO_SUCH_PROCESS = 128
_PROVIDER = re.compile(r"@Name='([^']*)'")
_AGE = re.compile(r"timediff\(@SystemTime\) <= (\d+)")


def _netstat(fleet: MemoryFleet, host: MemoryHost, args: Sequence[str]) -> CommandOutput:
    """The listener table of `netstat.exe -a -n -o`."""
    owners = {135: 4, **{port: pid for port, (_, pid) in sorted(fleet.listeners(host).items())}}
    rows = (f"  TCP    0.0.0.0:{port}  0.0.0.0:0  LISTENING  {pid}\n" for port, pid in owners.items())
    return CommandOutput(0, "\n  Proto  Local Address  Foreign Address  State  PID\n" + "".join(rows))


def _curl(fleet: MemoryFleet, host: MemoryHost, args: Sequence[str]) -> CommandOutput:
    """What curl.exe would print on *host*: head and body of an answer, then the `-w` text."""
    url = urlsplit(next((word for word in args if "://" in word), ""))
    target = host if url.hostname in ("localhost", "127.0.0.1", "::1") else fleet.at(url.hostname or "")
    port = fleet.listening(target).get(url.port or {"https": 443}.get(url.scheme, 80)) if target else None
    printed = ""
    if port is not None and url.scheme != "telnet":
        head = f"HTTP/1.1 {port.status} \r\nContent-Length: {len(port.body)}\r\n\r\n"
        printed = (head if {"-i", "-I"} & set(args) else "") + ("" if "-I" in args else port.body)
    if "%{time_connect}" in args:
        printed += "0.001000" if port is not None else "0.000000"
    if port is None and "-S" in args:
        printed += f"curl: (7) Failed to connect to {url.hostname}"
    return CommandOutput(0 if port is not None else 7, printed)


def _taskkill(fleet: MemoryFleet, host: MemoryHost, args: Sequence[str]) -> CommandOutput:
    """`taskkill.exe /PID n /T /F`: ends the process and all below it."""
    pid = next((word for before, word in zip(args, args[1:], strict=False) if before.upper() == "/PID"), "")
    gone = fleet.end(host.name, int(pid)) if pid.isdigit() else []
    if not gone:
        return CommandOutput(_NO_SUCH_PROCESS, f'ERROR: The process "{pid}" not found.\n')
    return CommandOutput(0, "".join(f"SUCCESS: The process with PID {one} has been terminated.\n" for one in gone))


def _wevtutil(fleet: MemoryFleet, host: MemoryHost, args: Sequence[str]) -> CommandOutput:
    """`wevtutil.exe qe LOG /q:... /c:N /rd:true /f:RenderedXml`: newest first; a query's providers and age count."""
    log = next((word for word in args[1:] if not word.startswith("/")), "")
    query = next((word for word in args if word.startswith("/q:")), "")
    most = next((int(word[3:]) for word in args if re.fullmatch(r"/c:\d+", word)), 100)
    wanted, ages = _PROVIDER.findall(query), _AGE.findall(query)
    since = max((clock() - int(age) / 1000 for age in ages), default=0.0)
    of_log = [one for one in host.events if one.log == log and one.at >= since]
    found = [one for one in of_log if not wanted or one.provider in wanted]
    newest = sorted(found, key=lambda one: one.at, reverse=True)[:most]
    return CommandOutput(0, "\n".join(map(_record, newest)))


def _record(event: MemoryEvent) -> str:
    at = datetime.datetime.fromtimestamp(event.at, tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    by = f"<Security UserID='{event.user}'/>" if event.user else "<Security/>"
    data = "".join(f"<Data Name='param{number}'>{escape(text)}</Data>" for number, text in enumerate(event.data, 1))
    return (
        f"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name={quoteattr(event.provider)}/><EventID Qualifiers='49152'>{event.id}</EventID>"
        f"<Level>{event.level}</Level><TimeCreated SystemTime='{at}'/><Channel>{event.log}</Channel>{by}</System>"
        f"<EventData>{data}</EventData><RenderingInfo Culture='en-US'><Message>{escape(event.message)}</Message>"
        f"</RenderingInfo></Event>"
    )


Program = Callable[[MemoryFleet, MemoryHost, Sequence[str]], CommandOutput]
PROGRAMS: Mapping[str, Program] = {
    "curl.exe": _curl,
    "netstat.exe": _netstat,
    "taskkill.exe": _taskkill,
    "wevtutil.exe": _wevtutil,
    **registry.PROGRAMS,
    **objects.PROGRAMS,
}
"""By name in lower case."""
