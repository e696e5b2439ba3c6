"""What is no service and yet starts and stops: one entry of KINDS for each kind, with the programs that move it.

Such an object has a name with a slash in it, `app_pool/Shop`, wherever a service has its SCM name: Windows allows no
service to be called so, and no pool is taken for a service of the same name. What programs print is localised; states
are told by exit codes and by words of formats that never are.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.domain.commands import Commands, Program
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.powershell_words import literal
from orchestrator.domain.secrets import shown
from orchestrator.domain.service import Asked, Control, State

APPCMD = "C:\\Windows\\System32\\inetsrv\\appcmd.exe"
SCHTASKS = "schtasks.exe"
POWERSHELL = "powershell.exe"
COMMAND = "command"
CLUSTER_ROLE = "cluster_role"
_BETWEEN = "/"

Told = Callable[[int | None, str], State | Problem]
"""What the exit code (None: not known) and the output of a read say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How one object is read and moved. Programs of a move run one after the other, until one does not end well."""

    read: Program
    told: Told
    start: tuple[Program, ...]
    stop: tuple[Program, ...]

    def moves(self, control: Control) -> tuple[Program, ...]:
        """The programs that carry *control* out."""
        return self.stop if control is Control.STOP else self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What it is called in messages, and the means for one of a name."""

    called: str
    means: Callable[[str], Means]


def full(kind: str, name: str) -> str:
    """What stands for an SCM name: `app_pool/Shop`."""
    return f"{kind}{_BETWEEN}{name}"


def is_service(scm_name: str) -> bool:
    """Whether it names a service, and nothing of another kind."""
    return _BETWEEN not in scm_name


def bare(scm_name: str) -> str:
    """The object's own name, as its host spells it."""
    return scm_name.partition(_BETWEEN)[2] or scm_name


def kind_of(scm_name: str) -> str:
    """The key of KINDS; "" for a service."""
    return "" if is_service(scm_name) else scm_name.partition(_BETWEEN)[0]


def called(scm_name: str) -> str:
    """For messages: `the application pool Shop`; a service by its name alone."""
    if is_service(scm_name):
        return scm_name
    if kind_of(scm_name) == COMMAND:
        return f"what the commands of {bare(scm_name)} move"
    return f"the {KINDS[kind_of(scm_name)].called} {bare(scm_name)}"


def means(asked: Asked) -> Means:
    """How *asked*, which is no service, is read and moved."""
    if asked.by is not None:
        return _by_commands(asked.by)
    return KINDS[kind_of(asked.name)].means(bare(asked.name))


def typed(asked: Asked, control: Control) -> str:
    """What a person types in PowerShell to do *control*: ASCII alone, and no name can become code."""
    if kind_of(asked.name) == CLUSTER_ROLE:
        verb = "Stop" if control is Control.STOP else "Start"
        return f"Get-ClusterGroup | Where-Object Name -eq {literal(bare(asked.name))} | {verb}-ClusterGroup"
    programs = means(asked).moves(control)
    return "; ".join("& " + " ".join(literal(shown(word)) for word in (one.exe, *one.args)) for one in programs)


def failure(code: int | None, output: str, exe: str) -> Problem:
    """Why a program did not do what it was run for."""
    found = _HRESULT.search(output)
    win32 = int(found[1], 16) if found else None
    said = " ".join(output.split())[:300] or "it printed nothing"
    return Problem(ProblemKind.REMOTE, f"{shown(exe)} ended with {code}: {said}", win32)


_HRESULT = re.compile(r"hresult:8007([0-9a-fA-F]{4})\b")
_OF_IIS = {
    "Started": State.RUNNING,
    "Starting": State.START_PENDING,
    "Stopped": State.STOPPED,
    "Stopping": State.STOP_PENDING,
}
"""What `/text:state` prints: names of the configuration's schema, in no language."""
_SETTINGS = re.compile(r"<Settings>(.*?)</Settings>", re.DOTALL)
_ENABLED = re.compile(r"<Enabled>\s*(true|false|1|0)\s*</Enabled>")


def _told_by_iis(code: int | None, output: str) -> State | Problem:
    word = output.strip()
    if word in _OF_IIS:
        return _OF_IIS[word]
    if not word and code in (0, 1):
        return Problem(ProblemKind.MISSING, "appcmd.exe knows none of that name")
    if word == "Unknown":
        return Problem(ProblemKind.PROTOCOL, "IIS does not know its state: the service WAS may be down")
    if code:
        return failure(code, output, "appcmd.exe")
    return _garbage("appcmd.exe", output)


def _told_by_schtasks(code: int | None, output: str) -> State | Problem:
    if code:  # 1 whatever is wrong, and the words that tell it are localised
        return failure(code, output, SCHTASKS)
    settings = _SETTINGS.search(output)
    if settings is None or "</Task>" not in output:
        return _garbage(SCHTASKS, output)
    enabled = _ENABLED.search(settings[1])
    return State.STOPPED if enabled is not None and enabled[1] in ("false", "0") else State.RUNNING


