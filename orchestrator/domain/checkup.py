"""The afternoon before: whether every host, right, service and gate is as the night will need it.

Pure: `jobs.surveying.check` asks the world, this judges the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from orchestrator.domain.connection import Transport
from orchestrator.domain.draft import Instance
from orchestrator.domain.errors import Problem
from orchestrator.domain.keep_down import DISABLED, Record
from orchestrator.domain.planning.census import unread_in_words
from orchestrator.domain.planning.vital import carrying
from orchestrator.domain.sddl import may_control
from orchestrator.domain.service import Reading, ServiceStatus, StartType
from orchestrator.domain.vital_services import needed_by_everybody

SKEW_LIMIT_S = 300.0
"""Kerberos refuses tickets past five minutes (RFC 4120's usual setting, and Windows' default policy)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheck:
    """One host: reached, credentials good, its clock close to ours. `detour`: see HostSurvey; it is no problem."""

    host: str
    ok: bool
    said: str = ""
    detour: str = ""
    transport: str = ""
    computer_name: str = ""
    version: str = ""
    clock_skew_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCheck:
    """One service on one host. `may_start` and `may_stop` are None where the host doesn't tell.

    `stop_refused`: `orch stop` would refuse it, as `said` tells; no problem, for it may never be to be stopped.
    """

    unit: str
    host: str
    ok: bool
    said: str = ""
    state: str = ""
    start_type: str = ""
    may_start: bool | None = None
    may_stop: bool | None = None
    stop_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheck:
    """One gate, probed once. `ok` False: a ready gate of a running service that does not hold."""

    unit: str
    gate: str
    held: bool
    saw: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that `orch check` found."""

    hosts: tuple[HostCheck, ...]
    units: tuple[UnitCheck, ...]
    gates: tuple[GateCheck, ...]

    @property
    def problems(self) -> int:
        """How many rows would hurt the night."""
        return sum(not row.ok for rows in (self.hosts, self.units, self.gates) for row in rows)

    @property
    def stops_refused(self) -> int:
        """How many units `orch stop` would refuse to stop, as things are declared."""
        return sum(unit.stop_refused for unit in self.units)


def unit_checks(
    instance: Instance,
    readings: Sequence[Reading],
    security: dict[str, str | Problem],
    sids: Sequence[str],
    transport: Transport | None = None,
    kept_down: Mapping[str, Record] = MappingProxyType({}),
) -> list[UnitCheck]:
    """A row for each SCM service that *instance* names, and one for each question that found none.

    Args:
        readings: the answers to the instance's questions.
        security: SCM name in lower case -> its SDDL, or why it can't be read.
        sids: the account's own SID and its groups'.
        transport: the wire by which the host was reached.
        kept_down: SCM name in lower case -> what is on record of it on the host.
    """
    rows: list[UnitCheck] = []
    host = instance.host or ""
    for reading in readings:
        if reading.problem is not None or not reading.found:
            said = unread_in_words(instance, reading)
            rows.append(UnitCheck(unit=instance.id, host=host, ok=False, said=said))
        alone = len(readings) == 1 and not reading.asked.pattern
        for found in reading.found:
            unit = _unit_id(instance, found, alone=alone)
            row = _unit_check(unit, host, found, security.get(found.name.lower()), sids)
            refused = _stop_refused(found, transport)
            disabled = _disabled(instance, found, kept_down.get(found.name.lower()))
            said = "; ".join(filter(None, (row.said, *disabled, refused)))
            ok = row.ok and not any(disabled.values())
            rows.append(replace(row, ok=ok, said=said, stop_refused=bool(refused)))
    return rows


def _disabled(instance: Instance, found: ServiceStatus, kept: Record | None) -> dict[str, bool]:
    """What is said of a Disabled service, and whether its start would fail."""
    if found.start_type is not StartType.DISABLED:
        return {}
    if kept is None or kept.start == DISABLED:
        return {"Disabled: it can't be started (1058)": True}
    if instance.start_life is None or not instance.start_life.keep_down:
        return {f"kept down by run {kept.run}: orch release --host {instance.host} lets it be started": True}
    return {f"kept down by run {kept.run}: its start puts back {kept.words}": False}


def _stop_refused(found: ServiceStatus, transport: Transport | None) -> str:
    """What a stop of a service would be refused for; no reason to worry if it is never to be stopped."""
    if carrying(found, transport):
        return "a stop is refused: it carries our own connection"
    return f"a stop is refused without --allow {found.name}: others need it" if needed_by_everybody(found.name) else ""


def _unit_id(instance: Instance, found: ServiceStatus, *, alone: bool) -> str:
    return instance.id if alone else f"{instance.service}:{found.name}@{instance.host}"


def _unit_check(
    unit: str, host: str, found: ServiceStatus, descriptor: str | Problem | None, sids: Sequence[str]
) -> UnitCheck:
    may_start = may_stop = None
    said = []
    if isinstance(descriptor, str) and sids:
        try:
            rights = may_control(descriptor, sids)
        except ValueError as wrong:
            said.append(f"rights not readable: {wrong}")
        else:
            may_start, may_stop = rights.start, rights.stop
    elif isinstance(descriptor, Problem):
        said.append(f"rights not readable: {descriptor.text}")
    if may_start is False or may_stop is False:
        denied = " and ".join(word for word, may in (("start", may_start), ("stop", may_stop)) if may is False)
        said.append(f"this account may not {denied} it")
    return UnitCheck(
        unit=unit,
        host=host,
        ok=may_start is not False and may_stop is not False,
        said="; ".join(said),
        state=found.state.value,
        start_type=found.start_type.value if found.start_type else "",
        may_start=may_start,
        may_stop=may_stop,
    )


def skew_said(skew_s: float | None) -> str:
    """What to say of a host's clock; empty when it is close enough."""
    if skew_s is None or abs(skew_s) < SKEW_LIMIT_S:
        return ""
    return f"its clock is {abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}: Kerberos will refuse it"
