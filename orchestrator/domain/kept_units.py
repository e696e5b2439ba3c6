"""Which units of a run are kept down, folded from what its steps ended with.

Room: domain. The evidence of those steps has its names here.
"""

from orchestrator.domain.results import Acted, Outcome, Phase, Result

KEPT_DOWN, RECORD, BESIDE, REWRITTEN = "kept_down", "kept_down_record", "kept_down_beside", "kept_down_rewritten"
"""Evidence: what is kept, in words; all of it, as JSON; what else is worth knowing; and of a reading, what somebody has
given back to a service that is kept down."""


class KeptUnits:
    """Units that the run keeps down, or may, with what comes back, in words ("" if that is not known), in the order in
    which they were; and what last readings found given back by somebody else. Cost: O(1) a result."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self.rewritten: dict[str, str] = {}

    def take(self, result: Result) -> None:
        """One step has ended."""
        step = result.step
        if step.phase is Phase.KEEP_DOWN and (result.outcome is Outcome.OK or result.acted is not Acted.NO):
            self.now[step.unit] = result.evidence.get(KEPT_DOWN, "")
        elif step.phase is Phase.RELEASE and result.outcome is Outcome.OK:
            self.now.pop(step.unit, None)
            self.rewritten.pop(step.unit, None)
        elif step.phase is Phase.READ and REWRITTEN in result.evidence:
            self.rewritten[step.unit] = result.evidence[REWRITTEN]
