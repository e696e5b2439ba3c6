"""What a playbook says of an entry that is no service: which one thing of which kind it is."""

from typing import Self

from pydantic import Field, model_validator

from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import Filled, ObjectName, TaskName, Text, Whole, Wrong


class ReadProgram(Shape):
    """How it is told where it is: by the exit code alone."""

    exe: Filled = Field(description="the program")
    args: tuple[Text, ...] = Field(default=(), description="its arguments, each as it is")
    running: tuple[Whole, ...] = Field(default=(0,), description="the exit codes that say that it runs")
    stopped: tuple[Whole, ...] = Field(
        default=(1,), description="the exit codes that say that it is stopped; all others say nothing"
    )

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        both = [code for code in self.running if code in self.stopped]
        if both:
            raise Wrong(f"exit code {both[0]} can't say both that it runs and that it is stopped", "give it to one")
        return self


class MoveProgram(Shape):
    """How it is started, or stopped."""

    exe: Filled = Field(description="the program")
    args: tuple[Text, ...] = Field(default=(), description="its arguments, each as it is")
    exit_code: tuple[Whole, ...] = Field(
        default=(0,), description="one exit code, or a list of those that are accepted"
    )


class CommandsShape(Shape):
    """Three programs that stand for one object."""

    read: ReadProgram = Field(description="`read` tells where it is")
    start: MoveProgram = Field(description="`start` starts it")
    stop: MoveProgram = Field(description="`stop` stops it")


class KindShape(Shape):
    """What an entry is, if it is no service: one of these."""

    app_pool: ObjectName | None = Field(default=None, description="an application pool of IIS, by its name")
    site: ObjectName | None = Field(default=None, description="a site of IIS, by its name")
    task: TaskName | None = Field(
        default=None, description="a scheduled task, by its path: stopped is disabled, running is enabled"
    )
    cluster_role: ObjectName | None = Field(
        default=None, description="a role of a failover cluster, by its name; `hosts` are nodes of the cluster"
    )
    command: CommandsShape | None = Field(
        default=None, description="anything else: three programs that `read`, `start` and `stop` it"
    )
