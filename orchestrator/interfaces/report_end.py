"""The last part of a report: what is put back and what is not, what was decided by whom, and what to type next."""

import shlex
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from orchestrator.domain.decision_log import Question
from orchestrator.domain.decisions import Choice
from orchestrator.domain.facts import UNREAD, RunBegan
from orchestrator.domain.plan import Action, Plan, Role
from orchestrator.domain.runstate import Verdict
from orchestrator.domain.service import State
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.undo import ByHand, HookByHand, by_hand, hooks_by_hand
from orchestrator.domain.unlike import unlike
from orchestrator.domain.way_back import acted_on, home, in_words
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.decision_words import answered, command
from orchestrator.interfaces.left_undone import all_well, left_undone
from orchestrator.interfaces.rest_of_roll import restarted, rolls, the_rest
from orchestrator.interfaces.theme import QUIET_STYLE, STRAYED_STYLE, Marks, below, plural, safe, unit_name

INCOMPLETE = 4
"""The exit code of a way back that did not put all back, and of a cancel that left something undone."""
MOST_UNITS = 40
"""How many units or commands are listed one by one; the file has all commands, and `orch show --json` all units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What to type by hand to put back what the run could not, what of hooks may have to be undone, and the file that
    has both too ("" if there is none)."""

    hands: Sequence[ByHand]
    hooks: Sequence[HookByHand] = ()
    path: str = ""


def undo_of(timeline: Timeline, addresses: Mapping[str, str]) -> Undo | None:
    """What to type after a way back that did not put all back, or a cancel that left something undone; None where there
    is nothing. Cost: O(nodes + edges)."""
    began, ended = timeline.began, timeline.ended
    if began is None or ended is None or ended.exit_code != INCOMPLETE:
        return None
    states = timeline.states()
    gone_back = began.plan.action in (Action.ROLLBACK, Action.RESTORE)
    units = states if gone_back else timeline.touched()
    now = {unit: "" if states[unit] == UNREAD else states[unit] for unit in units}
    pids = {track.unit: track.process for track in timeline.tracks() if track.process}
    back = gone_back or timeline.back_from is not None  # who cancels leaves the rest as it is
    hands = by_hand(began.plan, now, addresses, pids) if back else ()
    hooks = need_hands(timeline)
    return Undo(hands=hands, hooks=hooks) if hands or hooks else None


def need_hands(timeline: Timeline) -> tuple[HookByHand, ...]:
    """What of hooks was to be undone and is not. After a way back that is all that was done on the way from where its
    unit was, of a rollback all that the other run left, and once somebody closed the run all that was done. A stop that
    went its way leaves the undo to the start after it; one of which nobody knows whether it still will, to a person."""
    began, ended = timeline.began, timeline.ended
    if began is None:
        return ()
    whole = ended is not None and ended.verdict == Verdict.CLOSED
    homes = {} if timeline.back_from is None else {unit.id: home(unit) for unit in acted_on(began.plan)}
    done = timeline.hooks_done
    given_up = given_up_by_now(timeline)
    return hooks_by_hand(done, began.run, whole=whole, ended=ended is not None, homes=homes, given_up=given_up)


def given_up_by_now(timeline: Timeline) -> frozenset[str]:
    """The units of a parked run that a decision left as they are: what is under way has settled."""
    if not timeline.parked or timeline.ended is not None:
        return frozenset()
    return frozenset(track.unit for stage in timeline.going for track in stage.tracks.values() if track.set_aside)


def _while_it_waits(timeline: Timeline, marks: Marks) -> Iterator[RenderableType]:
    """What is done and not undone of units that a parked run asks about."""
    if not timeline.parked or timeline.ended is not None:
        return
    asked = {unit for question in timeline.decisions.open for unit in question.units}
    done = [one for one in timeline.hooks_done.due() if one.unit in asked and one.in_vain and not one.failed]
    if done:
        yield Text("stays as it is while the run waits:", style="bold")
    for one in done[:MOST_UNITS]:
        what = f"done and not undone: hook {one.name}" if one.hook else "kept down"
        yield Text.assemble((f"{marks.strayed} ", STRAYED_STYLE), (unit_name(one.unit), "bold"), f"  {clean(what)}")
    if len(done) > MOST_UNITS:
        yield below(Text(f"and {len(done) - MOST_UNITS} more", style=QUIET_STYLE))


def by_hooks(timeline: Timeline, marks: Marks) -> Iterator[RenderableType]:
    """What of hooks needs hands, each with what to do."""
    found = need_hands(timeline)
    if found:
        yield Text("needs hands:", style="bold red")
    for one in found[:MOST_UNITS]:
        yield Text.assemble((f"{marks.strayed} ", STRAYED_STYLE), (unit_name(one.unit), "bold"), f"  {clean(one.what)}")
        yield below(safe(one.why))
        yield below(Text("by hand: ", style="bold").append(clean(one.how), style="not bold"))
    if len(found) > MOST_UNITS:
        yield below(Text(f"and {len(found) - MOST_UNITS} more", style=QUIET_STYLE))
    yield from _while_it_waits(timeline, marks)


