"""Host patterns as in Ansible: `db`, `app:&prod`, `web:!web-03`, `app-*`, `~regex`, `group[0]`, `all`.

Where Ansible warns about a name that it doesn't know and goes on, we refuse: `web:!wbe-03` must not take web-03 down.
"""

import re
from difflib import get_close_matches
from fnmatch import translate

from orchestrator.domain.errors import BadInput
from orchestrator.domain.inventory import ranges
from orchestrator.domain.inventory.model import Inventory

MOST_COMPARED = 5_000
"""How many names are looked at for the nearest one."""

_PIECES = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_SUBSCRIPT = re.compile(r"(.+)\[(?:(-?[0-9]{1,9})|([0-9]{1,9})[:-]([0-9]{0,9}))\]")
_WILD = re.compile(r"[?*\[]")


def select(inventory: Inventory, pattern: str) -> tuple[str, ...]:
    """The hosts that *pattern* names, each once, in the order in which `ansible PATTERN --list-hosts` shows them.

    Parts are parted by commas or colons: first those that add hosts are taken (all hosts if there is none), then the
    `&` ones keep what is in them, then the `!` ones take away. Empty if nothing is left.

    Raises:
        BadInput: a part names no host and no group, a subscript is out of range, a regular expression is bad.
    Cost: linear in hosts and groups for each part that is not a plain host name.
    """
    parts = _parts(pattern)
    if not parts:
        raise BadInput("the host pattern is empty", hint="write a host, a group, or `all`")
    adding = [part for part in parts if part[0] not in "&!"] or ["all"]
    chosen: dict[str, None] = {}
    for part in adding:
        chosen.update(dict.fromkeys([part] if part in inventory.hosts else _matches(inventory, part, pattern)))
    for part in (part for part in parts if part[0] == "&"):
        kept = set(_matches(inventory, part[1:], pattern))
        chosen = {host: None for host in chosen if host in kept}
    for part in (part for part in parts if part[0] == "!"):
        for host in _matches(inventory, part[1:], pattern):
            chosen.pop(host, None)
    return tuple(chosen)


def _parts(pattern: str) -> list[str]:
    """A colon parts only where it can't belong to an IPv6 address or to a range."""
    if "," in pattern:
        pieces = pattern.split(",")
    elif ranges.is_ipv6(pattern.strip()):
        pieces = [pattern]
    else:
        pieces = _PIECES.findall(pattern)
    return [piece.strip() for piece in pieces if piece.strip()]


def _matches(inventory: Inventory, part: str, whole: str) -> list[str]:
    expression, subscript = part, None
    if not part.startswith("~") and (subscript := _SUBSCRIPT.fullmatch(part)):
        expression = subscript[1]
    found = _named(inventory, expression, whole)
    if subscript is None or not found:
        return found
    _, index, first, last = subscript.groups()
    try:
        if index is not None:
            return [found[int(index)]]
        if last and int(last) == 0:
            return [found[int(first)]]
    except IndexError:
        here = f"{expression} has {len(found)} host{'s' * (len(found) != 1)}"
        raise BadInput(f"{_shown(part, whole)}: {here}", hint=f"the last one is {expression}[-1]") from None
    return found[int(first) : int(last) + 1 if last else len(found)]


def _named(inventory: Inventory, expression: str, whole: str) -> list[str]:
    """Hosts of the groups that *expression* names, then hosts of that name; some may be there twice, as in Ansible."""
    if not expression:
        raise BadInput(f"{_shown(whole, whole)}: `!` and `&` want a name after them")
    plain = not expression.startswith("~") and not _WILD.search(expression)
    if plain:
        groups = [expression] if expression in inventory.groups else []
        names = [expression] if expression in inventory.hosts and not groups else []
    else:
        matches = _compiled(expression, whole).match
        groups = [name for name in inventory.groups if matches(name)]
        names = [name for name in inventory.as_written if matches(name)]
    if not groups and not names and expression != "all":
        known = [name for name in (*inventory.groups, *inventory.hosts) if name != "ungrouped"][:MOST_COMPARED]
        near = get_close_matches(expression.strip("~*"), known, n=1) if plain else []
        hint = f"the nearest known name is {near[0]!r}" if near else "`orch inventory` lists hosts and groups"
        raise BadInput(f"{_shown(expression, whole)} names no host and no group of {inventory.file}", hint=hint)
    return [host for name in groups for host in inventory.groups[name].hosts] + names


def _compiled(expression: str, whole: str) -> re.Pattern[str]:
    try:
        return re.compile(expression[1:] if expression[0] == "~" else translate(expression))
    except re.error as error:
        raise BadInput(f"{_shown(expression, whole)} is no regular expression: {error}") from None


def _shown(part: str, whole: str) -> str:
    return repr(part) if part == whole else f"{part!r} in {whole!r}"
