"""What `orch status` says: each chosen unit as it was read, and whether all are where they are expected."""

from collections import Counter
from dataclasses import dataclass

from orchestrator.domain.draft import Draft
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.census import Census
from orchestrator.domain.planning.choice import Choice, choose
from orchestrator.domain.planning.graph import entry_graph
from orchestrator.domain.service import StartType, State
from orchestrator.domain.survey import Survey

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRow:
    """One unit, or one instance that could not be read: then `state` is None and `problem` says why."""

    unit: str
    service: str
    host: str | None
    state: State | None = None
    start_type: StartType | None = None
    pid: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All rows in playbook order; `counts` by state, what could not be read under `unknown`.

    `expected` is what was asked for (None: nothing), `unmet` are the units that are not there.
    """

    rows: tuple[StatusRow, ...]
    counts: dict[str, int]
    expected: State | None
    unmet: tuple[str, ...]


def expectations(draft: Draft, choice: Choice, survey: Survey, *, expected: State | None = None) -> Status:
    """The chosen units as *survey* has them, held against *expected*.

    What could not be read is nowhere: it meets no expectation. Raises: BadInput, as `choice.chosen`.
    """
    graph, census = entry_graph(draft), Census(survey)
    rows: list[StatusRow] = []
    for entry, instance in graph.instances(choose(graph, choice, Action.STATUS)):
        for unit in census.units(instance):
            if unit.seen is not None:
                rows.append(
                    StatusRow(
                        unit=unit.id,
                        service=entry.key,
                        host=unit.host,
                        state=unit.seen.state,
                        start_type=unit.seen.start_type,
                        pid=unit.seen.pid,
                    )
                )
        rows += [
            StatusRow(unit=trouble.unit, service=entry.key, host=instance.host, problem=trouble.reason.wrong)
            for trouble in census.troubles(instance)
        ]
    return Status(
        rows=tuple(rows),
        counts=dict(Counter(str(row.state or UNKNOWN) for row in rows)),
        expected=expected,
        unmet=tuple(row.unit for row in rows if expected is not None and row.state is not expected),
    )
