"""The playbook's format as pydantic models, in its long form: short forms (`tcp: 1433`) are written out before.

`PlaybookShape.model_json_schema()` is the format for editors. A field that is None was not given; the defaults that
then hold are those of `domain.gates.Gate` and DEFAULT_TIMEOUT_S.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.domain.gates import Gate, Origin
from orchestrator.domain.playbook.values import (
    Count,
    Duration,
    External,
    Filled,
    Flag,
    Header,
    Method,
    Order,
    OriginName,
    Period,
    Port,
    Regex,
    Scalar,
    ScmName,
    StateName,
    Status,
    Text,
    Unreachable,
    Url,
    Whole,
    Wrong,
)

DEFAULT_TIMEOUT_S = 90.0
DEFAULT_PER_HOST = 4
ORIGINS_OF: dict[str, tuple[Origin, ...]] = {
    "service": (Origin.HOST,),
    "tcp": (Origin.CONTROLLER, Origin.HOST),
    "port_closed": (Origin.HOST,),
    "http": (Origin.CONTROLLER, Origin.HOST),
    "command": (Origin.HOST, Origin.CONTROLLER),
}
"""Where each kind of gate may be probed from; the first is the default."""
KINDS = tuple(ORIGINS_OF)


class Shape(BaseModel):
    """What all parts of a playbook share: unknown keys are mistakes, and nothing changes after reading.

    A validator takes milliseconds to build: it is built for what is validated, when it first is. So a shape that is
    read in pieces has its pieces for bases, and itself is only there for its keys and its schema.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ServiceGate(Shape):
    """`service: Running`."""

    state: StateName
    name: ScmName | None = None


class TcpGate(Shape):
    """`tcp: 1433`. `host` is a host of the inventory or any address; left out, the unit's own host."""

    port: Port
    host: Filled | None = None


class PortClosedGate(Shape):
    """`port_closed: 8080`."""

    port: Port


class HttpGate(Shape):
    """`http: http://...`. What is not given is not looked at, but the status: 200."""

    url: Url
    method: Method = "GET"
    status: tuple[Status, ...] = (200,)
    text: Text = ""
    regex: Regex = ""
    json_: dict[str, Scalar] | None = Field(default=None, alias="json")
    headers: dict[str, Header] | None = None
    verify: Flag = True
    ca: Text = ""


class CommandGate(Shape):
    """`command: { exe: ..., args: [...] }`, without a shell."""

    exe: Filled
    args: tuple[Text, ...] = ()
    exit_code: tuple[Whole, ...] = (0,)
    text: Text = ""
    regex: Regex = ""


class GateTiming(Shape):
    """When a gate is probed, and how long. Durations are seconds."""

    initial_delay: Duration | None = None
    period: Period | None = None
    timeout: Period | None = None
    success_threshold: Count | None = None
    deadline: Period | None = None


class GateShape(GateTiming):
    """One gate: exactly one check, its timing, and where it is probed from."""

    service: ServiceGate | None = None
    tcp: TcpGate | None = None
    port_closed: PortClosedGate | None = None
    http: HttpGate | None = None
    command: CommandGate | None = None
    from_: OriginName | None = Field(default=None, alias="from")

    @property
    def kind(self) -> str:
        """The name of the gate's check."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def origin(self) -> Origin:
        """Where the gate is probed from, by default or as said."""
        return Origin(self.from_) if self.from_ else ORIGINS_OF[self.kind][0]

    @property
    def timing(self) -> dict[str, Any]:
        """The timing that was given, as arguments of `domain.gates.Gate`."""
        given = {
            "initial_delay_s": self.initial_delay,
            "period_s": self.period,
            "timeout_s": self.timeout,
            "success_threshold": self.success_threshold,
            "deadline_s": self.deadline,
        }
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _one_check(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            wrong = f"a gate has one check, this one has {' and '.join(given)}" if given else "this gate checks nothing"
            raise Wrong(wrong, f"write one gate for each; a check is one of {', '.join(KINDS)}")
        allowed = ORIGINS_OF[given[0]]
        if self.from_ in [str(origin) for origin in Origin] and self.from_ not in allowed:
            raise Wrong(
                f"a {given[0]} gate can't be probed from the {self.from_}",
                f"leave `from` out: it is read on the {allowed[0]}",
            )
        return self

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        values = {"check": None, "origin": None, **self.timing}
        if len(values) == 2 or any(isinstance(value, str) for value in values.values()):
            return self  # the defaults can hold; a template is looked at again when it is rendered
        gate = Gate(**values)
        least_s = gate.initial_delay_s + (gate.success_threshold - 1) * gate.period_s
        if least_s >= gate.deadline_s:
            raise Wrong(
                f"the gate can never hold: its deadline of {gate.deadline_s:g} s is over before"
                f" {gate.success_threshold} probe{'s' * (gate.success_threshold != 1)} every {gate.period_s:g} s"
                f" after a delay of {gate.initial_delay_s:g} s",
                f"a deadline above {least_s:g} s",
            )
        return self


class MoveTiming(Shape):
    """How long one start or one stop may take, and is expected to take. Durations are seconds."""

    timeout: Period | None = None
    expected: Duration | None = None

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        timeout, expected = self.timeout, self.expected
        if isinstance(timeout, float) and isinstance(expected, float) and expected > timeout:
            raise Wrong(
                f"{expected:g} s are expected but only {timeout:g} s allowed", "an `expected` below the `timeout`"
            )
        return self


class DependencyShape(Shape):
    """The options of one edge."""

    need: Count | None = None
    same_host: Flag = False
    soft: Flag = False

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.need is not None and (self.same_host is True or self.soft is True):
            other = "same_host" if self.same_host is True else "soft"
            raise Wrong(
                f"`need` and `{other}` don't go together", f"leave one of them out: `{other}` counts no instances"
            )
        return self


class NamesShape(Shape):
    """The SCM names of a service, or patterns with `*` and `?`; the service's key if there is none."""

    service: list[ScmName] = []


class HeadShape(Shape):
    """Where a service stands in the playbook: what is one for all its hosts."""

    hosts: Filled | None = None
    external: External = False
    depends_on: dict[str, DependencyShape] = {}
    max_parallel: Count | None = None
    order: Order | None = None


class EntryShape(HeadShape, NamesShape):
    """One service of the playbook."""

    start: MoveTiming | None = None
    stop: MoveTiming | None = None
    ready: list[GateShape] = []
    stopped: list[GateShape] = []


class DefaultsShape(Shape):
    """What holds for every service that says nothing else."""

    timeout: Period | None = None
    start: MoveTiming | None = None
    stop: MoveTiming | None = None
    gate: GateTiming | None = None


class SettingsShape(Shape):
    """What the playbook says of the run as a whole."""

    name: Filled | None = None
    inventory: Filled | None = None
    max_parallel: Count | None = None
    max_parallel_per_host: Count = DEFAULT_PER_HOST
    unreachable: Unreachable = "ask"
    poll: Period = 2.0


class FragmentShape(Shape):
    """What a file may hold that playbooks include; all of it belongs to the playbook as a whole."""

    include: list[Filled] = []
    vars: dict[str, Any] = {}
    defaults: DefaultsShape | None = None
    services: dict[str, EntryShape] = {}


class PlaybookShape(SettingsShape, FragmentShape):
    """The whole playbook."""
