"""What a playbook says of gates, as shapes in their long form: short forms (`tcp: 1433`) are written out before."""

from typing import Any, Self

from pydantic import Field, model_validator

from orchestrator.domain.gates import Gate, Origin
from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import (
    Count,
    Duration,
    Filled,
    Flag,
    Header,
    Method,
    OriginName,
    Period,
    Port,
    Regex,
    Scalar,
    ScmName,
    StateName,
    Status,
    Text,
    Url,
    Whole,
    Wrong,
)

ORIGINS_OF: dict[str, tuple[Origin, ...]] = {
    "service": (Origin.HOST,),
    "tcp": (Origin.CONTROLLER, Origin.HOST),
    "port_closed": (Origin.HOST,),
    "http": (Origin.CONTROLLER, Origin.HOST),
    "command": (Origin.HOST, Origin.CONTROLLER),
}
"""Where each kind of gate may be probed from; the first is the default."""
KINDS = tuple(ORIGINS_OF)
BOUND = ("tcp", "http")
"""The kinds of gates that look at a port, which somebody owns."""


class ServiceGate(Shape):
    """`service: Running`."""

    state: StateName
    name: ScmName | None = None


class TcpGate(Shape):
    """`tcp: 1433`. `host` is a host of the inventory or any address; left out, the unit's own host."""

    port: Port
    host: Filled | None = Field(
        default=None, description="a host of the inventory, whose address is then taken, or any name or address"
    )


class PortClosedGate(Shape):
    """`port_closed: 8080`."""

    port: Port


class HttpGate(Shape):
    """`http: http://...`. What is not given is not looked at, but the status: 200."""

    url: Url = Field(description="`http://...` or `https://...`")
    method: Method = "GET"
    status: tuple[Status, ...] = Field(default=(200,), description="one status, or a list of those that are accepted")
    text: Text = Field(default="", description="must occur in the body")
    regex: Regex = Field(default="", description="must match somewhere in the body (Python's syntax)")
    json_: dict[str, Scalar] | None = Field(
        default=None, alias="json", description="`{ dotted.path: value }`: every field must have its value"
    )
    headers: dict[str, Header] | None = Field(default=None, description="sent with the request")
    verify: Flag = Field(default=True, description="`false` accepts any certificate")
    ca: Text = Field(default="", description="a PEM file, relative to the folder of the file that says so")


class CommandGate(Shape):
    """`command: { exe: ..., args: [...] }`, without a shell."""

    exe: Filled = Field(description="the program")
    args: tuple[Text, ...] = Field(default=(), description="its arguments, each as it is")
    exit_code: tuple[Whole, ...] = Field(
        default=(0,), description="one exit code, or a list of those that are accepted"
    )
    text: Text = Field(default="", description="must occur in the output")
    regex: Regex = Field(default="", description="must match somewhere in the output")


class GateTiming(Shape):
    """When a gate is probed, and how long. Durations are seconds."""

    initial_delay: Duration | None = Field(default=None, description="wait before the first probe")
    period: Period | None = Field(default=None, description="from one probe to the next; at least 100ms")
    timeout: Period | None = Field(default=None, description="of one probe")
    success_threshold: Count | None = Field(default=None, description="how many probes in a row must hold")
    deadline: Period | None = Field(default=None, description="of the whole gate: past it the gate has failed")


class CheckShape(Shape):
    """Exactly one check."""

    service: ServiceGate | None = Field(
        default=None,
        description=(
            "the SCM says this state: `service: Running`; a mapping with `state` and `name` looks at "
            "another service of the host"
        ),
    )
    tcp: TcpGate | None = Field(
        default=None,
        description=(
            "the port accepts a connection: `tcp: 1433` on the own host; a mapping with `host` and `port` "
            "looks elsewhere"
        ),
    )
    port_closed: PortClosedGate | None = Field(
        default=None,
        description="nothing listens on the port, by the host's own table: from afar, filtered looks like closed",
    )
    http: HttpGate | None = Field(
        default=None, description="a request answers as wanted: `http: URL`, or a mapping, below"
    )
    command: CommandGate | None = Field(
        default=None, description="a program ends as wanted: a mapping, below; there is no shell"
    )

    @property
    def kind(self) -> str:
        """The name of the check."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_check(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            wrong = f"a gate has one check, this one has {' and '.join(given)}" if given else "this gate checks nothing"
            raise Wrong(wrong, f"write one gate for each; a check is one of {', '.join(KINDS)}")
        return self


class GateShape(GateTiming, CheckShape):
    """One gate: exactly one check, its timing, and where it is probed from."""

    from_: OriginName | None = Field(
        default=None, alias="from", description="where the probe runs: `controller` or `host`"
    )
    bound: Flag = Field(
        default=False,
        description=(
            "of a `tcp` or `http` gate of `ready`: it holds only while what listens on the port is the service's own "
            "process or a child of it"
        ),
    )

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
    def _can_look(self) -> Self:
        allowed = ORIGINS_OF[self.kind]
        if self.from_ in [str(origin) for origin in Origin] and self.from_ not in allowed:
            raise Wrong(
                f"a {self.kind} gate can't be probed from the {self.from_}",
                f"leave `from` out: it is read on the {allowed[0]}",
            )
        if self.bound is True and self.kind not in BOUND:
            raise Wrong(
                f"`bound` says who listens on a port, and a {self.kind} gate looks at none",
                f"leave `bound` out, or write a gate of {' or '.join(BOUND)}",
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
