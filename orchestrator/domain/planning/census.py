"""The live readings, looked up by planned instance: its units, and what stands in the way of knowing them."""

from dataclasses import dataclass

from orchestrator.domain import kinds
from orchestrator.domain.draft import Instance
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.keep_down import DISABLED, Record
from orchestrator.domain.plan import Unit
from orchestrator.domain.planning.refusals import Reason
from orchestrator.domain.service import Asked, Reading, ServiceStatus
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.domain.win32 import in_words

NO_SUCH_SERVICE = 1060
_NOT_READ = Problem(ProblemKind.PROTOCOL, "it was not read")
Readings = dict[tuple[str, bool], Reading]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One question without a usable answer. `missing`: the host is sure that there is no such service."""

    unit: str
    missing: bool
    reason: Reason


class Census:
    """The units of instances, as a survey found them. Each instance is looked up once and remembered."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._hosts: dict[str, Readings | Problem] = {}
        self._units: dict[str, tuple[Unit, ...]] = {}
        self._troubles: dict[str, list[Trouble]] = {}

    def units(self, instance: Instance) -> tuple[Unit, ...]:
        """The instance's units, in the order asked, one for each SCM service that was found."""
        known = self._units.get(instance.id)
        if known is None:
            known = self._units[instance.id] = self._look_up(instance)
        return known

    def host(self, name: str) -> HostSurvey:
        """What the host *name* said."""
        return self._survey.hosts.get(name) or HostSurvey(host=name, problem=_NOT_READ)

    def kept_down(self, unit: Unit) -> Record | None:
        """What is on record of a unit that can be released and started, though it is Disabled now."""
        found = self.host(unit.host or "").kept_down.get((unit.scm_name or "").lower())
        return found if found is not None and found.start != DISABLED else None

    def beside(self, host: str, name: str) -> ServiceStatus | Problem | None:
        """What *host* said of the service *name*, whether the playbook has it or not; None if it was not asked."""
        said = self.host(host)
        for reading in (*said.dependents, *said.readings):
            if not reading.asked.pattern and reading.asked.name.lower() == name.lower():
                return reading.found[0] if reading.found else reading.problem
        return None

    def riding(self, instance: Instance, status: ServiceStatus) -> Unit:
        """The unit that *status*, a service beside those of *instance*, is when it is stopped and started with them."""
        return self._unit(instance, named(instance, status.name), status)

    def troubles(self, instance: Instance) -> list[Trouble]:
        """What could not be found or read of an instance that was looked up."""
        return self._troubles.get(instance.id, [])

    def _look_up(self, instance: Instance) -> tuple[Unit, ...]:
        if instance.host is None:
            return ()
        readings = self._hosts.get(instance.host)
        if readings is None:
            readings = self._hosts[instance.host] = self._of_host(instance.host)
        if isinstance(readings, Problem):
            self._trouble(instance, _silent(instance, instance.host, readings))
            return ()
        asked = instance.asked
        if len(asked) == 1 and not asked[0].pattern:
            status = self._literal(instance, asked[0], readings)
            return (self._unit(instance, instance.id, status, asked[0]),) if status else ()
        found: dict[str, ServiceStatus] = {}
        for question in asked:
            if question.pattern:
                statuses = self._matching(instance, question, readings)
            else:
                status = self._literal(instance, question, readings)
                statuses = (status,) if status else ()
            for status in statuses:
                found.setdefault(status.name.lower(), status)
        return tuple(self._unit(instance, named(instance, status.name), status) for status in found.values())

    def _of_host(self, host: str) -> Readings | Problem:
        survey = self._survey.hosts.get(host)
        if survey is None:
            return _NOT_READ
        if survey.problem is not None:
            return survey.problem
        return {(reading.asked.name, reading.asked.pattern): reading for reading in survey.readings}

    def _literal(self, instance: Instance, asked: Asked, readings: Readings) -> ServiceStatus | None:
        reading = readings.get((asked.name, False))
        if reading is not None and reading.found:
            return reading.found[0]
        problem = _NOT_READ if reading is None else reading.problem
        unit = instance.id if len(instance.asked) == 1 else named(instance, asked.name)
        if problem is None or problem.kind is ProblemKind.MISSING or problem.code == NO_SUCH_SERVICE:
            self._trouble(instance, _missing(instance, unit, asked))
        else:
            self._trouble(instance, _unreadable(instance, unit, asked, problem))
        return None

    def _matching(self, instance: Instance, asked: Asked, readings: Readings) -> tuple[ServiceStatus, ...]:
        reading = readings.get((asked.name, True))
        problem = _NOT_READ if reading is None else reading.problem
        found = () if reading is None else reading.found
        if problem is not None and problem.kind is not ProblemKind.MISSING:
            self._trouble(instance, _unreadable(instance, instance.id, asked, problem))
        elif not found:
            self._trouble(instance, _missing(instance, instance.id, asked))
        return found

    def _unit(self, instance: Instance, name: str, status: ServiceStatus, asked: Asked | None = None) -> Unit:
        assert instance.host is not None
        return Unit(
            id=name,
            service=instance.service,
            host=instance.host,
            scm_name=status.name,
            instance=instance.id,
            seen=status,
            booted_at=self._survey.hosts[instance.host].booted_at,
            by=asked.by if asked else None,
            ways=asked.ways if asked else (),
        )

    def _trouble(self, instance: Instance, trouble: Trouble) -> None:
        self._troubles.setdefault(instance.id, []).append(trouble)


