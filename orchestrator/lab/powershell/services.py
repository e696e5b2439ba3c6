"""A System.ServiceProcess.ServiceController of a virtual host: what it knew when it was last refreshed."""

from collections.abc import Callable
from typing import Any

from orchestrator.lab import texts, win32
from orchestrator.lab.host import Host
from orchestrator.lab.powershell.convert import ENUMS
from orchestrator.lab.powershell.values import Enum, NetException, Typed, method_failure
from orchestrator.lab.service import Service, State
from orchestrator.lab.win32 import Win32Error

STATUS = "System.ServiceProcess.ServiceControllerStatus"
START_MODE = "System.ServiceProcess.ServiceStartMode"
_TYPE = "System.ServiceProcess.ServiceType"


class Controller:
    """One service as .NET shows it."""

    type_name = "System.ServiceProcess.ServiceController"

    def __init__(self, host: Host, service: Service) -> None:
        self.host = host
        self.service = service
        self.refresh()

    def refresh(self) -> None:
        """Read the state anew."""
        service = self.service
        self.status = Enum(STATUS, service.state.name, service.state.value)
        self.can_stop, self.can_pause = service.can_stop, service.can_pause

    def shown(self) -> str:
        """Its ToString."""
        return self.service.name

    def start_type(self) -> Enum:
        """Delayed ones are Automatic, for .NET knows no other."""
        name = self.service.start_type.replace("AutomaticDelayed", "Automatic")
        return Enum(START_MODE, name, ENUMS[START_MODE][name])

    def depends_on(self) -> Typed:
        """What it needs, itself."""
        names = {name.casefold() for name in self.service.spec.requires}
        return self._controllers([each for each in self.host.scm if each.name.casefold() in names])

    def dependents(self) -> Typed:
        """What needs it, directly or by way of others."""
        return self._controllers(self.host.scm.required_by(self.service))

    def _controllers(self, services: list[Service]) -> Typed:
        return Typed([Controller(self.host, each) for each in services], self.type_name)

    def service_row(self) -> list[str]:
        """Status, name and display name."""
        return [self.status.name, self.service.name, self.service.spec.display_name]

    def members_of(self) -> list[tuple[str, Any]]:
        """All properties, in the order in which they are serialised."""
        return [(name, get(self)) for name, get in PROPERTIES.items()]

    def control(self, method: str, verb: str, ask: Callable[[str], object], text: str) -> None:
        """Send a control by way of .NET. Raises Failed."""
        code = 0
        try:
            ask(self.service.name)
        except Win32Error as exc:
            code = exc.code
        self.host.log("control", service=self.service.name, control=verb, outcome=code or "accepted", by=method)
        if code:
            language = self.host.spec.language
            cause = NetException("System.ComponentModel.Win32Exception", win32.message(code, language), code=code)
            key = "cannot open" if code == win32.ACCESS_DENIED else text
            said = texts.say(key, language, self.service.name)
            raise method_failure(method, 0, NetException("System.InvalidOperationException", said, cause))

    async def wait(self, wanted: Enum, limit_s: float | None) -> None:
        """Until it has *wanted*; for ever without a limit. Raises Failed."""
        goal = {State(wanted.number)}
        while not await self.host.until(self.service, goal, limit_s if limit_s is not None else 60.0):
            if limit_s is not None:
                said = "Time out has expired and the operation has not been completed."
                late = NetException("System.ServiceProcess.TimeoutException", said)
                raise method_failure("WaitForStatus", 2, late)
        self.refresh()


PROPERTIES: dict[str, Callable[[Controller], Any]] = {
    "Name": lambda of: of.service.name,
    "RequiredServices": lambda of: of.depends_on(),
    "CanPauseAndContinue": lambda of: of.can_pause,
    "CanShutdown": lambda of: of.can_stop,
    "CanStop": lambda of: of.can_stop,
    "DisplayName": lambda of: of.service.spec.display_name,
    "DependentServices": lambda of: of.dependents(),
    "MachineName": lambda of: ".",
    "ServiceName": lambda of: of.service.name,
    "ServicesDependedOn": lambda of: of.depends_on(),
    "Status": lambda of: of.status,
    "ServiceType": lambda of: Enum(_TYPE, "Win32OwnProcess", 16),
    "StartType": lambda of: of.start_type(),
    "Site": lambda of: None,
    "Container": lambda of: None,
}
