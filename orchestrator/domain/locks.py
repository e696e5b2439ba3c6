"""What a run locks: the Windows services that it may act on; and what is said to whoever finds them locked.

Room: domain. Times and ages come in from outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.durations import spoken
from orchestrator.domain.errors import BadInput, LeaseLost, Locked
from orchestrator.domain.plan import Action, Plan, Role

SHOWN = 3
"""How many units a refusal names before it counts the rest."""


def keys(plan: Plan) -> tuple[str, ...]:
    """The units that *plan* acts on, as `service@host` in folded case: Windows compares names without case, and two
    playbooks may call one service by different keys. Sorted, each once. Cost: O(nodes)."""
    acting = (node.unit for stage in (*plan.stages, *plan.back) for node in stage.nodes if node.role is Role.ACT)
    return tuple(sorted({f"{unit.scm_name}@{unit.host}".casefold() for unit in acting}))


def lives(known: bool | None, silent_s: float, lease_s: float) -> bool:
    """Whether the process that holds a run still does.

    *known* says whether the process is there (None: can't be told), *silent_s* how long ago it last renewed: a frozen
    process is as good as gone after *lease_s*. A renewal from the future is of a clock that was set back since: the
    same holds for it.
    """
    return known is not False and -lease_s <= silent_s < lease_s


@dataclass(frozen=True, slots=True, kw_only=True)
class InTheWay:
    """A run that holds what another wants. `since` is a time in words, `age_s` how long ago that is.

    `alive` None: it is parked; False: its process is gone or silent past its lease. `asks`: the decisions that it waits
    for. `units`: those that both want.
    """

    run: str
    requester: str
    controller: str
    since: str
    age_s: float
    alive: bool | None
    asks: tuple[int, ...] = ()
    units: tuple[str, ...] = ()

    @property
    def does(self) -> str:
        """What it does now: `it is parked and waits for decision 2`."""
        numbers = ", ".join(map(str, self.asks))
        waits = f"waits for decision{'s' * (len(self.asks) > 1)} {numbers}" if self.asks else ""
        if self.alive is None:
            return "it is parked" + (f" and {waits}" if waits else "")
        if self.alive:
            return "it runs" + (f" and {waits}" if waits else "")
        return "its process is gone, or silent past its lease"

    @property
    def next(self) -> str:
        """What to type about it."""
        close = f"`orch close {self.run} --reason WHY` ends it as it is"
        if self.alive:
            decide = f"; `orch decide {self.run} CHOICE` answers it" if self.asks else ""
            return f"wait for it, or `orch cancel {self.run}`; `orch show {self.run}` tells what it does{decide}"
        if self.alive is None and self.asks:
            return f"`orch decide {self.run} CHOICE --resume` answers it and goes on; {close}"
        return f"`orch resume {self.run}` goes on with it; {close}"


def locked(runs: Sequence[InTheWay]) -> Locked:
    """The refusal of a new run: *runs*, at least one, hold some of its units."""
    return Locked(
        "\n".join(
            f"run {one.run} of {one.requester} on {one.controller} holds {_units(one.units)} since {one.since} "
            f"({spoken(one.age_s)}): {one.does}"
            for one in runs
        )
        + "\nnothing was touched",
        hint="; ".join(one.next for one in runs),
    )


def still_held(one: InTheWay) -> Locked:
    """The refusal of a takeover: the run's own process lives."""
    return Locked(
        f"run {one.run} is held by {one.requester} on {one.controller} since {one.since} ({spoken(one.age_s)}), and "
        f"its process lives: {one.does}; nothing was changed",
        hint=one.next,
    )


def holds_nothing(run: str, ended: str, back: str = "") -> BadInput:
    """There is no run to go on with; *ended* says how it ended, "" if that is not known; *back* as `puts_back`."""
    return BadInput(
        f"run {run} can't go on: {ended or 'it holds no units'}; nothing was changed",
        hint=f"`orch show {run}` tells what it did" + (f"; {back}" if ended and back else ""),
    )


def puts_back(run: str, action: Action, of: str) -> str:
    """What to type to put back what *run* did, once it has ended. One that was a rollback *of* another has no way back
    of its own."""
    if action is Action.ROLLBACK:
        return f"`orch rollback {of}` puts back what it could not"
    return f"`orch rollback {run}` puts it back"


def lost(run: str, *, by: str, when: str, ended: str) -> LeaseLost:
    """What a process is told that was taken for gone: *by* took the run over at *when*; *ended* as `holds_nothing`."""
    return _lost(run, f"run {run} was taken over at {when} by {by}" + (f", and {ended}" if ended else ""))


def lost_to_nobody(run: str) -> LeaseLost:
    """The same, of a lease that is not on record: it was given back, or the run never began in time."""
    return _lost(run, f"run {run} holds its units no more")


def _lost(run: str, said: str) -> LeaseLost:
    return LeaseLost(
        f"{said}: this process asks nothing more of any host; what it had asked for before may still come about",
        hint=f"`orch show {run}` tells what is done with it now",
    )


def _units(units: Sequence[str]) -> str:
    """`the service mssqlserver on db-01`: a key is made of the name that Windows has for it, not of the playbook's."""
    more = len(units) - SHOWN
    named = ", ".join("{0} on {2}".format(*unit.rpartition("@")) for unit in units[:SHOWN])
    return f"the service{'s' * (len(units) > 1)} {named}" + (f" and {more} more" if more > 0 else "")
