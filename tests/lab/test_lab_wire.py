"""What recorded conversations with real Windows hosts show, held against the lab: order, content, framing.

Source: the conversations recorded in pypsrp's own test suite (Windows Server 2016, PowerShell 5.1).
"""

import base64
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import RunspacePool
from virtual_windows import command, host, lab, run, wsman

S = "{http://www.w3.org/2003/05/soap-envelope}"
A = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}"
W = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"
X = "{http://schemas.xmlsoap.org/ws/2004/09/transfer}"
RSP = "{http://schemas.microsoft.com/wbem/wsman/1/windows/shell}"
DONE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"
SESSION_CAPABILITY, POOL_STATE, PRIVATE_DATA = 0x10002, 0x21005, 0x21009
OUTPUT, ERROR, PIPELINE_STATE, WARNING = 0x41004, 0x41005, 0x41006, 0x41009
BOM = b"\xef\xbb\xbf"
NO_ID = bytes(16)


@dataclass(frozen=True)
class Message:
    """One whole PSRP message of one Stream element."""

    object_id: int
    destination: int
    kind: int
    pool: bytes
    pipeline: bytes
    content: bytes


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    action: str
    request: ET.Element
    answer: ET.Element

    @property
    def fragments(self) -> list[bytes]:
        return [base64.b64decode(stream.text or "") for stream in self.answer.iter(f"{RSP}Stream")]

    @property
    def messages(self) -> list[Message]:
        return [message(data) for data in self.fragments]


def message(data: bytes) -> Message:
    object_id, number, flags, length = struct.unpack(">QQBI", data[:21])
    assert (number, flags, length) == (0, 3, len(data) - 21), "one Stream element holds one message"
    destination, kind = struct.unpack("<II", data[21:29])
    return Message(object_id, destination, kind, data[29:45], data[45:61], data[61:])


