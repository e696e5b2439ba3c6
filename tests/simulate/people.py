"""The people of a night: who says what to which decision, and when. The same seed and question, the same answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from seeds import PEOPLE, Script

from orchestrator.domain.decisions import Cause, Choice

PATIENCE = 6
"""How many decisions of a run people think about; after that they want it to end."""
AGAIN_S = 25.0
"""Where an answer was not enough or refused, everybody says the same, one after the other, so often."""
ROUNDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What *by* says *after_s* seconds after the question."""

    after_s: float
    by: str
    choice: Choice


def replies(script: Script, number: int, cause: Cause, choices: Sequence[Choice]) -> Iterator[Reply]:
    """Everything that is said to decision *number*, in order of time."""
    if script.profile == "killed":
        dice = Random(f"{script.seed} {cause.kind} {cause.service} {cause.problem}")
        timeless = [one for one in choices if one in (Choice.ROLLBACK, Choice.SKIP, Choice.CONTINUE)]
        yield Reply(after_s=1.0, by=PEOPLE[1], choice=dice.choice(timeless))  # what is done by then does not matter
        return
    dice = Random(f"{script.seed} {number}")
    final = _choice(dice, choices, number)
    first_s = dice.choice((0.0, 0.0, 0.7, 3.0, 20.0, 75.0))
    throw = dice.random()
    if throw < 0.3:  # two at the same moment
        other = _choice(dice, choices, number)
        yield Reply(after_s=first_s, by=PEOPLE[0], choice=final)
        yield Reply(after_s=first_s, by=PEOPLE[1], choice=other)
    elif throw < 0.4:  # something that was not offered
        yield Reply(after_s=first_s, by=PEOPLE[2], choice=Choice.CONTINUE if Choice.RETRY in choices else Choice.RETRY)
    elif throw < 0.8 and script.plan.policy.approval.min_approvals > 1:  # one changes their mind
        yield Reply(after_s=first_s, by=PEOPLE[0], choice=final)
        yield Reply(after_s=first_s + 0.5, by=PEOPLE[0], choice=_choice(dice, choices, number))
        yield Reply(after_s=first_s + 1.0, by=PEOPLE[1], choice=final)
    else:
        yield Reply(after_s=first_s, by=dice.choice(PEOPLE), choice=final)
    for again in range(1, ROUNDS):
        for step, who in enumerate(PEOPLE):
            yield Reply(after_s=first_s + again * AGAIN_S + step, by=who, choice=final)
    if Choice.ABORT in choices:  # those who may answer want different things, and have said so
        yield Reply(after_s=first_s + ROUNDS * AGAIN_S, by=PEOPLE[1], choice=Choice.ABORT)


def _choice(dice: Random, choices: Sequence[Choice], number: int) -> Choice:
    if number > PATIENCE:
        wanted = [one for one in (Choice.ABORT, Choice.ROLLBACK) if one in choices]
        return dice.choice(wanted or list(choices))
    return dice.choice(list(choices))
