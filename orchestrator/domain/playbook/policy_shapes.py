"""What a playbook says about failures, decisions and notices, as shapes in their long form.

Few playbooks say any of it, and a validator takes milliseconds to build: `PolicyShape` is a piece of its own, which is
read where one of its keys is given.
"""

from typing import Self

from pydantic import Field, model_validator

from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import (
    ActionName,
    Budget,
    Count,
    EventName,
    FailureKind,
    Filled,
    Flag,
    NoticeUrl,
    OnFailureWord,
    OnTimeoutWord,
    Period,
    Reminder,
    RuleWord,
    Text,
    TimeOfDay,
    Wrong,
)


class OnFailureShape(Shape):
    """`on_failure: ask`, or a word for each action."""

    stop: OnFailureWord | None = None
    start: OnFailureWord | None = None
    restart: OnFailureWord | None = None
    default: OnFailureWord = Field(default="ask", description="for every action that is not named")


class RuleShape(Shape):
    """One line of the whitelist. What is not given is not looked at."""

    do: RuleWord = Field(description="`ask`, `rollback`, `hold`, `continue`, or `retry`, which needs a `count`")
    kind: tuple[FailureKind, ...] = Field(default=(), description="one kind of failure, or a list of them")
    service: tuple[Filled, ...] = Field(default=(), description="one service of this playbook by its key, or a list")
    group: Filled | None = Field(
        default=None, description="a host, a group, or any pattern that Ansible knows; or a list of them"
    )
    count: Count | None = Field(
        default=None,
        description="how many failures of a run the rule decides; the next rules decide about further ones",
    )

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.do == "retry" and self.count is None:
            raise Wrong("`do: retry` has no `count`", "write how many failures may be tried again, such as `count: 3`")
        return self


class DecisionsShape(Shape):
    """Who may answer, and how long is waited for an answer."""

    timeout: Period | None = Field(default=None, description="how long a decision waits for an answer")
    on_timeout: OnTimeoutWord = Field(
        default="hold", description="what it becomes after that: `hold`, `rollback` or `abort`"
    )
    approvers: tuple[Filled, ...] = Field(
        default=(), description="the names of those who may answer, as their system calls them"
    )
    min_approvals: Count = Field(
        default=1, description="how many different people must say the same; `hold` and `abort` need one"
    )
    not_requester: Flag = Field(default=False, description="whoever began the run may only say `hold` or `abort`")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if any(isinstance(said, str) and said in self.approvers[:index] for index, said in enumerate(self.approvers)):
            raise Wrong("an approver is listed twice", "list each once")
        people = len(self.approvers)
        if people and isinstance(self.min_approvals, int) and self.min_approvals > people:
            raise Wrong(
                f"{self.min_approvals} approvals are needed, but {people} approver{'s' * (people != 1)} listed",
                f"at most {people}, or more `approvers`",
            )
        if self.timeout is None and "on_timeout" in self.model_fields_set:
            raise Wrong("`on_timeout` says nothing without a `timeout`", "write a `timeout`, or leave `on_timeout` out")
        return self


class WindowShape(Shape):
    """The time of day past which nothing more is stopped."""

    until: TimeOfDay = Field(description='a time of day in quotes: `"05:00"`')
    tz: Filled = Field(description="its time zone by its IANA name: `Europe/Berlin`, `UTC`")


class RollbackShape(Shape):
    """The way back."""

    timeout: Period = Field(
        default=600.0, description="how long a unit that can't be reached is tried again on the way back"
    )


class NoticeShape(Shape):
    """Somebody who is told. `title` and `body` are rendered when they are sent."""

    url: NoticeUrl = Field(description="where to, as apprise writes it: `mailto://...`, `slack://...`, `json://...`")
    events: tuple[EventName, ...] = Field(
        default=("decision", "end"), description="`decision`: one waits; `end`: the run has ended; or a list of them"
    )
    title: Text = Field(default="", description="a template for the title")
    body: Text = Field(default="", description="a template for the text below it")
    remind: Reminder | None = Field(
        default=None, description="how often to remind of a decision that still waits; at least 1m"
    )

    @model_validator(mode="after")
    def _of_decisions(self) -> Self:
        if self.remind is not None and all(word == "end" for word in self.events):
            raise Wrong("`remind` says nothing without `decision`", "add `decision` to `events`, or leave `remind` out")
        return self


class PolicyShape(Shape):
    """What a run may decide by itself, who decides the rest, and who is told."""

    on_failure: OnFailureShape | None = Field(
        default=None,
        description=(
            "`ask`, `rollback`, `hold` or `continue`; or a mapping from `stop`, `start`, `restart` and `default` to "
            "one of them"
        ),
    )
    failure_rules: tuple[RuleShape, ...] = Field(
        default=(), description="exceptions from `on_failure`: the first rule that fits decides; one, or a list"
    )
    max_failures: Budget | None = Field(
        default=None, description="how many units may fail before nothing new begins: `3`, or `10%` of those acted on"
    )
    decisions: DecisionsShape | None = Field(default=None, description="who may answer, and how long is waited")
    approve_before: tuple[ActionName, ...] = Field(
        default=(), description="the actions that begin after an approval only: `stop`, `start`, `restart`, or a list"
    )
    window: WindowShape | None = Field(default=None, description="past its end no new stop begins")
    rollback: RollbackShape | None = Field(default=None, description="the way back")
    notify: tuple[NoticeShape, ...] = Field(default=(), description="who is told of decisions and ends: one, or a list")
