"""What `--from` and `orch snapshot restore` go back to: a run's own snapshot, or one with a tag."""

from contextlib import suppress
from dataclasses import dataclass

from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import MadeFrom, RunBegan
from orchestrator.domain.plan import Unit
from orchestrator.domain.service import State
from orchestrator.domain.way_back import acted_on, home
from orchestrator.engine.jobs.world import Books


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What was seen of units once, and from which files. `of` is the tag, or the run's id."""

    of: str
    made_from: MadeFrom
    units: tuple[Unit, ...]

    @property
    def ran(self) -> frozenset[str]:
        """The ids of those that ran, or were on their way up. Raises BadInput if there is none."""
        ran = frozenset(unit.id for unit in self.units if home(unit) is State.RUNNING)
        if not ran:
            raise BadInput(
                f"nothing ran when {self.of} was recorded: there is nothing to start; nothing was touched",
                hint="`orch runs` lists the runs before it: name the stop that found the units running, --from RUN",
            )
        return ran

    @property
    def stayed(self) -> str:
        """What a start of those that ran leaves as it is, in words; "" if all ran."""
        down = [unit for unit in self.units if home(unit) is State.STOPPED]
        if not down:
            return ""
        of = f"{len(down)} of {len(self.units)} units"
        return f"{of} were not running when {self.of} was recorded: they stay as they are"


async def recorded(books: Books, name: str) -> Recorded:
    """The snapshot with the tag *name*, or that of the run which goes by it. Raises BadInput if there is neither."""
    snapshot = None
    with suppress(BadInput):  # it can't be a tag; a run it may be
        snapshot = await books.snapshots.load(name)
    if snapshot is not None:
        return Recorded(of=name, made_from=snapshot.made_from, units=snapshot.units)
    try:
        run = await books.journal.resolve(name)
    except BadInput as error:
        raise BadInput(f"there is no snapshot {name!r}, and {error}", hint="orch snapshot list; orch runs") from None
    began = (await books.journal.read(run))[0].fact
    assert isinstance(began, RunBegan)
    return Recorded(of=run, made_from=began.made_from, units=acted_on(began.plan))
