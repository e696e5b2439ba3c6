"""Host names as an inventory writes them: `web[01:50]`, `db-[a:f]`, `node[0:100:10]-[a:b]`, with or without a port.

Ansible's rules, except that it takes an empty range (`[5:3]`) in silence, and we don't.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from itertools import product
from string import ascii_letters

MOST_NAMES = 100_000
"""The most names that one entry may stand for."""

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_BRACKETED = re.compile(r"\[(.+)\]:([0-9]{1,9})")
_WITH_PORT = re.compile(r"((?:[^:\[\]]|\[[^\[\]]*\])+):([0-9]{1,9})")
_NAME = re.compile(r"[\w.-]+")
_SHAPE = "write [FIRST:LAST] or [FIRST:LAST:STEP], as in web[01:50] or db-[a:f]"


def expand(entry: str) -> tuple[Sequence[str], int | None]:
    """The host names that an inventory entry stands for, in order, and its port if it has one.

    Raises:
        ValueError: a bad range, a name that no host can have, or more than MOST_NAMES names.
    """
    if _NAME.fullmatch(entry):
        return (entry,), None
    if is_ipv6(entry):
        return (entry,), None
    found = _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    name, port = (found[1], int(found[2])) if found else (entry, None)
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"{port} is no port; a port is a number from 1 to 65535")
    names = list(_expanded(name)) if "[" in name else [name]
    for one in names:
        if not _NAME.fullmatch(one) and not is_ipv6(one):
            raise ValueError(f"{one!r} is no host name; a name has letters, digits, dots, dashes and underscores")
    return names, port


def is_name(text: str) -> bool:
    """Whether *text* can name a group or a host."""
    return bool(_NAME.fullmatch(text))


@lru_cache(maxsize=1024)
def is_ipv6(text: str) -> bool:
    """Whether *text* is an IPv6 address, without brackets or zone."""
    try:
        return ":" in text and "%" not in text and bool(IPv6Address(text).packed)
    except ValueError:
        return False


def _expanded(name: str) -> Iterator[str]:
    pieces = _RANGE.split(name)
    if any("[" in plain or "]" in plain for plain in pieces[::2]):
        raise ValueError(f"{name!r} has a bracket without its other half; {_SHAPE}")
    choices: list[Sequence[str]] = [_values(piece) if index % 2 else (piece,) for index, piece in enumerate(pieces)]
    count = math.prod(map(len, choices))
    if count > MOST_NAMES:
        raise ValueError(f"{name!r} stands for {count} hosts; an entry stands for at most {MOST_NAMES}")
    return map("".join, product(*choices))


def _values(bounds: str) -> Sequence[str]:
    parts = bounds.split(":")
    if len(parts) not in (2, 3) or not parts[1]:
        raise ValueError(f"[{bounds}] is no range; {_SHAPE}")
    first, last = parts[0] or "0", parts[1]
    step = _number(parts[2]) if len(parts) == 3 else 1
    if not step:
        raise ValueError(f"[{bounds}]: the step is a number from 1; {_SHAPE}")
    if first in ascii_letters and last in ascii_letters and len(first) == len(last) == 1:
        begin, end = ascii_letters.index(first), ascii_letters.index(last)
        values: Sequence[str] = ascii_letters[begin : end + 1 : step]
    else:
        values = _numbers(bounds, first, last, step)
    if not values:
        raise ValueError(f"[{bounds}] is empty: {first} comes after {last}")
    return values


def _numbers(bounds: str, first: str, last: str, step: int) -> Sequence[str]:
    begin, end = _number(first), _number(last)
    if begin is None or end is None:
        raise ValueError(f"[{bounds}] goes neither from number to number nor from letter to letter; {_SHAPE}")
    width = len(first) if first[0] == "0" and len(first) > 1 else 0
    if width and width != len(last):
        raise ValueError(f"[{bounds}]: with a leading zero both ends have the same number of digits")
    numbers = range(begin, end + 1, step)
    if len(numbers) > MOST_NAMES:
        raise ValueError(f"[{bounds}] stands for {len(numbers)} hosts; an entry stands for at most {MOST_NAMES}")
    return [str(number).zfill(width) for number in numbers]


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None
