"""What a rolling restart that did not come to its end has done, what it has not, and what to type for the rest."""

import shlex
from collections.abc import Iterator, Sequence

from orchestrator.domain.parts import goes_down
from orchestrator.domain.plan import Action, Role
from orchestrator.domain.results import AT_FIRST, Phase
from orchestrator.domain.runstate import Standing
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.track import Track
from orchestrator.interfaces.theme import plural

_OPTIONS = {"--limit": "--limit", "-l": "--limit", "--service": "--service", "-s": "--service"}
_OF_DEPENDENTS = "--with-dependents"


def rolls(timeline: Timeline) -> bool:
    """Whether the run takes units down and up again one batch after the other. Cost: O(stages)."""
    began = timeline.began
    return began is not None and began.plan.action is Action.RESTART and any(_rolling(timeline))


def restarted(timeline: Timeline) -> list[str]:
    """The units that came through it well, in plan order. Cost: O(units)."""
    return [one.unit for one in _rolling(timeline) if one.standing is Standing.OK and one.moved]


def not_restarted(timeline: Timeline) -> list[Track]:
    """The units that did not come to their start: not begun, or given up on their way down. Cost: O(units)."""
    return [one for one in _rolling(timeline) if one.standing is not Standing.OK and _before_its_start(one)]


def the_rest(timeline: Timeline) -> Iterator[tuple[str, str]]:
    """What restarts those that are not, and which those are; nothing where all are. "" for what to type: of a saved
    plan nobody knows how it was made."""
    left, began = not_restarted(timeline), timeline.began
    if not left or began is None or not rolls(timeline):
        return
    hosts = list(dict.fromkeys(one.host for one in left if one.host))
    of = dict.fromkeys(one.service for one in _rolling(timeline) if one.host in hosts)
    line = _restart_of(shlex.split(began.command), hosts, list(of))
    told = f"{plural(len(left), 'unit')} not restarted: once they run and are used again, restarts these hosts alone"
    yield line or f"orch restart --plan PLAYBOOK --rolling --limit {','.join(hosts)}", told


def _rolling(timeline: Timeline) -> Iterator[Track]:
    for stage in timeline.stages[: timeline.back_from]:
        if stage.stage.rolling:
            yield from (one for one in stage.tracks.values() if one.role is Role.ACT)


def _before_its_start(track: Track) -> bool:
    step = track.result.step if track.result else track.step
    return step is None or goes_down(step) or (step.phase is Phase.READ and step.hook == AT_FIRST)


def _restart_of(words: Sequence[str], hosts: Sequence[str], services: Sequence[str]) -> str:
    """The command line *words* for *hosts* alone; "" if it is none of a restart. Dependents that it took in are named:
    the rest may have none of what they depend on."""
    if Action.RESTART not in words:
        return ""
    kept: list[str] = []
    dependents, option = _OF_DEPENDENTS in words, ""
    for word in words:
        name, joined, _ = word.partition("=")
        drop = option == "--limit" or (dependents and option == "--service")
        named = "" if option else _OPTIONS.get(name, "")
        if named and (named == "--limit" or dependents):
            drop = True
        if not drop and word != _OF_DEPENDENTS:
            kept.append(word)
        option = named if named and not joined else ""
    chosen = [word for service in services for word in ("--service", service)] if dependents else []
    return shlex.join([*kept, *chosen, "--limit", ",".join(hosts)])
