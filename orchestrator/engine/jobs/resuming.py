"""Going on with a run that another process began, or ending it as it is."""

from collections.abc import Sequence
from contextlib import suppress

from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.facts import RunBegan, RunEnded, RunResumed, Stamped
from orchestrator.domain.runstate import EXIT_CODES, Verdict, fold
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.journey import Audience, Ending, Journey, Watch
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import Lease, NoteTaker, Notifier


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
    lease, began, facts = await _taken_over(run, books, header)
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
    """End *run* as it is: no host is asked anything, and its units are free.

    Raises:
        BadInput: there is no such run, or it has ended.
        Locked: a living process holds it.
        OrchError: the store can't be read or written.
    """
    lease, _, facts = await _taken_over(run, books, header)
    ended = RunEnded(
        verdict=Verdict.CLOSED.value,
        exit_code=EXIT_CODES[Verdict.CLOSED],
        counts=fold(stamped.fact for stamped in facts).verdict().counts,
        said=f"closed by {header.requester}: {reason}",
    )
    written = await books.journal.append(run, [ended], lease=lease)
    with suppress(OrchError):  # the fact freed them
        await books.locks.release(lease)
    return Ending(run=run, ended=ended, head=written[-1].head)


async def _taken_over(run: str, books: Books, header: Header) -> tuple[Lease, RunBegan, Sequence[Stamped]]:
    """The lease, and all that is on record under it: the process before this one may have written until it lost it.

    A run that took its units and died before its first fact is no run: its units are free then.
    """
    lease = await books.locks.take_over(run, header.owner)
    facts = await books.journal.read(run)
    if not facts:
        await books.locks.release(lease)
    return lease, began_of(run, facts), facts


def began_of(run: str, facts: Sequence[Stamped]) -> RunBegan:
    """The first of *facts*. Raises BadInput if there is none."""
    began = facts[0].fact if facts else None
    if not isinstance(began, RunBegan):
        raise BadInput(f"there is no run {run}", hint="`orch runs` lists them all")
    return began
