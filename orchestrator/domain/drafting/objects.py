"""What is asked of a host about an entry that is no service."""

from orchestrator.domain.commands import Commands, Program
from orchestrator.domain.kinds import CLUSTER_ROLE, COMMAND, full
from orchestrator.domain.playbook.kind_shapes import CommandsShape, KindShape, MoveProgram, ReadProgram
from orchestrator.domain.playbook.reading import Declared
from orchestrator.domain.service import Asked


def asked_about(key: str, shape: KindShape) -> Asked:
    """The question about the object of *shape*, which the entry *key* is."""
    if shape.command is not None:
        return Asked(full(COMMAND, key), by=_commands(shape.command))
    named = ((kind, getattr(shape, kind)) for kind in KindShape.model_fields if kind != COMMAND)
    return next(Asked(full(kind, name)) for kind, name in named if name is not None)


def is_of_cluster(declared: Declared) -> bool:
    """Whether *declared* is one thing of a whole cluster, to which each of its hosts leads."""
    return declared.kind is not None and CLUSTER_ROLE in declared.kind.plain


def _commands(shape: CommandsShape) -> Commands:
    return Commands(
        read=_program(shape.read, ()),
        start=_program(shape.start, shape.start.exit_code),
        stop=_program(shape.stop, shape.stop.exit_code),
        running=shape.read.running,
        stopped=shape.read.stopped,
    )


def _program(shape: ReadProgram | MoveProgram, exit_codes: tuple[int, ...]) -> Program:
    return Program(exe=shape.exe, args=shape.args, exit_codes=exit_codes)
