"""`orch kept-down | release`: what is kept down where, for people and as JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.domain.errors import Problem
from orchestrator.engine.jobs.releasing import Left, Leftovers, Released
from orchestrator.interfaces.theme import aligned, moment, plural, safe


def kept_table(found: Leftovers) -> RenderableType:
    """A line for each service that is kept down, and what somebody changed of it; then the hosts that did not tell."""
    head = [Text(name, style="bold") for name in ("host", "service", "since", "run", "what comes back")]
    rows: list[list[Text]] = []
    for left in found.found:
        record = left.record
        rows.append(
            [safe(left.host), safe(record.service), Text(moment(record.at)), safe(record.run), safe(record.words)]
        )
    table = aligned([head, *rows]) if rows else [Text("no service is kept down")]
    return Group(*table, *_changed(found.found), *_unread(found.unread))


def _changed(found: Sequence[Left]) -> list[Text]:
    return [
        safe(f"{left.record.service} on {left.host}: changed since by somebody else: {'; '.join(left.changed)}")
        for left in found
        if left.changed
    ]


def _unread(unread: Mapping[str, Problem]) -> list[Text]:
    return [
        safe(f"{host} did not tell: {problem.kind}: {problem.text}", "bold red") for host, problem in unread.items()
    ]


def question(found: Leftovers) -> str:
    """What a person says yes to."""
    hosts = len({left.host for left in found.found})
    return f"Put back what {plural(len(found.found), 'service')} on {plural(hosts, 'host')} had?"


def released_table(done: Sequence[Released]) -> RenderableType:
    """A line for each service, what failed last."""
    rows = [
        [
            safe(one.left.host),
            safe(one.left.record.service),
            Text("released" if one.ok else "failed", style="" if one.ok else "bold red"),
            safe(one.said),
        ]
        for one in sorted(done, key=lambda one: not one.ok)
    ]
    return Group(*aligned(rows))


def kept_json(found: Leftovers) -> str:
    """`{"kept_down": [...], "unread": [...]}`; times in ISO 8601, UTC."""
    return json.dumps({"kept_down": [_told(left) for left in found.found], "unread": _unread_json(found)})


def released_json(found: Leftovers, done: Sequence[Released]) -> str:
    """`{"released": [...], "unread": [...]}`."""
    rows = [{**_told(one.left), "ok": one.ok, "said": one.said} for one in done]
    return json.dumps({"released": rows, "unread": _unread_json(found)})


def _told(left: Left) -> dict[str, object]:
    record = left.record
    at = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "host": left.host,
        "service": record.service,
        "run": record.run,
        "since": at,
        "kept": record.words,
        "changed": list(left.changed),
    }


def _unread_json(found: Leftovers) -> list[dict[str, str]]:
    return [{"host": host, "why": f"{problem.kind}: {problem.text}"} for host, problem in found.unread.items()]
