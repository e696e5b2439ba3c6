"""The service cmdlets of a virtual host, with the waits, warnings and errors of Windows PowerShell 5.1.

What carries their streams (remoting, a console) is not known here. Source of the behaviour: the Service cmdlets of
PowerShell: waits in slices of two seconds that never end, a warning for each, non-terminating errors.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.lab import texts, win32
from orchestrator.lab.errors import Cause, Error
from orchestrator.lab.host import Host
from orchestrator.lab.service import Service, State
from orchestrator.lab.wildcard import has_wildcards, matcher
from orchestrator.lab.win32 import Win32Error

SLICE_S = 2.0
"""How long the service cmdlets wait before each further warning."""
_SERVICE_EXCEPTION = "Microsoft.PowerShell.Commands.ServiceCommandException"
_OPEN_ERROR, _CLOSE_ERROR = (1, "OpenError"), (2, "CloseError")
_INVALID_OPERATION, _INVALID_ARGUMENT = (7, "InvalidOperation"), (5, "InvalidArgument")
_NOT_FOUND, _DENIED = (13, "ObjectNotFound"), (18, "PermissionDenied")
_CONTROLLER = "ServiceController"
_MANAGEMENT = "System.Management.Automation"


class Stopped(Exception):
    """A terminating error, or one that -ErrorAction Stop made so: the command ends with this record."""

    def __init__(self, record: Error) -> None:
        self.record = record
        super().__init__(record.text)


class Streams(Protocol):
    """Where a cmdlet's output, errors and warnings go."""

    def show(self, service: Service, dependents: Sequence[Service]) -> None:
        """Put *service* out as a ServiceController."""

    def error(self, record: Error) -> None:
        """A non-terminating error."""

    def warning(self, message: str) -> None:
        """A warning."""


@dataclass(frozen=True, slots=True)
class Call:
    """One cmdlet at work."""

    host: Host
    streams: Streams
    cmdlet: str
    parameters: Mapping[str, Any]
    silent: bool
    stops: bool

    def say(self, key: str, *values: str) -> str:
        """A sentence in the host's language."""
        return texts.say(key, self.host.spec.language, *values)

    def on(self, name: str) -> bool:
        """Whether a switch is given; null counts as given, as Windows binds it."""
        return name in self.parameters and self.parameters[name] is not False

    @property
    def names(self) -> list[str]:
        """The -Name parameter as a list."""
        value = self.parameters.get("name")
        if value is None:
            return []
        return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]

    def fail(self, record: Error) -> None:
        """Report a non-terminating error, the way -ErrorAction wants it."""
        if self.stops:
            raise Stopped(record)
        if not self.silent:
            self.streams.error(record)

    def fail_service(
        self,
        service: Service,
        id: str,
        category: tuple[int, str],
        cause: tuple[str, int] | None = None,
    ) -> None:
        """Report that something went wrong with *service*; *cause* is what .NET could not do and Windows' error."""
        why = category[1]
        causes: tuple[Cause, ...] = ()
        if cause:
            why = self.say(cause[0], service.name)
            said = win32.message(cause[1], self.host.spec.language)
            causes = (
                Cause("System.InvalidOperationException", why),
                Cause("System.ComponentModel.Win32Exception", said, cause[1]),
            )
        self.fail(
            Error(
                text=self.say(id, service.name, service.spec.display_name, why),
                id=f"{id},Microsoft.PowerShell.Commands.{self.class_name}",
                exception=_SERVICE_EXCEPTION,
                category=category,
                activity=self.cmdlet,
                target=f"System.ServiceProcess.{_CONTROLLER}",
                target_type=_CONTROLLER,
                causes=causes,
            )
        )

    @property
    def class_name(self) -> str:
        """The cmdlet's .NET class, as it stands in error ids."""
        return self.cmdlet.replace("-", "") + "Command"

    def chosen(self) -> list[Service]:
        """The services given as objects, or those that -Name means, by name; an error for each plain name that means
        none."""
        if "inputobject" in self.parameters:
            return list(self.parameters["inputobject"])
        if not self.names:
            return list(self.host.scm)
        found: list[Service] = []
        for pattern in self.names:
            whole = matcher(pattern)
            hits = [service for service in self.host.scm if whole.fullmatch(service.name)]
            if not hits and not has_wildcards(pattern):
                self._no_such(pattern)
            found += [service for service in hits if service not in found]
        return sorted(found, key=lambda service: service.name.casefold())

    def _no_such(self, name: str) -> None:
        self.fail(
            Error(
                text=self.say("NoServiceFoundForGivenName", name),
                id=f"NoServiceFoundForGivenName,Microsoft.PowerShell.Commands.{self.class_name}",
                exception=_SERVICE_EXCEPTION,
                category=_NOT_FOUND,
                activity=self.cmdlet,
                target=name,
                target_type="String",
            )
        )

    def show(self, service: Service) -> None:
        """Put *service* out as a ServiceController."""
        self.streams.show(service, self.host.scm.required_by(service))

    def control(self, service: Service, verb: str, ask: Callable[[str], object]) -> int:
        """Send a control and log what came of it: 0 or Windows' error number."""
        code = 0
        try:
            ask(service.name)
        except Win32Error as exc:
            code = exc.code
        self.host.log("control", service=service.name, control=verb, outcome=code or "accepted", by=self.cmdlet)
        return code

    async def wait(self, service: Service, goal: State, pending: State, waiting: str, failed: str) -> bool:
        """Wait for *goal* for as long as the service says that it is on its way."""
        while not await self.host.until(service, {goal}, SLICE_S):
            if service.state is not pending:
                self.fail_service(service, failed, _OPEN_ERROR)
                return False
            self.streams.warning(self.say(waiting, service.name, service.spec.display_name))
        return True


