"""Names are looked up once and kept; the controller recognises itself by its addresses, and a lab is not itself."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections import Counter

import pytest

from orchestrator.adapters.addresses import by_system, ourselves, resolved
from orchestrator.domain.connection import Connection, Jump, Ssh, Transport

KNOWN = {"db.example": ["192.0.2.7", "192.0.2.8", "192.0.2.7"], "app.example": ["192.0.2.9"]}


def way(address: str, **changed: object) -> Connection:
    return Connection(host="h", address=address, port=5986, **changed)  # type: ignore[arg-type] # named where it is set


class Names:
    """A name service that counts, and is silent where it is told to."""

    def __init__(self, *silent: str) -> None:
        self.asked: Counter[str] = Counter()
        self.freed = threading.Event()
        self._silent = silent

    def __call__(self, name: str) -> list[str]:
        self.asked[name] += 1
        if name in self._silent:
            self.freed.wait(30)
        if name not in KNOWN:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return KNOWN[name]


def test_each_name_is_looked_up_once_and_its_order_is_kept() -> None:
    names = Names()
    hosts = {f"h-{n}": [way("db.example"), way("app.example", transport=Transport.SSH)] for n in range(50)}
    found = asyncio.run(resolved(hosts, names))
    assert {one.resolved for ways in found.values() for one in ways} == {("192.0.2.7", "192.0.2.8"), ("192.0.2.9",)}
    assert names.asked == {"db.example": 1, "app.example": 1}
    assert found["h-1"][0].address == "db.example", "certificates are checked by the name"


def test_addresses_are_not_looked_up() -> None:
    names = Names()
    found = asyncio.run(resolved({"a": [way("192.0.2.1")], "b": [way("2001:db8::1")]}, names))
    assert [ways[0].resolved for ways in found.values()] == [("192.0.2.1",), ("2001:db8::1",)]
    assert not names.asked


def test_a_proxy_or_a_jump_host_resolves_by_itself() -> None:
    names = Names()
    ways = [way("db.example", proxy="http://proxy"), way("192.0.2.1", ssh=Ssh(jumps=(Jump(address="bastion"),)))]
    assert asyncio.run(resolved({"h": ways}, names)) == {"h": tuple(ways)}
    assert not names.asked


def test_a_name_that_leads_nowhere_holds_nobody_up() -> None:
    found = asyncio.run(resolved({"a": [way("nowhere.example")], "b": [way("app.example")]}, Names()))
    assert [ways[0].resolved for ways in found.values()] == [(), ("192.0.2.9",)]


def test_a_silent_name_server_is_waited_for_until_the_deadline_and_no_longer() -> None:
    names = Names("db.example")
    try:
        found = asyncio.run(resolved({"a": [way("db.example")], "b": [way("app.example")]}, names, deadline_s=0.5))
    finally:
        names.freed.set()
    assert [ways[0].resolved for ways in found.values()] == [(), ("192.0.2.9",)]


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("localhost", True),
        ("127.0.0.2", False),
        ("127.33.1.2", False),
    ],
)
def test_the_controller_knows_itself_and_no_lab(address: str, *, ours: bool) -> None:
    found = asyncio.run(resolved({"h": [way("127.9.9.9"), way(address)]}))
    assert ourselves(found) == ({"h"} if ours else set())


def test_the_controller_knows_itself_by_the_addresses_of_its_networks() -> None:
    def route(address: str) -> str:
        if address == "2001:db8::1":
            raise OSError("no route")
        return "192.0.2.5" if address.startswith("192.0.2.") else "2001:DB8:0::5"

    hosts = ["192.0.2.5", "192.0.2.6", "2001:db8::5", "2001:db8::1"]
    found = asyncio.run(resolved({host: [way(host)] for host in hosts}))
    assert ourselves(found, route) == {"192.0.2.5", "2001:db8::5"}


def test_the_controller_knows_itself_by_its_name_where_that_leads_to_an_odd_loopback_address() -> None:
    """Debian's hosts file has 127.0.1.1 for it; a lab may live there too, or be named in that file."""
    hosts = ["Ctl", "ctl.example", "lab.example", "127.0.1.1", "far"]
    known = {"far": ["192.0.2.9"]}
    found = asyncio.run(resolved({host: [way(host)] for host in hosts}, lambda name: known.get(name, ["127.0.1.1"])))
    assert ourselves(found, lambda _: "127.0.0.1", called="ctl.corp.example") == {"Ctl", "ctl.example"}
    assert ourselves(found, lambda _: "127.0.0.1", called="far") == frozenset()


SLOW = """
import asyncio, threading
from orchestrator.adapters.addresses import resolved
from orchestrator.domain.connection import Connection
ways = {f"h-{n}": [Connection(host=f"h-{n}", address=f"h-{n}", port=1)] for n in range(300)}
found = asyncio.run(resolved(ways, lambda _: threading.Event().wait(600), deadline_s=0.2))
print(len(found), {ways[0].resolved for ways in found.values()})
"""


def test_the_process_ends_though_the_name_server_never_answers() -> None:
    ended = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == ("300 {()}\n", "")


def test_behind_a_jump_host_the_same_address_is_another_machine() -> None:
    far = way("127.0.0.1", ssh=Ssh(jumps=(Jump(address="bastion"),)))
    assert ourselves(asyncio.run(resolved({"h": [far]}))) == frozenset()


def test_the_system_knows_localhost() -> None:
    assert "127.0.0.1" in by_system("localhost")
