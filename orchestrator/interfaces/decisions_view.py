"""`orch decisions`: what waits for an answer, for people and as JSON. No plan is read for it."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.domain.decision_log import given, headline
from orchestrator.domain.decisions import Source
from orchestrator.domain.durations import spoken
from orchestrator.domain.questions import newest
from orchestrator.engine.book_ports import OpenDecision, Vote
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.decision_words import MEANS, who_may
from orchestrator.interfaces.theme import QUIET_STYLE, aligned, below, moment, plural, safe

if TYPE_CHECKING:
    from orchestrator.domain.consequences import Consequence


def waiting(found: Sequence[OpenDecision], now: float, carried: Collection[str] = ()) -> RenderableType:
    """All that waits, oldest first; *now* is UTC, seconds since 1970; *carried*: the runs that a process goes on with
    at once."""
    if not found:
        return Text("nothing waits for a decision")
    blocks: list[RenderableType] = []
    several = Counter(one.run for one in found if one.settled is None)
    for one in found:
        blocks += [*([Text()] if blocks else []), heading(one, now), *_about(one)]
        if one.settled is None:
            blocks += [below(line) for line in _choices(one, several=several[one.run] > 1, carried=one.run in carried)]
    return Group(*blocks)


def heading(one: OpenDecision, now: float) -> Text:
    """`20261121-0213-k7q2  decision 1  stop crm of anna, waits 12 min (since ...)`."""
    since = f"waits {spoken(max(0.0, now - one.asked_at))} (since {moment(one.asked_at)})"
    return Text.assemble(
        (one.run, "bold"), f"  decision {one.asked.decision}", f"  {clean(one.plan)} of {clean(one.requester)}, {since}"
    )


def _about(one: OpenDecision) -> Iterator[RenderableType]:
    cause = one.asked.cause
    why = headline(cause, cause.units)
    yield below(safe(why, "bold"))
    if cause.said not in ("", why):
        yield below(safe(cause.said))
    if one.asked.pauses:
        yield below(Text("nothing new begins until it is answered", style=QUIET_STYLE))
    yield below(safe(who_may(one.approval, one.requester)))
    yield from said_so_far(one)


def said_so_far(one: OpenDecision) -> Iterator[RenderableType]:
    """Who said what to it, and whether that settles it."""
    for vote, counts in counting(one.votes):
        yield below(safe(in_words(vote)) if counts else safe(f"{in_words(vote)}; changed since", QUIET_STYLE))
    if one.settled is not None:
        answered = "" if one.settled.source is Source.TIMEOUT else "answered: "
        said = f"{answered}{given(one.settled)}; the run has not taken it up yet"
        yield below(safe(said, "bold"))
        yield below(Text(f"orch resume {one.run}", style="bold"))


def in_words(vote: Vote) -> str:
    """`bob said rollback: the window ends at five`."""
    return f"{vote.by} said {vote.choice}" + (f": {vote.reason}" if vote.reason else "")


def counting(votes: Sequence[Vote]) -> Iterator[tuple[Vote, bool]]:
    """All that was said, in order, and whether it is its person's newest word."""
    last = newest(votes)
    yield from ((vote, any(vote is one for one in last)) for vote in votes)


def votes_json(votes: Sequence[Vote]) -> list[dict[str, object]]:
    """The same for JSON."""
    return [
        {"choice": vote.choice, "by": vote.by, "reason": vote.reason, "counts": counts}
        for vote, counts in counting(votes)
    ]


def _choices(one: OpenDecision, *, several: bool, carried: bool) -> list[Text]:
    """A line for each answer: what to type, and what it means."""
    number = f" --decision {one.asked.decision}" if several or one.asked.decision > 1 else ""
    number += "" if carried else " --resume"
    rows = [
        [Text(f"orch decide {one.run} {choice}{number}"), Text(MEANS[choice], style=QUIET_STYLE)]
        for choice in one.asked.choices
    ]
    return aligned(rows)


def foretold(one: "Consequence") -> RenderableType:
    """What an answer would do, whole: every unit in its order, how long, what stays down, what to beware of."""
    lines: list[RenderableType] = [Text.assemble((f"{one.choice}  ", "bold"), clean(one.said))]
    if one.units:
        took = f", about {spoken(one.expected_s)}" if one.expected_s >= 1 else ""
        lines.append(below(safe(f"{plural(len(one.units), 'unit')}{took}, in this order: {', '.join(one.units)}")))
    if one.stays_down:
        lines.append(below(safe(f"stays down: {', '.join(one.stays_down)}", "yellow")))
    if one.warning:
        lines.append(below(safe(one.warning, "bold red")))
    return Group(*lines)


NOTHING_FORESEEN: "Mapping[int, Sequence[Consequence]]" = MappingProxyType({})


def waiting_json(
    found: Sequence[OpenDecision], now: float, foreseen: "Mapping[int, Sequence[Consequence]]" = NOTHING_FORESEEN
) -> str:
    """The same as `{"decisions": [...]}`, times in ISO 8601, UTC; *foreseen*: by decision, what answers would do."""
    return json.dumps({"decisions": [_as_json(one, now, foreseen.get(one.asked.decision)) for one in found]})


def _as_json(one: OpenDecision, now: float, foreseen: "Sequence[Consequence] | None") -> dict[str, object]:
    cause, settled = one.asked.cause, one.settled
    at = datetime.fromtimestamp(one.asked_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "run": one.run,
        "decision": one.asked.decision,
        "plan": one.plan,
        "requester": one.requester,
        "asked_at": at,
        "waits_s": max(0.0, now - one.asked_at),
        "why": headline(cause, cause.units),
        "cause": cause.kind,
        "problem": cause.problem,
        "service": cause.service,
        "said": cause.said,
        "units": list(cause.units),
        "pauses": one.asked.pauses,
        "choices": list(one.asked.choices),
        "approvers": list(one.approval.approvers),
        "min_approvals": one.approval.min_approvals,
        "not_requester": one.approval.not_requester,
        "votes": votes_json(one.votes),
        **({} if foreseen is None else {"consequences": [asdict(each) for each in foreseen]}),
        "settled": settled and {"choice": settled.choice, "by": settled.by, "reason": settled.reason},
    }
