"""The misfortunes of a night: what happens in the fleet, at times, and what befalls the controller, at its writes."""

from dataclasses import dataclass
from random import Random

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.domain.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens in the fleet at a time: `crash`, `flap`, `revive`, `hand stop`, `hand start`, `hand pause`
    to a service; `vanish`, `reboot`, `fault` to a host. `lasts_s` is how long a host is gone."""

    at_s: float
    kind: str
    host: str
    service: str = ""
    lasts_s: float = 0.0
    fault: Fault | None = None
    times: int = 1
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """Something that befalls the controller at its *at*-th write (counted through all its lives): `kill before`, `kill
    after`, `freeze before`, `freeze after`, `disk full`. `lasts_s`: of a freeze or a full disk."""

    at: int
    kind: str
    lasts_s: float = 0.0


def events_of(draft: Draft, profile: str, dice: Random) -> list[Event]:
    """What happens in the fleet, in order of time."""
    services = {"services": 3, "mixed": 2, "people": 1, "network": 1, "takeover": 1}.get(profile, 0)
    hosts = {"network": 4, "mixed": 2, "people": 1, "takeover": 1}.get(profile, 0)
    made: list[Event] = []
    instances = [item for entry in draft.entries for item in entry.instances]
    for _ in range(dice.randint(0, services)):
        item = dice.choice(instances)
        kind = dice.choice(("crash", "flap", "revive", "hand stop", "hand start", "hand pause"))
        when = dice.choice((dice.uniform(0.0, 15.0), dice.uniform(0.0, 120.0)))
        made.append(Event(at_s=when, kind=kind, host=str(item.host), service=item.asked[0].name))
    for _ in range(dice.randint(0, hosts)):
        host = dice.choice(instances).host
        when = dice.uniform(0.0, 15.0)
        throw = dice.random()
        if throw < 0.25:
            made.append(Event(at_s=when, kind="vanish", host=str(host), lasts_s=dice.choice((3.0, 25.0, 90.0, 1e6))))
        elif throw < 0.4:
            made.append(Event(at_s=when, kind="reboot", host=str(host), lasts_s=dice.choice((5.0, 40.0))))
        else:
            made.append(_fault(str(host), when, dice))
    if profile in ("network", "mixed") and dice.random() < 0.12:
        when = dice.uniform(0.0, 6.0)
        made += [Event(at_s=when, kind="vanish", host=host, lasts_s=60.0) for host in draft.hosts]
    return sorted(made, key=lambda event: event.at_s)


_ON: tuple[tuple[str, ...], ...] = (
    (),
    ("read",),
    ("start", "stop", "resume"),
    ("start", "stop", "resume"),
    ("answer",),
)


def _fault(host: str, when: float, dice: Random) -> Event:
    kind = dice.choice(tuple(Fault))
    times = 1 if kind is Fault.AUTH else dice.choice((1, 1, 2, 5, 40))
    return Event(at_s=when, kind="fault", host=host, fault=kind, times=times, on=dice.choice(_ON))


def blows_of(profile: str, dice: Random) -> list[Blow]:
    """What befalls the controller, in order."""
    if profile == "killed":
        count = dice.choice((1, 1, 2, 3))
        at = 0
        made = []
        for _ in range(count):
            at += dice.randint(1, 12)
            kind = dice.choice(("kill before", "kill after")) if at > 1 else "kill after"  # else nothing has begun
            made.append(Blow(at=at, kind=kind))
        return made
    if profile == "takeover":
        kind = dice.choice(("freeze before", "freeze after"))
        return [Blow(at=dice.randint(2, 15), kind=kind, lasts_s=dice.choice((100.0, 300.0)))]
    if profile == "disk":
        return [Blow(at=dice.randint(1, 15), kind="disk full", lasts_s=dice.choice((0.0, 1.0, 20.0)))]
    if profile == "mixed" and dice.random() < 0.5:
        kind = dice.choice(("kill before", "kill after", "freeze before", "freeze after", "disk full"))
        return [Blow(at=dice.randint(2, 20), kind=kind, lasts_s=dice.choice((1.0, 150.0)))]
    return []
