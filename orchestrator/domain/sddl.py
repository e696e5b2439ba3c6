"""Whether an account may start and stop a service, read from the service's security descriptor in SDDL.

Sources: [MS-DTYP] 2.5.1 (the language) and 2.5.3 (the access check); "Service Security and Access Rights" of the
Win32 API (what the rights mean for a service, and the generic mapping).
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum

SERVICE_START = 0x10
SERVICE_STOP = 0x20
_ALL = 0xF01FF
_RIGHTS = {
    "CC": 0x1,
    "DC": 0x2,
    "LC": 0x4,
    "SW": 0x8,
    "RP": SERVICE_START,
    "WP": SERVICE_STOP,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
    "SD": 0x10000,
    "RC": 0x20000,
    "WD": 0x40000,
    "WO": 0x80000,
    "GA": _ALL,
    "GX": 0x20170,
    "GW": 0x20002,
    "GR": 0x2008D,
    "FA": 0x1F01FF,
    "FR": 0x120089,
    "FW": 0x120116,
    "FX": 0x1200A0,
    "KA": 0xF003F,
    "KR": 0x20019,
    "KW": 0x20006,
    "KX": 0x20019,
}
"""Right codes -> bits; the generic ones as they are mapped for services."""
_GENERIC = ((0x10000000, _ALL), (0x20000000, 0x20170), (0x40000000, 0x20002), (0x80000000, 0x2008D))
_SIDS = {
    "WD": "S-1-1-0",
    "CO": "S-1-3-0",
    "CG": "S-1-3-1",
    "NU": "S-1-5-2",
    "IU": "S-1-5-4",
    "SU": "S-1-5-6",
    "AN": "S-1-5-7",
    "ED": "S-1-5-9",
    "PS": "S-1-5-10",
    "AU": "S-1-5-11",
    "RC": "S-1-5-12",
    "SY": "S-1-5-18",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "WR": "S-1-5-33",
    "BA": "S-1-5-32-544",
    "BU": "S-1-5-32-545",
    "BG": "S-1-5-32-546",
    "PU": "S-1-5-32-547",
    "AO": "S-1-5-32-548",
    "SO": "S-1-5-32-549",
    "PO": "S-1-5-32-550",
    "BO": "S-1-5-32-551",
    "RE": "S-1-5-32-552",
    "RU": "S-1-5-32-554",
    "RD": "S-1-5-32-555",
    "NO": "S-1-5-32-556",
    "MU": "S-1-5-32-558",
    "LU": "S-1-5-32-559",
    "RM": "S-1-5-32-580",
    "AC": "S-1-15-2-1",
}
_RELATIVE = {
    "RO": 498,
    "LA": 500,
    "LG": 501,
    "DA": 512,
    "DU": 513,
    "DG": 514,
    "DC": 515,
    "DD": 516,
    "CA": 517,
    "SA": 518,
    "EA": 519,
    "PA": 520,
    "CN": 522,
    "AP": 525,
    "KA": 526,
    "EK": 527,
    "RS": 553,
}
"""Aliases of accounts of a domain or machine that the text does not name: the last number of their SIDs."""
_SID = re.compile(r"S-1-(?:0x[0-9A-Fa-f]+|\d+)(?:-\d+)+", re.IGNORECASE)
_ALIAS = re.compile(r"[A-Z]{2}")
_DACL_FLAGS = re.compile(r"(?:P|AR|AI|NO_ACCESS_CONTROL)*")
_ACE_FLAGS = re.compile(r"(?:[A-Z]{2})*")
_ACE_TYPES = {"A": True, "D": False, "OA": True, "OD": False, "XA": True, "XD": False}


@dataclass(frozen=True, slots=True)
class Rights:
    """What an account may do to a service. None: it can't be told from what is known."""

    start: bool | None
    stop: bool | None


class _Match(Enum):
    NO = "no"
    PERHAPS = "perhaps"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class _Ace:
    allows: bool
    mask: int
    trustee: str
    certain: bool
    """False: it holds under a condition that can't be checked from here."""


def may_control(sddl: str, sids: Collection[str]) -> Rights:
    """Whether an account with *sids* (its own and its groups') may start and stop the service behind *sddl*.

    The entries count in the order in which they stand, as in Windows' own check: the first that speaks of a right
    decides. Without SIDs, and without a DACL in the text, nothing can be told.

    Raises:
        ValueError: *sddl* is no security descriptor; the message says where it breaks.
    """
    dacl = _dacl(sddl)
    if dacl is None or not sids:
        return Rights(None, None)
    flags, aces = dacl
    if "NO_ACCESS_CONTROL" in flags:
        return Rights(start=True, stop=True)
    held = frozenset(sid.upper() for sid in sids)
    return Rights(start=_decide(aces, held, SERVICE_START), stop=_decide(aces, held, SERVICE_STOP))


