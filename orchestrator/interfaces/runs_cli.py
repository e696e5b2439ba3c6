"""`orch runs | show | decisions | decide | resume | cancel | close | rollback | audit`: runs that have begun."""

from typing import Annotated

import typer

from orchestrator.interfaces import options

runs_app = typer.Typer()
audit = typer.Typer(no_args_is_help=True, help="Whether a run's record is as it was written.")
runs_app.add_typer(audit, name="audit")

CHOICES = "continue|rollback|retry|kill|skip|exclude|hold|abort"


@runs_app.command()
def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    json: options.Json = False,
    state_dir: options.StateDir = None,
) -> None:
    """List the runs of this controller, newest first."""
    from orchestrator.interfaces.commands.history import runs as command

    command(limit=limit, json=json, state_dir=state_dir)


@runs_app.command()
def show(run: options.Run, json: options.Json = False, state_dir: options.StateDir = None) -> None:
    """Show one run: per unit the states, times, attempts, and the error as the host gave it."""
    from orchestrator.interfaces.commands.history import show as command

    command(run=run, json=json, state_dir=state_dir)


@runs_app.command()
def decisions(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="One run, with what each answer would do. Left out: all.")
    ] = None,
    json: options.Json = False,
    state_dir: options.StateDir = None,
) -> None:
    """List what waits for an answer: which run, why, since when, who may answer; of RUN, what each answer would do."""
    from orchestrator.interfaces.commands.decisions import decisions as command

    command(run=run, json=json, state_dir=state_dir)


@runs_app.command()
def decide(
    run: options.Run,
    choice: Annotated[str, typer.Argument(metavar=CHOICES, help="The answer: a word, its letter or its beginning.")],
    decision: options.Decision = None,
    reason: options.Reason = None,
    resume: options.Resume = False,
    accept_drift: options.AcceptDrift = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    state_dir: options.StateDir = None,
) -> None:
    """Answer a decision of RUN, from anywhere that shares the state folder; the first answer counts."""
    from orchestrator.interfaces.commands.decide import decide as command
    from orchestrator.interfaces.commands.resume import GoOn

    going = GoOn(accept_drift=accept_drift, wait=wait, yes=yes, json=json, state_dir=state_dir)
    command(run=run, choice=choice, decision=decision, reason=reason or "", resume=resume, going=going)


@runs_app.command()
def resume(
    run: options.Run,
    accept_drift: options.AcceptDrift = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    state_dir: options.StateDir = None,
) -> None:
    """Go on with a run that is parked, or whose process is gone: tells what it finds first."""
    from orchestrator.interfaces.commands.resume import GoOn
    from orchestrator.interfaces.commands.resume import resume as command

    command(run=run, going=GoOn(accept_drift=accept_drift, wait=wait, yes=yes, json=json, state_dir=state_dir))


@runs_app.command()
def rollback(
    run: options.Run,
    dry_run: options.DryRun = False,
    accept_drift: options.AcceptDrift = False,
    wait: options.Wait = False,
    yes: options.Yes = False,
    json: options.Json = False,
    state_dir: options.StateDir = None,
) -> None:
    """Put back what RUN changed, and nothing else, where nobody moved it since; days later too."""
    from orchestrator.interfaces.commands.resume import GoOn
    from orchestrator.interfaces.commands.rollback import rollback as command

    going = GoOn(accept_drift=accept_drift, wait=wait, yes=yes, json=json, state_dir=state_dir)
    command(run=run, dry_run=dry_run, going=going)


@runs_app.command()
def cancel(run: options.Run, reason: options.Reason = None, state_dir: options.StateDir = None) -> None:
    """Cancel RUN from elsewhere, as the first Ctrl-C in its terminal does: settle, then keep or roll back is asked."""
    from orchestrator.interfaces.commands.ending import cancel as command

    command(run=run, reason=reason or "", state_dir=state_dir)


@runs_app.command()
def close(run: options.Run, reason: options.Why, state_dir: options.StateDir = None) -> None:
    """End RUN as it is and free its units, without asking any host. Of a run that nobody holds."""
    from orchestrator.interfaces.commands.ending import close as command

    command(run=run, reason=reason, state_dir=state_dir)


@audit.command()
def verify(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="One run. Left out: all.")] = None,
    head: options.Head = None,
    json: options.Json = False,
    state_dir: options.StateDir = None,
) -> None:
    """Compute the chain of hashes anew from the stored bytes. Exit 1 if a record is not as it was written."""
    from orchestrator.interfaces.commands.audit import verify as command

    command(run=run, head=head, json=json, state_dir=state_dir)


@audit.command()
def head(run: options.Run, state_dir: options.StateDir = None) -> None:
    """Print the head of RUN's chain, to be kept elsewhere."""
    from orchestrator.interfaces.commands.audit import head as command

    command(run=run, state_dir=state_dir)
