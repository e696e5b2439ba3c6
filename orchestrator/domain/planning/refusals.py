"""Why a plan is refused: every reason at once, each with what to type next."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.errors import BadInput
from orchestrator.domain.keep_down import Record
from orchestrator.domain.plan import Action, Unit
from orchestrator.domain.planning.choice import Choice


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing in the way: the units or hosts that it is about, what is wrong, and what to do about it."""

    about: tuple[str, ...]
    wrong: str
    right: str

    def __str__(self) -> str:
        return f"{', '.join(self.about)}: {self.wrong}\n    {self.right}"


class PlanRefused(BadInput):
    """The live state does not allow what was asked. Nothing was touched."""

    def __init__(self, action: Action, reasons: Sequence[Reason], *, hint: str = "") -> None:
        self.action = action
        self.reasons = tuple(dict.fromkeys(reasons))
        reasons_told = "\n".join(f"  {reason}" for reason in self.reasons)
        super().__init__(f"cannot {action} as asked; nothing was touched\n{reasons_told}", hint=hint)


def disabled(unit: Unit) -> Reason:
    """A start of what Windows would refuse to start."""
    return Reason(
        (unit.id,),
        f"{unit.scm_name} is Disabled on {unit.host}, so Windows would refuse the start (error 1058)",
        f"enable it on {unit.host}: sc.exe config {_quoted(unit)} start= demand; or add --exclude {unit.host}",
    )


def kept_down(unit: Unit, record: Record) -> Reason:
    """A start of what is kept down, by a playbook that does not keep it down and so would not release it."""
    return Reason(
        (unit.id,),
        f"{unit.scm_name} is kept down on {unit.host} by run {record.run}, so Windows would refuse the start",
        f"orch release --host {unit.host} puts back what it had ({record.words}); or add --exclude {unit.host}",
    )


def not_startable_again(unit: Unit) -> Reason:
    """A restart that would end after its stop."""
    return Reason(
        (unit.id,),
        f"{unit.scm_name} runs on {unit.host} but is Disabled: it could be stopped and not started again (error 1058)",
        f"enable it on {unit.host}: sc.exe config {_quoted(unit)} start= demand; or add --exclude {unit.host}",
    )


def claimed_twice(owner: str, unit: Unit) -> Reason:
    """One SCM service that two entries want to act on."""
    return Reason(
        (owner, unit.id),
        f"both are the service {unit.scm_name} on {unit.host}",
        "give it to one entry: narrow the pattern or the hosts of the other in the playbook",
    )


def gone(unit: str, host: str | None) -> Reason:
    """A unit of a snapshot that its host does not have any more."""
    return Reason(
        (unit,),
        f"it is in the snapshot, and {host} has no such service any more",
        f"look at {host}: orch status shows what is there; or add --exclude {host}",
    )


def on_the_controller(unit: Unit) -> Reason:
    """Moving something on the machine that orch runs on."""
    return Reason(
        (unit.id,),
        f"{unit.host} is the very machine that orch runs on, so the run could end itself",
        f"run orch from another machine, or add --exclude {unit.host}",
    )


def carries_us(unit: Unit, how: str) -> Reason:
    """Stopping what our own connection to the host goes through."""
    return Reason(
        (unit.id,),
        f"{unit.scm_name} carries our own connection to {unit.host} ({how}): nobody could start it again from here",
        f"take it out of the playbook, or add --exclude {unit.host}; nothing lifts this",
    )


def needed_by_everybody(unit: Unit, what: str) -> Reason:
    """Stopping what others than the playbook's services are likely to need."""
    return Reason(
        (unit.id,),
        f"{unit.scm_name} on {unit.host} is {what}",
        f"add {_allow(unit.scm_name)} if that is what you want, or {_allow(unit.id)} for this unit alone",
    )


def clustered(unit: Unit, resource: str, action: Action, role: str) -> Reason:
    """Moving what a failover cluster owns behind its back; *role* "": to which role it belongs is not known."""
    does = "stop it again" if action is Action.START else "start it again or move it to another node"
    of_role = f" of the role {role!r}" if role else ""
    write = role or "NAME"
    return Reason(
        (unit.id,),
        f"{unit.scm_name} on {unit.host} belongs to the failover cluster, as {resource!r}{of_role}: "
        f"the cluster may {does}",
        f"{action} the role itself: write `cluster_role: {write}` in place of `service`, with the nodes as `hosts`; "
        f"or add {_allow(unit.scm_name)}, or {_allow(unit.id)}",
    )


