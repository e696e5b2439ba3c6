"""What is no service on a virtual host: application pools and sites of IIS, scheduled tasks, roles of its failover
cluster, and applications that a program of their own moves. appcmd.exe, schtasks.exe and lab-app.exe are here."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.lab import faults
from orchestrator.lab.console import Ran

KINDS = ("app_pool", "site", "task", "cluster_role", "app")
FAULTS = ("", *faults.THING_KINDS)
HANG_S = 3600.0
_SECTIONS = {"apppool": "app_pool", "site": "site"}
_NOT_FOUND, _DENIED, _INVALID = 1168, 5, 87
_TASK_TEXTS = {
    "en": (
        "SUCCESS: The parameters of scheduled task {} have been changed.",
        "ERROR: The system cannot find the file specified.",
        "ERROR: Access is denied.",
    ),
    "de": (
        "ERFOLGREICH: Die Parameter der geplanten Aufgabe {} wurden geändert.",
        "FEHLER: Das System kann die angegebene Datei nicht finden.",
        "FEHLER: Zugriff verweigert",
    ),
    "fr": (
        "Opération réussie : les paramètres de la tâche planifiée {} ont été modifiés.",
        "Erreur : Le fichier spécifié est introuvable.",
        "Erreur : Accès refusé.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingSpec:
    """One of them as the fleet file describes it. `move_s`: how long it takes to start or to stop."""

    kind: str
    name: str
    running: bool = True
    move_s: float = 0.3
    fault: str = ""


@dataclass(slots=True)
class Thing:
    """One of them as it is: where it is going, since when it is there, and its fault, if it has one."""

    spec: ThingSpec
    up: bool
    fault: str
    there_s: float = 0.0


class Things:
    """All of one host. *now_s* is the loop's clock, *log* writes a line of the lab's log."""

    def __init__(self, specs: Iterable[ThingSpec], now_s: Callable[[], float], log: Callable[..., Any]) -> None:
        self._now_s = now_s
        self._log = log
        self._known = {(spec.kind, spec.name.casefold()): Thing(spec, spec.running, spec.fault) for spec in specs}

    def find(self, kind: str, name: str) -> Thing | None:
        """The one of that name, in any case."""
        return self._known.get((kind, name.casefold()))

    def every(self) -> list[Thing]:
        """All of them."""
        return list(self._known.values())

    def share(self, other: "Things") -> None:
        """Have the cluster roles of *other* for those of the same names: both are nodes of one cluster."""
        common = [key for key in self._known if key[0] == "cluster_role" and key in other._known]
        self._known |= {key: other._known[key] for key in common}

    def roles(self) -> list[Thing]:
        """The cluster's roles."""
        return [thing for (kind, _), thing in self._known.items() if kind == "cluster_role"]

    def group_state(self, role: Thing) -> int:
        """ClusterGroupState: online, offline, partly online (for one that tells nothing), or pending."""
        if role.fault == "garbage":
            return 3
        return 4 if self.moving(role) else 0 if role.up else 1

    def moving(self, thing: Thing) -> bool:
        """Whether it is on its way."""
        return self._now_s() < thing.there_s

    def move(self, thing: Thing, *, up: bool) -> None:
        """Begin to start it, or to stop it."""
        if thing.up is not up:
            thing.up, thing.there_s = up, self._now_s() + thing.spec.move_s
            self._log("thing", kind_of=thing.spec.kind, name=thing.spec.name, up=up)


async def hang(thing: Thing | None, *, moves: bool) -> None:
    """Wait, if the program that was asked about *thing* is one that hangs; *moves*: it would move it."""
    fault = "" if thing is None else thing.fault
    if fault == "hangs" or (moves and fault == "hangs-on-move"):
        await asyncio.sleep(HANG_S)


async def appcmd(things: Things, arguments: Sequence[str]) -> Ran:
    """appcmd.exe list|start|stop apppool|site /apppool.name:NAME [/text:state]. Its words are in no language."""
    verb, section, which, *options = [*arguments, "", "", ""]
    label, _, name = which.partition(":")
    known = verb in ("list", "start", "stop") and label.casefold() == f"/{section}.name"
    if not known or section not in _SECTIONS:
        return _INVALID, ["ERROR ( message:The command line is not valid. )"], []
    thing = things.find(_SECTIONS[section], name)
    await hang(thing, moves=verb != "list")
    if verb == "list":
        return _listed(things, thing, section, state="/text:state" in options)
    if thing is None:
        return _NOT_FOUND, [f'ERROR ( message:Cannot find {section.upper()} object with identifier "{name}". )'], []
    if thing.fault == "fails":
        return _DENIED, ["ERROR ( hresult:80070005, message:Command execution failed.", "Access is denied.", " )"], []
    things.move(thing, up=verb == "start")
    return 0, [f'"{thing.spec.name}" successfully {"started" if thing.up else "stopped"}'], []


def _listed(things: Things, thing: Thing | None, section: str, *, state: bool) -> Ran:
    if thing is None:
        return 1, [], []
    words = ("Starting", "Started") if thing.up else ("Stopping", "Stopped")
    word = "Gestartet?" if thing.fault == "garbage" else words[not things.moving(thing)]
    return 0, [word if state else f'{section.upper()} "{thing.spec.name}" (state:{word})'], []


async def schtasks(things: Things, language: str, arguments: Sequence[str]) -> Ran:
    """schtasks.exe /query /tn PATH /xml, /change /tn PATH /enable or /disable, /end /tn PATH."""
    done, missing, denied = _TASK_TEXTS[language]
    words = [word if word.startswith("\\") else word.casefold() for word in arguments]
    if len(words) < 3 or words[1] != "/tn" or words[0] not in ("/query", "/change", "/end"):
        return 1, [], [missing]
    thing = things.find("task", words[2] if words[2].startswith("\\") else f"\\{words[2]}")
    await hang(thing, moves=words[0] != "/query")
    if thing is None:
        return 1, [], [missing]
    if words[0] == "/query":
        return 0, ["Gibt es nicht"] if thing.fault == "garbage" else _xml(thing), []
    if thing.fault == "fails":
        return 1, [], [denied]
    if words[0] == "/change":
        things.move(thing, up="/enable" in words)
    return 0, [done.format(f'"{thing.spec.name}"')], []


def _xml(thing: Thing) -> list[str]:
    enabled = [] if thing.up else ["    <Enabled>false</Enabled>"]
    return [
        '<?xml version="1.0" encoding="UTF-16"?>',
        '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
        "  <Triggers><CalendarTrigger><Enabled>false</Enabled></CalendarTrigger></Triggers>",
        "  <Settings>",
        "    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>",
        *enabled,
        "  </Settings>",
        '  <Actions Context="Author"><Exec><Command>C:\\Shop\\nightly.exe</Command></Exec></Actions>',
        "</Task>",
    ]


async def app(things: Things, arguments: Sequence[str]) -> Ran:
    """lab-app.exe status|start|stop NAME: status ends with 0 for what runs, and with 3 for what is stopped."""
    verb, name = arguments if len(arguments) == 2 else ("", "")
    thing = things.find("app", name)
    await hang(thing, moves=verb != "status")
    if thing is None or verb not in ("status", "start", "stop"):
        return 2, [], ["usage: lab-app.exe status|start|stop NAME"]
    if verb == "status":
        if thing.fault == "garbage":
            return 9, ["no idea"], []
        return (0 if thing.up is not things.moving(thing) else 3), [], []
    if thing.fault == "fails":
        return 4, [], [f"{name} would not {verb}"]
    things.move(thing, up=verb == "start")
    return 0, [], []
