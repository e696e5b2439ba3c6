"""The service cmdlets of a console: the same as remoting's, with typed objects around them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from orchestrator.lab import service_cmdlets
from orchestrator.lab.errors import Error
from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.binding import Parameters
from orchestrator.lab.powershell.invocation import Cmdlet, Invocation
from orchestrator.lab.powershell.services import Controller
from orchestrator.lab.powershell.values import Failed, from_error, unsupported
from orchestrator.lab.service import Service
from orchestrator.lab.service_cmdlets import Call

_ALIASES = {"servicename": "Name", "sn": "Name", "startmode": "StartupType", "sm": "StartupType", "st": "StartupType"}


class _Streams:
    """A cmdlet's streams; its output waits, for the pipeline may have to be waited for."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self.shown: list[Controller] = []

    def show(self, service: Service, dependents: Sequence[Service]) -> None:
        """Put *service* out."""
        self.shown.append(Controller(self._invocation.frame.session.where.host, service))

    def error(self, record: Error) -> None:
        """A non-terminating error."""
        self._invocation.error(from_error(record))

    def warning(self, message: str) -> None:
        """A warning."""
        self._invocation.warning(message)


def _with(run: Callable[[Call], Awaitable[None]]) -> Callable[[Invocation], Awaitable[None]]:
    async def end(call: Invocation) -> None:
        if call.on("WhatIf") or call.on("Confirm"):
            raise unsupported(f"-WhatIf and -Confirm of {call.cmdlet.name}")
        streams = _Streams(call)
        host = call.frame.session.where.host
        parameters = {name.casefold(): _plain(value) for name, value in call.bound.items()}
        services = _services(call)
        if services is not None:
            parameters["inputobject"] = services
        elif call.is_piped:
            parameters["name"] = convert.strings(call.items)
        given = Call(host, streams, call.cmdlet.name, parameters, silent=False, stops=False)
        try:
            await run(given)
        except service_cmdlets.Stopped as exc:
            raise Failed(from_error(exc.record)) from exc
        finally:
            for controller in streams.shown:
                await call.out(controller)

    return end


def _services(call: Invocation) -> list[Service] | None:
    """The services that were given as objects; None if they were given by name, or not at all."""
    given = (
        call.items if call.is_piped else convert.items(call.get("InputObject")) if "InputObject" in call.bound else []
    )
    found = [each.service for each in given if isinstance(each, Controller)]
    return found if found or "InputObject" in call.bound else None


def _plain(value: Any) -> Any:
    return (
        convert.strings(value) if isinstance(value, list) else value if isinstance(value, bool) else convert.text(value)
    )


_SPELLED = {
    "name": "Name",
    "startuptype": "StartupType",
    "status": "Status",
    "passthru": "PassThru",
    "force": "Force",
    "nowait": "NoWait",
    "requiredservices": "RequiredServices",
}
_SWITCHES = frozenset({"passthru", "force", "nowait", "requiredservices"})
CMDLETS = tuple(
    Cmdlet(
        name=name,
        end=_with(run),
        parameters=Parameters(
            (*(_SPELLED[each] for each in sorted(takes - _SWITCHES)), "InputObject"),
            (*(_SPELLED[each] for each in sorted(takes & _SWITCHES)), "WhatIf", "Confirm"),
            ("Name",),
            _ALIASES,
        ),
        acts=True,
    )
    for name, run, takes in service_cmdlets.SERVICE_CMDLETS
)
