"""Beginning a run: what is refused before anything is touched, the locks, the first fact."""

from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import RunBegan
from orchestrator.domain.locks import keys
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.window import closes_at, window_of
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.journey import Audience, Ending, Journey, Watch
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import NoteTaker, Notifier


async def run(
    plan: Plan,
    world: World,
    books: Books,
    *,
    header: Header,
    people: People,
    watch: Watch,
    note: NoteTaker,
    notifier: Notifier,
) -> Ending:
    """Carry the plan out until it has ended, or waits for an answer and nobody is here to give it.

    Every fact is on disk before *watch* hears of it.

    Raises:
        BadInput: its window is closed, or nobody could answer what it asks. Nothing was touched.
        Locked: another run holds some of its units. Nothing was touched.
        OrchError: the record can't be written, or another process has taken the run over (LeaseLost). Nothing further
            was issued or appended, and what was under way has settled; `orch resume` goes on.
    Cancellation: as if the process had died there.
    """
    refuse_late(plan, books.clock())
    refuse_unanswerable(plan, header.requester)
    lease = await books.locks.take(header.run, keys(plan), header.owner)
    began = RunBegan(
        run=header.run,
        plan=plan,
        requester=header.requester,
        controller=header.controller,
        command=header.command,
        made_from=header.made_from,
        of=header.of,
    )
    journey = Journey(began, world, books, lease, people, Audience(watch=watch, note=note, notifier=notifier))
    return await journey.begin()


def refuse_late(plan: Plan, now: float) -> None:
    """Raises BadInput if *plan* would stop something and its window is closed *now* (UTC, seconds since 1970)."""
    window = window_of(plan)
    if window is not None and closes_at(window, now) <= now:
        raise BadInput(
            f"the window of {plan.name} is closed: nothing is stopped after {window.until} ({window.tz}); "
            "nothing was touched",
            hint="come back in the 12 hours before it closes, or change `window:` of the playbook",
        )


def refuse_unanswerable(plan: Plan, requester: str) -> None:
    """Raises BadInput if *requester* begins *plan* and too few approvers are left who may answer what it asks. A
    rollback asks nothing about failures, and is never in the way of itself."""
    approval = plan.policy.approval
    people = {name.casefold() for name in approval.approvers}
    may = people - {requester.casefold()} if approval.not_requester else people
    if people and plan.action is not Action.ROLLBACK and len(may) < max(1, approval.min_approvals):
        raise BadInput(
            f"nobody could answer what a run of {plan.name} asks: {max(1, approval.min_approvals)} must agree, and of "
            f"its approvers ({', '.join(approval.approvers)}) {len(may)} may answer where {requester} began it; "
            "nothing was touched",
            hint="let somebody else begin it, or name more `approvers` in `decisions:` of the playbook",
        )
