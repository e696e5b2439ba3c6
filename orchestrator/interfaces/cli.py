"""The command line: parse, call one function, exit.

Commands are imported when they are called: `orch --help` loads neither WinRM nor the graph library.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.interfaces import options
from orchestrator.interfaces.kept_down_cli import kept_down_app
from orchestrator.interfaces.lab_cli import lab
from orchestrator.interfaces.runs_cli import runs_app
from orchestrator.interfaces.snapshot_cli import snapshot

EPILOG = (
    "Exit codes: 0 done; 1 failed, left as decided; 2 bad usage, playbook or inventory (nothing touched); "
    "3 failed and rolled back; 4 rollback incomplete, needs hands; 5 cancelled; 6 parked, waits for a decision; "
    "7 locked by another run; 8 the plan has drifted; 70 a bug in orch."
)


def _made() -> typer.Typer:
    return typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EPILOG,
    )


app = _made()
app.add_typer(runs_app)
app.add_typer(kept_down_app)
app.add_typer(snapshot, name="snapshot")
app.add_typer(lab, name="lab")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"orch {version('orchestrator')}")
        raise typer.Exit


@app.callback()
def _orch(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Stops and starts the services of a Windows cluster in dependency order."""


def main() -> None:
    """Run `orch`."""
    _with(next((word for word in sys.argv[1:] if not word.startswith("-")), ""))(prog_name="orch")


def _with(name: str) -> typer.Typer:
    """What knows the command *name* alone, if it is one of this file: typer makes the options of every command that it
    is told of, and thirty of them take a tenth of `orch validate`."""
    found = [command for command in app.registered_commands if command.callback and command.callback.__name__ == name]
    if not found or "_ORCH_COMPLETE" in os.environ:
        return app
    alone = _made()
    alone.registered_callback, alone.registered_commands = app.registered_callback, found
    return alone


@app.command()
def stop(
    plan: options.Plan,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    limit: options.Limit = None,
    exclude: options.Exclude = None,
    service: options.Service = None,
    rolling: options.NotRolling = False,
    dry_run: options.DryRun = False,
    save: options.Save = None,
    overwrite: options.Overwrite = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    unreachable: options.Unreachable = None,
    allow: options.Allow = None,
    with_dependents: options.WithDependents = False,
    ignore_dependents: options.IgnoreDependents = False,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Stop the services of the playbook, dependents first."""
    _act("stop", locals())


@app.command()
def start(
    plan: options.MaybePlan = None,
    recorded: options.From = None,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    limit: options.Limit = None,
    exclude: options.Exclude = None,
    service: options.Service = None,
    rolling: options.NotRolling = False,
    dry_run: options.DryRun = False,
    save: options.Save = None,
    overwrite: options.Overwrite = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    unreachable: options.Unreachable = None,
    allow: options.Allow = None,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Start the services of the playbook, dependencies first, each behind its gates."""
    _act("start", locals())


@app.command()
def restart(
    plan: options.Plan,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    limit: options.Limit = None,
    exclude: options.Exclude = None,
    service: options.Service = None,
    rolling: options.Rolling = False,
    dry_run: options.DryRun = False,
    save: options.Save = None,
    overwrite: options.Overwrite = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    unreachable: options.Unreachable = None,
    allow: options.Allow = None,
    with_dependents: options.WithDependents = False,
    ignore_dependents: options.IgnoreDependents = False,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Stop, then start exactly what was running, under one run id; --rolling: batch by batch, and the rest stays up."""
    _act("restart", locals())


@app.command()
def apply(
    file: options.Saved,
    dry_run: options.DryRun = False,
    accept_drift: options.AcceptDrift = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    state_dir: options.StateDir = None,
) -> None:
    """Run a plan that --save froze, unless what matters to it has changed since."""
    from orchestrator.interfaces.commands.apply import apply as command
    from orchestrator.interfaces.commands.resume import GoOn

    going = GoOn(accept_drift=accept_drift, wait=wait, yes=yes, json=json, state_dir=state_dir)
    command(file=file, dry_run=dry_run, going=going)


@app.command()
def status(
    plan: options.Plan,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    limit: options.Limit = None,
    exclude: options.Exclude = None,
    service: options.Service = None,
    expect: options.Expect = None,
    json: options.Json = False,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Show the live state of every unit."""
    from orchestrator.interfaces.commands.inspect import status as command

    command(
        plan=plan,
        inventory=options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass),
        limit=limit,
        exclude=exclude,
        service=service,
        expect=expect,
        json=json,
        ask_pass=ask_pass,
        state_dir=state_dir,
    )


@app.command()
def validate(
    plan: options.Plan,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    json: options.Json = False,
) -> None:
    """Find the mistakes in playbook and inventory, without asking any host."""
    from orchestrator.interfaces.commands.files import validate as command

    sources = options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass)
    command(plan=plan, inventory=sources, json=json)


@app.command()
def check(
    plan: options.Plan,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    limit: options.Limit = None,
    exclude: options.Exclude = None,
    json: options.Json = False,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """The afternoon before: reach every host, check services, rights and clocks, probe each gate once."""
    from orchestrator.interfaces.commands.inspect import check as command

    command(
        plan=plan,
        inventory=options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass),
        limit=limit,
        exclude=exclude,
        json=json,
        ask_pass=ask_pass,
        state_dir=state_dir,
    )


@app.command()
def inventory(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Which hosts, as in Ansible.")] = "all",
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", "-p", metavar="FILE", help="A playbook that names its inventory.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show hosts, groups, and how each host would be reached."""
    from orchestrator.interfaces.commands.files import inventory as command

    sources = options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass)
    command(pattern=pattern, inventory=sources, plan=plan, json=json)


@app.command()
def graph(
    plan: options.Plan,
    inventory: options.Inventory = None,
    vault_password_file: options.VaultPasswordFile = None,
    vault_id: options.VaultId = None,
    ask_vault_pass: options.AskVaultPass = False,
    format: options.GraphFormat = "text",
    action: options.GraphAction = "start",
    live: options.Live = False,
    limit: options.Limit = None,
    exclude: options.Exclude = None,
    service: options.Service = None,
    json: options.Json = False,
    ask_pass: options.AskPass = False,
    state_dir: options.StateDir = None,
) -> None:
    """Draw what depends on what, and the critical path; with --live also what runs. Changes nothing."""
    from orchestrator.interfaces.commands.graph import graph as command

    command(
        plan=plan,
        inventory=options.Sources(inventory, vault_password_file, vault_id, ask_vault_pass),
        format=format,
        action=action,
        live=live,
        limit=limit,
        exclude=exclude,
        service=service,
        json=json,
        ask_pass=ask_pass,
        state_dir=state_dir,
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of playbooks and their fragments, for editors."""
    from orchestrator.interfaces.commands.files import schema as command

    command()


@app.command()
def demo() -> None:
    """A night on a virtual fleet, in about a minute: a stop that fails, its rollback, a stop, the way back up."""
    from orchestrator.interfaces.commands.demo import demo as command

    command()


def _act(action: str, given: dict[str, object]) -> None:
    from orchestrator.interfaces.commands.act import Options, act

    named = ("inventory", "vault_password_file", "vault_id", "ask_vault_pass")
    given["inventory"] = options.Sources(*(given.pop(name) for name in named))  # type: ignore[arg-type] # as below
    act(action, Options(**given))  # type: ignore[arg-type] # typer checked each of them against the same names
