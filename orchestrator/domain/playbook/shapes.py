"""The playbook's format as pydantic models, in its long form: short forms (`tcp: 1433`) are written out before.

What a field is described as is what docs/playbook.md says of it, and what editors show. A field that is None was not
given; the defaults that then hold are those of `domain.gates.Gate` and DEFAULT_TIMEOUT_S.
"""

from typing import Any, Self

from pydantic import Field, model_validator

from orchestrator.domain.gates import Gate, Origin
from orchestrator.domain.playbook.policy_shapes import PolicyShape
from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import (
    Budget,
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


class GateShape(GateTiming):
    """One gate: exactly one check, its timing, and where it is probed from."""

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
    from_: OriginName | None = Field(
        default=None, alias="from", description="where the probe runs: `controller` or `host`"
    )

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


class DependencyShape(Shape):
    """The options of one edge."""

    need: Count | None = Field(
        default=None,
        description="how many ready instances are enough to start; a stop always waits for all running dependents",
    )
    same_host: Flag = Field(default=False, description="look at the instance on the same host alone")
    soft: Flag = Field(
        default=False,
        description="order only, and only if both are in the run; how the other ended makes no difference",
    )

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

    service: list[ScmName] = Field(
        default=[],
        description=(
            "the SCM name (`sc.exe query` shows it, not the display name); a list of names; a pattern with `*` and `?`"
        ),
    )


class HeadShape(Shape):
    """Where a service stands in the playbook: what is one for all its hosts."""

    hosts: Filled | None = Field(
        default=None,
        description=(
            "a host, a group, or any pattern that Ansible knows: `db`, `app:&prod`, `web:!web-03`, `app-*`; "
            "or a list of them"
        ),
    )
    external: External = Field(default=False, description="a gate only: probed, never acted on")
    depends_on: dict[str, DependencyShape] = Field(
        default={}, description="the services that must be ready first: one key, a list, or a mapping with options"
    )
    max_parallel: Count | None = Field(
        default=None, description="how many instances of this service may be under way at once"
    )
    order: Order | None = Field(
        default=None, description="`inventory`: begun in the order of the inventory, reversed on stop"
    )
    max_failures: Budget | None = Field(
        default=None, description="how many units of this service may fail before nothing new begins: `3`, or `10%`"
    )


class EntryShape(HeadShape, NamesShape):
    """One service of the playbook."""

    start: MoveTiming | None = None
    stop: MoveTiming | None = None
    ready: list[GateShape] = Field(
        default=[], description="the gates that must hold after a start, before dependents go on"
    )
    stopped: list[GateShape] = Field(
        default=[], description="the gates that must hold after a stop, before what it depends on is stopped"
    )


class DefaultsShape(Shape):
    """What holds for every service that says nothing else."""

    timeout: Period | None = Field(default=None, description="of one start and of one stop")
    start: MoveTiming | None = None
    stop: MoveTiming | None = None
    gate: GateTiming | None = Field(default=None, description="the timing of gates")


class SettingsShape(Shape):
    """What the playbook says of the run as a whole."""

    name: Filled | None = Field(default=None, description="what the run is called in reports")
    inventory: list[Filled] = Field(
        default=[], description="the inventory, or a list of them that are put together, relative to this file's folder"
    )
    max_parallel: Count | None = Field(
        default=None, description="how many instances may be under way at once, in the whole run"
    )
    max_parallel_per_host: Count = Field(default=DEFAULT_PER_HOST, description="the same, on one host")
    unreachable: Unreachable = Field(
        default="ask",
        description=(
            "hosts that don't answer before the first act: `ask`, `exclude` them and what can't do without "
            "them, or `fail`"
        ),
    )
    poll: Period = Field(default=2.0, description="how often a pending service is read; at least 100ms")


class FragmentShape(Shape):
    """What a file may hold that playbooks include; all of it belongs to the playbook as a whole."""

    include: list[Filled] = Field(
        default=[],
        description="fragments that belong to the playbook: a path, or a list of them, relative to this file's folder",
    )
    vars: dict[str, Any] = Field(
        default={}, description="values for templates: `{{ vars.health_port }}`; they may hold templates themselves"
    )
    defaults: DefaultsShape | None = Field(
        default=None, description="what holds for every service that says nothing else"
    )
    services: dict[str, EntryShape] = Field(default={}, description="the services, in the order that breaks ties")


class PlaybookShape(SettingsShape, PolicyShape, FragmentShape):
    """A playbook of orch, or a fragment of one."""
