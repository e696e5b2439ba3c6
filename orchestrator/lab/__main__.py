"""`python -m orchestrator.lab FLEET.json`: serve a virtual Windows fleet in the foreground."""

import asyncio
import sys
from pathlib import Path

from orchestrator.lab.fleet import BadFleet, load
from orchestrator.lab.serve import CannotServe, serve


def main() -> int:
    """Exit code: 0 when told to end, 2 when the description is no good, 1 when the lab can't come up."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m orchestrator.lab FLEET.json\n")
        return 2
    try:
        asyncio.run(serve(load(Path(sys.argv[1]))))
    except BadFleet as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 2
    except CannotServe as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