def way_back(timeline: Timeline, marks: Marks, undo: Undo | None) -> Iterator[RenderableType]:
    """What a rollback put back; unit by unit what is not as it was; and what to type for those. Cost: O(units)."""
    began = timeline.began
    whole = began is not None and began.plan.action in (Action.ROLLBACK, Action.RESTORE)
    if timeline.back_from is None and not whole:
        return
    not_back = unlike(timeline)
    if not whole:
        yield from _is_back(timeline, {one.unit for one in not_back})
    why = {one.unit: in_words(one) for one in timeline.changed_since}
    if whole and began is not None:
        mine = {track.unit for track in timeline.tracks()}
        why |= {left.unit: left.why for left in began.plan.left_alone if left.unit in mine}
    said = {one.unit: f"was {clean(one.was)}, is {clean(one.now) or 'not known'}" for one in not_back}
    told = list(dict.fromkeys([*said, *why]))
    for unit in told[:MOST_UNITS]:
        text = Text.assemble((f"{marks.strayed} ", STRAYED_STYLE), (clean(unit), "bold"))
        yield text.append(f"  {said.get(unit, '')}".rstrip(), style=STRAYED_STYLE)
        if unit in why:
            yield below(safe(why[unit]))
    if len(told) > MOST_UNITS:
        yield below(Text(f"and {len(told) - MOST_UNITS} more", style=QUIET_STYLE))
    if undo is not None:
        yield from _typed_by_hand(undo)


def _is_back(timeline: Timeline, not_back: Container[str]) -> Iterator[RenderableType]:
    """How many are as before the run; who was restarted by then is not taken back."""
    done = [unit for unit in restarted(timeline) if unit not in not_back]
    stay, touched = set(done), timeline.touched()
    mine = [unit for unit in touched if unit not in stay]
    if mine or not done:
        back = f"{sum(unit not in not_back for unit in mine)} of {plural(len(mine), 'touched unit')}"
        yield Text(f"rolled back: {back} {'is' if len(mine) == 1 else 'are'} as before the run", style="bold")
    if done:
        more = f" and {len(done) - MOST_UNITS} more" if len(done) > MOST_UNITS else ""
        were = "was" if len(done) == 1 else "were"
        said = f"{len(done)} {were} restarted before and {'stays' if len(done) == 1 else 'stay'} so: "
        yield Text(f"{said}{', '.join(map(clean, done[:MOST_UNITS]))}{more}", style="bold")


def _typed_by_hand(undo: Undo) -> Iterator[RenderableType]:
    if undo.hands:
        yield Text("by hand, in this order:", style="bold")
    for hand in undo.hands[:MOST_UNITS]:
        yield below(safe(hand.command))
        if hand.note:
            yield below(safe(f"{hand.unit}: {hand.note}", QUIET_STYLE))
    if len(undo.hands) > MOST_UNITS:
        yield below(Text(f"and {len(undo.hands) - MOST_UNITS} more", style=QUIET_STYLE))
    if undo.path:
        what = "the same as a file"
        if undo.hooks:
            what += ", what needs hands as comments in it" if undo.hands else ", which acts on nothing: comments alone"
        yield below(Text(f"{what}: {clean(undo.path)}", style=QUIET_STYLE))


def decisions(timeline: Timeline) -> Iterator[RenderableType]:
    """What was asked, and who answered what and why."""
    questions = list(timeline.decisions.all.values())
    if questions:
        yield Text("decisions:", style="bold")
    for question in questions:
        yield Text(f"  {question.number}  {clean(question.headline)}")
        yield below(safe(_in_words(question, timeline)))
    indent = "  " if questions else ""
    for resumed in timeline.resumes:
        yield Text(f"{indent}resumed by {clean(resumed.fact.requester)} on {clean(resumed.fact.controller)}")


def _in_words(question: Question, timeline: Timeline) -> str:
    words = answered(question)
    return f"unanswered when the run ended; it {words}" if question.open and timeline.ended else words


def what_next(timeline: Timeline, *, carried: bool = False) -> Iterator[RenderableType]:
    """The journal's head, and what to type next; the last line of a stop is how to start again what ran before.
    *carried*: a living process goes on with it."""
    began, ended = timeline.began, timeline.ended
    if began is None:
        return
    if timeline.head:
        yield Text(f"journal head {timeline.head}", style=QUIET_STYLE)
    if ended is None:
        yield from _carried(timeline) if carried else _open(timeline)
        return
    done = ended.verdict == "done"
    if not done or timeline.strayed:
        yield from _typed("next: ", f"orch show {began.run}", "every unit with its states, times and errors")
    if ended.exit_code == INCOMPLETE and ended.verdict != Verdict.CANCELLED:
        of = began.of if began.plan.action is Action.ROLLBACK else began.run
        yield from _typed("or:   ", f"orch rollback {of}", "once what failed is mended: puts back what is not back yet")
    elif not done:
        yield from _again(timeline)
    yield from _rest(timeline)
    yield from _kept_down(timeline)
    if began.plan.action is Action.STOP and timeline.back_from is None and timeline.touched():
        yield from _typed("back: ", f"orch start --from {began.run}", _covers(began.plan))


