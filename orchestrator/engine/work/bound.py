"""Whether it is a service's own process that listens on a port, or a child of it: an orphan answers just as well."""

from urllib.parse import urlsplit

from orchestrator.domain.gates import Gate, HttpCheck, TcpCheck
from orchestrator.domain.processes import described
from orchestrator.engine.ports import HostCommand
from orchestrator.engine.work import listeners
from orchestrator.engine.work.reader import Reader

GENERATIONS = 6
"""How far a child may be from the service: wrappers start shells that start what listens."""
KERNEL = 4
"""The PID of the kernel, whose http.sys listens for others and does not tell for whom."""


def port_of(gate: Gate) -> int | None:
    """The port that *gate* looks at; None if its kind has none."""
    match gate.check:
        case TcpCheck(port=port):
            return port
        case HttpCheck(url=url):
            try:
                return urlsplit(url).port or {"http": 80, "https": 443}.get(urlsplit(url).scheme)
            except ValueError:  # it is a secret, or no port at all: the probe tells
                return None
        case _:
            return None


Saw = tuple[bool | None, str]
"""Whether it holds (None: nobody can tell), and what was seen."""


class Owner:
    """Who listens on the host. Counts the exchanges. Raises what its ports raise."""

    def __init__(self, reader: Reader, command: HostCommand, scm_name: str) -> None:
        self.exchanges = 0
        self._reader = reader
        self._command = command
        self._scm_name = scm_name

    async def look(self, port: int, *, timeout_s: float) -> Saw:
        """Whether the service's process, or one that descends from it, listens on *port*."""
        self.exchanges += 2
        ran = await self._command.run("netstat.exe", listeners.ARGS, timeout_s=timeout_s)
        owners = listeners.owners(ran.output, port)
        reading = await self._reader.read(self._scm_name)
        pid = reading.found[0].pid if reading.found else None
        if owners is None:
            return None, "netstat.exe gave no listener table, or one too long to be whole"
        if not owners:
            return False, f"nothing on the host listens on port {port}"
        if pid is None:
            return None, f"port {port} is open, and the process of {self._scm_name} is not told"
        told = [await self._descends(owner, pid, port) for owner in owners]
        best = next((one for one in told if one[0]), None) or next((one for one in told if one[0] is None), None)
        return best or await self._of_another(owners[0], pid, port)

    async def _descends(self, owner: int, pid: int, port: int) -> Saw:
        """Whether *owner* is *pid*, or a child of it."""
        one = owner
        for _ in range(GENERATIONS):
            if one == pid:
                return True, f"port {port} is held by its process {pid}" + (f", as {owner}" if one != owner else "")
            if one <= KERNEL:
                break
            self.exchanges += 1
            process = await self._reader.process(one)
            if process is None:
                break
            if process.parent is None:
                return None, f"port {port} is held by process {described(process)}, and whose child it is is not told"
            one = process.parent
        return False, ""

    async def _of_another(self, owner: int, pid: int, port: int) -> Saw:
        if owner == KERNEL:
            return False, f"port {port} is held by the kernel (http.sys): `bound` can't tell for whom"
        self.exchanges += 1
        process = await self._reader.process(owner)
        holder = described(process) if process else str(owner)
        return False, f"port {port} is held by process {holder}, neither {pid} nor a child of it"
