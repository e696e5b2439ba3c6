"""What happens to the fleet during a night, on time."""

import asyncio
from dataclasses import replace

from beside import Beside
from misfortunes import Event
from seeds import Script
from witness import Log, WatchedFleet

from orchestrator.adapters.memory.fleet import Fault, HostFault, MemoryHost, MemoryService
from orchestrator.domain.service import StartType, State

FLAPS = 3


class Adversary:
    """Builds the fleet of a script and strikes it."""

    def __init__(self, script: Script, log: Log) -> None:
        self.fleet = WatchedFleet(log)
        self._log = log
        self._loop = asyncio.get_running_loop()
        self.fleet.beside = self.beside = Beside(script, log)
        for host, service in script.services:
            self.fleet.add(host, _fresh(service)).latency_s = script.latency_s
        for node in (node for stage in script.plan.stages for node in stage.nodes if node.unit.host):
            assert node.unit.host in self.fleet.hosts
        for event in script.events:
            self._loop.call_at(event.at_s, self._strike, event)

    def _strike(self, event: Event) -> None:
        host = self.fleet.hosts[event.host]
        self._log.add("event", kind=event.kind, host=event.host, service=event.service, fault=event.fault)
        if event.fault is not None:
            host.faults.append(HostFault(event.fault, event.times, event.on))
        elif event.kind == "vanish":
            self._vanish(host, event.lasts_s)
        elif event.kind == "reboot":
            self.fleet.reboot(host.name, down_s=event.lasts_s)
        else:
            self._touch(event, host.services[event.service.lower()])

    def _touch(self, event: Event, service: MemoryService) -> None:
        if event.kind == "hand stop" and service.state is not State.STOPPED:
            self.fleet.enter(event.host, service, State.STOPPED)
            service.win32_exit_code = 0
        elif event.kind in ("crash", "flap") and service.state is not State.STOPPED:
            self.fleet.crash(event.host, service)
            if event.kind == "flap":
                for flap in range(1, FLAPS + 1):
                    self._loop.call_later(flap * 2.0, self._revive, event.host, service)
                    self._loop.call_later(flap * 2.0 + 1.0, self._crash, event.host, service)
        elif event.kind in ("revive", "hand start"):
            self._revive(event.host, service)
        elif event.kind == "hand pause" and service.state is State.RUNNING:
            self.fleet.enter(event.host, service, State.PAUSED)

    def _crash(self, host: str, service: MemoryService) -> None:
        if service.state is State.RUNNING:
            self.fleet.crash(host, service)

    def _revive(self, host: str, service: MemoryService) -> None:
        if service.state is State.STOPPED and service.start_type is not StartType.DISABLED:
            self.fleet.enter(host, service, State.RUNNING)

    def _vanish(self, host: MemoryHost, lasts_s: float) -> None:
        gone = HostFault(Fault.UNREACHABLE, None)
        host.faults.insert(0, gone)
        self._loop.call_later(lasts_s, host.faults.remove, gone)


def _fresh(service: MemoryService) -> MemoryService:
    """A copy: a script may be played more than once."""
    return replace(service, refuses=dict(service.refuses))
