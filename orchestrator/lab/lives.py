"""Which processes the services of a host live in: their own, a shared one, children, and what outlives a stop."""

from collections.abc import Mapping

from orchestrator.lab.processes import Process, Processes
from orchestrator.lab.service import Clock, Service


class Lives:
    """The lives of *services* in *processes*."""

    def __init__(self, clock: Clock, processes: Processes, services: Mapping[str, Service]) -> None:
        self._clock = clock
        self._processes = processes
        self._services = services

    def begin(self, service: Service) -> None:
        """Give it a process: a new one, or the one that is shared, if somebody lives in it."""
        spec = service.spec
        shared = next((other.process for other in self._sharing(service) if other.process is not None), None)
        image = spec.image or ("svchost.exe" if spec.process else f"{spec.name}.exe")
        service.process = shared if shared is not None else self._processes.begin(image)

    def grow(self, service: Service) -> None:
        """Give it the children that it has when it runs."""
        more = service.spec.children - len(service.children)
        service.children += [self._processes.begin(f"{service.name}-worker.exe", service.process) for _ in range(more)]

    def without(self, process: Process) -> list[Service]:
        """The services that live in *process*, which is gone. What children and leftovers knew of it is forgotten."""
        for service in self._services.values():
            for known in (service.left, service.children):
                if process in known:
                    known.remove(process)
        return [service for service in self._services.values() if service.process is process]

    def leave(self, service: Service) -> None:
        """It has no process any more: that ends, unless others live in it, or the fault `orphan` keeps it. Children
        whose parent was ended without them run on."""
        process, service.process = service.process, None
        children, service.children = service.children, []
        if process is None:
            return
        if process not in self._processes:
            service.left += children
            return
        if "orphan" in service.faults:
            service.left += [process, *children]
            if (after_s := service.faults["orphan"]) is not True:
                service.revivals.append(self._clock.call_later(after_s, self.end_left, service))
            return
        for child in children:
            self._processes.end(child, "stopped")
        if all(other.process is not process for other in self._sharing(service)):
            self._processes.end(process, "stopped")

    def end_left(self, service: Service) -> None:
        """End what it left behind."""
        for process in list(service.left):
            self._processes.end(process, "ended at last")

    def _sharing(self, service: Service) -> list[Service]:
        """The other services that are made to share its process."""
        group = service.spec.process
        if not group:
            return []
        return [one for one in self._services.values() if one.spec.process == group and one is not service]
