"""One virtual Windows host: its services, their open ports, its faults. No remoting protocol is known here."""

import asyncio
import functools
import ipaddress
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from orchestrator.lab import registry
from orchestrator.lab.events import Events
from orchestrator.lab.faults import WIRES, Aim
from orchestrator.lab.fleet import HostSpec, PortSpec
from orchestrator.lab.ports import ServicePort
from orchestrator.lab.processes import Process, Processes
from orchestrator.lab.record import Record
from orchestrator.lab.registry import Registry
from orchestrator.lab.scm import Scm
from orchestrator.lab.service import Service, State
from orchestrator.lab.things import Things

UP_S = 3 * 86400.0
"""How long every host has been up when the lab starts."""
BOOTING_S = 30.0
"""How long after that its services began."""


class Host:
    """A host of the fleet. *addresses* are those of all its hosts, by lower case name.

    Transports (WinRM; others may come) hang themselves in by `transports`.
    """

    def __init__(self, spec: HostSpec, record: Record, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._loop = asyncio.get_running_loop()
        self.spec = spec
        self.faults: dict[str, Any] = {}
        self.auth_failures = 0
        self.transports: dict[str, Callable[[bool], None]] = {}
        """By wire, `winrm` and `ssh`.

        Each is called with True to open its listeners, with False to close them and to drop its connections.
        """
        self._record = record
        self._ports: dict[tuple[str, int], ServicePort] = {}
        self._closed = True
        self._began = False
        self.booted_at = self.now() - UP_S
        """By the host's own clock, seconds since 1970."""
        self.off = False
        """It is on its way down and up again: nobody is there."""
        self.rests: list[Callable[[], None]] = []
        """Each is called when it goes down: what lives on this host ends."""
        self.events = Events(self.now, spec.language)
        self.things = Things(spec.things, self._loop.time, self.log)
        self._restarting: asyncio.TimerHandle | None = None
        self.scm = Scm(
            self._loop,
            spec.services,
            self._changed,
            processes=Processes(lambda: self.now() if self._began else self.booted_at + BOOTING_S),
            tell=self.events.tell,
            configured=lambda service, what: registry.configured(self.registry, service, what),
            reboot=self.restart,
        )
        self._began = True
        self.scm.processes.watchers.append(self._gone)

    @functools.cached_property
    def registry(self) -> Registry:
        """Filled when somebody looks: most hosts of a large fleet are never asked for it."""
        return registry.filled(self.spec, self.scm)

    def log(self, kind: str, **fields: Any) -> None:
        """One line of the lab's log about this host."""
        self._record.write(kind, host=self.spec.name, **fields)

    def now(self) -> float:
        """The host's own clock: seconds since 1970."""
        return time.time() + self.spec.clock_skew_s

    def resolve(self, name: str) -> str | None:
        """The address of *name* as this host sees it: itself is localhost, the fleet is its DNS."""
        if name.casefold() in ("localhost", "127.0.0.1"):
            return self.spec.address
        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            return self._addresses.get(name.casefold())

    def open(self) -> None:
        """Begin to listen: transports, and the ports of running services, at once. Raises OSError."""
        if self.off:
            return
        self._closed = False
        for transport in self.transports.values():
            transport(True)
        for service in self.scm.every():
            if service.state is State.Running:
                self._open_ports(service, at_once=True)

    def close(self) -> None:
        """Refuse all connections and drop the open ones."""
        self._closed = True
        for transport in self.transports.values():
            transport(False)
        for service in self.scm.every():
            self._close_ports(service)

    def restart(self, away_s: float | None = None, after_s: float = 0.0) -> None:
        """Go down after *after_s*, and come back *away_s* later (as its description says, if that is None): with a new
        boot time, new PIDs, and the services that start by themselves."""
        self.stay()
        wait = self.spec.boot_s if away_s is None else away_s
        self._restarting = self._loop.call_later(after_s, self._go_down, wait)

    def stay(self) -> bool:
        """Don't go down; False if that was not to be."""
        planned, self._restarting = self._restarting, None
        if planned is not None and not self.off:
            planned.cancel()
        return planned is not None and not self.off

    def _go_down(self, away_s: float) -> None:
        self.log("reboot", goes="down", back_after_s=away_s)
        self.events.add(1074, "C:\\Windows\\System32\\shutdown.exe", self.spec.name.upper())
        self.off = True
        self.close()
        for rest in self.rests:
            rest()
        self.scm.power_off()
        self._restarting = self._loop.call_later(away_s, self._come_up)

    def _come_up(self) -> None:
        self.off, self._restarting = False, None
        self.booted_at = self.now()
        self.scm.processes.restart()
        self.events.add(6005)
        self.log("reboot", goes="up")
        down = self.faults.get("down")
        if down is None or down in WIRES:
            self.open()
        if down in WIRES:
            self._switch(down, on=False)
        for service in self.scm.every():
            registry.read_at_boot(self.registry, service)
        self.scm.boot(self.spec.delayed_start_s)

    def set_fault(self, service_name: str | None, kind: str, value: Any) -> None:
        """Misbehave. Raises Win32Error 1060 for a service that isn't there."""
        if service_name is None:
            self.faults[kind] = value
            if kind == "down" and value in WIRES:
                self._switch(value, on=False)
            elif kind == "down":
                self.close()
            return
        service = self._any(service_name)
        self.scm.set_fault(service, kind, value)
        self._refresh_ports(service, kind)

    def clear_faults(self, service_name: str | None) -> None:
        """Behave again: one service, or the host with all its services."""
        if service_name is None and self.faults:
            down = self.faults.get("down")
            self.faults.clear()
            if self._closed:
                self.open()
            elif down:
                self._switch(down, on=True)
        for service in [self._any(service_name)] if service_name is not None else list(self.scm.every()):
            for kind in list(service.faults):
                self.scm.clear_fault(service, kind)
                self._refresh_ports(service, kind)

    def _switch(self, wire: str, *, on: bool) -> None:
        """Open or close one wire, if the fleet has it."""
        if wire in self.transports:
            self.transports[wire](on)

    def struck(self, kind: str, action: str, commands: str) -> str:
        """How a wire fault of *kind* strikes this request; empty if it does not."""
        aim = self.faults.get(kind)
        return aim.how if isinstance(aim, Aim) and aim.hits(action, commands) else ""

    async def until(self, service: Service, goal: Collection[State], limit_s: float) -> bool:
        """Wait until *service* is in one of *goal*; False if it is not so after *limit_s*."""
        if service.state in goal:
            return True
        reached: asyncio.Future[None] = self._loop.create_future()

        def look() -> None:
            if service.state in goal and not reached.done():
                reached.set_result(None)

        service.watchers.append(look)
        try:
            await asyncio.wait_for(reached, limit_s)
        except TimeoutError:
            return service.state in goal
        finally:
            service.watchers.remove(look)
        return True

    def listening(self) -> list[tuple[int, int]]:
        """Port and PID of each open service port, lowest port first."""
        return sorted(
            (port.spec.port, port.owner.pid) for port in self._ports.values() if port.is_open and port.owner is not None
        )

    def _any(self, name: str) -> Service:
        for service in self.scm.every():
            if service.name.casefold() == name.casefold():
                return service
        return self.scm.find(name)

    def _changed(self, service: Service, before: State, now: State, why: str) -> None:
        self.log("state", service=service.name, **{"from": before.name, "to": now.name}, why=why, pid=service.pid)
        if now is State.Running and before in (State.StartPending, State.Stopped):
            self.events.state(service, "running")
            self._open_ports(service, at_once=False)
        elif now is State.Stopped:
            self.events.state(service, "stopped")
            self._close_ports(service)

    def _gone(self, process: Process, why: str) -> None:
        """A process is gone, and with it what it listened on."""
        if why != "stopped":
            self.log("process", pid=process.pid, name=process.name, ended=why)
        if why == "crashed":
            self.events.crashed(process.name, process.pid)
        for port in self._ports.values():
            if port.owner is process:
                port.close()

    def _refresh_ports(self, service: Service, kind: str) -> None:
        if kind == "never-healthy" and service.state is State.Running:
            self._close_ports(service)
            self._open_ports(service, at_once=True)

    def _open_ports(self, service: Service, *, at_once: bool) -> None:
        if self._closed:
            return
        for spec in service.spec.ports:
            if spec.speaks == "tcp" and "never-healthy" in service.faults:
                continue
            port = self._ports.get((service.name, spec.port)) or self._add_port(service, spec)
            port.open(0.0 if at_once else spec.warmup_s)

    def _add_port(self, service: Service, spec: PortSpec) -> ServicePort:
        port = self._ports[service.name, spec.port] = ServicePort(self.spec.address, service, spec, self.log)
        return port

    def _close_ports(self, service: Service) -> None:
        for spec in service.spec.ports:
            port = self._ports.get((service.name, spec.port))
            if port is not None and port.owner not in service.left:
                port.close()
