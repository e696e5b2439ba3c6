"""`orch lab ...`: a virtual Windows fleet on loopback."""

from typing import Annotated

import typer

from orchestrator.interfaces import options

lab = typer.Typer(no_args_is_help=True, help="A virtual Windows fleet on loopback that misbehaves on request.")

Target = Annotated[str, typer.Argument(metavar="UNIT|HOST", help="orders@app-03, or a host of the lab.")]


@lab.command()
def up(
    plan: options.Plan,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Serve every host of the playbook's inventory, in the foreground, until Ctrl-C or `orch lab down`."""
    from orchestrator.interfaces.commands.lab import up as command

    sources = options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass)
    command(plan=plan, inventory=sources, state_dir=state_dir)


@lab.command()
def ps(json: options.Json = False, state_dir: options.StateDir = None) -> None:
    """Show the lab's hosts, services and faults."""
    from orchestrator.interfaces.commands.lab import ps as command  # noqa: PLC0415 - loads the lab's client

    command(json=json, state_dir=state_dir)


@lab.command()
def down(state_dir: options.StateDir = None) -> None:
    """End the lab."""
    from orchestrator.interfaces.commands.lab import down as command  # noqa: PLC0415 - loads the lab's client

    command(state_dir=state_dir)


@lab.command()
def fault(
    target: Target,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="An unknown kind is answered with those there are.")],
    value: Annotated[str | None, typer.Argument(metavar="VALUE", help="Seconds, or before|during|after.")] = None,
    state_dir: options.StateDir = None,
) -> None:
    """Make a unit or a host misbehave: hangs-on-stop, orphan, fails-to-start, crashes-after 5, down, slow 2, ..."""
    from orchestrator.interfaces.commands.lab import fault as command  # noqa: PLC0415 - loads the lab's client

    command(target=target, kind=kind, value=value, state_dir=state_dir)


@lab.command()
def clear(
    target: Annotated[str | None, typer.Argument(metavar="UNIT|HOST", help="Left out: everything.")] = None,
    state_dir: options.StateDir = None,
) -> None:
    """Take faults back."""
    from orchestrator.interfaces.commands.lab import clear as command  # noqa: PLC0415 - loads the lab's client

    command(target=target, state_dir=state_dir)


@lab.command()
def kill(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="orders@app-03.")], state_dir: options.StateDir = None
) -> None:
    """End a unit's process, as a crash would; recovery actions follow."""
    from orchestrator.interfaces.commands.lab import kill as command  # noqa: PLC0415 - loads the lab's client

    command(unit=unit, state_dir=state_dir)


@lab.command()
def trigger(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="orders@app-03.")], state_dir: options.StateDir = None
) -> None:
    """Let what a unit's start trigger waits for happen."""
    from orchestrator.interfaces.commands.lab import trigger as command  # noqa: PLC0415 - loads the lab's client

    command(unit=unit, state_dir=state_dir)


@lab.command()
def reboot(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A host of the lab.")],
    away_s: Annotated[float | None, typer.Argument(metavar="SECONDS", help="How long it is away; 5.")] = None,
    state_dir: options.StateDir = None,
) -> None:
    """Restart a host: it comes back with a new boot time, new PIDs, and what starts by itself."""
    from orchestrator.interfaces.commands.lab import reboot as command  # noqa: PLC0415 - loads the lab's client

    command(host=host, away_s=away_s, state_dir=state_dir)
