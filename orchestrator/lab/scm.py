"""One host's service control manager, in memory.

It knows states, delays, dependents and error numbers; it knows nothing of wires, sockets or languages. Its clock
comes from outside (an asyncio event loop will do), so that tests own the time. All durations are seconds.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from orchestrator.lab import win32
from orchestrator.lab.fleet import Recovery, ServiceSpec
from orchestrator.lab.lives import Lives
from orchestrator.lab.processes import Process, Processes
from orchestrator.lab.revival import Revival, Tell
from orchestrator.lab.service import Clock, Service, State
from orchestrator.lab.win32 import Win32Error

REFUSED_AT_ONCE = frozenset({2, 5, 1053, 1068, 1069, 1070, 1072})
"""Codes with which StartService itself fails; with all others the service begins to start and then falls back."""


ChangeListener = Callable[[Service, State, State, str], None]
"""Called after a change with the service, the state before, the state now, and why."""


class Scm:
    """The services of one host. Controls return at once, as Windows' calls do, or raise Win32Error.

    *tell* is told what Windows would log, *configured* whose settings changed and which (`start`, `recovery`,
    `triggers`); *reboot* restarts the host.
    """

    def __init__(
        self,
        clock: Clock,
        specs: Sequence[ServiceSpec],
        on_change: ChangeListener,
        *,
        processes: Processes | None = None,
        tell: Tell = lambda service, what, values: None,
        configured: Callable[[Service, str], None] = lambda service, what: None,
        reboot: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._tell = tell
        self._configured = configured
        self.processes = processes if processes is not None else Processes(lambda: 0.0)
        self.processes.watchers.append(self._ended)
        self.revival = Revival(clock, self._start_by_itself, reboot, tell)
        self._services: dict[str, Service] = {}
        self._lives = Lives(clock, self.processes, self._services)
        for spec in specs:
            service = Service(spec, State[spec.state], spec.start_type, spec.recovery, spec.triggers)
            self._services[spec.name.casefold()] = service
            if service.state is State.Stopped:
                service.win32_exit_code = win32.SERVICE_NEVER_STARTED
            else:
                self._lives.begin(service)
                self._lives.grow(service)

    def __iter__(self) -> Iterator[Service]:
        """All services that can be seen, ordered by name as Windows lists them."""
        return iter(sorted(self._visible(), key=lambda service: service.name.casefold()))

    def every(self) -> Iterator[Service]:
        """All services, those included that a fault hides."""
        return iter(self._services.values())

    def find(self, name: str) -> Service:
        """The service *name*, whatever its case. Raises Win32Error 1060."""
        service = self._services.get(name.casefold())
        if service is None or "missing" in service.faults:
            raise Win32Error(win32.SERVICE_DOES_NOT_EXIST)
        return service

    def required_by(self, service: Service) -> list[Service]:
        """The services on this host that need *service*, directly or by way of others."""
        found: list[Service] = []
        for other in self:
            needs = {name.casefold() for name in other.spec.requires}
            if service.name.casefold() in needs:
                found += [each for each in (other, *self.required_by(other)) if each not in found]
        return found

    def start(self, name: str, why: str = "asked") -> Service:
        """StartService: returns once the service begins to start, with what it requires started before it."""
        service = self.find(name)
        self._refuse_if_told(service)
        if service.state is not State.Stopped:
            raise Win32Error(win32.SERVICE_ALREADY_RUNNING)
        if service.start_type == "Disabled":
            raise Win32Error(win32.SERVICE_DISABLED)
        code = service.faults.get("fails-to-start")
        if code in REFUSED_AT_ONCE:
            service.win32_exit_code = code
            self._tell(service, "not started", (code,))
            raise Win32Error(code)
        waits_for = self._start_required(service)
        self._begin(service, State.StartPending, why)
        if waits_for:
            self._await_required(service, waits_for)
        else:
            self._run_start(service)
        return service

    def stop(self, name: str, why: str = "asked") -> Service:
        """ControlService(STOP): returns once the service was told to stop."""
        service = self.find(name)
        self._refuse_if_told(service)
        self._check_takes_controls(service)
        if not service.spec.can_stop:
            raise Win32Error(win32.INVALID_SERVICE_CONTROL)
        if any(other.state is not State.Stopped for other in self.required_by(service)):
            raise Win32Error(win32.DEPENDENT_SERVICES_RUNNING)
        self._begin(service, State.StopPending, why)
        if "hangs-on-stop" not in service.faults:
            self._progress(service, service.spec.stop_s, lambda: self._stopped(service, 0, why="stopped"))
        elif (stalls_at := service.faults["hangs-on-stop"]) is not True:
            self._rise(service, service.spec.stop_s / (stalls_at + 1), stalls_at)
        return service

    def pause(self, name: str) -> Service:
        """ControlService(PAUSE)."""
        return self._pause_or_resume(name, State.PausePending, State.Paused)

    def resume(self, name: str) -> Service:
        """ControlService(CONTINUE)."""
        return self._pause_or_resume(name, State.ContinuePending, State.Running)

    def configure(self, name: str, start_type: str) -> Service:
        """ChangeServiceConfig: the start type only."""
        service = self.find(name)
        self._refuse_if_told(service)
        before, service.start_type = service.start_type, start_type
        self._configured(service, "start")
        if before != start_type:
            self._tell(service, "start type", (before, start_type))
        return service

    def recover(self, name: str, recovery: Recovery) -> Service:
        """ChangeServiceConfig2: what happens when it dies."""
        service = self.find(name)
        self._refuse_if_told(service)
        service.recovery = recovery
        self._configured(service, "recovery")
        return service

    def trigger(self, name: str, triggers: tuple[str, ...]) -> Service:
        """ChangeServiceConfig2: what starts and stops it. Raises Win32Error 87 if there are none to take away."""
        service = self.find(name)
        self._refuse_if_told(service)
        if not triggers and not service.triggers:
            raise Win32Error(win32.INVALID_PARAMETER)
        service.triggers = triggers
        self._configured(service, "triggers")
        return service

    def force(self, name: str, state: State, why: str) -> Service:
        """Put *name* into *state* at once, as a hand on the host would; a pending state stays until forced on."""
        service = self.find(name)
        if state is State.Stopped:
            self._stopped(service, 0, why=why)
            return service
        if service.process is None:
            self._lives.begin(service)
            self._lives.grow(service)
        self._enter(service, state, why)
        return service

    def power_off(self) -> None:
        """All services are gone with their processes, and nothing comes of what they were at: the host is off."""
        for service in self._services.values():
            self._cancel_timers(service)
            self.revival.forget(service)
            service.process, service.state = None, State.Stopped
            service.children, service.left = [], []
            service.win32_exit_code, service.service_exit_code = win32.SERVICE_NEVER_STARTED, 0
            service.checkpoint = service.wait_hint_ms = 0
        self.processes.restart()

    def boot(self, delayed_s: float) -> None:
        """Start what starts by itself; what starts delayed after *delayed_s*."""
        for service in self._services.values():
            if service.start_type == "Automatic":
                self._start_by_itself(service, "boot")
            elif service.start_type == "AutomaticDelayed":
                later = self._clock.call_later(delayed_s, self._start_by_itself, service, "delayed start")
                service.revivals.append(later)

    def crash(self, service: Service, why: str = "crashed") -> None:
        """The process of *service* ends by itself (1067), with all that it began."""
        if service.process is not None:
            for child in self.processes.below(service.process):
                self.processes.end(child, why)
            self.processes.end(service.process, why)

    def set_fault(self, service: Service, kind: str, value: Any) -> None:
        """Make *service* misbehave from now on; one that runs and shall crash has its clock started here."""
        service.faults[kind] = value
        if kind == "crashes-after" and service.state is State.Running:
            self._arm_crash(service)
        if kind == "revives":
            service.recovery = Recovery(reset_s=86400, actions=(("restart", int(value * 1000)),) * 3)
            self._configured(service, "recovery")
        if kind == "triggered" and not service.triggers:
            service.triggers = ("start/networkon",)
            self._configured(service, "triggers")

    def clear_fault(self, service: Service, kind: str) -> None:
        """Make *service* behave again; what hung goes on from here."""
        service.faults.pop(kind, None)
        if kind == "hangs-on-stop" and service.state is State.StopPending:
            self._progress(service, service.spec.stop_s, lambda: self._stopped(service, 0, why="stopped"))
        if kind == "hangs-on-start" and service.state is State.StartPending:
            self._run_start(service)
        if kind == "crashes-after":
            self._cancel_timers(service)
        if kind == "revives":
            service.recovery = service.spec.recovery
            self._configured(service, "recovery")
        if kind == "triggered":
            service.triggers = service.spec.triggers
            self._configured(service, "triggers")
        if kind == "orphan":
            self._lives.end_left(service)

    def _visible(self) -> Iterator[Service]:
        return (service for service in self._services.values() if "missing" not in service.faults)

    def _ended(self, process: Process, why: str) -> None:
        """A process is gone: the services that lived in it, and had not come to their end, died."""
        for service in self._lives.without(process):
            self._stopped(service, win32.PROCESS_ABORTED, why=why)

    def _start_by_itself(self, service: Service, why: str) -> None:
        try:
            self.start(service.name, why=why)
        except Win32Error as exc:
            self._tell(service, "not started", (exc.code,))

    def _refuse_if_told(self, service: Service) -> None:
        if "refuses" in service.faults:
            raise Win32Error(win32.ACCESS_DENIED)

    def _check_takes_controls(self, service: Service) -> None:
        if service.state is State.Stopped:
            raise Win32Error(win32.SERVICE_NOT_ACTIVE)
        if service.state not in (State.Running, State.Paused):
            raise Win32Error(win32.SERVICE_CANNOT_ACCEPT_CTRL)

    def _pause_or_resume(self, name: str, pending: State, goal: State) -> Service:
        service = self.find(name)
        self._refuse_if_told(service)
        self._check_takes_controls(service)
        if not service.spec.can_pause:
            raise Win32Error(win32.INVALID_SERVICE_CONTROL)
        self._begin(service, pending, "asked")
        self._progress(service, 0.0, lambda: self._enter(service, goal, "done"))
        return service

    def _start_required(self, service: Service) -> list[Service]:
        """Start what *service* requires; those that are not Running yet are returned."""
        waits_for = []
        for name in service.spec.requires:
            try:
                required = self.find(name)
                if required.state is State.Stopped:
                    self.start(name, why=f"required by {service.name}")
            except Win32Error as exc:
                raise Win32Error(win32.SERVICE_DEPENDENCY_FAIL) from exc
            if required.state is not State.Running:
                waits_for.append(required)
        return waits_for

    def _await_required(self, service: Service, waits_for: list[Service]) -> None:
        def look() -> None:
            if any(required.state is State.Stopped for required in waits_for):
                leave()
                self._stopped(service, win32.SERVICE_DEPENDENCY_FAIL, why="a dependency failed")
            elif all(required.state is State.Running for required in waits_for):
                leave()
                self._run_start(service)

        def leave() -> None:
            for required in waits_for:
                required.watchers.remove(look)

        for required in waits_for:
            required.watchers.append(look)

    def _begin(self, service: Service, pending: State, why: str) -> None:
        if pending is State.StartPending:
            self._lives.begin(service)
            service.win32_exit_code = service.service_exit_code = 0
        self._enter(service, pending, why)
        service.wait_hint_ms = int(service.spec.wait_hint_s * 1000)

    def _run_start(self, service: Service) -> None:
        if "hangs-on-start" in service.faults:
            return
        if "fails-to-start" in service.faults:
            code = service.faults["fails-to-start"]
            self._progress(service, service.spec.start_s, lambda: self._stopped(service, code, why="failed to start"))
        else:
            self._progress(service, service.spec.start_s, lambda: self._running(service))

    def _progress(self, service: Service, duration_s: float, then: Callable[[], None]) -> None:
        """Raise the checkpoint in even steps, and do *then* at the end."""
        steps = service.spec.checkpoints
        self._rise(service, duration_s / (steps + 1), steps)
        service.timers.append(self._clock.call_later(duration_s, then))

    def _rise(self, service: Service, each_s: float, steps: int) -> None:
        def report(checkpoint: int) -> None:
            service.checkpoint = checkpoint

        for step in range(1, steps + 1):
            service.timers.append(self._clock.call_later(each_s * step, report, step))

    def _running(self, service: Service) -> None:
        self._lives.grow(service)
        self._enter(service, State.Running, "started")
        if "crashes-after" in service.faults:
            self._arm_crash(service)

    def _arm_crash(self, service: Service) -> None:
        after_s = float(service.faults["crashes-after"])
        service.timers.append(self._clock.call_later(after_s, self.crash, service))

    def _stopped(self, service: Service, code: int, *, why: str) -> None:
        self._lives.leave(service)
        service.win32_exit_code = code
        service.service_exit_code = 1 if code == win32.SERVICE_SPECIFIC_ERROR else 0
        self._enter(service, State.Stopped, why)
        if code and code != win32.PROCESS_ABORTED:
            self._tell(service, "failed", (code,))
        if code == win32.PROCESS_ABORTED or (code and service.recovery.flag):
            self.revival.died(service)
        self.revival.stopped(service)

    def _enter(self, service: Service, state: State, why: str) -> None:
        self._cancel_timers(service)
        before, service.state = service.state, state
        service.checkpoint = service.wait_hint_ms = 0
        self._on_change(service, before, state, why)
        for watcher in list(service.watchers):
            watcher()

    def _cancel_timers(self, service: Service) -> None:
        for timer in service.timers:
            timer.cancel()
        service.timers.clear()
