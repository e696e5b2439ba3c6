"""The hooks of a whole run: what is done before anything is touched, and when all is over.

Room: domain. A fold of their steps; when they are due is `runstate`'s. Their unit is RUN, their stage 0.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.life import Hook, RunHooks
from orchestrator.domain.parts import Part, repeatable
from orchestrator.domain.results import RUN, Acted, Outcome, Phase, Result, Step

_PHASES = (Phase.ON_BEGIN, Phase.ON_END, Phase.ON_FAILURE, Phase.UNDO)
_LOST = "its answer was lost, and nobody knows whether it was done"


def is_errand(step: Step) -> bool:
    """Whether *step* is a hook of the run, or the undo of one."""
    return step.unit == RUN and step.phase in _PHASES


class Errands:
    """The hooks of one run. Cost: O(hooks) each."""

    def __init__(self, hooks: RunHooks) -> None:
        self._hooks = hooks
        self._named = {hook.name: hook for hook in (*hooks.begin, *hooks.failure, *hooks.end)}
        self.under_way: Step | None = None
        self.begun: dict[str, None] = {}
        """The hooks `on_begin` that are over: they ended ok, or the run goes on without them."""
        self.owed: dict[str, None] = {}
        """Those of them that may have run, and can be undone."""
        self.failed: tuple[str, str, ProblemKind | None] | None = None
        """The hook `on_begin` that did not end ok, what was said, and the kind of failure: it is asked what then."""
        self.told = False
        """It was asked."""
        self.over: dict[tuple[str, str], None] = {}
        """(phase, hook) of what was done at the end, however it ended."""
        self.troubles: dict[tuple[str, str], str] = {}
        """(phase, hook) of what did not end ok at the end, and what was said."""
        self.attempts: dict[tuple[str, str], int] = {}

    @property
    def came_up(self) -> bool:
        """Whether any of them was carried out, or may have been."""
        return bool(self.attempts)

    def next_begin(self) -> Step | None:
        """What is done next before the first stage; None if nothing is, or if it is asked first."""
        if self.failed is not None or self.under_way is not None:
            return None
        name = next((hook.name for hook in self._hooks.begin if hook.name not in self.begun), None)
        return None if name is None else self._step(Part(Phase.ON_BEGIN, name))

    def next_end(self, *, done: bool) -> Step | None:
        """What is done next at the end of a run that is *done*, or is not; None if all is."""
        if self.under_way is not None:
            return None
        parts = (part for part in self._ends(done=done) if (part.phase, part.hook) not in self.over)
        part = next(parts, None)
        return None if part is None else self._step(part)

    def _ends(self, *, done: bool) -> Iterable[Part]:
        if not done:
            yield from (Part(Phase.ON_FAILURE, hook.name) for hook in self._hooks.failure)
        for hook in reversed(self._hooks.begin):
            if hook.name in self.owed or (Phase.UNDO, hook.name) in self.over:
                yield Part(Phase.UNDO, hook.name)
        yield from (Part(Phase.ON_END, hook.name) for hook in self._hooks.end)

    def _step(self, part: Part) -> Step:
        attempt = self.attempts.get((part.phase, part.hook), 0) + 1
        return Step(0, RUN, part.phase, attempt, hook=part.hook)

    def intended(self, step: Step) -> None:
        """Raises ValueError if it is not the next attempt of one of the run's hooks, or another is under way."""
        if (
            self.under_way is not None
            or step.hook not in self._named
            or step != self._step(Part(step.phase, step.hook))
        ):
            raise ValueError(f"step {step.id} does not follow from what happened")
        self.under_way = step
        self.attempts[step.phase, step.hook] = step.attempt

    def ended(self, result: Result) -> None:
        """Fold in what came of one."""
        step = result.step
        if self.under_way != step:
            raise ValueError(f"step {step.id} was answered but is not under way")
        self.under_way = None
        if step.phase is Phase.ON_BEGIN and result.acted is not Acted.NO:
            self._owe(step.hook)
        if result.outcome is Outcome.OK:
            self._well(step)
        else:
            said = result.said or (result.problem.text if result.problem else "")
            self._badly(step, said, result.problem.kind if result.problem else None)

    def _owe(self, name: str) -> None:
        if self._named[name].undo is not None:
            self.owed[name] = None

    def _well(self, step: Step) -> None:
        if step.phase is Phase.ON_BEGIN:
            self.begun[step.hook] = None
            return
        self.over[step.phase, step.hook] = None
        self.troubles.pop((step.phase, step.hook), None)
        if step.phase is Phase.UNDO:
            self.owed.pop(step.hook, None)

    def _badly(self, step: Step, said: str, kind: ProblemKind | None) -> None:
        if step.phase is Phase.ON_BEGIN:
            self.failed, self.told = (step.hook, said, kind), False
        else:
            self.over[step.phase, step.hook] = None
            self.troubles[step.phase, step.hook] = said

    def lose(self) -> list[Step]:
        """The process is gone. What must not be carried out twice counts as not done; the rest is due again."""
        step, self.under_way = self.under_way, None
        if step is None:
            return []
        if step.phase is Phase.ON_BEGIN:
            self._owe(step.hook)
        if not repeatable(self._named[step.hook]):
            self._badly(step, f"{step.phase} {step.hook}: {_LOST}", None)
        return [step]

    def retry(self) -> None:
        """Carry out once more what did not end ok."""
        self.failed = None

    def go_on(self) -> None:
        """Do without what did not end ok."""
        if self.failed is not None:
            self.begun[self.failed[0]] = None
            self.failed = None

    def hook(self, name: str) -> Hook:
        """The hook of that name. Raises KeyError if there is none."""
        return self._named[name]

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        step = self.under_way
        return {
            "under_way": step and [step.phase, step.hook, step.attempt],
            "begun": list(self.begun),
            "owed": list(self.owed),
            "failed": self.failed and list(self.failed),
            "told": self.told,
            "over": [list(key) for key in self.over],
            "troubles": [[*key, said] for key, said in self.troubles.items()],
            "attempts": [[*key, count] for key, count in self.attempts.items()],
        }

    def restore(self, dumped: Mapping[str, Any]) -> None:
        """Bring one of which nothing has happened yet to where *dumped* was."""
        if dumped["under_way"]:
            phase, hook, attempt = dumped["under_way"]
            self.under_way = Step(0, RUN, Phase(phase), attempt, hook=hook)
        self.begun = dict.fromkeys(dumped["begun"])
        self.owed = dict.fromkeys(dumped["owed"])
        if dumped["failed"]:
            name, said, kind = dumped["failed"]
            self.failed = (name, said, None if kind is None else ProblemKind(kind))
        self.told = dumped["told"]
        self.over = {(Phase(phase), hook): None for phase, hook in dumped["over"]}
        self.troubles = {(Phase(phase), hook): said for phase, hook, said in dumped["troubles"]}
        self.attempts = {(Phase(phase), hook): count for phase, hook, count in dumped["attempts"]}
