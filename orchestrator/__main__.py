"""`python -m orchestrator` is `orch`."""

from orchestrator.interfaces.cli import main

if __name__ == "__main__":
    main()
