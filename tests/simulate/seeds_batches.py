"""What a seed throws for how its instances go: in batches, with pauses, in zones; and what is done between stop and
start: programs and reboots."""

from dataclasses import dataclass, field, replace
from random import Random

from orchestrator.adapters.memory.fleet import MemoryService
from orchestrator.domain.budget import Budget
from orchestrator.domain.draft import Batches, Draft
from orchestrator.domain.gates import CommandCheck, Origin
from orchestrator.domain.life import Hook, Reboot
from orchestrator.domain.plan import Action
from orchestrator.domain.service import StartType
from orchestrator.domain.terms import Terms

BETWEEN = "#between"
"""What a host's part between stop and start is called, before its name."""
AWAY_S = {"well": (40.0, 70.0), "lost after": (40.0, 70.0), "slow": (200.0, 400.0)}
"""For how long a host is away that was told to start again: by what becomes of that. By no other does it go."""
_BACK_S = 120.0
_WELL_BEHAVED = ("calm", "killed")
_SIZES = ((Budget(1),), (Budget(1), Budget(2)), (Budget(2),), (Budget(1), Budget(50, True)), (Budget(34, True),))
_WAYS = ("well", "well", "well", "refused", "half", "lost after", "lost before", "nowhere")
_RESTARTS = ("well", "well", "lost after", "lost after", "lost before", "refused", "never", "slow")


@dataclass(slots=True)
class Patches:
    """What is done between, for the draft; and what becomes of it, by the keys of `Beside`."""

    between: tuple[Hook, ...] = ()
    behaves: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def grouped(draft: Draft, dice: Random) -> Draft:
    """*draft*, with batches for some of its services, and zones."""
    pauses = (0.0, 0.0, 0.0, 4.0, 30.0)
    entries = tuple(
        replace(
            entry, batches=Batches(sizes=dice.choice(_SIZES), pause_s=dice.choice(pauses), asks=dice.random() < 0.2)
        )
        if len(entry.instances) > 1 and dice.random() < 0.7
        else entry
        for entry in draft.entries
    )
    if dice.random() < 0.5:
        return replace(draft, entries=entries)
    parts: dict[str, list[str]] = {}
    for host in draft.hosts:
        parts.setdefault(dice.choice(("z1", "z1", "z2", "")), []).append(host)
    zones = tuple((zone, tuple(hosts)) for zone, hosts in sorted(parts.items()) if zone)
    return replace(draft, entries=entries, max_parallel_per_zone=dice.choice((1, 1, 2)), terms=Terms(zones=zones))


def rolling(draft: Draft, dice: Random) -> Draft:
    """*draft* for a restart that takes instances down and up one after the other: some services have to stay up, and
    where two instances are on one host nothing is done between."""
    least = (Budget(1), Budget(50, True), Budget(60, True), Budget(2))
    entries = tuple(
        replace(entry, min_available=dice.choice(least), batches=None if dice.random() < 0.6 else entry.batches)
        if len(entry.instances) > 2 or (len(entry.instances) > 1 and dice.random() < 0.7)
        else entry
        for entry in draft.entries
    )
    hosts = [item.host for entry in entries for item in entry.instances for _ in item.asked]
    between = draft.between if len(set(hosts)) == len(hosts) else ()
    return replace(draft, entries=entries, between=between)


def patches(draft: Draft, profile: str, action: Action, dice: Random) -> Patches:
    """What a restart does between; nothing in some of them, and nothing for another action."""
    if action is not Action.RESTART or dice.random() < 0.25:
        return Patches()
    kinds = ["reboot"] if profile == "killed" else dice.choice((["reboot"], ["run", "reboot"], ["run"], ["reboot"] * 2))
    made = Patches()
    made.between = tuple(
        _reboot(f"{kind}.{number}")
        if kind == "reboot"
        else _program(f"{kind}.{number}", idempotent=profile == "killed" or dice.random() < 0.5)
        for number, kind in enumerate(kinds, start=1)
    )
    if profile not in _WELL_BEHAVED:
        for hook in made.between:
            ways, word = (_RESTARTS, "reboot") if isinstance(hook.do, Reboot) else (_WAYS, "do")
            for host in draft.hosts:
                what = tuple(dice.choice(ways) for _ in range(2))
                made.behaves.append((f"{BETWEEN}@{host}/{hook.name}/{word}", what))
    return made


def _program(name: str, *, idempotent: bool) -> Hook:
    do = CommandCheck(exe="hook.exe", args=(BETWEEN, name, "do"))
    return Hook(name=name, do=do, origin=Origin.HOST, idempotent=idempotent, timeout_s=20.0)


def _reboot(name: str) -> Hook:
    return Hook(name=name, do=Reboot(timeout_s=_BACK_S), origin=Origin.HOST, timeout_s=_BACK_S)


def by_hand_alone(services: list[tuple[str, MemoryService]]) -> None:
    """Nothing comes up with its host: what does is asked about, or not, by when its controller was killed."""
    for _, service in services:
        service.start_type = StartType.MANUAL
