"""Tables of `orch status` and `orch check`."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.domain.checkup import Checkup
from orchestrator.domain.planning.status import Status
from orchestrator.domain.survey import Survey
from orchestrator.interfaces.preview_view import by_another_way, state_text
from orchestrator.interfaces.theme import QUIET_STYLE, plural, safe

GOOD, BAD, OPEN = ("ok", "green"), ("NO", "bold red"), ("not known", QUIET_STYLE)


def status_table(status: Status, survey: Survey) -> RenderableType:
    """Every chosen unit as it was read, and the counts; below, once for each host, why it was not read, or how."""
    table = _table("unit", "state", "start type", "pid", "")
    unmet, lost = set(status.unmet), {found.host for found in survey.unreachable}
    silent: dict[str, str] = {}
    for row in status.rows:
        said = row.problem or (f"expected {status.expected}" if row.unit in unmet else "")
        if row.host is not None and row.host in lost:
            silent[row.host], said = row.problem, "no usable answer (see below)"
        table.add_row(
            safe(row.unit),
            state_text(row.state),
            Text(str(row.start_type or "")),
            Text(str(row.pid or "")),
            safe(said, "bold red"),
        )
    counts = ", ".join(f"{count} {state}" for state, count in sorted(status.counts.items()))
    below = [safe(f"! {host} {why}", "bold magenta") for host, why in silent.items()]
    return Group(table, Text(f"{plural(len(status.rows), 'unit')}: {counts}"), *below, *by_another_way(survey))


def checkup_tables(checkup: Checkup) -> RenderableType:
    """Hosts, units and gates, and what would hurt the night."""
    hosts = _table("host", "reached", "over", "name", "version", "clock skew", "")
    for host in checkup.hosts:
        detour = f"reached by {host.detour}" if host.detour else ""
        said = "; ".join(filter(None, (host.said, detour)))
        skew = "" if host.clock_skew_s is None else f"{round(host.clock_skew_s):+d} s"
        hosts.add_row(
            safe(host.host), _word(host.ok), Text(host.transport), safe(host.computer_name), safe(host.version),
            Text(skew), safe(said, ("yellow" if detour else "") if host.ok else "bold red"),
        )  # fmt: skip
    units = _table("unit", "ok", "state", "start type", "may start", "may stop", "")
    for unit in checkup.units:
        units.add_row(
            safe(unit.unit), _word(unit.ok), Text(unit.state), Text(unit.start_type), _word(unit.may_start),
            _word(unit.may_stop), safe(unit.said, "" if unit.ok else "bold red"),
        )  # fmt: skip
    gates = _table("unit", "gate", "holds", "saw")
    for gate in checkup.gates:
        held = Text("yes", style="green") if gate.held else Text("no", style="bold red")
        if gate.ok and not gate.held:
            held = Text("not yet", style=QUIET_STYLE)
        gates.add_row(safe(gate.unit), safe(gate.gate), held, safe(gate.saw))
    shown: list[RenderableType] = []
    for table in (hosts, units, gates):
        if table.row_count:
            shown += [table, Text("")]
    return Group(*shown, _verdict(checkup))


def _verdict(checkup: Checkup) -> Text:
    """The last line. Units that a stop would refuse are no problem of a night that only starts them."""
    problems, refused = checkup.problems, checkup.stops_refused
    later = f"a stop would be refused for {plural(refused, 'unit')} (see above)" if refused else ""
    if problems:
        told = f"{plural(problems, 'problem')} to solve before the night"
        return Text("; ".join(filter(None, (told, later))), style="bold red")
    if later:
        return Text(f"ready for a start; {later}", style="bold yellow")
    return Text("ready for the night", style="bold green")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _word(value: bool | None) -> Text:
    word, style = OPEN if value is None else GOOD if value else BAD
    return Text(word, style=style)
