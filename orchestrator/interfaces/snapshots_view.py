"""`orch snapshot list | diff`, for people and as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.domain.plan import Unit
from orchestrator.domain.planning.observed import Difference, What
from orchestrator.engine.book_ports import Snapshot
from orchestrator.interfaces.theme import QUIET_STYLE, aligned, moment, plural, safe


def counted(units: Sequence[Unit]) -> str:
    """`34 Running, 2 Stopped`."""
    counts = Counter(str(unit.seen.state) for unit in units if unit.seen)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())


def snapshots_table(found: Sequence[Snapshot]) -> RenderableType:
    """The snapshots, as they come, one a row."""
    if not found:
        return Text("no snapshots yet")
    head = [Text(name, style="bold") for name in ("tag", "taken", "by", "of", "units")]
    rows = [
        [Text(one.tag), Text(moment(one.at)), safe(one.by), safe(one.name), Text(counted(one.units))] for one in found
    ]
    return Group(*aligned([head, *rows]))


def snapshots_json(found: Sequence[Snapshot]) -> str:
    """`{"snapshots": [...]}`, each with its units; times in ISO 8601, UTC."""
    return json.dumps(
        {
            "snapshots": [
                {
                    "tag": one.tag,
                    "at": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "by": one.by,
                    "plan": one.name,
                    "units": [
                        {
                            "unit": unit.id,
                            "state": unit.seen and unit.seen.state,
                            "start_type": unit.seen and unit.seen.start_type,
                            "pid": unit.seen and unit.seen.pid,
                        }
                        for unit in one.units
                    ],
                }
                for one in found
            ]
        }
    )


def differences_table(tag: str, count: int, found: Sequence[Difference]) -> RenderableType:
    """A line for each unit that is not as it was, and how many of *count* are."""
    quiet = [one for one in found if one.what is What.PROCESS]
    loud = [one for one in found if one.what is not What.PROCESS]
    rows = [_cells(one, "bold red" if one.what is What.UNREAD else "bold yellow") for one in loud]
    rows += [_cells(one, QUIET_STYLE) for one in quiet]
    units = len({one.unit for one in loud})
    last = f"{plural(units, 'unit')} of {count} not as in {tag}" if units else f"all {count} units are as in {tag}"
    if quiet:
        last += f"; {len(quiet)} started again since, which is no difference"
    return Group(*aligned(rows), Text(last, style="bold"))


RESTARTED = {None: "", True: "; its host has restarted since", False: "; its host has not restarted"}


def _cells(one: Difference, style: str) -> list[Text]:
    return [
        safe(one.unit),
        safe(str(one.what), style),
        safe(f"was {one.was}, is {one.now}{RESTARTED[one.restarted]}"),
    ]


def differences_json(tag: str, found: Sequence[Difference]) -> str:
    """`{"tag": ..., "differences": [...]}`."""
    return json.dumps({"tag": tag, "differences": [asdict(one) for one in found]})
