"""What runs left kept down on hosts: finding it, and putting it back without a run."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.domain.errors import HostError, Problem
from orchestrator.domain.keep_down import Record, rewritten
from orchestrator.engine.jobs.guarding import GuardedHosts
from orchestrator.engine.jobs.holding import Held
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import Hosts
from orchestrator.engine.work.keep_down import Keeper, keeper

ASKED_S = 10.0
"""How long a host is tried where the wire fails: nothing hangs on it but a list."""
RELEASED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One service that is kept down on *host*. `changed` is what somebody gave back to it meanwhile, in words."""

    host: str
    record: Record
    changed: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """As locks name it."""
        return f"{self.record.service}@{self.host}".casefold()


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What stands on hosts, in the order asked, and the hosts that did not tell."""

    found: tuple[Left, ...]
    unread: Mapping[str, Problem]

    def only(self, *, run: str = "", services: Iterable[str] = ()) -> "Leftovers":
        """Those of *run* and of *services* (SCM names, in any case) alone, where any are given."""
        names = {name.lower() for name in services}
        found = (left for left in self.found if not run or left.record.run == run)
        return replace(self, found=tuple(left for left in found if not names or left.record.service.lower() in names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What came of one release, in words."""

    left: Left
    ok: bool
    said: str


async def leftovers(
    hosts: Sequence[str], world: World, *, answered: Callable[[str], None] = lambda host: None
) -> Leftovers:
    """What is kept down on *hosts*, all asked side by side: one exchange each, and one or two for each service that is
    found. Changes nothing, and never raises HostError."""

    async def one(host: str) -> list[Left] | Problem:
        try:
            return await _on(host, keeper(host, world.hosts, tried_s=ASKED_S))
        except HostError as error:
            return error.problem
        finally:
            answered(host)

    said = await asyncio.gather(*(one(host) for host in hosts))
    told = dict(zip(hosts, said, strict=True))
    found = tuple(left for each in said if not isinstance(each, Problem) for left in each)
    return Leftovers(found, {host: each for host, each in told.items() if isinstance(each, Problem)})


async def _on(host: str, keeps: Keeper) -> list[Left]:
    found = []
    for record in await keeps.records():
        try:
            changed = rewritten(await keeps.config(record.service))
        except HostError as error:
            changed = [error.text]
        found.append(Left(host=host, record=record, changed=tuple(changed)))
    return found


async def release(found: Sequence[Left], world: World, books: Books, header: Header) -> list[Released]:
    """Put back what *found* has, hosts side by side and the services of one host one after the other.

    They are locked meanwhile, as a run of *header* would lock them; who loses the lock does nothing more. A release
    that is broken off is begun again by the next one. Raises Locked, naming the run that holds one of them: nothing was
    touched.
    """
    lease = await books.locks.take(header.run, sorted({left.key for left in found}), header.owner)
    by_host: dict[str, list[Left]] = {}
    for left in found:
        by_host.setdefault(left.host, []).append(left)
    held = Held(lease, books, lost=lambda: None)
    hosts = GuardedHosts(world.hosts, held)
    try:
        async with held.beating():
            done = await asyncio.gather(*(_release(host, mine, hosts) for host, mine in by_host.items()))
    finally:
        await books.locks.release(lease)
    return [one for each in done for one in each]


async def _release(host: str, found: Sequence[Left], hosts: Hosts) -> list[Released]:
    done = []
    for left in found:
        try:
            kept = await keeper(host, hosts, tried_s=RELEASED_S).release(left.record.service)
        except HostError as error:
            done.append(Released(left=left, ok=False, said=error.text))
        else:
            said = kept.said if kept.wrong or kept.record is None else f"{kept.record.words} again"
            done.append(Released(left=left, ok=not kept.wrong, said="; ".join((said, *kept.beside))))
    return done
