"""Plans of services with a whole life around their acts, for tests of what is shown."""

from dataclasses import dataclass, field, replace

from stages import barrier, node, stage

from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    Fact,
    RunBegan,
    StageBegan,
    Stamped,
    StepEnded,
    StepIntended,
)
from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin, PortClosedCheck, TcpCheck
from orchestrator.domain.life import Hook, IfStuck, Life, RunHooks
from orchestrator.domain.plan import Action, Node, Plan, Role, Stage
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import ServiceStatus, State
from orchestrator.domain.timeline import Timeline
from orchestrator.interfaces.fact_lines import lines_of

TOKEN = embed(SecretRef("env", "LB_TOKEN"))
DRAIN = Hook(
    name="drain",
    do=HttpCheck(url="https://lb/pools/orders/app-01", method="DELETE", headers=(("X-Token", TOKEN),)),
    undo=HttpCheck(url=f"https://ops:{TOKEN}@lb/pools/orders/app-01", method="PUT"),
    check=TcpCheck(host="lb", port=443),
    origin=Origin.CONTROLLER,
)
CACHE = Hook(name="post_stop.1", do=CommandCheck(exe="clear.exe", args=("/all", TOKEN)), origin=Origin.HOST)
QUIET = Hook(
    name="silence",
    do=CommandCheck(exe="/opt/monitor", args=("silence", "shop")),
    undo=CommandCheck(exe="/opt/monitor", args=("listen", "shop")),
    origin=Origin.CONTROLLER,
)
BACKUP = Gate(check=CommandCheck(exe="no-backup.exe"), origin=Origin.HOST, deadline_s=30.0)
DRAINED = Gate(check=HttpCheck(url="http://app-01/sessions"), origin=Origin.CONTROLLER, deadline_s=300.0)
CLOSED = Gate(check=PortClosedCheck(port=8080), origin=Origin.HOST)
DOWN = Life(
    prechecks=(BACKUP,),
    before=(DRAIN,),
    drained=(DRAINED,),
    after=(CACHE,),
    if_stuck=IfStuck.KILL,
    max_timeout_s=300.0,
    kill_shared=("OrdersAgent",),
    keep_down=True,
)
UP = Life(after=(replace(DRAIN, undoes=True),), healthy_s=30.0, keep_down=True)
UNITS = ("orders@app-01", "orders@app-02")


def lived(name: str, life: Life | None, state: State, pid: int) -> Node:
    """A node with a life, of a unit that is in *state*."""
    bare = node(name)
    seen = ServiceStatus(name="Orders", state=state, pid=pid or None)
    return replace(bare, unit=replace(bare.unit, seen=seen), life=life, timeout_s=60.0)


def checks() -> Stage:
    """What must hold before anything is touched."""
    nodes = (lived(unit, None, State.RUNNING, 4242) for unit in UNITS)
    probes = [replace(one, role=Role.PROBE, gates=(BACKUP,)) for one in nodes]
    return replace(stage(probes, goal=State.STOPPED), checks=True)


def stops() -> Plan:
    """A stop of two units with all that a life can have, and of a database that they need."""
    nodes = [lived(unit, DOWN, State.RUNNING, 4242 + place) for place, unit in enumerate(UNITS)]
    sql = replace(lived("sql@db-01", None, State.RUNNING, 17), waits_for=(0,))
    down = stage([*(replace(one, gates=(CLOSED,)) for one in nodes), sql], [barrier(0, 1)], goal=State.STOPPED)
    hooks = RunHooks(begin=(QUIET,))
    return Plan(name="shop", action=Action.STOP, stages=(checks(), down), back=(starts().stages[0],), hooks=hooks)


def starts() -> Plan:
    """A start of the two units, which undoes what a stop did to them."""
    nodes = [lived(unit, UP, State.STOPPED, 0) for unit in UNITS]
    return Plan(name="shop", action=Action.START, stages=(stage(nodes),))


@dataclass(slots=True)
class Story:
    """The facts of one run, and the timeline and the plain lines that they make."""

    plan: Plan
    timeline: Timeline = field(default_factory=Timeline)
    lines: list[str] = field(default_factory=list)
    now_s: float = 0.0
    facts: list[Stamped] = field(default_factory=list)

    def tell(self, *facts: Fact) -> "Story":
        for fact in facts:
            own = isinstance(fact, StepEnded) and self.timeline.owns(fact.result.step)
            self.facts.append(Stamped(len(self.facts) + 1, 1_795_223_585.0 + self.now_s, self.now_s, fact))
            self.timeline.fact(self.facts[-1])
            self.lines += lines_of(fact, self.timeline, own=own)
        return self

    def begin(self, stage: int = 0) -> "Story":
        command = "orch stop --plan playbooks/shop.yaml"
        began = RunBegan(
            run="20261121-0213-k7q2", plan=self.plan, requester="ada", controller="ctl-01", command=command
        )
        return self.tell(began, *(StageBegan(number) for number in range(stage + 1)))

    def intend(self, unit: str, phase: Phase, hook: str = "", *, stage: int = 1, attempt: int = 1) -> "Story":
        return self.tell(StepIntended(Step(stage, unit, phase, attempt, hook=hook)))

    def step(
        self,
        unit: str,
        phase: Phase,
        hook: str = "",
        *,
        stage: int = 1,
        attempt: int = 1,
        outcome: Outcome = Outcome.OK,
        acted: Acted = Acted.NO,
        after: str = "",
        said: str = "",
        kind: ProblemKind = ProblemKind.GATE,
        evidence: dict[str, str] | None = None,
    ) -> "Story":
        """One step, begun and ended two seconds later."""
        self.intend(unit, phase, hook, stage=stage, attempt=attempt)
        self.now_s += 2.0
        result = Result(
            step=Step(stage, unit, phase, attempt, hook=hook),
            outcome=outcome,
            acted=acted,
            after=after,
            said=f"{unit}: {said or 'as it should be'}",
            problem=None if outcome is Outcome.OK else Problem(kind, said),
            evidence=evidence or {},
            took_s=2.0,
        )
        return self.tell(StepEnded(result))

    def ask(self, unit: str, choice: Choice, *, kind: CauseKind = CauseKind.FAILURE) -> "Story":
        """A question about one unit, and its answer."""
        number = len(self.timeline.decisions.all) + 1
        cause = Cause(kind=kind, said="it went wrong", units=(unit,) if kind is CauseKind.FAILURE else ())
        self.tell(DecisionAsked(decision=number, cause=cause, choices=(choice, Choice.ABORT)))
        answer = Answer(choice=choice, source=Source.PERSON, by="ben", approvals=("ben",))
        return self.tell(DecisionAnswered(decision=number, answer=answer))

    def stands(self, unit: str, stage: int = 1) -> str:
        return str(self.timeline.stages[stage].tracks[unit].standing)

    def doing(self, unit: str, stage: int = 1) -> str:
        return self.timeline.stages[stage].tracks[unit].doing
