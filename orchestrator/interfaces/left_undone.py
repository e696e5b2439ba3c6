"""The part of a report's end that tells what of a run's list nobody does any more, and what to type for that."""

import shlex
from collections.abc import Iterator, Sequence, Set

from orchestrator.domain.plan import Action, Role, Stage
from orchestrator.domain.results import Phase
from orchestrator.domain.runstate import Standing
from orchestrator.domain.step_words import request_words
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.track import Track

MOST_HOSTS = 12
"""How many hosts are named; --json has all."""
_OF_DEPENDENTS = ("--with-dependents", "--ignore-dependents")
_AT_THE_END = (Phase.ON_END, Phase.ON_FAILURE)


def left_undone(timeline: Timeline) -> Iterator[tuple[str, str]]:
    """What to do by hand, and what it is: hooks at the end of the run that did not succeed, and what was left out on
    hosts that were started all the same. Cost: O(hosts)."""
    for track in timeline.hooks_of_run.bad:
        hook = timeline.hook_of(track.step) if track.step else None
        if hook is not None and track.phase in _AT_THE_END:
            told = f"{track.words} did not succeed, and is not carried out again"
            yield f"{request_words(hook.do)} from the {hook.origin}", told
    groups: dict[str, list[str]] = {}
    for track in _given_up_between(timeline):
        groups.setdefault(_rest(track), []).append(track.host or "")
    for rest, hosts in groups.items():
        more = f" and {len(hosts) - MOST_HOSTS} more" if len(hosts) > MOST_HOSTS else ""
        told = f"left out between stop and start; {_once_more(timeline, hosts)}"
        yield rest, f"on {', '.join(hosts[:MOST_HOSTS])}{more}: {told}"


def _once_more(timeline: Timeline, hosts: Sequence[str]) -> str:
    """The restart that does the whole list of *hosts* again, and what else it takes down: it is refused without."""
    began = timeline.began
    words = shlex.split(began.command) if began else []
    needed = not timeline.stages[timeline.stage].stage.rolling and _others_need(timeline.stages[-1].stage, set(hosts))
    if Action.RESTART not in words:
        words = ["orch", str(Action.RESTART), "--plan", "FILE"]
    kept, taken = [], True
    for word in words:  # the newest --limit would only add its hosts to those before
        takes = taken and word in ("--limit", "-l")
        if taken and not takes and not word.startswith("--limit=") and word not in _OF_DEPENDENTS:
            kept.append(word)
        taken = not takes
    kept += ["--limit", ",".join(hosts) if len(hosts) <= MOST_HOSTS else "HOSTS"]
    kept += ["--with-dependents"] if needed else []
    also = ", and that of the hosts of what needs them, which goes down and up too" if needed else ""
    return f"`{shlex.join(kept)}` does their whole list again{also}"


def _others_need(stage: Stage, hosts: Set[str]) -> bool:
    """Whether something that acts elsewhere waits, in a start, for what is on *hosts*."""
    opens = {
        number
        for number, barrier in enumerate(stage.barriers)
        if not barrier.soft and any(stage.nodes[place].unit.host in hosts for one in barrier.instances for place in one)
    }
    return any(
        node.unit.host not in hosts and node.role is Role.ACT and not opens.isdisjoint(node.waits_for)
        for node in stage.nodes
    )


def all_well(timeline: Timeline) -> bool:
    """Whether every unit is where the run was to bring it, whatever else did not succeed. Cost: O(units)."""
    acting = (track for track in timeline.tracks() if track.role is Role.ACT)
    return not timeline.strayed and all(track.standing is Standing.OK for track in acting)


def _given_up_between(timeline: Timeline) -> Iterator[Track]:
    """Who did not end the list between stop and start, where the run went on all the same."""
    if timeline.back_from is not None:
        return
    for stage in timeline.stages[: timeline.stage + 1]:
        over = stage.stage.between and stage.number < timeline.stage
        for track in stage.tracks.values():
            here = track.result is not None and track.result.step.phase is Phase.BETWEEN
            left = track.standing is not Standing.OK and (over or (track.down is not None and here))
            if left and track.host not in timeline.excluded:
                yield track


def _rest(track: Track) -> str:
    """What its host has not done, from what failed on."""
    hooks = track.down.between if track.down else track.life.before if track.life else ()
    at = track.result.step.hook if track.result else ""
    first = next((place for place, hook in enumerate(hooks) if hook.name == at), 0)
    return "; ".join(request_words(hook.do) for hook in hooks[first:])
