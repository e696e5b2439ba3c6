"""`python -m orchestrator` is `orch`."""

import gc

YOUNG = 100_000
"""New objects before Python looks for circles among them, of which orch leaves few. With its own 700, `orch validate`
spends 20 of its 300 ms on looking, with 50,000, of which it makes some more, still 10; a plan of 10,000 units, whose
objects all stay, costs an eighth more with those 700."""


def main() -> None:
    """Run `orch`."""
    gc.set_threshold(YOUNG)
    from orchestrator.interfaces.cli import main as command_line  # noqa: PLC0415 - its libraries make most of the objects

    try:
        command_line()
    finally:
        gc.freeze()  # what is closed is closed by then; to look through the whole heap at the end takes a seventh more


if __name__ == "__main__":
    main()