def _decide(aces: Collection[_Ace], held: frozenset[str], right: int) -> bool | None:
    answers: set[bool] = set()
    for ace in aces:
        if not ace.mask & right:
            continue
        match = _match(ace.trustee, held)
        if match is _Match.NO:
            continue
        answers.add(ace.allows)
        if match is _Match.YES and ace.certain:
            break
    else:
        answers.add(False)
    return answers.pop() if len(answers) == 1 else None


def _match(trustee: str, held: frozenset[str]) -> _Match:
    sid = _SIDS.get(trustee, trustee)
    if sid in held:
        return _Match.YES
    if trustee in _RELATIVE:
        end = f"-{_RELATIVE[trustee]}"
        near = any(one.startswith("S-1-5-21-") and one.endswith(end) for one in held)
        return _Match.PERHAPS if near else _Match.NO
    return _Match.NO if sid.startswith("S-") else _Match.PERHAPS


def _dacl(sddl: str) -> tuple[str, list[_Ace]] | None:
    sections = list(_sections(sddl.strip()))
    names = [name for name, _ in sections]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"no security descriptor: {sddl[:60]!r} has no part O:, G:, D: or S:, or one of them twice")
    bodies = [body for name, body in sections if name == "D"]
    if not bodies:
        return None
    flags, brace, rest = bodies[0].partition("(")
    if not _DACL_FLAGS.fullmatch(flags):
        raise ValueError(f"no security descriptor: {flags[:40]!r} are no flags of a DACL")
    aces = [_ace(text) for text in _groups(brace + rest)]
    return flags, [ace for ace in aces if ace is not None]


def _sections(sddl: str) -> Iterator[tuple[str, str]]:
    """The parts O:, G:, D: and S:, which stand outside all parentheses."""
    depth, starts = 0, []
    for place, char in enumerate(sddl):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            raise ValueError(f"no security descriptor: a ) too many at character {place + 1}")
        if depth == 0 and char == ":":
            if place == 0 or sddl[place - 1] not in "OGDS":
                raise ValueError(f"no security descriptor: an odd part at character {place + 1}")
            starts.append(place - 1)
    if depth:
        raise ValueError("no security descriptor: it ends inside parentheses")
    if not starts or starts[0] != 0:
        raise ValueError(f"no security descriptor: {sddl[:60]!r} begins with no part O:, G:, D: or S:")
    for start, end in zip(starts, [*starts[1:], len(sddl)], strict=True):
        yield sddl[start], sddl[start + 2 : end]


def _groups(text: str) -> Iterator[str]:
    """What stands in each outer pair of parentheses; they are balanced, and nothing may stand between them."""
    depth, start = 0, 0
    for place, char in enumerate(text):
        if depth == 0:
            if char != "(":
                raise ValueError(f"no security descriptor: {text[place : place + 20]!r} stands between entries")
            start = place + 1
        depth += (char == "(") - (char == ")")
        if depth == 0:
            yield text[start:place]


def _ace(text: str) -> _Ace | None:
    """One entry; None if it only is inherited by others and says nothing of the service itself."""
    fields = text.split(";", 6)
    if len(fields) < 6:
        raise ValueError(f"no security descriptor: the entry ({text[:40]}) has fewer than six fields")
    kind, flags, rights, object_type, _, trustee = (field.strip() for field in fields[:6])
    if kind not in _ACE_TYPES:
        raise ValueError(f"no security descriptor: an entry of type {kind[:10]!r} in a DACL")
    if not _ACE_FLAGS.fullmatch(flags):
        raise ValueError(f"no security descriptor: {flags[:40]!r} are no flags of an entry")
    if not (_SID.fullmatch(trustee) or _ALIAS.fullmatch(trustee)):
        raise ValueError(f"no security descriptor: {trustee[:60]!r} is no account")
    mask = _mask(rights)
    if "IO" in (flags[place : place + 2] for place in range(0, len(flags), 2)):
        return None
    certain = not kind.startswith("X") and not object_type
    return _Ace(allows=_ACE_TYPES[kind], mask=mask, trustee=trustee.upper(), certain=certain)


def _mask(rights: str) -> int:
    if rights[:1].isdigit():
        try:
            mask = int(rights, 16) if rights[:2].lower() == "0x" else int(rights)
        except ValueError:
            raise ValueError(f"no security descriptor: {rights[:40]!r} is no access mask") from None
        for generic, meant in _GENERIC:
            mask |= meant if mask & generic else 0
        return mask
    mask = 0
    for place in range(0, len(rights), 2):
        code = rights[place : place + 2]
        if code not in _RIGHTS:
            raise ValueError(f"no security descriptor: {code!r} is no right")
        mask |= _RIGHTS[code]
    return mask
