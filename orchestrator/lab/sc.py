"""sc.exe: its output in three languages, where labels differ but positions and numbers do not."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from orchestrator.lab import sc_settings, win32
from orchestrator.lab.host import Host
from orchestrator.lab.service import Service, State
from orchestrator.lab.win32 import Win32Error

_STATE_WORDS = {
    State.Stopped: "STOPPED",
    State.StartPending: "START_PENDING",
    State.StopPending: "STOP_PENDING",
    State.Running: "RUNNING",
    State.ContinuePending: "CONTINUE_PENDING",
    State.PausePending: "PAUSE_PENDING",
    State.Paused: "PAUSED",
}
_LABELS = {
    "en": ("TYPE", "STATE", "WIN32_EXIT_CODE", "SERVICE_EXIT_CODE", "CHECKPOINT", "WAIT_HINT", "PID", "FLAGS"),
    "de": ("TYP", "STATUS", "WIN32_EXITCODE", "SERVICE_EXITCODE", "PRÜFPUNKT", "WARTEHINWEIS", "PID", "MARKIERUNGEN"),
    "fr": (
        "TYPE",
        "ÉTAT",
        "CODE_SORTIE_WIN32",
        "CODE_SORTIE_SERVICE",
        "POINT_DE_CTRL",
        "INDICATION_ATTENTE",
        "PID",
        "INDICATEURS",
    ),
}
_FAILED = {"en": "FAILED {}:", "de": "FEHLER {}:", "fr": "échec(s) {} :"}
_START_TYPES = {
    "Boot": "0   BOOT_START",
    "System": "1   SYSTEM_START",
    "Automatic": "2   AUTO_START",
    "AutomaticDelayed": "2   AUTO_START  (DELAYED)",
    "Manual": "3   DEMAND_START",
    "Disabled": "4   DISABLED",
}
_LISTED = {"type=": ("service", "own", "all", "driver"), "state=": ("active", "inactive", "all")}
_BUFFER_MOST = 262_144
_DEPENDENTS_ROOM, _DEPENDENTS_MOST, _ENTRY = 1_024, 262_144, 44
"""Bytes: what enumdepend takes unless told, what the SCM takes, and what one entry has beside its names."""
_WANTED = {"active": (True,), "inactive": (False,), "all": (True, False)}
"""Whether services that are not stopped, or stopped ones, are listed."""


def run(host: Host, arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Exit code (Windows' error number) and lines of one call."""
    verb = arguments[0].casefold() if arguments else ""
    action = _VERBS.get(verb)
    if action is None:
        return win32.INVALID_PARAMETER, ["", f"*** {verb or 'sc'} ***"]
    call, run_verb = action
    try:
        return 0, run_verb(host, arguments[1:])
    except Win32Error as exc:
        # What OpenService refuses is reported as OpenService's failure, whatever was to be done with the handle.
        opens = exc.code in (win32.ACCESS_DENIED, win32.SERVICE_DOES_NOT_EXIST)
        where = "EnumQueryServicesStatus:OpenService" if call == "query" else "OpenService" if opens else call
        failed = _FAILED[host.spec.language].format(exc.code)
        return exc.code, [f"[SC] {where} {failed}", "", f"{win32.message(exc.code, host.spec.language)}.", ""]


def _queryex(host: Host, arguments: Sequence[str]) -> list[str]:
    return _ask(host, arguments, extended=True)


def _query(host: Host, arguments: Sequence[str]) -> list[str]:
    return _ask(host, arguments, extended=False)


def _ask(host: Host, arguments: Sequence[str], *, extended: bool) -> list[str]:
    """One service by its name, or all that `type=` and `state=` ask for: the active ones, if nothing does."""
    if arguments and "=" not in arguments[0]:
        return _status(host, host.scm.find(arguments[0]), extended=extended)
    options = {"type=": "service", "state=": "active"}
    words = [part for argument in arguments for part in argument.replace("=", "= ", 1).split()]
    for option, value in zip(words[::2], [*words[1::2], ""], strict=False):
        if option.casefold() == "bufsize=" and value.isdigit() and int(value) <= _BUFFER_MOST:
            continue
        if value.casefold() not in _LISTED.get(option.casefold(), ()):
            raise Win32Error(win32.INVALID_PARAMETER)
        options[option.casefold()] = value.casefold()
    if options["type="] == "driver":
        return []
    wanted = _WANTED[options["state="]]
    return [
        line
        for service in host.scm
        if (service.state is not State.Stopped) in wanted
        for line in _status(host, service, extended=extended, listed=True)
    ]


def _status(host: Host, service: Service, *, extended: bool, listed: bool = False) -> list[str]:
    label = [f"        {name:<19}:" for name in _LABELS[host.spec.language]]
    state = service.state
    takes = ", ".join(
        (
            "STOPPABLE" if service.can_stop else "NOT_STOPPABLE",
            "PAUSABLE" if service.can_pause else "NOT_PAUSABLE",
            "ACCEPTS_SHUTDOWN" if service.can_stop else "IGNORES_SHUTDOWN",
        )
    )
    lines = [
        "",
        f"SERVICE_NAME: {service.name}{'' if listed else ' '}",
        *([f"DISPLAY_NAME: {service.spec.display_name}"] if listed else []),
        f"{label[0]} {_type(service)}  ",
        f"{label[1]} {state.value}  {_STATE_WORDS[state]} ",
    ]
    if state is not State.Stopped:
        lines.append(f"                                ({takes})")
    lines += [
        f"{label[2]} {service.win32_exit_code}  ({service.win32_exit_code:#x})",
        f"{label[3]} {service.service_exit_code}  ({service.service_exit_code:#x})",
        f"{label[4]} {service.checkpoint:#x}",
        f"{label[5]} {service.wait_hint_ms:#x}",
    ]
    if extended:
        lines += [f"{label[6]} {service.pid}", f"{label[7]} "]
    return lines


