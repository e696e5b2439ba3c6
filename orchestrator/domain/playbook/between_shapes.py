"""What a playbook says of a restart between its stop and its start, as shapes in their long form."""

from typing import Self

from pydantic import Field, model_validator

from orchestrator.domain.playbook.gate_shapes import CommandGate
from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import Flag, HookName, Period, Wrong

DEFAULT_COMMAND_TIMEOUT_S = 1800.0
DEFAULT_REBOOT_TIMEOUT_S = 1200.0
DOES = ("command", "reboot")


class RebootShape(Shape):
    """`reboot: { timeout: 20m }`."""

    timeout: Period = Field(
        default=DEFAULT_REBOOT_TIMEOUT_S, description="how long the host may take until it answers again"
    )


class BetweenShape(Shape):
    """One thing that is done on each host while all is down."""

    command: CommandGate | None = Field(default=None, description="a program that is run there, as of a gate")
    reboot: RebootShape | None = Field(default=None, description="the host is started again, and waited for")
    timeout: Period | None = Field(default=None, description="of the command")
    idempotent: Flag = Field(default=False, description="running the command twice does no harm")
    name: HookName | None = Field(default=None, description="what reports call it; each name once")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [one for one in DOES if getattr(self, one) is not None]
        if len(given) != 1:
            wrong = f"one thing is done at a time, here are {' and '.join(given)}" if given else "nothing is done here"
            raise Wrong(wrong, "write `command: { exe: ... }` or `reboot: { timeout: 20m }`, each on its own")
        if self.reboot is not None and (self.timeout is not None or self.idempotent):
            said = "timeout" if self.timeout is not None else "idempotent"
            raise Wrong(f"`{said}` is a command's, and this is a reboot", "write `reboot: { timeout: 20m }`")
        return self


class RestartShape(Shape):
    """`restart: { between: [ ... ] }`."""

    between: list[BetweenShape] = Field(
        default=[], description="what is done on each host, in this order, between the stop and the start of a restart"
    )


class RestartsShape(Shape):
    """Where that stands."""

    restart: RestartShape | None = Field(default=None, description="what a restart does more than stop and start")
