"""Going on with a run that another process began, or ending it as it is."""

from collections.abc import Sequence
from contextlib import suppress

from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.facts import RunBegan, RunEnded, RunResumed, Stamped
from orchestrator.domain.runstate import EXIT_CODES, Verdict, fold
from orchestrator.engine.book_ports import Lease
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.journey import Audience, Ending, Journey, Watch
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import NoteTaker, Notifier


async def resume(  # noqa: PLR0913 - what `run` is given, and how to take what others changed
    run: str,
    world: World,
    books: Books,
    *,
    header: Header,
    people: People,
    watch: Watch,
    note: NoteTaker,
    notifier: Notifier,
    accept_drift: bool = False,
) -> Ending:
    """Go on with *run* from its facts, whether it was going forward, waiting or going back. `header.run` is not used.

    *accept_drift*: units that are not where the run left them are no reason to ask.

    Raises:
        BadInput: there is no such run, or it has ended. Nothing was touched.
        Locked: a living process holds it. Nothing was touched.
        OrchError: as `running.run`.
    Cancellation: as if the process had died there.
    """
    lease = await books.locks.take_over(run, header.owner)
    facts = await _facts_under(lease, books)
    began = began_of(run, facts)
    journey = Journey(began, world, books, lease, people, Audience(watch=watch, note=note, notifier=notifier))
    resumed = RunResumed(
        requester=header.requester,
        controller=header.controller,
        epoch=lease.epoch,
        command=header.command,
        accept_drift=accept_drift,
    )
    return await journey.go_on(facts, resumed)


async def close(run: str, books: Books, *, reason: str, header: Header) -> Ending:
    """End *run* as it is: no host is asked anything, and its units are free. That is the way out of a run whose facts
    can't be read or followed any more, too: of such a one nothing is counted.

    Raises:
        BadInput: there is no such run, or it has ended.
        Locked: a living process holds it.
        OrchError: the store can't be read or written.
    """
    lease = await books.locks.take_over(run, header.owner)
    try:
        counts = fold(stamped.fact for stamped in await _facts_under(lease, books)).verdict().counts
    except BadInput:
        raise
    except (OrchError, ValueError, LookupError):
        counts = {}
    ended = RunEnded(
        verdict=Verdict.CLOSED.value,
        exit_code=EXIT_CODES[Verdict.CLOSED],
        counts=counts,
        said=f"closed by {header.requester}: {reason}",
    )
    written = await books.journal.append(run, [ended], lease=lease)
    with suppress(OrchError):  # the fact freed them
        await books.locks.release(lease)
    return Ending(run=run, ended=ended, head=written[-1].head)


async def _facts_under(lease: Lease, books: Books) -> Sequence[Stamped]:
    """All that is on record under a lease that was just taken over: the process before may have written until then.

    Raises BadInput for a run that took its units and died before its first fact: it is none, and its units are free.
    """
    facts = await books.journal.read(lease.run)
    if not facts:
        await books.locks.release(lease)
    began_of(lease.run, facts)
    return facts


def began_of(run: str, facts: Sequence[Stamped]) -> RunBegan:
    """The first of *facts*. Raises BadInput if there is none."""
    began = facts[0].fact if facts else None
    if not isinstance(began, RunBegan):
        raise BadInput(f"there is no run {run}", hint="`orch runs` lists them all")
    return began
