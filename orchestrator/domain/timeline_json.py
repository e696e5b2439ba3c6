"""A run as JSON can hold it: what `orch show --json` gives.

Room: domain. Times that end in `at` are UTC, seconds since 1970.
"""

from dataclasses import asdict
from typing import Any

from orchestrator.domain.hooks_done import Done
from orchestrator.domain.progress import StageProgress
from orchestrator.domain.runstate import Standing
from orchestrator.domain.step_words import request_words
from orchestrator.domain.timeline import Resumed, Timeline
from orchestrator.domain.track import Track


def as_json(timeline: Timeline, now_s: float) -> dict[str, Any]:
    """Everything as JSON can hold it, `orch show --json`. Cost: O(units)."""
    began, ended = timeline.began, timeline.ended
    return {
        "run": timeline.run,
        "plan": began.plan.name if began else None,
        "action": began.plan.action if began else None,
        "requester": began.requester if began else None,
        "controller": began.controller if began else None,
        "command": began.command if began else None,
        "began_at": timeline.began_at,
        "ended_at": timeline.last_at if ended else None,
        "elapsed_s": timeline.elapsed_s(now_s),
        "remaining_s": timeline.remaining_s(now_s),
        "verdict": ended.verdict if ended else None,
        "exit_code": ended.exit_code if ended else None,
        "said": ended.said if ended else "",
        "of": began.of if began else "",
        "halted": timeline.halted or None,
        "orders": [asdict(order) for order in timeline.orders],
        "counts": dict(ended.counts)
        if ended
        else {str(word): count for word, count in timeline.counts().items() if count},
        "stages": [_stage_snapshot(stage) for stage in timeline.stages],
        "units": [_track_snapshot(track) for track in timeline.tracks()],
        "failures": [track.unit for track in timeline.failures],
        "strayed": [asdict(strayed) for strayed in timeline.strayed],
        "detours": dict(timeline.detours),
        "decisions": [question.as_json() for question in timeline.decisions.all.values()],
        "excluded": dict(timeline.excluded),
        "parked": bool(timeline.parked),
        "resumes": [_resumed(resumed) for resumed in timeline.resumes],
        "rollback": _rollback(timeline),
        "head": timeline.head,
        "hooks": [_track_snapshot(track) for track in timeline.hooks_of_run.tracks.values()],
        "to_undo": [_done(done) for done in timeline.hooks_done.due()],
        "kept_down": dict(timeline.kept.now),
        "given_back": dict(timeline.kept.rewritten),
        "left_alone": [asdict(left) for left in began.plan.left_alone] if began else [],
    }


def _resumed(resumed: Resumed) -> dict[str, Any]:
    fact = resumed.fact
    return {
        "at": resumed.at,
        "requester": fact.requester,
        "controller": fact.controller,
        "command": fact.command,
        "epoch": fact.epoch,
        "accept_drift": fact.accept_drift,
        "lost": list(resumed.lost),
    }


def _rollback(timeline: Timeline) -> dict[str, Any] | None:
    if timeline.back_from is None:
        return None
    return {
        "from_stage": timeline.back_from,
        "touched": timeline.touched(),
        "changed_since": [asdict(changed) for changed in timeline.changed_since],
    }


def _done(done: Done) -> dict[str, Any]:
    return {
        "unit": done.unit,
        "name": done.name,
        "acted": done.acted,
        "undo": request_words(done.hook.undo) if done.hook and done.hook.undo else "",
        "origin": done.hook.origin if done.hook else None,
        "failed": done.failed,
        "said": done.tried.said if done.tried else "",
    }


def _stage_snapshot(stage: StageProgress) -> dict[str, Any]:
    return {
        "goal": stage.stage.goal,
        "checks": stage.stage.checks,
        "between": stage.stage.between,
        "services": {
            row.service: {"total": row.total} | {str(standing): row.counts[standing] for standing in Standing}
            for row in stage.rows.values()
        },
    }


def _track_snapshot(track: Track) -> dict[str, Any]:
    problem = track.result.problem if track.result else None
    return {
        "unit": track.unit,
        "service": track.service,
        "host": track.host,
        "stage": track.stage,
        "goal": track.goal,
        "standing": track.standing,
        "phase": track.phase,
        "hook": track.step.hook if track.step else "",
        "before": track.before,
        "now": track.now,
        "acted": track.acted,
        "attempts": track.most_tries,
        "exchanges": track.exchanges,
        "began_at": track.began_at,
        "ended_at": track.ended_at,
        "took_s": track.took_s,
        "said": track.result.said if track.result else "",
        "problem": asdict(problem) if problem else None,
        "evidence": dict(track.result.evidence) if track.result else {},
        "why": track.why,
        "set_aside": track.set_aside or None,
        "undos": [{"hook": result.step.hook, "outcome": result.outcome, "said": result.said} for result in track.undos],
    }
