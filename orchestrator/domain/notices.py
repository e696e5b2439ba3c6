"""What people are told when a decision waits and when a run ends: the names that templates may use, and orch's words.

Room: domain. An event is a mapping that always has the same names, so that one template serves both kinds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from orchestrator.domain.decisions import Cause, CauseKind, Choice
from orchestrator.domain.durations import spoken
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAsked, RunEnded
from orchestrator.domain.policy import Approval, Notice
from orchestrator.domain.secrets import shown
from orchestrator.domain.templates import Render

Event = Mapping[str, Any]
MOST_UNITS = 5
"""How many units orch's own words name."""
FIRST_S = 1.0
"""What has waited for less has only just been asked: it is told for the first time."""
DECISION, END = "decision", "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfRun:
    """Which run it is about: its id, the names of plan and action, who began it, and on which machine."""

    run: str
    plan: str
    action: str
    requester: str
    controller: str


def decision_event(
    of: OfRun, asked: DecisionAsked, approval: Approval, *, waited_s: float = 0.0, preview: str = ""
) -> dict[str, Any]:
    """The event of a decision that waits; with `waited_s`, a reminder of it. *preview* says what its answers mean."""
    cause = asked.cause
    timeout_s = None if asked.held else approval.timeout_s
    choices = [str(choice) for choice in asked.choices]
    return {
        **_begun(of),
        "event": DECISION,
        "decision": asked.decision,
        "cause": str(cause.kind),
        "said": cause.said,
        "service": cause.service,
        "units": list(cause.units),
        "choices": choices,
        "preview": preview,
        "pauses": asked.pauses,
        "approvers": list(approval.approvers),
        "min_approvals": approval.min_approvals,
        "waited": spoken(waited_s) if waited_s >= FIRST_S else "",
        "left": spoken(max(0.0, timeout_s - waited_s)) if timeout_s is not None else "",
        "on_timeout": str(approval.on_timeout) if timeout_s is not None else "",
        # The number: who reads this late must not answer what was asked since.
        "command": f"orch decide {of.run} {choices[0] if choices else 'CHOICE'} --decision {asked.decision}",
    }


def end_event(
    of: OfRun, ended: RunEnded, *, took_s: float, head: str = "", command: str = "", failed: str = ""
) -> dict[str, Any]:
    """The event of a run that has ended. *head* is the hash of its journal; *command* what to type next, or "";
    *failed* what its first failure said, "" if nothing failed."""
    return {
        **_begun(of),
        "event": END,
        "said": "; ".join(filter(None, (ended.said, failed))),
        "verdict": ended.verdict,
        "exit_code": ended.exit_code,
        "counts": dict(ended.counts),
        "took": spoken(took_s),
        "head": head,
        "command": command,
    }


def _begun(of: OfRun) -> dict[str, Any]:
    """All names, those of the run filled in."""
    return {
        "event": "",
        "run": of.run,
        "plan": of.plan,
        "action": of.action,
        "requester": of.requester,
        "controller": of.controller,
        "said": "",
        "command": "",
        "decision": 0,
        "cause": "",
        "service": "",
        "units": [],
        "choices": [],
        "preview": "",
        "pauses": False,
        "approvers": [],
        "min_approvals": 1,
        "waited": "",
        "left": "",
        "on_timeout": "",
        "verdict": "",
        "exit_code": 0,
        "counts": {},
        "took": "",
        "head": "",
    }


def texts_of(notice: Notice, event: Event, render: Render) -> tuple[str, str]:
    """Title and text of *notice*, its own or orch's. A secret in it stands there by its name.

    Raises:
        TemplateError: its templates can't be rendered.
    """
    title, body = (shown(str(render(template, event))) for template in (notice.title, notice.body))
    return title or title_of(event), body or body_of(event)


def title_of(event: Event) -> str:
    """orch's own title: `orch: stop shop waits for a decision (12 min 04 s)`, `orch: stop shop ended: failed`."""
    what = f"orch: {event['action']} {event['plan']}"
    if event["event"] == END:
        return f"{what} ended: {event['verdict']}"
    return f"{what} waits for a decision" + (f" (for {event['waited']} now)" if event["waited"] else "")


def body_of(event: Event) -> str:
    """orch's own text: what happened, where it stands, what to type; short lines, the most urgent first."""
    return "\n".join(_ended(event) if event["event"] == END else _waits(event))


def _waits(event: Event) -> list[str]:
    lines = [event["said"] or f"decision {event['decision']} is open"]
    if len(event["units"]) > 1:
        lines.append(f"{len(event['units'])} units: {_few(event['units'])}")
    lines.append(
        "Nothing new begins until it is answered." if event["pauses"] else "What does not depend on it goes on."
    )
    if event["preview"]:
        lines.append(event["preview"])
    if event["left"]:
        lines.append(f"Without an answer it becomes {event['on_timeout']} in {event['left']}.")
    lines += _who(event)
    lines.append(f"Answers: {', '.join(event['choices'])}")
    lines.append(f"On {event['controller']}: {event['command']}")
    return [*lines, f"Run {event['run']}, begun by {event['requester']}."]


def _who(event: Event) -> list[str]:
    """Who may answer, and how many have to; nothing where anybody may and one is enough."""
    people, needed = ", ".join(event["approvers"]), event["min_approvals"]
    if needed > 1:
        of = f"{needed} of {people}" if people else f"{needed} people"
        return [f"{of} must agree; one is enough to hold or abort."]
    return [f"May answer: {people}."] if people else []


def _ended(event: Event) -> list[str]:
    counts = ", ".join(f"{count} {word}" for word, count in event["counts"].items() if count)
    lines = [f"{counts or 'no units'}, after {event['took']} (exit code {event['exit_code']})."]
    if event["said"]:
        lines.append(event["said"])
    if event["command"]:
        lines.append(f"On {event['controller']}: {event['command']}")
    lines.append(f"Run {event['run']}, begun by {event['requester']} on {event['controller']}.")
    return [*lines, f"Journal head {event['head']}"] if event["head"] else lines


def _few(units: Sequence[str]) -> str:
    left = len(units) - MOST_UNITS
    return ", ".join(units[:MOST_UNITS]) + (f" and {left} more" if left > 0 else "")


_OF = OfRun(run="20260101-021300-abcd", plan="shop", action="stop", requester="ann", controller="jump-01")
SAMPLES: Mapping[str, Event] = MappingProxyType(
    {
        DECISION: decision_event(
            _OF,
            DecisionAsked(
                decision=1,
                cause=Cause(
                    kind=CauseKind.FAILURE,
                    said="orders@app-02 was StopPending for 94 s",
                    problem=ProblemKind.TIMEOUT,
                    service="orders",
                    units=("orders@app-02", "orders@app-03"),
                ),
                choices=(Choice.ROLLBACK, Choice.RETRY, Choice.SKIP, Choice.EXCLUDE, Choice.HOLD, Choice.ABORT),
            ),
            Approval(approvers=("ann", "bob"), timeout_s=1800.0),
            waited_s=720.0,
        ),
        END: end_event(
            _OF,
            RunEnded(verdict="failed", exit_code=1, counts={"ok": 7, "failed": 1}),
            took_s=185.0,
            head="0" * 64,
            failed="orders@app-02 was StopPending for 94 s",
            command="orch start --from 20260101-021300-abcd",
        ),
    }
)
"""An event of each kind: a template that can't be rendered with it has a mistake."""
