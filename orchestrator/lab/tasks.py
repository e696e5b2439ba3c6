"""tasklist.exe, taskkill.exe and shutdown.exe of a virtual host."""

from collections.abc import Iterator, Sequence

from orchestrator.lab.console import Ran
from orchestrator.lab.host import Host
from orchestrator.lab.processes import Process

_KIB = 4096
_MEMORY = {"en": "12,345 K", "de": "12.345 K", "fr": "12\u00a0345 Ko"}
_NONE = {
    "en": "INFO: No tasks are running which match the specified criteria.",
    "de": "INFORMATION: Es werden keine Aufgaben mit den angegebenen Kriterien ausgeführt.",
    "fr": "Information : aucune tâche en service ne correspond aux critères spécifiés.",
}
_ENDED = {
    "en": "SUCCESS: The process with PID {0} has been terminated.",
    "de": "ERFOLGREICH: Der Prozess mit PID {0} wurde beendet.",
    "fr": "Opération réussie\u00a0: le processus avec PID {0} a été terminé.",
}
_CHILD_ENDED = {
    "en": "SUCCESS: The process with PID {0} (child process of PID {1}) has been terminated.",
    "de": "ERFOLGREICH: Der Prozess mit PID {0} (untergeordneter Prozess von PID {1}) wurde beendet.",
    "fr": "Opération réussie\u00a0: le processus avec PID {0} (processus enfant de PID {1}) a été terminé.",
}
_NOT_FOUND = {
    "en": 'ERROR: The process "{0}" not found.',
    "de": 'FEHLER: Der Prozess "{0}" wurde nicht gefunden.',
    "fr": "Erreur\u00a0: le processus «\u00a0{0}\u00a0» est introuvable.",
}
_NOT_ENDED = {
    "en": "ERROR: The process with PID {0} could not be terminated.",
    "de": "FEHLER: Der Prozess mit PID {0} konnte nicht beendet werden.",
    "fr": "Erreur\u00a0: impossible d’arrêter le processus de PID {0}.",
}
_DENIED = {"en": "Reason: Access is denied.", "de": "Ursache: Zugriff verweigert", "fr": "Raison\u00a0: Accès refusé."}
_FORCE = {
    "en": "Reason: This process can only be terminated forcefully (with /F option).",
    "de": "Ursache: Dieser Prozess kann nur mit der Option /F beendet werden.",
    "fr": "Raison\u00a0: ce processus ne peut être arrêté que de force (avec l’option /F).",
}
_BAD = {
    "en": "ERROR: Invalid argument/option - '{0}'.",
    "de": 'FEHLER: Ungültiges Argument oder Option - "{0}".',
    "fr": "Erreur\u00a0: argument/option non valide - «\u00a0{0}\u00a0».",
}


class _BadOption(ValueError):
    """An option that is not known, or lacks its value."""


