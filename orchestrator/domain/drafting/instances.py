"""One service of the playbook on each of its hosts, rendered."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.domain.draft import Instance
from orchestrator.domain.drafting.gates import Gates
from orchestrator.domain.drafting.lives import Lives, has_life
from orchestrator.domain.drafting.names import Names
from orchestrator.domain.drafting.objects import asked_about
from orchestrator.domain.drafting.surroundings import Surroundings
from orchestrator.domain.drafting.uniqueness import Owners
from orchestrator.domain.gates import Gate
from orchestrator.domain.kinds import bare
from orchestrator.domain.playbook.gate_shapes import GateShape
from orchestrator.domain.playbook.kind_shapes import KindShape
from orchestrator.domain.playbook.life_shapes import MoveTiming
from orchestrator.domain.playbook.pieces import Piece
from orchestrator.domain.playbook.reading import Declared
from orchestrator.domain.playbook.shapes import HeadShape, NamesShape
from orchestrator.domain.service import Asked

_NO_TIMING = MoveTiming(timeout=1.0)
"""Stands where the timing was wrong, in a draft that will not be handed out."""


class Instances:
    """Makes the instances of one service after the other, and notes who owns which SCM service."""

    def __init__(self, around: Surroundings, names: Names, owners: Owners) -> None:
        self._around = around
        self._names = names
        self._owners = owners

    def of(
        self, declared: Declared, shape: HeadShape, hosts: Sequence[str | None], ways: tuple[str, ...] = ()
    ) -> tuple[Instance, ...]:
        """The instances of *declared*, one for each of *hosts*; *ways* are further hosts that lead to the same as the
        first. Without templates the cost is that of the objects."""
        own = [declared.gates.get(name, ()) for name in ("ready", "stopped")]
        ready, stopped = (self._gates(pieces, acted_on=not shape.external) for pieces in own)
        lives = self._lives(declared) if has_life(declared) and not shape.external else None
        moves = (declared.start, declared.stop)
        templated = any(gate.sites for gates in own for gate in gates) or any(move.sites for move in moves)
        templated = templated or (lives is not None and not lives.same_everywhere)
        shared = None if _named_by(declared).sites else self._asked(declared, None)
        context: Mapping[str, object] = {}
        start, stop = (self._timing(piece, None, context) if not piece.sites else _NO_TIMING for piece in moves)
        timed = any(piece.sites for piece in moves)
        instances = []
        for host in hosts:
            asked = () if shape.external else shared if shared is not None else self._asked(declared, host)
            if ways:
                asked = tuple(replace(question, ways=ways) for question in asked)
            if templated:
                context = self._names.of(declared.key, [bare(question.name) for question in asked], host)
            if timed:
                start, stop = (self._timing(piece, host, context) for piece in moves)
            start_life, stop_life = lives.on(host, context, stop) if lives and host is not None else (None, None)
            instances.append(
                Instance(
                    id=declared.key if host is None else f"{declared.key}@{host}",
                    service=declared.key,
                    host=host,
                    asked=asked,
                    ready=ready.on(host, context),
                    stopped=stopped.on(host, context),
                    start_timeout_s=start.timeout or 0.0,
                    start_expected_s=start.expected,
                    stop_timeout_s=stop.timeout or 0.0,
                    stop_expected_s=stop.expected,
                    start_life=start_life,
                    stop_life=stop_life,
                )
            )
        self._own(declared, instances, shared)
        return tuple(instances)

    def once(self, declared: Declared) -> tuple[Gate, ...]:
        """The gates that *declared* has once for all its instances."""
        pieces = declared.gates.get("ready_all", ())
        if not pieces:
            return ()
        asked = () if _named_by(declared).sites else self._asked(declared, None)
        context = self._names.of(declared.key, [bare(question.name) for question in asked])
        return self._gates(pieces, acted_on=True).on(None, context)

    def _lives(self, declared: Declared) -> Lives:
        return Lives(declared, self._around, self._gates)

    def _gates(self, pieces: Sequence[Piece[GateShape]], *, acted_on: bool = True) -> Gates:
        return Gates(pieces, self._around, acted_on=acted_on)

    def _asked(self, declared: Declared, host: str | None) -> tuple[Asked, ...]:
        context = self._names.of(declared.key, (), host) if _named_by(declared).sites else {}
        if declared.kind is not None:
            thing = declared.kind.filled(self._around.render, context, self._around.found, host)
            return (asked_about(declared.key, thing),) if thing else ()
        shape = declared.names.filled(self._around.render, context, self._around.found, host)
        return tuple(Asked(name, pattern="*" in name or "?" in name) for name in shape.service) if shape else ()

    def _timing(self, piece: Piece[MoveTiming], host: str | None, context: Mapping[str, object]) -> MoveTiming:
        return piece.filled(self._around.render, context, self._around.found, host) or _NO_TIMING

    def _own(self, declared: Declared, instances: Sequence[Instance], shared: tuple[Asked, ...] | None) -> None:
        node = declared.node.at(["service"] if declared.kind is None else [*declared.kind.plain])
        mark = node.mark if node is not declared.node else declared.mark
        if shared is not None:
            self._owners.add(declared.key, mark, [one.host for one in instances if one.host and one.asked], shared)
            return
        for one in instances:
            if one.host and one.asked:
                self._owners.add(declared.key, mark, [one.host], one.asked)


def _named_by(declared: Declared) -> Piece[KindShape] | Piece[NamesShape]:
    """Where it stands what *declared* is."""
    return declared.names if declared.kind is None else declared.kind
