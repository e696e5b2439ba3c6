"""`orch kept-down | release`: services that could not come up by themselves, and putting back what they had."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.interfaces import options

kept_down_app = typer.Typer()

MaybePlan = Annotated[
    Path | None, typer.Option("--plan", "-p", metavar="FILE", help="A playbook that names its inventory.")
]
MaybeRun = Annotated[
    str | None, typer.Argument(metavar="RUN", help="What this run left kept down: an id, a beginning of one, `last`.")
]
OnHosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="PATTERN", help="Instead of RUN: whatever is kept down on these hosts; repeatable."),
]
ScmName = Annotated[
    list[str] | None,
    typer.Option("--service", "-s", metavar="NAME", help="Only this service, by its SCM name; may be repeated."),
]


@kept_down_app.command("kept-down")
def kept_down(
    plan: MaybePlan = None,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    limit: options.Limit = None,
    json: options.Json = False,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """List what runs left kept down: host, service, since when, by which run, and what comes back. Changes nothing."""
    from orchestrator.interfaces.commands.kept_down import Options
    from orchestrator.interfaces.commands.kept_down import kept_down as command

    sources = options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass)
    command(Options(hosts=limit or (), plan=plan, inventory=sources, ask_pass=ask_pass, json=json, state_dir=state_dir))


@kept_down_app.command()
def release(
    run: MaybeRun = None,
    host: OnHosts = None,
    service: ScmName = None,
    plan: MaybePlan = None,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    yes: options.Yes = False,
    json: options.Json = False,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Put back start type and recovery actions of what is kept down, to the byte. Starts nothing."""
    from orchestrator.interfaces.commands.kept_down import Options, release_

    release_(
        Options(
            run=run,
            hosts=host or (),
            services=service or (),
            plan=plan,
            inventory=options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass),
            ask_pass=ask_pass,
            yes=yes,
            json=json,
            state_dir=state_dir,
        )
    )
