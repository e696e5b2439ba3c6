"""The command line: parse, call one function, exit."""


def main() -> None:
    """Run `orch`."""
    raise SystemExit(70)