def _parsed(words: Sequence[str], switches: str, valued: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Which switches are on, and the options with their values, in order. Raises _BadOption."""
    on: set[str] = set()
    values: list[tuple[str, str]] = []
    left = iter(words)
    for word in left:
        option = "/" + word[1:].casefold() if word[:1] in ("/", "-") else word
        if option in switches.split():
            on.add(option)
        elif option in valued.split() and (value := next(left, None)) is not None:
            values.append((option, value))
        else:
            raise _BadOption(word)
    return on, values


def tasklist(host: Host, arguments: Sequence[str]) -> Ran:
    """`tasklist [/fo csv|table] [/nh] [/svc] [/fi "PID eq N"]...`: filters must all hold."""
    try:
        on, values = _parsed(arguments, "/nh /svc", "/fo /fi")
        found = [one for one in host.scm.processes if all(_holds(one, text) for key, text in values if key == "/fi")]
    except _BadOption as exc:
        return 1, [], [_BAD[host.spec.language].format(exc)]
    if not found:
        return 0, [_NONE[host.spec.language]], []
    if dict(values).get("/fo", "table").casefold() == "csv":
        return 0, list(_csv(host, found, services="/svc" in on, head="/nh" not in on)), []
    return 0, [f"{one.name[:25]:<25} {one.pid:>8} Services                   0 {_KIB:>10} K" for one in found], []


def _holds(process: Process, text: str) -> bool:
    field, operator, value = (*text.split(None, 2), "", "", "")[:3]
    known = {"pid": str(process.pid), "imagename": process.name.casefold()}
    if field.casefold() not in known or operator.casefold() not in ("eq", "ne"):
        raise _BadOption(text)
    return (known[field.casefold()] == value.casefold()) is (operator.casefold() == "eq")


def _csv(host: Host, found: Sequence[Process], *, services: bool, head: bool) -> Iterator[str]:
    if head:
        last = '"Services"' if services else '"Session Name","Session#","Mem Usage"'
        yield f'"Image Name","PID",{last}'
    for one in found:
        if services:
            names = ",".join(each.name for each in host.scm if each.process is one)
            yield f'"{one.name}","{one.pid}","{names or "N/A"}"'
        else:
            yield f'"{one.name}","{one.pid}","Services","0","{_MEMORY[host.spec.language]}"'


def taskkill(host: Host, arguments: Sequence[str]) -> Ran:
    """`taskkill /PID N [/PID M] [/IM name] [/T] [/F]`. The exit code is that of the last failure."""
    try:
        on, values = _parsed(arguments, "/t /f", "/pid /im")
    except _BadOption as exc:
        return 1, [], [_BAD[host.spec.language].format(exc)]
    code = 0
    lines: list[str] = []
    errors: list[str] = []
    for option, value in values:
        chosen = [
            one
            for one in host.scm.processes
            if value.casefold() == (str(one.pid) if option == "/pid" else one.name.casefold())
        ]
        if not chosen:
            code = 128
            errors.append(_NOT_FOUND[host.spec.language].format(value))
        for process in chosen:
            failed = _end(host, process, lines, errors, tree="/t" in on, force="/f" in on)
            code = failed or code
    return code, lines, errors


def _end(host: Host, process: Process, lines: list[str], errors: list[str], *, tree: bool, force: bool) -> int:
    language = host.spec.language
    victims = [*(host.scm.processes.below(process) if tree else ()), process]
    failed = 0
    for victim in victims:
        keeps = any("unkillable" in each.faults for each in host.scm.every() if victim in (each.process, *each.left))
        denied = victim.vital or keeps
        host.log("control", control="kill", pid=victim.pid, outcome=5 if denied else "accepted", by="taskkill.exe")
        if denied or not force:
            failed = 1
            errors += [_NOT_ENDED[language].format(victim.pid), (_DENIED if denied else _FORCE)[language]]
            continue
        said = _ENDED if victim is process else _CHILD_ENDED
        host.scm.processes.end(victim, "killed")
        lines.append(said[language].format(victim.pid, victim.parent))
    return failed


def shutdown(host: Host, arguments: Sequence[str]) -> Ran:
    """`shutdown /r [/t S] [/f] [/c TEXT] [/d REASON]`, or `/a`: what powers a host off is not there."""
    try:
        on, values = _parsed(arguments, "/r /a /f", "/t /c /d")
    except _BadOption as exc:
        return 1, [], [_BAD[host.spec.language].format(exc)]
    wait = dict(values).get("/t", "0" if "/a" in on else "30")
    if "/a" in on:
        return (
            (0, [], [])
            if host.stay()
            else (1116, [], ["Unable to abort the system shutdown because none is on.(1116)"])
        )
    if "/r" not in on or not wait.isdigit():
        return 1, [], [_BAD[host.spec.language].format(" ".join(arguments))]
    host.log("control", control="restart", outcome="accepted", by="shutdown.exe")
    host.restart(after_s=max(float(wait), 0.2))
    return 0, [], []
