"""Loopback addresses that no other test of this machine uses: each is claimed until the process that asked ends.

A claim is a bound UDP socket: it falls with its process, and no two processes hold the same one.
"""

import atexit
import random
import socket

_TRIES = 500
_PORT = 59850
_PER_NET = 250
_WIDE = 16


def addresses(count: int) -> list[str]:
    """So many addresses, at most 4,000. Raises RuntimeError when everything is taken."""
    wide = count > _PER_NET
    first, second = _claimed(200, 250, _WIDE) if wide else _claimed(16, 199, 1)
    return [f"127.{first}.{second + number // _PER_NET}.{number % _PER_NET + 1}" for number in range(count)]


def fresh_address() -> str:
    """One address."""
    return addresses(1)[0]


def _claimed(least: int, most: int, nets: int) -> tuple[int, int]:
    for _ in range(_TRIES):
        first, second = random.randint(least, most), random.randrange(0, 256, nets)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((f"127.{first}.{second}.1", _PORT))
        except OSError:
            claim.close()
            continue
        atexit.register(claim.close)
        return first, second
    raise RuntimeError(f"no loopback network between 127.{least} and 127.{most} is left")