async def get_service(call: Call) -> None:
    """Get-Service."""
    for service in call.chosen():
        call.show(service)


async def start_service(call: Call) -> None:
    """Start-Service: silent about what runs already."""
    for service in call.chosen():
        if await _start(call, service) and call.on("passthru"):
            call.show(service)


async def stop_service(call: Call) -> None:
    """Stop-Service: -Force stops dependents first; -NoWait waits none the less, as is reported."""
    for service in call.chosen():
        if await _stop(call, service, force=call.on("force")) and call.on("passthru"):
            call.show(service)


async def resume_service(call: Call) -> None:
    """Resume-Service."""
    for service in call.chosen():
        code = call.control(service, "continue", call.host.scm.resume)
        if await _turned(call, service, code, "Resume") and call.on("passthru"):
            call.show(service)


async def suspend_service(call: Call) -> None:
    """Suspend-Service."""
    for service in call.chosen():
        code = call.control(service, "pause", call.host.scm.pause)
        if await _turned(call, service, code, "Suspend") and call.on("passthru"):
            call.show(service)


async def _turned(call: Call, service: Service, code: int, verb: str) -> bool:
    """Whether a service was resumed or suspended, after a control that gave *code*."""
    what = "cannot resume" if verb == "Resume" else "cannot pause"
    if code == win32.SERVICE_NOT_ACTIVE:
        call.fail_service(service, f"CouldNot{verb}ServiceNotRunning", _CLOSE_ERROR, (what, code))
    elif code == win32.INVALID_SERVICE_CONTROL and not service.can_pause:
        call.fail_service(service, f"CouldNot{verb}ServiceNotSupported", _CLOSE_ERROR, (what, code))
    elif code:
        denied = code == win32.ACCESS_DENIED
        call.fail_service(service, f"CouldNot{verb}Service", _CLOSE_ERROR, ("cannot open" if denied else what, code))
    elif verb == "Resume":
        return await call.wait(service, State.Running, State.ContinuePending, "resuming", "ResumeServiceFailed")
    else:
        return await call.wait(service, State.Paused, State.PausePending, "suspending", "SuspendServiceFailed")
    return False