class Tap:
    """Stands between pypsrp's WSMan and its transport, and keeps what goes by."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.seen: list[Exchange] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def send(self, data: bytes, **given: Any) -> bytes:
        answer: bytes = self._transport.send(data, **given)
        request = ET.fromstring(data)
        action = request.findtext(f"{S}Header/{A}Action", "").rpartition("/")[2]
        self.seen.append(Exchange(action, request, ET.fromstring(answer)))
        return answer


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    one = host(
        "db-01",
        {"name": "A", "stop_s": 0.0},
        {"name": "B", "stop_s": 30.0},
        {"name": "C", "state": "Stopped", "start_s": 30.0},
    )
    with lab(tmp_path_factory.mktemp("lab"), one):
        yield one["address"]


@pytest.fixture
def tapped(address: str) -> Iterator[tuple[RunspacePool, Tap]]:
    with wsman(address) as connection:
        tap = Tap(connection.transport)
        connection.transport = tap  # type: ignore[assignment]  # looks like one
        yield RunspacePool(connection, max_runspaces=2), tap


def test_opening_takes_three_requests_and_three_messages(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    create, first, second = tap.seen
    assert [exchange.action for exchange in tap.seen] == ["Create", "Receive", "Receive"]
    assert create.answer.findtext(f".//{X}ResourceCreated//{W}Selector") == pool.id
    assert create.answer.findtext(f".//{RSP}Shell/{RSP}ShellId") == pool.id
    assert [message.kind for message in first.messages] == [SESSION_CAPABILITY, PRIVATE_DATA]
    assert [message.kind for message in second.messages] == [POOL_STATE]
    assert [message.object_id for message in (*first.messages, *second.messages)] == [1, 2, 3]
    assert first.messages[0].pool == NO_ID, "the capabilities come before the pool has its id"
    assert first.messages[1].pool == second.messages[0].pool != NO_ID
    for seen in (*first.messages, *second.messages):
        assert (seen.destination, seen.pipeline) == (1, NO_ID)
        assert seen.content.startswith(BOM + b'<Obj RefId="0">')
    assert second.messages[0].content == BOM + b'<Obj RefId="0"><MS><I32 N="RunspaceState">2</I32></MS></Obj>'
    assert all("CommandId" not in stream.attrib for stream in first.answer.iter(f"{RSP}Stream"))
    pool.close()


def test_a_quick_command_takes_two_requests_and_its_end_comes_with_its_output(
    tapped: tuple[RunspacePool, Tap],
) -> None:
    pool, tap = tapped
    pool.open()
    del tap.seen[:]
    shell = run(pool, "Get-Service", Name=["A", "nobody"])
    accepted, received = tap.seen
    assert [exchange.action for exchange in tap.seen] == ["Command", "Receive"]
    assert accepted.answer.findtext(f".//{RSP}CommandResponse/{RSP}CommandId") == shell.id
    kinds = [message.kind for message in received.messages]
    assert sorted(kinds[:-1]) == [OUTPUT, ERROR]
    assert kinds[-1] == PIPELINE_STATE
    assert received.messages[-1].content == BOM + b'<Obj RefId="0"><MS><I32 N="PipelineState">4</I32></MS></Obj>'
    assert {stream.get("CommandId") for stream in received.answer.iter(f"{RSP}Stream")} == {shell.id}
    (body,) = received.answer.iter(f"{RSP}ReceiveResponse")
    assert body[-1].tag == f"{RSP}CommandState"
    assert (body[-1].get("State"), body[-1].findtext(f"{RSP}ExitCode")) == (DONE, "0")
    pool.close()


def test_no_message_says_that_a_pipeline_runs(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    shell = command(pool, "Stop-Service", Name="B")
    shell.begin_invoke()
    del tap.seen[:]
    shell.poll_invoke(timeout=5)
    assert [message.kind for exchange in tap.seen for message in exchange.messages] == [WARNING]
    assert list(tap.seen[0].answer.iter(f"{RSP}CommandState")) == []
    shell.stop()
    pool.close()


def test_object_ids_rise_over_the_whole_pool(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    for _ in range(3):
        run(pool, "Get-Service", Name="A")
    ids = [message.object_id for exchange in tap.seen for message in exchange.messages]
    assert ids == list(range(1, len(ids) + 1))
    pool.close()


def test_large_messages_come_in_fragments_of_at_most_32_kib(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    run(pool, "lab-exit.exe", "0", "x" * 100_000)
    fragments = [data for exchange in tap.seen for data in exchange.fragments]
    whole = max(fragments, key=len)
    big = [data for data in fragments if data[:8] == whole[:8]]
    assert [struct.unpack(">Q", data[8:16])[0] for data in big] == [0, 1, 2, 3]
    assert [data[16] for data in big] == [1, 0, 0, 2]
    assert max(map(len, big)) == 32768
    pool.close()


def test_answers_relate_to_their_requests_and_stay_within_the_envelope(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    run(pool, "lab-exit.exe", "0", "x" * 1_000_000)
    pool.close()
    for exchange in tap.seen:
        message_id = exchange.request.findtext(f"{S}Header/{A}MessageID")
        assert exchange.answer.findtext(f"{S}Header/{A}RelatesTo") == message_id
        assert exchange.answer.findtext(f"{S}Header/{A}Action", "").endswith(f"/{exchange.action}Response")
        limit = int(exchange.request.findtext(f"{S}Header/{W}MaxEnvelopeSize", "0"))
        assert len(ET.tostring(exchange.answer)) <= limit
    assert {int(e.request.findtext(f"{S}Header/{W}MaxEnvelopeSize", "0")) for e in tap.seen} == {153600, 512000}


def test_closing_is_one_delete_with_an_empty_body(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    del tap.seen[:]
    pool.close()
    (delete,) = tap.seen
    (body,) = delete.answer.iter(f"{S}Body")
    assert (delete.action, list(body)) == ("Delete", [])


def test_a_failure_is_told_by_the_state_message_alone(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    del tap.seen[:]
    run(pool, "No-Such")
    (last,) = tap.seen[-1].messages
    record = ET.fromstring(last.content.removeprefix(BOM))
    assert last.kind == PIPELINE_STATE
    assert record.findtext("MS/I32") == "5"
    assert record.find("MS/Obj[@N='ExceptionAsErrorRecord']") is not None
    pool.close()


def test_a_stop_ends_the_pipeline_with_state_three_and_its_error(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    shell = command(pool, "Start-Service", Name="C")
    shell.begin_invoke()
    shell.stop()
    assert tap.seen[-1].action == "Signal"
    assert [child.tag for child in tap.seen[-1].answer.iter(f"{S}Body")][0] == f"{S}Body"
    pool.pipelines[shell.id] = shell
    pool._receive(shell.id)
    (last,) = tap.seen[-1].messages
    assert b'<I32 N="PipelineState">3</I32>' in last.content
    assert b"PipelineStopped" in last.content
    assert tap.seen[-1].answer.find(f".//{RSP}CommandState") is not None
    pool.close()


def test_who_waits_for_output_while_the_shell_is_deleted_gets_995(address: str) -> None:
    with wsman(address) as waiting, wsman(address) as deleting:
        pool = RunspacePool(waiting)
        pool.open()
        shell = command(pool, "Stop-Service", Name="B")
        shell.begin_invoke()
        deleting.delete(pool.shell.resource_uri, selector_set=pool.shell._selector_set)
        with pytest.raises(WSManFaultError) as fault:
            shell.poll_invoke(timeout=5)
        assert fault.value.code in (995, 2150858843), "aborted if it waited already, unknown if it came too late"
        waiting.close()


def test_several_statements_share_a_runspace(tapped: tuple[RunspacePool, Tap]) -> None:
    pool, tap = tapped
    pool.open()
    shell = command(pool, "lab-exit.exe", "7", "first")
    shell.add_statement().add_cmdlet("lab-exit.exe").add_argument("9").add_argument("second")
    shell.add_statement().add_cmdlet("Get-Variable").add_parameters({"Name": "LASTEXITCODE", "ValueOnly": True})
    assert shell.invoke() == ["first", "second", 9]
    pool.close()
