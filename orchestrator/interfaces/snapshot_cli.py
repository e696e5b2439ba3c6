"""`orch snapshot ...`: what every unit was, under a tag, and the way back to it."""

import typer

from orchestrator.interfaces import options

snapshot = typer.Typer(no_args_is_help=True, help="What every unit of a playbook was, under a tag; and back to it.")


@snapshot.command()
def take(
    plan: options.Plan,
    tag: options.NewTag,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    unreachable: options.Unreachable = None,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Read every unit of the playbook and keep what was seen. Changes nothing."""
    from orchestrator.interfaces.commands.snapshots import take as command

    sources = options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass)
    command(plan=plan, tag=tag, inventory=sources, unreachable=unreachable, ask_pass=ask_pass, state_dir=state_dir)


@snapshot.command("list")
def list_(json: options.Json = False, state_dir: options.StateDir = None) -> None:
    """List the snapshots, newest first."""
    from orchestrator.interfaces.commands.snapshots import list_ as command

    command(json=json, state_dir=state_dir)


@snapshot.command()
def diff(tag: options.Tag, json: options.Json = False, state_dir: options.StateDir = None) -> None:
    """Read the units again and tell what is not as it was. Exit 1 if something is not, or could not be read."""
    from orchestrator.interfaces.commands.snapshots import diff as command

    command(tag=tag, json=json, state_dir=state_dir)


@snapshot.command()
def restore(
    tag: options.Tag,
    dry_run: options.DryRun = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    unreachable: options.Unreachable = None,
    allow: options.Allow = None,
    state_dir: options.StateDir = None,
) -> None:
    """Stop and start what it takes to bring every unit back to where the snapshot has it."""
    from orchestrator.interfaces.commands.act import Options
    from orchestrator.interfaces.commands.snapshots import restore as command

    command(
        tag,
        Options(
            dry_run=dry_run, wait=wait, yes=yes, json=json, unreachable=unreachable, allow=allow, state_dir=state_dir
        ),
    )
