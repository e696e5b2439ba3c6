"""`python -m orchestrator.lab FLEET.json [--while-stdin]`: serve a virtual Windows fleet in the foreground.

With `--while-stdin` the lab also ends when its standard input does: a lab never outlives the program that started it.
"""

import asyncio
import sys
from pathlib import Path

from orchestrator.lab.fleet import BadFleet, load
from orchestrator.lab.serve import CannotServe, serve


def main() -> int:
    """Exit code: 0 when told to end, 2 when the description is no good, 1 when the lab can't come up."""
    arguments = sys.argv[1:]
    while_stdin = arguments[1:] == ["--while-stdin"]
    if len(arguments) != 1 and not while_stdin:
        sys.stderr.write("usage: python -m orchestrator.lab FLEET.json [--while-stdin]\n")
        return 2
    try:
        asyncio.run(serve(load(Path(arguments[0])), while_stdin=while_stdin))
    except BadFleet as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 2
    except CannotServe as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
