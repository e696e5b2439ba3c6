"""What a playbook says of a service's life beyond start and stop, as shapes in their long form: hooks, patience, kills.

Few services say any of it, and a validator takes milliseconds to build: each shape is read where one of its keys is
given.
"""

from typing import Any, Self

from pydantic import Field, model_validator

from orchestrator.domain.gates import Origin
from orchestrator.domain.life import IfStuck
from orchestrator.domain.playbook.gate_shapes import ORIGINS_OF, CheckShape, CommandGate, HttpGate
from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import (
    Duration,
    Flag,
    HookName,
    IfStuckWord,
    Method,
    OriginName,
    Period,
    ScmName,
    Status,
    Text,
    Wrong,
)

DEFAULT_HOOK_TIMEOUT_S = 30.0
ACTS = ("http", "command")
BEFORE_STOP, AFTER_STOP = "pre_stop", "post_stop"
BEFORE_START, AFTER_START = "pre_start", "post_start"
HOOKS = (BEFORE_STOP, AFTER_STOP, BEFORE_START, AFTER_START)
"""The lists of hooks that a service may have."""


class HttpAct(HttpGate):
    """`http: { url: ... }` of a hook: a request that does something."""

    method: Method = "POST"
    status: tuple[Status, ...] = Field(
        default=(200, 201, 202, 204), description="one status, or a list of those that are accepted"
    )
    body: Text = Field(default="", description="sent as it is; `headers` say what it is")
    json_body: dict[str, Any] | None = Field(
        default=None, description="a mapping that is sent as JSON, with the header that says so"
    )

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.body and self.json_body is not None:
            raise Wrong("a request has one body, this one has `body` and `json_body`", "leave one of them out")
        return self


class Acts(Shape):
    """What can be done."""

    http: HttpAct | None = Field(
        default=None, description="a request that does something: `http: URL`, or a mapping, below"
    )
    command: CommandGate | None = Field(
        default=None, description="a program that does something: a mapping as of a gate; there is no shell"
    )

    @property
    def kind(self) -> str:
        """Which of ACTS it is."""
        return next(kind for kind in ACTS if getattr(self, kind) is not None)


class ActShape(Acts):
    """What is done, or undone: exactly one thing."""

    @model_validator(mode="after")
    def _one_act(self) -> Self:
        given = [kind for kind in ACTS if getattr(self, kind) is not None]
        if len(given) != 1:
            wrong = f"one thing is done at a time, here are {' and '.join(given)}" if given else "nothing is done here"
            raise Wrong(wrong, "write `http: { ... }` or `command: { ... }`; one hook for each")
        return self


class HookShape(Acts):
    """One hook. `http:` or `command:` may stand for `do:`."""

    do: ActShape | None = Field(
        default=None, description="what is done: `http` or `command`, which may also stand here without it"
    )
    undo: ActShape | None = Field(default=None, description="what takes it back: `http` or `command`")
    check: CheckShape | None = Field(
        default=None, description="tells whether it is done already: a check as a gate has one"
    )
    idempotent: Flag = Field(default=False, description="doing it twice does no harm")
    timeout: Period | None = Field(default=None, description="of one do, one undo and one check")
    from_: OriginName | None = Field(
        default=None, alias="from", description="where it is carried out: `controller` or `host`"
    )
    name: HookName | None = Field(default=None, description="what reports call it; each name once in a service")

    @property
    def act(self) -> Acts:
        """What is done."""
        return self.do or self

    @property
    def origin(self) -> Origin:
        """Where it is carried out, by default or as said."""
        return Origin(self.from_) if self.from_ else ORIGINS_OF[self.act.kind][0]

    @model_validator(mode="after")
    def _one_act(self) -> Self:
        given = [kind for kind in ("do", *ACTS) if getattr(self, kind) is not None]
        if len(given) > 1:
            wrong = f"a hook does one thing, this one has {' and '.join(given)}"
            raise Wrong(wrong, "write one hook for each; `http` and `command` are short for `do`")
        if not given:
            wrong = "there is an `undo`, and nothing that it could take back" if self.undo else "this hook does nothing"
            raise Wrong(wrong, "write `do: { http: { url: ... } }` or `do: { command: { exe: ... } }`")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.from_ is None and self.undo is not None:
            there, back = ORIGINS_OF[self.act.kind][0], ORIGINS_OF[self.undo.kind][0]
            if there is not back:
                wrong = f"the {self.act.kind} would be carried out on the {there}, and its undo on the {back}"
                raise Wrong(wrong, "write `from: controller` or `from: host`, which holds for both")
        origin = self.origin if self.from_ in (None, *Origin) else None  # a template, until it is rendered
        if self.check is not None and origin is not None and origin not in ORIGINS_OF[self.check.kind]:
            wrong = f"a {self.check.kind} check can't be made from the {origin}, where the hook is carried out"
            raise Wrong(wrong, "write `from: host`, or a check of http, tcp or command")
        return self


class RunHooksShape(Shape):
    """Hooks of the whole run, carried out on the controller."""

    on_begin: list[HookShape] = Field(default=[], description="before anything is touched")
    on_end: list[HookShape] = Field(
        default=[], description="when the run has ended, however it ended, after the undos of `on_begin`"
    )
    on_failure: list[HookShape] = Field(default=[], description="before those, if it did not end as planned")


class HooksShape(Shape):
    """Where the hooks of the whole run stand."""

    hooks: RunHooksShape | None = Field(
        default=None, description="what is done once for the whole run: `on_begin`, `on_end`, `on_failure`"
    )


class LastingShape(Shape):
    """What a service's stay at its goal is held to."""

    min_healthy: Duration | None = Field(
        default=None,
        description="how long it must go on running in the same process, its gates holding, before it counts as up",
    )
    keep_down: Flag = Field(
        default=False,
        description="whatever could start it by itself is taken away with the stop, and put back before the start",
    )


class MoveTiming(Shape):
    """How long one start or one stop may take, and is expected to take. Durations are seconds."""

    timeout: Period | None = Field(default=None, description="how long one start or stop may take")
    expected: Duration | None = Field(default=None, description="how long it usually takes, for the estimate")

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        timeout, expected = self.timeout, self.expected
        if isinstance(timeout, float) and isinstance(expected, float) and expected > timeout:
            raise Wrong(
                f"{expected:g} s are expected but only {timeout:g} s allowed", "an `expected` below the `timeout`"
            )
        return self


class StopDefaults(MoveTiming):
    """The same of a stop, and what follows when it is stuck."""

    max_timeout: Period | None = Field(
        default=None, description="as far as the timeout of a stop stretches while the service makes progress"
    )
    if_stuck: IfStuckWord | None = Field(
        default=None, description="what follows when its time is up: `fail`, `ask` or `kill`"
    )

    @model_validator(mode="after")
    def _stretches(self) -> Self:
        timeout, most = self.timeout, self.max_timeout
        if isinstance(timeout, float) and isinstance(most, float) and most < timeout:
            raise Wrong(
                f"the timeout of {timeout:g} s can't stretch to a `max_timeout` of {most:g} s",
                f"at least {timeout:g} s, or leave it out",
            )
        return self


class StopTiming(StopDefaults):
    """How a service is stopped."""

    kill_shared: tuple[ScmName, ...] = Field(
        default=(), description="SCM names of services that may end with it, for they share its process"
    )

    @model_validator(mode="after")
    def _kills(self) -> Self:
        if self.kill_shared and self.if_stuck in (None, IfStuck.FAIL):
            raise Wrong("`kill_shared` says what a kill may end too, and nothing kills here", "`if_stuck: ask` or kill")
        return self