def _rest(timeline: Timeline) -> Iterator[RenderableType]:
    for line, what in the_rest(timeline):
        yield from _typed("rest: ", line, what)


def _kept_down(timeline: Timeline) -> Iterator[RenderableType]:
    if timeline.kept.now:
        words = "puts back what starts them by themselves; so does whatever starts them with orch"
        units = plural(len(timeline.kept.now), "unit")
        yield from _typed(f"kept down, {units}: ", f"orch release {timeline.run}", words)


def _covers(plan: Plan) -> str:
    """How much a start from this stop brings up, if that is less than is down after it; else ""."""
    units = acted_on(plan)
    ran = sum(home(unit) is State.RUNNING for unit in units)
    down = sum(home(unit) is State.STOPPED for unit in units)
    starts = f"starts the {plural(ran, 'unit')} that ran before it" if ran else "would start nothing"
    return f"{starts}; {down} {'was' if down == 1 else 'were'} down already and would stay down" if down else ""


def _carried(timeline: Timeline) -> Iterator[RenderableType]:
    if timeline.decisions.open:
        yield from _typed("next: ", command(timeline), "answers; its process goes on at once")
    else:
        yield from _typed("next: ", f"orch show {timeline.run}", "it goes on: how far it has come by then")
    words = "what is under way settles, then it asks whether to keep or roll back"
    yield from _typed("or:   ", f"orch cancel {timeline.run}", words)


def _open(timeline: Timeline) -> Iterator[RenderableType]:
    run, waiting = timeline.run, timeline.decisions.open
    if timeline.parked and waiting:
        yield from _typed("next: ", command(timeline), "answers, and goes on here")
        yield from _typed("or:   ", f"orch decisions; orch resume {run}", "what waits; goes on once it is answered")
        return
    yield from _typed("next: ", f"orch resume {run}", "reads the hosts, says what it finds, and goes on from here")
    yield from _typed("or:   ", f"orch close {run} --reason TEXT", "leaves all as it is, and frees its locks")
    begun = any(track.step is not None and track.role is Role.ACT for track in timeline.tracks())
    if timeline.back_from is None and begun:
        line = f"orch rollback {run}"
        if not any(Choice.ROLLBACK in asked.choices for asked in waiting):
            line = f"orch close {run} --reason TEXT && {line}"
        yield from _typed("back: ", line, "reads the hosts, and puts back what it changed")


def _again(timeline: Timeline) -> Iterator[RenderableType]:
    began = timeline.began
    if began is None or timeline.back_from is not None:
        return
    for line, what in left_undone(timeline):
        yield from _typed("by hand: ", line, what)
    rolling, down = rolls(timeline), bool(unlike(timeline))
    if down or any(timeline.hooks_done.due()):
        words = "puts back what this run changed"
        if rolling:
            words = "starts what this run left down and undoes what it left done; who was restarted stays so"
        yield from _typed("or:   ", f"orch rollback {began.run}", f"{words}; add --dry-run to look first")
    if not began.command or all_well(timeline) or (rolling and not down):
        return
    typed, words = _typed_again(began), "units that are there already are left as they are"
    if began.plan.action is Action.RESTART:
        typed = _as_start(typed, began.run)
        words = "starts what is stopped; a restart acts on what runs, so it would leave down what this one stopped"
    when = "goes on from here" if timeline.orders and not timeline.failures else "once what failed is mended"
    yield from _typed("or:   ", typed, f"{when}: {words}")


def _typed_again(began: RunBegan) -> str:
    """The command line, with the run or tag that it was of named: `last` is another run by now."""
    words = shlex.split(began.command)
    if not began.of:
        return began.command
    named_first = began.plan.action in (Action.ROLLBACK, Action.RESTORE)  # by an argument, and not by --from
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if before == "--from" or (named_first and word == "last" and not before.startswith("--state")):
            words[place] = began.of
        elif word.startswith("--from="):
            words[place] = f"--from={began.of}"
    return shlex.join(words)


def _typed(label: str, line: str, what: str) -> Iterator[RenderableType]:
    yield Text(label, style="bold").append(clean(line))
    if what:
        yield below(Text(what, style=QUIET_STYLE))


def _as_start(typed: str, run: str) -> str:
    """A restart's command line as that of a start, which knows no dependents and does not roll; of a plan that was
    saved, which would restart again, the start of what ran before."""
    of_restart = ("--with-dependents", "--ignore-dependents", "--rolling")
    words = [word for word in shlex.split(typed) if word not in of_restart]
    if Action.RESTART not in words:
        return f"orch start --from {run}"
    words[words.index(Action.RESTART)] = str(Action.START)
    return shlex.join(words)
