"""The addresses of hosts: looked up once, side by side, before anything is asked, and kept for the run.

A name server that goes away in the night then stops nothing, and nobody is asked a thousand times. Names stay what
certificates and tickets are checked by.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestrator.domain.connection import Connection

LookUp = Callable[[str], Sequence[str]]
"""The IP addresses of a name, best first. Blocks. Raises OSError if it has none."""

SpokenFrom = Callable[[str], str]
"""The address from which this machine would speak to another one; nothing is sent. Raises OSError if it could not."""

AT_ONCE = 64
DEADLINE_S = 8.0
"""What is not known by then is looked up again by whoever connects, and told of that host."""
_ANY_PORT = 9


def by_system(name: str) -> Sequence[str]:
    """As this machine resolves names: its hosts file, its name servers, and its order of preference."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def resolved(
    connections: Mapping[str, Sequence[Connection]], look_up: LookUp = by_system, *, deadline_s: float = DEADLINE_S
) -> dict[str, tuple[Connection, ...]]:
    """*connections* with `resolved` filled in, but where a proxy or a jump host resolves, or the name leads nowhere.

    Never raises. Each name is looked up once, AT_ONCE of them at a time, for *deadline_s* in all; addresses cost
    nothing.
    """
    names = {one.address for ways in connections.values() for one in ways if _is_ours_to_resolve(one)}
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in names if _is_address(name)}
    unknown = sorted(names - found.keys())
    found |= await _looked_up(unknown, look_up, deadline_s) if unknown else {}

    def filled(one: Connection) -> Connection:
        known = found.get(one.address) if _is_ours_to_resolve(one) else None
        return replace(one, resolved=known) if known else one

    return {host: tuple(map(filled, ways)) for host, ways in connections.items()}


def spoken_from(address: str) -> str:
    """As this machine routes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((address, _ANY_PORT))
        return str(sock.getsockname()[0])


def ourselves(
    connections: Mapping[str, Sequence[Connection]], route: SpokenFrom = spoken_from, *, called: str = ""
) -> frozenset[str]:
    """The hosts that are this very machine: one of their addresses is one of its own.

    Only with itself a machine speaks from the very address that it speaks to. 127.0.0.1 and ::1 are such; the rest of
    127.0.0.0/8 is where labs live. But for the name by which the machine is *called* ("": as the system says): Debian
    gives that 127.0.1.1.
    """
    called = (called or socket.gethostname()).casefold().partition(".")[0]
    addresses = {address for ways in connections.values() for one in ways for address in one.resolved}
    own = {address for address in addresses if _is_own(address, route)}

    def is_ours(one: Connection) -> bool:
        named = one.address.casefold().partition(".")[0] == called and not _is_address(one.address)
        return not own.isdisjoint(one.resolved) or (named and any(map(_is_loopback, one.resolved)))

    return frozenset(host for host, ways in connections.items() if any(map(is_ours, ways)))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _is_ours_to_resolve(connection: Connection) -> bool:
    return not connection.proxy and not connection.ssh.jumps


async def _looked_up(names: Sequence[str], look_up: LookUp, deadline_s: float) -> dict[str, tuple[str, ...]]:
    """In threads that nobody waits for: a silent name server holds one for longer than a person would at the end."""
    loop, all_told = asyncio.get_running_loop(), asyncio.Event()
    waiting, found = deque(names), dict[str, tuple[str, ...]]()
    left = len(names)

    def told(name: str, addresses: tuple[str, ...]) -> None:
        nonlocal left
        left -= 1
        if addresses:
            found[name] = addresses
        if not left:
            all_told.set()

    def work() -> None:
        with contextlib.suppress(IndexError, RuntimeError):  # nothing is left to do; nobody is left to tell
            while True:
                name = waiting.popleft()
                try:
                    addresses = tuple(dict.fromkeys(look_up(name)))
                except (OSError, UnicodeError):
                    addresses = ()
                loop.call_soon_threadsafe(told, name, addresses)

    for number in range(min(AT_ONCE, len(names))):
        threading.Thread(target=work, name=f"names-{number}", daemon=True).start()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await all_told.wait()
    finally:
        waiting.clear()
    return dict(found)


def _is_own(address: str, route: SpokenFrom) -> bool:
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified:
        return True
    try:
        return ipaddress.ip_address(route(address)) == ip
    except OSError:  # nowhere to send to, so not here
        return False