def would_pull_from_under(units: Sequence[Unit], stopped: Sequence[str], choice: Choice, action: Action) -> Reason:
    """A stop of what running units outside the choice need."""
    states = sorted({str(unit.seen.state) for unit in units if unit.seen})
    if action is Action.RESTORE:
        where, right = "not to be stopped by the snapshot", f"stop first: orch stop --service {units[0].service}"
    else:
        widen = f"add --with-dependents to {action} them too"
        if choice.with_dependents:
            widen = "drop the --exclude that names their hosts"
        where, right = "outside the choice", f"{widen}, or --ignore-dependents to leave them as they are"
    return Reason(
        tuple(unit.id for unit in units),
        f"{where} and {' or '.join(states)}; {'they need' if len(units) > 1 else 'it needs'} "
        f"{', '.join(stopped)}, which would be stopped",
        right,
    )


def would_be_in_the_way(units: Sequence[str], hosts: Sequence[str], name: str, keys: Sequence[str], why: str) -> Reason:
    """A stop that Windows would refuse, for the service *name*, which the playbook does not have, needs the *units*.
    *why* says what is known of it: its state, or why that can't be read."""
    on = hosts[0] if len(hosts) == 1 else f"{hosts[0]} and {len(hosts) - 1} more hosts"
    return Reason(
        tuple(units),
        f"{name} on {on} {why} and needs {'them' if len(units) > 1 else 'it'}, and the playbook has no such service",
        f"write `dependents: stop_and_restore` for {', '.join(keys)}: it is then stopped first, and started again; "
        f"or an entry of its own that depends on {keys[0]}; or --ignore-dependents, and Windows will refuse the stop",
    )


def nobody_may_go_down(key: str, wanted: str, whole: int) -> Reason:
    """A rolling restart of a service all of which has to be up."""
    who = f"none of its {whole} instances" if whole > 1 else "its one instance never"
    return Reason(
        (key,),
        f"`min_available: {wanted}` lets {who} go down",
        "lower it in the playbook, or restart without --rolling: then all go down at once",
    )


def batch_too_big(key: str, size: int, wanted: str, whole: int, together: int) -> Reason:
    """A rolling restart in batches that leave too few."""
    return Reason(
        (key,),
        f"a batch of {size} would leave fewer than `min_available: {wanted}` of its {whole} instances up",
        f"at most {together} can go at once: write `batch: {together}`, or leave `batch` out of the playbook",
    )


def needed_while_rolling(units: Sequence[str], hosts: Sequence[str], name: str, why: str) -> Reason:
    """A rolling restart of what the service *name* of the same host needs: Windows would refuse the stop."""
    return Reason(
        tuple(units),
        f"{name} on {_hosts(hosts)} {why} and needs {'them' if len(units) > 1 else 'it'}, so Windows would refuse the"
        " stop",
        "a rolling restart takes each service down by itself: restart without --rolling, or stop what needs it first",
    )


def would_run_on_without(units: Sequence[str], key: str) -> Reason:
    """A rolling restart of what a service of the playbook needs on its own host."""
    return Reason(
        tuple(units),
        f"{'they run and need' if len(units) > 1 else 'it runs and needs'} {key} on the same host, which would go down"
        " alone",
        "restart without --rolling; or --ignore-dependents, and it loses what it needs for that time",
    )


def two_on_a_host(keys: Sequence[str], units: Sequence[str], hosts: Sequence[str]) -> Reason:
    """A rolling restart that would do something on a host for one of its services while another runs there."""
    choose = f"choose one of them (--service {keys[0]}), or " if len(keys) > 1 else ""
    return Reason(
        tuple(units),
        f"they run on one host ({_hosts(hosts)}), and what `restart: between:` does there for one would meet the other"
        " running",
        f"{choose}restart without --rolling: then it is done once on each host, while all is down",
    )


def _hosts(hosts: Sequence[str]) -> str:
    """`app-01 and 7 more hosts`."""
    more = len(hosts) - 1
    return f"{hosts[0]} and {more} more host{'s' * (more != 1)}" if more else hosts[0]


def _allow(name: str | None) -> str:
    """As it can be typed: a shell would take `MSSQL$SHOP` for another name."""
    return f"--allow {shlex.quote(name or '')}"


def _quoted(unit: Unit) -> str:
    name = unit.scm_name or ""
    return f'"{name}"' if " " in name else name
