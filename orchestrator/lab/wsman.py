"""WS-Management envelopes: reading requests, writing answers and faults.

The shapes are those of recorded conversations with Windows Server; pypsrp insists on RelatesTo.
"""

import re
import uuid
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

_S = "{http://www.w3.org/2003/05/soap-envelope}"
_A = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}"
_W = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"
RSP = "{http://schemas.microsoft.com/wbem/wsman/1/windows/shell}"
PWSH = "{http://schemas.microsoft.com/powershell}"
_SHELL_URI = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_TRANSFER_URI = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d*)?|\.\d+)S)?)?")
_DEFAULT_TIMEOUT_S = 60.0
_DEFAULT_ENVELOPE = 153600
OWN_ENVELOPE = 512000
"""MaxEnvelopeSizekb 500, in bytes."""
DONE = f"{_SHELL_URI}/CommandState/Done"


class NotSoap(ValueError):
    """The request is no WS-Management envelope."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request. `action` is its last word; `timeout_s` is OperationTimeout; `limit` the bytes an answer may have."""

    action: str
    message_id: str
    resource: str
    shell_id: str
    timeout_s: float
    limit: int
    to: str
    body: ElementTree.Element

    def find(self, path: str) -> ElementTree.Element | None:
        """An element of the body."""
        return self.body.find(path)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, in WS-Management's words; `code` 0 stands for none."""

    code: int
    subcode: str
    reason: str
    sender: bool = True
    detail: str = ""


def timed_out() -> Fault:
    """Nothing to say within OperationTimeout."""
    return Fault(
        2150858793,
        "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  ",
        sender=False,
    )


def unknown_shell() -> Fault:
    """No such shell."""
    return Fault(
        2150858843,
        "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request contained invalid selectors for the"
        " resource. ",
        detail="<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/UnexpectedSelectors"
        "</w:FaultDetail>",
    )


def unknown_command() -> Fault:
    """No such command in the shell."""
    return Fault(
        2150858843,
        "w:InvalidSelectors",
        "The Windows Remote Shell received a request to perform an operation on a command identifier that does not"
        " exist. Either the command has completed execution or the client specified an invalid command identifier. ",
        detail="<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/UnexpectedSelectors"
        "</w:FaultDetail>",
    )


def aborted() -> Fault:
    """The shell or the command was deleted while somebody waited for it."""
    return Fault(
        995,
        "w:InternalError",
        "The I/O operation has been aborted because of either a thread exit or an application request. ",
        sender=False,
    )


def too_many_shells(most: int) -> Fault:
    """MaxShellsPerUser is used up."""
    return Fault(
        2150859173,
        "w:QuotaLimit",
        "The WS-Management service cannot process the request. This user is allowed a maximum number of"
        f" {most} concurrent shells, which has been exceeded. Close existing shells or raise the quota for this user. ",
    )


def too_many_commands() -> Fault:
    """MaxConcurrentCommandsPerShell is used up; some versions count over the life of the shell. It has no number."""
    return Fault(
        0,
        "w:InternalError",
        "The WS-Management service cannot process the request. The maximum number of concurrent commands per shell has"
        " been exceeded. Retry the request later or raise the Maximum Commands per Shell quota. ",
        sender=False,
    )


def bad_request(what: str) -> Fault:
    """The envelope is well formed, and what it asks for can't be done."""
    return Fault(87, "w:InvalidParameter", f"The parameter is incorrect. {what}")


def bad_timeout(text: str) -> Fault:
    """OperationTimeout can't be read."""
    return Fault(
        2150858767,
        "a:InvalidMessageInformationHeader",
        "The WS-Management service cannot process the request. The XML contains an invalid timeout field in the SOAP"
        f" header: {text}. ",
    )


class BadTimeout(NotSoap):
    """OperationTimeout is no duration."""

    def __init__(self, text: str, message_id: str) -> None:
        self.text = text
        self.message_id = message_id
        super().__init__(text)


