"""wevtutil.exe qe: the newest records of an event log of a virtual host, as XML.

Of XPath it knows what queries of times, numbers and providers are made of: each kind that is there must hold, by any of
its values. What else stands in a query is refused, for a filter that is passed over would tell a lie.
"""

import datetime
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from orchestrator.lab.console import Ran
from orchestrator.lab.events import SCM, Record
from orchestrator.lab.host import Host

_LOGS = {"system": "System", "application": "Application"}
_TOKENS = re.compile(
    r"timediff\(@SystemTime\)\s*<=?\s*(?P<ago>\d+)"
    r"|@SystemTime\s*>=?\s*['\"](?P<since>[^'\"]+)['\"]"
    r"|@SystemTime\s*<=?\s*['\"](?P<until>[^'\"]+)['\"]"
    r"|EventID\s*=\s*(?P<id>\d+)"
    r"|Level\s*=\s*(?P<level>\d+)"
    r"|Level\s*<=\s*(?P<severe>\d+)"
    r"|@Name\s*=\s*['\"](?P<provider>[^'\"]+)['\"]"
)
_AROUND = re.compile(r"\*|\[|\]|\(|\)|System|Event\b|TimeCreated|Provider|\band\b|\bor\b|/|\s")
_SOURCES = {SCM: "Microsoft-Windows-Service Control Manager"}
_LEVELS = {2: "Error", 3: "Warning", 4: "Information"}


def run(host: Host, arguments: Sequence[str]) -> Ran:
    """`qe LOG [/q:XPATH] [/c:N] [/rd:true] [/f:xml|RenderedXml]`."""
    if len(arguments) < 2 or arguments[0].casefold() not in ("qe", "query-events"):
        return 87, [], ["The lab's wevtutil knows qe alone."]
    log = _LOGS.get(arguments[1].casefold())
    if log is None:
        return 15007, [], ["The specified channel could not be found."]
    options = {}
    for word in arguments[2:]:
        name, _, value = word.partition(":")
        options[_LONG.get(name.casefold(), name.casefold())] = value
    shape = options.get("/f", "xml").casefold()
    most = options.get("/c", "1000000")
    if (
        not set(options) <= {"/q", "/c", "/rd", "/f", "/uni"}
        or shape not in ("xml", "renderedxml")
        or not most.isdigit()
    ):
        return 87, [], ["Invalid option. The parameter is incorrect."]
    query = options.get("/q", "*")
    if _AROUND.sub("", _TOKENS.sub("", query)):
        return 15001, [], ["The specified query is invalid."]
    found = [record for record in host.events.records if record.log == log and _holds(record, query, host.now())]
    if options.get("/rd", "false").casefold() == "true":
        found.reverse()
    return 0, [_xml(host, record, rendered=shape == "renderedxml") for record in found[: int(most)]], []


def _holds(record: Record, query: str, now: float) -> bool:
    wanted: dict[str, list[str]] = {}
    for match in _TOKENS.finditer(query):
        for name, value in match.groupdict().items():
            if value is not None:
                wanted.setdefault(name, []).append(value)
    tests = {
        "ago": lambda text: (now - record.at) * 1000 <= int(text),
        "since": lambda text: record.at >= _moment(text),
        "until": lambda text: record.at <= _moment(text),
        "id": lambda text: record.id == int(text),
        "level": lambda text: record.level == int(text),
        "severe": lambda text: record.level <= int(text),
        "provider": lambda text: text in (record.provider, _SOURCES.get(record.provider)),
    }
    return all(any(tests[name](text) for text in texts) for name, texts in wanted.items())


def _moment(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    except ValueError:
        return 0.0


def _xml(host: Host, record: Record, *, rendered: bool) -> str:
    at = datetime.datetime.fromtimestamp(record.at, tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    source = f" Guid='{{555908d1-a6d7-4695-8e1e-26931d2012f4}}' EventSourceName={quoteattr(record.provider)}"
    own = record.provider == SCM
    data = "".join(
        f"<Data{f' Name={chr(39)}param{number}{chr(39)}' if own else ''}>{escape(text)}</Data>"
        for number, text in enumerate(record.data, 1)
    )
    words = (
        f"<RenderingInfo Culture='{host.spec.language}'><Message>{escape(record.message)}</Message>"
        f"<Level>{_LEVELS[record.level]}</Level><Task></Task><Opcode></Opcode><Channel></Channel>"
        f"<Provider>{_SOURCES.get(record.provider, record.provider)}</Provider><Keywords>"
        "<Keyword>Classic</Keyword></Keywords></RenderingInfo>"
    )
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name={quoteattr(record.provider)}{source if own else ''}/>"
        f"<EventID Qualifiers='{49152 if record.level == 2 else 16384}'>{record.id}</EventID><Version>0</Version>"
        f"<Level>{record.level}</Level><Task>0</Task><Opcode>0</Opcode><Keywords>0x8080000000000000</Keywords>"
        f"<TimeCreated SystemTime='{at}'/><EventRecordID>{record.number}</EventRecordID><Correlation/>"
        f"<Execution ProcessID='{host.scm.processes.services.pid}' ThreadID='1216'/><Channel>{record.log}</Channel>"
        f"<Computer>{escape(host.spec.name)}</Computer><Security/></System><EventData>{data}</EventData>"
        f"{words if rendered else ''}</Event>"
    )


_LONG = {"/query": "/q", "/count": "/c", "/reversedirection": "/rd", "/format": "/f", "/unicode": "/uni"}
