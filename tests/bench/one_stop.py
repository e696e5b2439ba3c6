"""One stop of one service over WinRM, by orch's adapter alone: sign in, read, stop, read, see that its process is
gone, close."""

import asyncio
import json
import sys
from pathlib import Path

from orchestrator import wiring
from orchestrator.domain.service import Asked, Control, State


async def main(playbook: Path) -> None:
    """Stop it, with evidence."""
    project = wiring.load(playbook, None, answers={})
    (host,) = project.connections
    async with wiring.world(project, [host]) as world:
        services = world.hosts.services(host)
        (before,) = await services.read([Asked("Bench")])
        await services.request("Bench", Control.STOP)
        (reading,) = await services.read([Asked("Bench")])
        assert reading.found[0].state is State.STOPPED
        pid = before.found[0].pid
        assert pid is not None
        assert not await services.processes([pid])


asyncio.run(main(Path(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["playbook"])))