async def set_service(call: Call) -> None:
    """Set-Service: -StartupType and -Status, of one service whose name is taken literally."""
    name = call.names[0] if call.names else ""
    try:
        service = call.host.scm.find(name)
    except Win32Error:
        call.fail(
            Error(
                text=call.say("not found", name),
                id=f"InvalidOperationException,Microsoft.PowerShell.Commands.{call.class_name}",
                exception="System.InvalidOperationException",
                category=_NOT_FOUND,
                activity=call.cmdlet,
                target=".",
                target_type="String",
            )
        )
        return
    wanted = str(call.parameters.get("startuptype", ""))
    if wanted and not _configure(call, service, wanted):
        return
    status = str(call.parameters.get("status", "")).casefold()
    if status == "running":
        await _start(call, service)
    elif status == "stopped":
        await _stop(call, service, force=call.on("force"))
    elif status == "paused":
        call.control(service, "pause", call.host.scm.pause)
    if call.on("passthru"):
        call.show(service)


async def _start(call: Call, service: Service) -> bool:
    code = call.control(service, "start", call.host.scm.start)
    if code not in (0, win32.SERVICE_ALREADY_RUNNING):
        what = "cannot open" if code == win32.ACCESS_DENIED else "cannot start"
        call.fail_service(service, "CouldNotStartService", _OPEN_ERROR, (what, code))
        return False
    return await call.wait(service, State.Running, State.StartPending, "starting", "StartServiceFailed")


async def _stop(call: Call, service: Service, *, force: bool) -> bool:
    dependents = [other for other in call.host.scm.required_by(service) if other.state is not State.Stopped]
    if dependents and not force:
        call.fail_service(service, "ServiceHasDependentServices", _INVALID_OPERATION)
        return False
    for dependent in reversed(dependents):
        if not await _stop_one(call, dependent):
            return False
    return await _stop_one(call, service)


async def _stop_one(call: Call, service: Service) -> bool:
    code = call.control(service, "stop", call.host.scm.stop)
    if code not in (0, win32.SERVICE_NOT_ACTIVE):
        what = "cannot open" if code == win32.ACCESS_DENIED else "cannot stop"
        call.fail_service(service, "CouldNotStopService", _CLOSE_ERROR, (what, code))
        return False
    return await call.wait(service, State.Stopped, State.StopPending, "stopping", "StopServiceFailed")


_START_TYPES = {
    "automatic": "Automatic",
    "manual": "Manual",
    "disabled": "Disabled",
    "boot": "Boot",
    "system": "System",
}
_NUMBERS = {"0": "boot", "1": "system", "2": "automatic", "3": "manual", "4": "disabled"}


def _configure(call: Call, service: Service, wanted: str) -> bool:
    start_type = _START_TYPES.get(_NUMBERS.get(wanted, wanted.casefold()))
    if start_type is None:
        raise Stopped(
            Error(
                text=f"Cannot bind parameter 'StartupType'. Cannot convert value \"{wanted}\" to type"
                ' "System.ServiceProcess.ServiceStartMode".',
                id=f"CannotConvertArgumentNoMessage,Microsoft.PowerShell.Commands.{call.class_name}",
                exception=f"{_MANAGEMENT}.ParameterBindingException",
                category=_INVALID_ARGUMENT,
                activity=call.cmdlet,
            )
        )
    code = call.control(service, f"config {start_type}", lambda name: call.host.scm.configure(name, start_type))
    if code:
        call.fail_service(service, "CouldNotSetService", _DENIED, ("cannot open", code))
    return not code


COMMON_PARAMETERS = frozenset({"erroraction", "warningaction", "confirm", "whatif", "verbose"})
SERVICE_CMDLETS: tuple[tuple[str, Callable[[Call], Awaitable[None]], frozenset[str]], ...] = (
    ("Get-Service", get_service, frozenset({"name", "requiredservices"})),
    ("Start-Service", start_service, frozenset({"name", "passthru"})),
    ("Stop-Service", stop_service, frozenset({"name", "passthru", "force", "nowait"})),
    ("Resume-Service", resume_service, frozenset({"name", "passthru"})),
    ("Suspend-Service", suspend_service, frozenset({"name", "passthru"})),
    ("Set-Service", set_service, frozenset({"name", "startuptype", "status", "passthru", "force"})),
)
"""Each by its name, with the parameters that are understood, in lower case."""
ALIASES = {"servicename": "name", "starttype": "startuptype", "ea": "erroraction", "sn": "name"}
