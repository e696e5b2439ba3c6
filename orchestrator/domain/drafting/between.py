"""What is done on each host between the stop and the start of a restart, rendered and typed: the same on all."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.domain.drafting.checks import program
from orchestrator.domain.gates import Origin
from orchestrator.domain.life import Hook, Reboot
from orchestrator.domain.playbook.between_shapes import DEFAULT_COMMAND_TIMEOUT_S, BetweenShape
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.pieces import Piece
from orchestrator.domain.playbook.values import Wrong
from orchestrator.domain.templates import Render


def between(
    pieces: Sequence[Piece[BetweenShape]], render: Render, context: Mapping[str, object], found: Findings
) -> Iterator[Hook]:
    """The hooks of *pieces*; those that are wrong are left out, and told."""
    for piece in pieces:
        shape = piece.filled(render, context, found, None)
        if shape is None:
            continue
        try:
            yield _typed(shape)
        except Wrong as error:
            found.add(piece.node.mark, error.wrong, error.right)


def _typed(shape: BetweenShape) -> Hook:
    assert shape.name is not None, "whoever reads one names it"
    if shape.reboot is not None:
        timeout_s = shape.reboot.timeout
        return Hook(name=shape.name, do=Reboot(timeout_s=timeout_s), origin=Origin.HOST, timeout_s=timeout_s)
    assert shape.command is not None, "it does one of both"
    timeout_s = DEFAULT_COMMAND_TIMEOUT_S if shape.timeout is None else shape.timeout
    do = program(shape.command)
    return Hook(name=shape.name, do=do, origin=Origin.HOST, idempotent=shape.idempotent, timeout_s=timeout_s)
