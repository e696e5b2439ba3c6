"""The stage between the stop and the start of a restart: each host that acts, once, with what is done there."""

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.domain import estimate
from orchestrator.domain.draft import Draft
from orchestrator.domain.kinds import is_service
from orchestrator.domain.life import Life, Reboot
from orchestrator.domain.plan import Action, Node, Role, Stage, Unit
from orchestrator.domain.planning.refusals import PlanRefused, Reason
from orchestrator.domain.service import State

SERVICE = "#between"
"""The service that these nodes count as. No key can begin like that, so neither can any unit's name."""


def done_between(draft: Draft, stop: Stage) -> list[Stage]:
    """The stage behind *stop*; none if that acts on no host.

    Raises:
        PlanRefused: a host is to be rebooted, and a run could not go on after that.
    Cost: O(nodes).
    """
    stage = _stage(draft, stop)
    reasons = untold_boots(draft, (node.unit for node in stop.nodes if node.role is Role.ACT))
    if reasons:
        raise PlanRefused(Action.RESTART, reasons)
    return [stage] if stage.nodes else []


def _stage(draft: Draft, stop: Stage) -> Stage:
    """What is done on each host of *stop*: on all at once, but for the run's limits."""
    hosts: dict[str, Unit] = {}
    for node in stop.nodes:
        if node.role is Role.ACT and node.unit.host is not None:
            hosts.setdefault(node.unit.host, node.unit)
    life = Life(before=draft.between)
    longest_s = sum(hook.timeout_s for hook in draft.between)
    nodes = tuple(
        Node(
            unit=Unit(
                id=f"{SERVICE}@{host}",
                service=SERVICE,
                host=host,
                scm_name=None,
                instance=f"{SERVICE}@{host}",
                booted_at=unit.booted_at,
            ),
            role=Role.PROBE,
            timeout_s=longest_s,
            expected_s=longest_s / 4,
            guessed=True,
            life=life,
        )
        for host, unit in hosts.items()
    )
    limits = replace(stop.limits, host=None, services=())
    return estimate.complete(Stage(goal=State.STOPPED, nodes=nodes, barriers=(), limits=limits, between=True))


def untold_boots(draft: Draft, acting: Iterable[Unit]) -> list[Reason]:
    """The hosts of the units *acting* that do not tell when they started, if they are rebooted between.

    Only who was asked about a service could tell; of others the reboot itself asks, before it acts.
    """
    if not any(isinstance(hook.do, Reboot) for hook in draft.between):
        return []
    silent = [unit.host for unit in acting if unit.booted_at is None and is_service(unit.scm_name or "")]
    untold = tuple(dict.fromkeys(host for host in silent if host is not None))
    if not untold:
        return []
    wrong = (
        "the playbook reboots it between stop and start, and it does not tell when it started: nobody could say whether"
        " it has rebooted"
    )
    right = (
        "reach it by WinRM, or by SSH with PowerShell there (orch_control=powershell); or leave it out:"
        f" --exclude {untold[0]}"
    )
    return [Reason(untold, wrong, right)]