def _type(service: Service) -> str:
    return "20  WIN32_SHARE_PROCESS" if service.spec.process else "10  WIN32_OWN_PROCESS"


def _config_of(host: Host, arguments: Sequence[str]) -> list[str]:
    service = host.scm.find(sc_settings.name_of(arguments))
    requires = list(service.spec.requires) or [""]
    return [
        f"[SC] QueryServiceConfig {sc_settings.SUCCESS[host.spec.language]}",
        "",
        f"SERVICE_NAME: {service.name}",
        f"        TYPE               : {_type(service)} ",
        f"        START_TYPE         : {_START_TYPES[service.start_type]}",
        "        ERROR_CONTROL      : 1   NORMAL",
        f"        BINARY_PATH_NAME   : C:\\Services\\{service.name}.exe",
        "        LOAD_ORDER_GROUP   : ",
        "        TAG                : 0",
        f"        DISPLAY_NAME       : {service.spec.display_name}",
        f"        DEPENDENCIES       : {requires[0]}",
        *[f"                           : {name}" for name in requires[1:]],
        "        SERVICE_START_NAME : LocalSystem",
    ]


def _sdshow(host: Host, arguments: Sequence[str]) -> list[str]:
    service = host.scm.find(sc_settings.name_of(arguments))
    sddl = service.spec.sddl
    if "refuses" in service.faults:
        # Who may not control it finds no start (RP) and stop (WP) right in the descriptor either.
        sddl = "D:(A;;CCLCSWLOCRRC;;;SY)(A;;CCLCSWLOCRRC;;;BA)(A;;CCLCSWLOCRRC;;;IU)"
    return ["", sddl]


def _start(host: Host, arguments: Sequence[str]) -> list[str]:
    _control(host, "start", sc_settings.name_of(arguments), host.scm.start)
    return _status(host, host.scm.find(arguments[0]), extended=True)


def _stop(host: Host, arguments: Sequence[str]) -> list[str]:
    _control(host, "stop", sc_settings.name_of(arguments), host.scm.stop)
    return _status(host, host.scm.find(arguments[0]), extended=False)


def _pause(host: Host, arguments: Sequence[str]) -> list[str]:
    _control(host, "pause", sc_settings.name_of(arguments), host.scm.pause)
    return _status(host, host.scm.find(arguments[0]), extended=False)


def _continue(host: Host, arguments: Sequence[str]) -> list[str]:
    _control(host, "resume", sc_settings.name_of(arguments), host.scm.resume)
    return _status(host, host.scm.find(arguments[0]), extended=False)


def _interrogate(host: Host, arguments: Sequence[str]) -> list[str]:
    service = host.scm.find(sc_settings.name_of(arguments))
    if service.state is State.Stopped:
        raise Win32Error(win32.SERVICE_NOT_ACTIVE)
    return _status(host, service, extended=False)


def _dependents(host: Host, arguments: Sequence[str]) -> list[str]:
    """enumdepend: what its buffer holds, 1,024 bytes unless told, and how much more there is."""
    found = host.scm.required_by(host.scm.find(sc_settings.name_of(arguments)))
    room = int(arguments[1]) if len(arguments) > 1 and arguments[1].isdigit() else _DEPENDENTS_ROOM
    if room > _DEPENDENTS_MOST:
        raise Win32Error(win32.INVALID_PARAMETER)
    sizes = list(accumulate(_ENTRY + 2 * (len(each.name) + len(each.spec.display_name) + 2) for each in found))
    fits = sum(size <= room for size in sizes)
    head = [f"[SC] EnumDependentServices: entriesread = {fits}"]
    if fits < len(sizes):
        head = [f"[SC] EnumDependentServices: more data, need {sizes[-1] - ([0, *sizes])[fits]} bytes", "", *head]
    return [*head, *(line for each in found[:fits] for line in _status(host, each, extended=False, listed=True))]


def _control(host: Host, verb: str, name: str, ask: Callable[[str], object]) -> None:
    outcome: int | str = "accepted"
    try:
        ask(name)
    except Win32Error as exc:
        outcome = exc.code
        raise
    finally:
        host.log("control", service=name, control=verb, outcome=outcome, by="sc.exe")


_VERBS: dict[str, tuple[str, Callable[[Host, Sequence[str]], list[str]]]] = {
    "query": ("query", _query),
    "queryex": ("query", _queryex),
    "qc": ("QueryServiceConfig", _config_of),
    "sdshow": ("QueryServiceObjectSecurity", _sdshow),
    "start": ("StartService", _start),
    "stop": ("ControlService", _stop),
    "pause": ("ControlService", _pause),
    "continue": ("ControlService", _continue),
    "interrogate": ("ControlService", _interrogate),
    "enumdepend": ("EnumDependentServices", _dependents),
    "qfailure": ("QueryServiceConfig2", sc_settings.shown_failure),
    "failure": ("ChangeServiceConfig2", sc_settings.change_failure),
    "qfailureflag": ("QueryServiceConfig2", sc_settings.shown_failure_flag),
    "failureflag": ("ChangeServiceConfig2", sc_settings.change_failure_flag),
    "qtriggerinfo": ("QueryServiceConfig2", sc_settings.shown_triggers),
    "triggerinfo": ("ChangeServiceConfig2", sc_settings.change_triggers),
    "config": ("ChangeServiceConfig", sc_settings.change_config),
}
