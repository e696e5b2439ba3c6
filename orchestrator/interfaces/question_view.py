"""A decision on paper, as it is asked: why, what the hosts said last, and each answer with what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.domain.decision_log import Question
from orchestrator.domain.decisions import Choice
from orchestrator.domain.durations import spoken
from orchestrator.domain.policy import Approval
from orchestrator.domain.results import ORPHAN, PID, Result
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.decision_words import MEANS, in_time, said, who_may
from orchestrator.interfaces.theme import DECISION_STYLE, QUIET_STYLE, below, plural, safe

LETTERS: Mapping[str, Choice] = {
    "c": Choice.CONTINUE,
    "r": Choice.ROLLBACK,
    "t": Choice.RETRY,
    "k": Choice.KILL,
    "s": Choice.SKIP,
    "e": Choice.EXCLUDE,
    "h": Choice.HOLD,
    "a": Choice.ABORT,
}
_LETTER_OF = {choice: letter for letter, choice in LETTERS.items()}
MOST_NAMED = 6
"""How many units are named in a line."""
MOST_SAID = 3
"""Of how many failed units the last words are shown."""


class Foreseen(Protocol):
    """What would follow from an answer: said in words; units in order, how long, what stays down, what to beware of."""

    @property
    def choice(self) -> Choice: ...
    @property
    def said(self) -> str: ...
    @property
    def units(self) -> Sequence[str]: ...
    @property
    def expected_s(self) -> float: ...
    @property
    def stays_down(self) -> Sequence[str]: ...
    @property
    def warning(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All that a question shows. `ends` has the last results of units that ended badly; `behind` more wait; `run` is
    "" where the run is named above it. `halted` says why nothing new begins, whatever the answer is waited for."""

    question: Question
    foreseen: Sequence[Foreseen]
    ends: Mapping[str, Result]
    approval: Approval
    requester: str
    behind: int
    run: str = ""
    halted: str = ""


def question(asked: Asked) -> RenderableType:
    """The whole question. Cost: O(units of its cause)."""
    one = asked.question
    title = Text.assemble((f" DECISION {one.number} ", DECISION_STYLE), (f"  {clean(one.headline)}", "bold"))
    if asked.behind:
        title.append(f"  ({plural(asked.behind, 'more decision')} behind it)", style=QUIET_STYLE)
    late = in_time(one, asked.approval)
    who = who_may(asked.approval, asked.requester) + (f"; {late}" if late else "")
    goes_on = "nothing new begins until it is answered" if one.pauses else "what does not need them goes on meanwhile"
    goes_on = f"nothing new begins: {clean(asked.halted)}" if asked.halted and not one.pauses else goes_on
    goes_on = f"run {asked.run}: {goes_on}" if asked.run else goes_on
    parts: list[RenderableType] = [Text(), title, *map(below, _evidence(asked))]
    parts += [below(Text(f"{goes_on}; {who}", style=QUIET_STYLE)), Text(), _answers(asked)]
    return Group(*parts)


def _evidence(asked: Asked) -> list[Text]:
    """What the run said, the units if they are several, and the hosts' last words."""
    one = asked.question
    lines = [safe(text)] if (text := said(one)) else []
    if len(one.units) > 1:
        lines.append(Text(named(one.units)))
    ends = [asked.ends[unit] for unit in one.units if unit in asked.ends][:MOST_SAID]
    return lines + [words for result in ends if (words := _last_words(result, one.cause.said)).plain]


def _last_words(result: Result, told: str) -> Text:
    problem = result.problem
    words = "" if problem is None or problem.text in told else problem.text
    if result.said and result.said not in told:
        words = f"{result.said}: {words}" if words and words not in result.said else result.said
    if not words:
        return Text()
    unit = "" if words.startswith(result.step.unit) else f"{result.step.unit}: "
    return safe(f"{unit}{words}", QUIET_STYLE)


def _answers(asked: Asked) -> Table:
    """A row for each answer: its letter, its word, what it means here, and what to know before giving it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for style in ("bold", "bold", ""):
        table.add_column(style=style, overflow="fold")
    foreseen = {one.choice: one for one in asked.foreseen}
    for choice in asked.question.choices:
        lines = _follows(choice, foreseen.get(choice))
        if choice is Choice.KILL and (killed := processes(asked.question.units, asked.ends)):
            lines.append(safe(killed, "bold red"))
        table.add_row(_LETTER_OF[choice], str(choice), Group(*lines))
    return table


def _follows(choice: Choice, one: Foreseen | None) -> list[RenderableType]:
    if one is None:
        return [Text(MEANS[choice])]
    lines = [safe(one.said)]
    if one.units:
        took = f", about {spoken(one.expected_s)}" if one.expected_s >= 1 else ""
        lines.append(Text(f"{plural(len(one.units), 'unit')}{took}: {named(one.units)}", style=QUIET_STYLE))
    if one.stays_down:
        lines.append(Text(f"stays down: {named(one.stays_down)}", style="yellow"))
    if one.warning:
        lines.append(safe(one.warning, "bold red"))
    return [*lines]


def processes(units: Sequence[str], ends: Mapping[str, Result]) -> str:
    """Which processes a kill of *units* would end, as their last results (*ends*) have them; "" if those tell none."""
    found = [(unit, ends[unit].evidence) for unit in units if unit in ends]
    known = [(evidence.get(ORPHAN) or evidence.get(PID), unit) for unit, evidence in found]
    pids = [f"PID {pid} of {unit}" for pid, unit in known if pid]
    if not pids:
        return ""
    return f"ends {named(pids)}, and what descends from it; refused where services live in it that may not end too"


def named(units: Sequence[str]) -> str:
    """`a, b, c and 3 more`."""
    more = len(units) - MOST_NAMED
    shown = ", ".join(map(clean, units[:MOST_NAMED]))
    return f"{shown} and {more} more" if more > 0 else shown


def in_short(one: Foreseen | None, choice: Choice, killed: str = "") -> str:
    """What was shown of an answer before it was given, for the record; *killed* are the processes that it ends."""
    if one is None:
        return MEANS[choice]
    down = f"stays down: {named(one.stays_down)}" if one.stays_down else ""
    return "; ".join(filter(None, (one.said, down, one.warning, killed)))


def understood(typed: str, choices: Sequence[Choice]) -> Choice | None:
    """The one of *choices* that a letter, a word or a unique beginning of one means; None if none or several do."""
    word = typed.strip().casefold()
    letter = LETTERS.get(word)
    if letter is not None:
        return letter if letter in choices else None
    meant = [choice for choice in choices if word and choice.value.startswith(word)]
    return meant[0] if len(meant) == 1 else None