def read(data: bytes) -> Envelope:
    """Read one request. Raises NotSoap."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as exc:
        raise NotSoap(str(exc)) from exc
    header, body = root.find(f"{_S}Header"), root.find(f"{_S}Body")
    if header is None or body is None:
        raise NotSoap("no Header or no Body")
    message_id = header.findtext(f"{_A}MessageID", "")
    shell_id = ""
    for selector in header.iterfind(f"{_W}SelectorSet/{_W}Selector"):
        if selector.get("Name") == "ShellId":
            shell_id = (selector.text or "").upper()
    limit = header.findtext(f"{_W}MaxEnvelopeSize", "")
    return Envelope(
        action=header.findtext(f"{_A}Action", "").rpartition("/")[2],
        message_id=message_id,
        resource=header.findtext(f"{_W}ResourceURI", ""),
        shell_id=shell_id,
        timeout_s=_seconds(header.findtext(f"{_W}OperationTimeout", ""), message_id),
        limit=min(OWN_ENVELOPE, int(limit) if limit.isdigit() else _DEFAULT_ENVELOPE),
        to=header.findtext(f"{_A}To", ""),
        body=body,
    )


def answer(request: Envelope, body: str) -> bytes:
    """The answer to *request* with *body* as XML."""
    base = _TRANSFER_URI if request.action in ("Create", "Delete", "Get") else _SHELL_URI
    return _envelope(f"{base}/{request.action}Response", request.message_id, body)


def fault(message_id: str, what: Fault, machine: str) -> bytes:
    """A fault; it goes with HTTP status 500."""
    role = "s:Sender" if what.sender else "s:Receiver"
    reason = escape(what.reason)
    own = (
        '<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
        f"Code={quoteattr(str(what.code))} Machine={quoteattr(machine)}><f:Message>{reason}</f:Message></f:WSManFault>"
    )
    body = (
        f"<s:Fault><s:Code><s:Value>{role}</s:Value><s:Subcode><s:Value>{what.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason><s:Detail>{what.detail}'
        f"{own if what.code else ''}</s:Detail></s:Fault>"
    )
    return _envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", message_id, body)


def created(request: Envelope, shell_id: str, owner: str, client: str, process: int) -> str:
    """The body of a CreateResponse."""
    return (
        f"<x:ResourceCreated><a:Address>{escape(request.to)}</a:Address><a:ReferenceParameters>"
        f'<w:ResourceURI>{escape(request.resource)}</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">'
        f"{shell_id}</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>"
        + shell(request, shell_id, owner, client, process)
    )


def shell(request: Envelope, shell_id: str, owner: str, client: str, process: int) -> str:
    """A description of a shell, as Create and Get give it."""
    return (
        f"<rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId><rsp:ResourceUri>{escape(request.resource)}"
        f"</rsp:ResourceUri><rsp:Owner>{escape(owner)}</rsp:Owner><rsp:ClientIP>{client}</rsp:ClientIP>"
        f"<rsp:ProcessId>{process}</rsp:ProcessId><rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut>"
        "<rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>"
        "<rsp:MaxIdleTimeOut>PT2147483.647S</rsp:MaxIdleTimeOut><rsp:Locale>en-US</rsp:Locale>"
        "<rsp:DataLocale>en-US</rsp:DataLocale><rsp:CompressionMode>NoCompression</rsp:CompressionMode>"
        "<rsp:ProfileLoaded>Yes</rsp:ProfileLoaded><rsp:Encoding>UTF8</rsp:Encoding>"
        "<rsp:BufferMode>Block</rsp:BufferMode><rsp:State>Connected</rsp:State>"
        "<rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime><rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity>"
        "</rsp:Shell>"
    )


def config() -> str:
    """The WinRM configuration that pypsrp asks for."""
    return (
        '<cfg:Config xmlns:cfg="http://schemas.microsoft.com/wbem/wsman/1/config">'
        f"<cfg:MaxEnvelopeSizekb>{OWN_ENVELOPE // 1024}</cfg:MaxEnvelopeSizekb></cfg:Config>"
    )


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    return (
        '<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer" '
        'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
        f'xmlns:rsp="{_SHELL_URI}" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"><s:Header>'
        f"<a:Action>{action}</a:Action><a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        "<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _seconds(text: str, message_id: str) -> float:
    if not text:
        return _DEFAULT_TIMEOUT_S
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise BadTimeout(text, message_id)
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds
