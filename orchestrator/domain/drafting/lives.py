"""What the nodes of one service do around its acts: hooks and their mirrored undos, gates before, patience, kills."""

from collections.abc import Callable, Mapping, Sequence

from orchestrator.domain.drafting.gates import Gates
from orchestrator.domain.drafting.hooks import Hooks, undone
from orchestrator.domain.drafting.surroundings import Surroundings
from orchestrator.domain.life import IfStuck, Life
from orchestrator.domain.playbook.gate_shapes import GateShape
from orchestrator.domain.playbook.life_shapes import (
    AFTER_START,
    AFTER_STOP,
    BEFORE_START,
    BEFORE_STOP,
    HOOKS,
    LastingShape,
    MoveTiming,
    StopDefaults,
    StopTiming,
)
from orchestrator.domain.playbook.pieces import Piece
from orchestrator.domain.playbook.reading import Declared

_NOTHING = Life()
_SAYS_NOTHING = LastingShape()


def has_life(declared: Declared) -> bool:
    """Whether *declared* says anything that is part of a life."""
    said = bool(declared.hooks) or declared.lasting is not None or issubclass(declared.stop.model, StopDefaults)
    return said or any(declared.gates.get(name) for name in ("prechecks", "drained"))


class Lives:
    """The lives of one service that has any. Instances that need the same share one object."""

    def __init__(
        self,
        declared: Declared,
        around: Surroundings,
        gates: Callable[[Sequence[Piece[GateShape]]], Gates],
    ) -> None:
        self._around = around
        self._lasting = declared.lasting
        self._gates = {name: gates(declared.gates.get(name, ())) for name in ("prechecks", "drained")}
        self._hooks = {name: Hooks(declared.hooks.get(name, ()), around) for name in HOOKS}
        self._shared: dict[Life, Life] = {}
        self.same_everywhere = (
            all(one.same_everywhere for one in self._gates.values())
            and all(one.same_everywhere for one in self._hooks.values())
            and not declared.stop.sites
            and not (declared.lasting and declared.lasting.sites)
        )
        self._of_all: tuple[Life | None, Life | None] | None = None

    def on(self, host: str, context: Mapping[str, object], stop: MoveTiming) -> tuple[Life | None, Life | None]:
        """What the instance on *host*, whose stop is timed as *stop* says, does around a start, and around a stop;
        None: nothing."""
        if self._of_all is not None:
            return self._of_all
        hooks = {name: of_list.on(host, context) for name, of_list in self._hooks.items()}
        around = self._around
        lasting = (self._lasting and self._lasting.filled(around.render, context, around.found, host)) or _SAYS_NOTHING
        starting = Life(
            before=(*undone(hooks[AFTER_STOP]), *hooks[BEFORE_START]),
            after=(*hooks[AFTER_START], *undone(hooks[BEFORE_STOP])),
            healthy_s=lasting.min_healthy or 0.0,
            keep_down=lasting.keep_down,
        )
        stuck = stop if isinstance(stop, StopTiming) else StopTiming()
        stopping = Life(
            prechecks=self._gates["prechecks"].on(host, context),
            before=(*undone(hooks[AFTER_START]), *hooks[BEFORE_STOP]),
            drained=self._gates["drained"].on(host, context),
            after=(*hooks[AFTER_STOP], *undone(hooks[BEFORE_START])),
            if_stuck=IfStuck(stuck.if_stuck or IfStuck.FAIL),
            max_timeout_s=stuck.max_timeout,
            kill_shared=stuck.kill_shared,
            keep_down=lasting.keep_down,
        )
        made = self._one_of(starting), self._one_of(stopping)
        if self.same_everywhere:
            self._of_all = made
        return made

    def _one_of(self, life: Life) -> Life | None:
        return None if life == _NOTHING else self._shared.setdefault(life, life)