def _garbage(exe: str, output: str) -> Problem:
    return Problem(ProblemKind.PROTOCOL, f"{exe} printed what is no state: {' '.join(output.split())[:120]!r}")


def _of_iis(section: str) -> Callable[[str], Means]:
    def means_of(name: str) -> Means:
        which = f"/{section}.name:{name}"
        return Means(
            read=Program(exe=APPCMD, args=("list", section, which, "/text:state"), exit_codes=()),
            told=_told_by_iis,
            start=(Program(exe=APPCMD, args=("start", section, which)),),
            stop=(Program(exe=APPCMD, args=("stop", section, which)),),
        )

    return means_of


def _of_task(name: str) -> Means:
    """Whether a disabled task has an instance that runs on is told in localised words alone: it is asked to end."""
    return Means(
        read=Program(exe=SCHTASKS, args=("/query", "/tn", name, "/xml"), exit_codes=()),
        told=_told_by_schtasks,
        start=(Program(exe=SCHTASKS, args=("/change", "/tn", name, "/enable")),),
        stop=(
            Program(exe=SCHTASKS, args=("/change", "/tn", name, "/disable")),
            Program(exe=SCHTASKS, args=("/end", "/tn", name), exit_codes=()),
        ),
    )


_STATE = re.compile(r"(?m)^orch:(-?\d+)\s*$")
_OF_CLUSTER = {0: State.RUNNING, 1: State.STOPPED, 2: State.STOPPED, 4: State.START_PENDING}
"""ClusterGroupState: online, offline, failed, and on its way somewhere. Not here: -1 unknown, 3 partly online."""
NO_CLUSTER, NO_ROLE = 3, 4
"""How the programs of a role end where this host can't ask its cluster, and where that has no such role."""


def _told_by_cluster(code: int | None, output: str) -> State | Problem:
    if code == NO_ROLE:
        return Problem(ProblemKind.MISSING, "the cluster has no role of that name")
    if code:
        return failure(code, output, POWERSHELL)
    found = _STATE.search(output)
    if found is None:
        return _garbage(POWERSHELL, output)
    number = int(found[1])
    if number in _OF_CLUSTER:
        return _OF_CLUSTER[number]
    said = (
        "it is PartialOnline: some of its resources are down" if number == 3 else "the cluster does not know its state"
    )
    return Problem(ProblemKind.PROTOCOL, said)


def _of_role(name: str) -> Means:
    """The name travels as base64 within an encoded command: it is never code, and no pattern."""
    return Means(
        read=_by_powershell(name, "'orch:{0}' -f [int]$g[0].State", ()),
        told=_told_by_cluster,
        start=(_by_powershell(name, "$g | Start-ClusterGroup -ErrorAction Stop | Out-Null", (0,)),),
        stop=(_by_powershell(name, "$g | Stop-ClusterGroup -ErrorAction Stop | Out-Null", (0,)),),
    )


def _by_powershell(name: str, act: str, exit_codes: tuple[int, ...]) -> Program:
    encoded = base64.b64encode(name.encode()).decode()
    script = (
        "$ProgressPreference = 'SilentlyContinue'\n"
        f"$n = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{encoded}'))\n"
        "try { $g = @(Get-ClusterGroup -ErrorAction Stop | Where-Object { $_.Name -eq $n }) }\n"
        f'catch {{ "$_"; exit {NO_CLUSTER} }}\n'
        f"if ($g.Count -ne 1) {{ exit {NO_ROLE} }}\n"
        f'try {{ {act} }} catch {{ "$_"; exit 5 }}\n'
    )
    sent = base64.b64encode(script.encode("utf-16-le")).decode()
    args = ("-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand", sent)
    return Program(exe=POWERSHELL, args=args, exit_codes=exit_codes)


def _by_commands(by: Commands) -> Means:
    def told(code: int | None, output: str) -> State | Problem:
        if code is None:
            text = "how it ended is not known over this connection, and only that would tell its state"
            return Problem(ProblemKind.REFUSED, text)
        if code in by.running:
            return State.RUNNING
        if code in by.stopped:
            return State.STOPPED
        said = " ".join(output.split())[:120] or "it printed nothing"
        text = f"exit code {code}, which means neither running nor stopped: {said}"
        return Problem(ProblemKind.PROTOCOL, f"{shown(by.read.exe)}: {text}")

    return Means(read=by.read, told=told, start=(by.start,), stop=(by.stop,))


KINDS: Mapping[str, Kind] = {
    "app_pool": Kind(called="application pool", means=_of_iis("apppool")),
    "site": Kind(called="site", means=_of_iis("site")),
    "task": Kind(called="scheduled task", means=_of_task),
    CLUSTER_ROLE: Kind(called="cluster role", means=_of_role),
}
"""By their key in the playbook. `command` is not among them: its programs stand in the playbook."""
