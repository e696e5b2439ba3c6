"""The addresses of hosts: looked up once, side by side, before anything is asked, and kept for the run.

A name server that goes away in the night then stops nothing, and nobody is asked a thousand times. Names stay what
certificates and tickets are checked by.
"""

import asyncio
import concurrent.futures
import ipaddress
import socket
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
    found |= await _looked_up(sorted(names - found.keys()), look_up, deadline_s)

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


def ourselves(connections: Mapping[str, Sequence[Connection]], route: SpokenFrom = spoken_from) -> frozenset[str]:
    """The hosts that are this very machine: one of their addresses is one of its own.

    Only with itself a machine speaks from the very address that it speaks to. 127.0.0.1 and ::1 are such; the rest of
    127.0.0.0/8 is where labs live.
    """
    addresses = {address for ways in connections.values() for one in ways for address in one.resolved}
    own = {address for address in addresses if _is_own(address, route)}
    return frozenset(
        host for host, ways in connections.items() if any(not own.isdisjoint(one.resolved) for one in ways)
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_ours_to_resolve(connection: Connection) -> bool:
    return not connection.proxy and not connection.ssh.jumps


async def _looked_up(names: Sequence[str], look_up: LookUp, deadline_s: float) -> dict[str, tuple[str, ...]]:
    if not names:
        return {}
    threads = concurrent.futures.ThreadPoolExecutor(min(AT_ONCE, len(names)), thread_name_prefix="names")
    loop = asyncio.get_running_loop()
    asked = {name: loop.run_in_executor(threads, look_up, name) for name in names}
    try:
        done, _ = await asyncio.wait(asked.values(), timeout=deadline_s)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    return {
        name: tuple(dict.fromkeys(answer.result()))
        for name, answer in asked.items()
        if answer in done and answer.exception() is None
    }


def _is_own(address: str, route: SpokenFrom) -> bool:
    ip = ipaddress.ip_address(address)
    if ip.is_unspecified:
        return True
    try:
        return ipaddress.ip_address(route(address)) == ip
    except OSError:  # nowhere to send to, so not here
        return False
