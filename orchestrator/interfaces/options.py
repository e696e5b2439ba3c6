"""The options that commands share: one definition each, so that they read the same everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

Plan = Annotated[
    Path, typer.Option("--plan", "-p", metavar="FILE", help="The playbook: services, hosts, dependencies, gates.")
]
Inventory = Annotated[
    list[Path] | None,
    typer.Option(
        "--inventory",
        "-i",
        metavar="FILE",
        help="Ansible inventory: a file, a program or a folder; instead of the playbook's own. Repeated: all of them.",
    ),
]
VaultPasswordFile = Annotated[
    list[Path] | None,
    typer.Option(
        "--vault-password-file",
        metavar="FILE",
        help="A password of ansible-vault, or a program that prints it; may be repeated.",
    ),
]
VaultId = Annotated[
    list[str] | None,
    typer.Option("--vault-id", metavar="LABEL@FILE", help="The same for one vault id; LABEL@prompt asks. Repeatable."),
]
AskVaultPass = Annotated[bool, typer.Option("--ask-vault-pass", help="Ask for the password of ansible-vault.")]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", "-l", metavar="PATTERN", help="Only these hosts: db, app:&prod, web:!web-03. Repeated: all of them."
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PATTERN", help="Not these hosts; a pattern as for --limit; may be repeated."),
]
Service = Annotated[
    list[str] | None,
    typer.Option("--service", "-s", metavar="NAME", help="Only this service of the playbook; may be given repeatedly."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read the live state, print what would happen, change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before the first act.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable: one JSON object, or one fact a line for a run.")]
Unreachable = Annotated[
    str | None,
    typer.Option(
        "--unreachable",
        metavar="ask|exclude|fail",
        help="Hosts that don't answer before the first act; overrides the playbook. Default: ask.",
    ),
]
Rolling = Annotated[
    bool,
    typer.Option(
        "--rolling",
        help="Take instances down and up again batch by batch, never more than `batch` and `min_available` let.",
    ),
]
NotRolling = Annotated[bool, typer.Option("--rolling", hidden=True, help="Of `orch restart` alone.")]
"""Only so that it is said what it is an option of."""
WithDependents = Annotated[
    bool, typer.Option("--with-dependents", help="Also stop what depends on the chosen services and runs.")
]
IgnoreDependents = Annotated[
    bool, typer.Option("--ignore-dependents", help="Stop although dependents outside the choice are left running.")
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="NAME",
        help="Act on this service although others need it, or a cluster owns it: DNS, dns@dc-01; may be repeated.",
    ),
]
AskPass = Annotated[
    bool, typer.Option("--ask-pass", "-k", help="Ask once for the password of the hosts that the inventory gives none.")
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        envvar="ORCH_STATE_DIR",
        metavar="FOLDER",
        help="Where runs are recorded. Default: the platform's state folder.",
    ),
]
Expect = Annotated[
    str | None,
    typer.Option(
        "--expect", metavar="running|stopped", help="Exit 0 only if every chosen unit is in this state, else 1."
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, a unique beginning of one, or `last`.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record; required.")]
Decision = Annotated[
    int | None,
    typer.Option("--decision", metavar="N", min=1, help="Which of the run's open decisions, if there are several."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="If nobody holds the run, go on with it here, once it is decided.")
]
AcceptDrift = Annotated[
    bool, typer.Option("--accept-drift", help="Act although somebody else moved units since, and on those units too.")
]
Wait = Annotated[
    bool,
    typer.Option("--wait", help="Without a terminal, stay and wait for answers from elsewhere instead of parking."),
]
Head = Annotated[
    str | None,
    typer.Option("--head", metavar="HASH", help="A head of RUN that was noted elsewhere: it has to be in its chain."),
]
Tag = Annotated[str, typer.Argument(metavar="TAG", help="A snapshot's tag.")]
NewTag = Annotated[str, typer.Option("--tag", "-t", metavar="TAG", help="What to call the snapshot: before-patch.")]
Saved = Annotated[Path, typer.Argument(metavar="FILE", help="What --save made of a plan: stop.orchplan.")]
Save = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", help="Freeze plan and snapshot into a file for `orch apply`; run nothing."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Let --save replace a file that is there.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="RUN|TAG", help="Start exactly what ran when that run began, or the snapshot was taken."
    ),
]
MaybePlan = Annotated[
    Path | None,
    typer.Option("--plan", "-p", metavar="FILE", help="The playbook. With --from: that of the run or snapshot."),
]
GraphFormat = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="text|mermaid|dot",
        help="For the terminal, for Mermaid, or for Graphviz.",
    ),
]
GraphAction = Annotated[
    str,
    typer.Option("--action", metavar="start|stop", help="Whose order, durations and critical path are drawn."),
]
Live = Annotated[bool, typer.Option("--live", help="Read the hosts, and say of each service how many units run.")]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where hosts come from, as typed: inventories (None: the playbook's own), and passwords of ansible-vault."""

    files: Sequence[Path] | None = None
    vault_password_files: Sequence[Path] | None = None
    vault_ids: Sequence[str] | None = None
    ask_vault_pass: bool = False
