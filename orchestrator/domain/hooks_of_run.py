"""The hooks of a run itself as eyes see them: what each said, and which is under way.

Room: domain. Filled in by `timeline`, read by whoever draws.
"""

from orchestrator.domain.facts import Stamped
from orchestrator.domain.life import Hook, RunHooks
from orchestrator.domain.plan import Role
from orchestrator.domain.results import Note, Phase, Result, Step
from orchestrator.domain.runstate import Standing
from orchestrator.domain.service import State
from orchestrator.domain.track import Track


class HooksOfRun:
    """Folds the steps whose unit is `RUN`. Cost: O(hooks of the run) a step."""

    def __init__(self) -> None:
        self.tracks: dict[tuple[Phase, str], Track] = {}
        """By phase and name, in the order in which they were begun first."""
        self._hooks: dict[tuple[Phase, str], Hook] = {}

    def begin(self, hooks: RunHooks) -> None:
        """The plan's hooks of the run."""
        of = ((Phase.ON_BEGIN, hooks.begin), (Phase.ON_FAILURE, hooks.failure), (Phase.ON_END, hooks.end))
        self._hooks = {(phase, hook.name): hook for phase, some in of for hook in some}

    def hook(self, step: Step) -> Hook | None:
        """The hook that *step* carries out or undoes: what is undone is what began the run."""
        return self._hooks.get((Phase.ON_BEGIN if step.phase is Phase.UNDO else step.phase, step.hook))

    def intended(self, step: Step, stamped: Stamped) -> None:
        """A step was issued."""
        key = (step.phase, step.hook)
        hook = self.hook(step)
        if key not in self.tracks:
            self.tracks[key] = Track(
                unit="the run",
                service="",
                host=None,
                stage=-1,
                goal=State.RUNNING,
                role=Role.PASS,
                expected_s=0.0,
                rank_s=0.0,
                timeout_s=hook.timeout_s if hook else 0.0,
                began_at=stamped.at,
                moved=True,  # what a hook of the run does is its act
            )
        track = self.tracks[key]
        track.begin(step)
        track.note, track.standing = "", Standing.UNDER_WAY
        track.since_s, track.attempts = stamped.elapsed_s, max(track.attempts, step.attempt)

    def note(self, note: Note) -> None:
        """What a step saw on its way."""
        track = self.tracks.get((note.step.phase, note.step.hook))
        if track is not None and track.busy:
            track.note = note.text

    def ended(self, result: Result, stamped: Stamped) -> None:
        """A step ended."""
        track = self.tracks.get((result.step.phase, result.step.hook))
        if track is not None:
            track.take(result, stamped.at)
            track.busy, track.standing = False, Standing(result.outcome.value)

    def lose(self) -> None:
        """The process is gone: what was under way is due again, or not known."""
        for track in self.under_way:
            track.busy, track.standing, track.lost = False, Standing.UNKNOWN, True

    @property
    def under_way(self) -> list[Track]:
        """Those whose step has not ended."""
        return [track for track in self.tracks.values() if track.busy]

    @property
    def bad(self) -> list[Track]:
        """Those that did not end well, as far as they have ended."""
        return [track for track in self.tracks.values() if track.standing in (Standing.FAILED, Standing.UNKNOWN)]
