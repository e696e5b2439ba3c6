"""`make bench`: one table, every row beside its reference, the load of the machine stated. A quarter of an hour."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # loopback.py stands with the tests

import machine
from cpu import cpu, memory, requests
from peers import peers
from rich.console import Console
from rich.table import Table
from rolls import rolling
from startup import startup
from states import states
from table import Row, Scale
from waiting import waiting

PARTS: dict[str, Callable[[Scale], Iterator[Row]]] = {
    "cpu": lambda scale: chain(cpu("winrm", scale), cpu("ssh", scale)),
    "requests": requests,
    "waiting": lambda scale: chain(waiting("winrm", scale), waiting("ssh", scale)),
    "memory": lambda scale: chain(memory("winrm", scale), memory("ssh", scale)),
    "states": lambda scale: chain(states("winrm", scale), states("ssh", scale)),
    "rolling": rolling,
    "startup": startup,
}


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"only these: {', '.join([*PARTS, 'peers'])}")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--peers", action="store_true", help="also pyinfra, Ansible and parallel-ssh: installs them")
    parser.add_argument("--scale", type=float, default=1.0, help="smaller fleets, for a try: the goals hold for 1.0")
    parser.add_argument("--rounds", type=int, default=3, help="how often CPU is measured: the least counts")
    typed = parser.parse_args()
    unknown = set(typed.parts) - set(PARTS) - {"peers"}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    parts = {name: part for name, part in PARTS.items() if not typed.parts or name in typed.parts}
    if typed.peers or "peers" in typed.parts:
        parts["peers"] = peers
    before = machine.now()
    rows: list[Row] = []
    for part in parts.values():
        for row in part(Scale(typed.scale, typed.rounds)):
            rows.append(row)
            sys.stderr.write(f"{row.name}: {row.measured}\n")
    load = machine.stated(before, machine.now())
    if typed.json:
        json.dump(
            {"machine": load, "scale": typed.scale, "rows": [row.as_json() for row in rows]}, sys.stdout, indent=1
        )
        sys.stdout.write("\n")
    else:
        _print(rows, load)
    return 1 if any(row.met is False for row in rows) else 0


def _print(rows: list[Row], load: str) -> None:
    table = Table(title="orch, measured", caption=load, title_justify="left", caption_justify="left", show_lines=True)
    for heading in ("what", "measured", "beside it", "goal", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        mark = "" if row.met is None else "met" if row.met else "MISSED"
        table.add_row(f"{row.name}\n{row.note}".strip(), row.measured, row.reference, row.goal, mark)
    Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False).print(table)


sys.exit(main())
