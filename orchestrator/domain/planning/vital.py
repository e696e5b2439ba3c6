"""Whether a run may move a unit at all: not what carries it, not the machine that it runs on, and what others need only
if it was allowed by name."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from orchestrator.domain.connection import Transport
from orchestrator.domain.errors import BadInput
from orchestrator.domain.plan import Action, Plan, Role, Unit
from orchestrator.domain.planning import refusals
from orchestrator.domain.planning.refusals import PlanRefused, Reason
from orchestrator.domain.service import ServiceStatus, State
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.domain.vital_services import carriers, needed_by_everybody


def vital_reasons(
    unit: Unit, action: Action, host: HostSurvey, *, allowed: AbstractSet[str], controller: AbstractSet[str]
) -> Iterator[Reason]:
    """Why *action* must not move *unit*, which *host* has. *allowed* are names in folded case, *controller* the hosts
    that are the machine that we run on. The state does not matter: it may change until the run gets there."""
    if unit.seen is None or unit.scm_name is None:
        return
    if unit.host in controller:
        yield refusals.on_the_controller(unit)
    how = "" if action is Action.START else carrying(unit.seen, host.transport)
    if how:
        yield refusals.carries_us(unit, how)
    if allowed and not allowed.isdisjoint(names_of(unit)):
        return
    what = "" if action is Action.START else needed_by_everybody(unit.scm_name)
    if what:
        yield refusals.needed_by_everybody(unit, what)
    resource = host.clustered.get(unit.scm_name.lower())
    if resource is not None:
        yield refusals.clustered(unit, resource, action, host.roles.get(unit.scm_name.lower(), ""))


def refuse_vital(plan: Plan, survey: Survey, *, allow: Iterable[str], controller: AbstractSet[str]) -> None:
    """Look anew at what *plan*, frozen on another day, acts on, with what *survey* says of its hosts now and with the
    names that were allowed then. Cost: O(nodes).

    Raises:
        PlanRefused: it would move what planning would refuse to move; carries every reason.
    """
    allowed = {name.casefold() for name in allow}
    reasons: list[Reason] = []
    for stage in plan.stages:
        action = Action.STOP if stage.goal is State.STOPPED else Action.START
        if plan.action is Action.RESTART:
            action = Action.RESTART
        for node in stage.nodes:
            host = survey.hosts.get(node.unit.host or "")
            if node.role is Role.ACT and host is not None:
                reasons += vital_reasons(node.unit, action, host, allowed=allowed, controller=controller)
    if reasons:
        raise PlanRefused(plan.action, reasons, hint="a saved plan takes no such options: plan and save it anew")


def carrying(seen: ServiceStatus, transport: Transport | None) -> str:
    """How a service carries our connection over *transport*, by itself or by what needs it; "" if it doesn't."""
    carried = carriers(transport)
    if seen.name.lower() in carried:
        return carried[seen.name.lower()]
    above = next((other for other in seen.required_by if other.lower() in carried), None)
    return "" if above is None else f"{above} needs it, and {carried[above.lower()]}"


def names_of(unit: Unit) -> tuple[str, ...]:
    """What `--allow` may call *unit*: its id, or its SCM name; in folded case."""
    return unit.id.casefold(), (unit.scm_name or "").casefold()


def check_allowed(typed: Iterable[str], known: AbstractSet[str]) -> None:
    """Raises BadInput for names of `--allow` that are none of the *known* ones, so that no slip of the pen passes."""
    wrong = [name for name in typed if name.casefold() not in known]
    if wrong:
        raise BadInput(
            f"--allow {', '.join(wrong)}: nothing that was chosen is named so",
            hint="it takes the SCM name of a service (DNS) or a unit (dns@dc-01) as a refusal names it; no patterns",
        )