def named(instance: Instance, scm_name: str) -> str:
    """The id of one unit of an instance that has several: `orders:Orders.Api@app-03`."""
    return f"{instance.service}:{scm_name}@{instance.host}"


def problem_in_words(problem: Problem) -> str:
    """A problem for people: our words for its number, if it has one, then the host's own text."""
    words = "" if problem.code is None else in_words(problem.code)
    said = f"{words}: {problem.text}" if words and problem.text else words or problem.text or str(problem.kind)
    return f"{said}; {problem.hint}" if problem.hint else said


def unread_in_words(instance: Instance, reading: Reading) -> str:
    """Why *reading* found no service of *instance*, and what to do, in the words of a refused plan."""
    asked, problem = reading.asked, reading.problem
    if problem is None or problem.kind is ProblemKind.MISSING or problem.code == NO_SUCH_SERVICE:
        reason = _missing(instance, instance.id, asked).reason
        return f"{reason.wrong}; {reason.right}"
    return _unreadable(instance, instance.id, asked, problem).reason.wrong


def _silent(instance: Instance, host: str, problem: Problem) -> Trouble:
    wrong = f"gave no usable answer: {problem_in_words(problem)}"
    right = "bring it back, or leave it and what cannot do without it alone: --unreachable exclude"
    return Trouble(instance.id, missing=False, reason=Reason((host,), wrong, right))


def _missing(instance: Instance, unit: str, asked: Asked) -> Trouble:
    wrong = f"there is no service {asked.name} on {instance.host}"
    if asked.pattern:
        wrong = f"no service on {instance.host} matches {asked.name}"
    key = kinds.kind_of(asked.name) or "service"
    if not kinds.is_service(asked.name):
        wrong = f"{kinds.called(asked.name)} is not on {instance.host}"
    right = f"correct `{key}:` or `hosts:` of {instance.service} in the playbook, or add --exclude {instance.host}"
    return Trouble(unit, missing=True, reason=Reason((unit,), wrong, right))


def _unreadable(instance: Instance, unit: str, asked: Asked, problem: Problem) -> Trouble:
    wrong = f"{kinds.called(asked.name)} on {instance.host} can't be read: {problem_in_words(problem)}"
    right = f"let the account read it (orch check shows what it may do), or add --exclude {instance.host}"
    if not kinds.is_service(asked.name):
        right = f"make sure that the account may read it, as an administrator may; or add --exclude {instance.host}"
    return Trouble(unit, missing=False, reason=Reason((unit,), wrong, right))
