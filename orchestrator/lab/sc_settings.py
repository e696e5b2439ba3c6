"""What sc.exe shows and changes of a service's settings: start type, recovery actions, triggers.

Source of the shapes: Microsoft's reference of `sc.exe`, and printed examples in its documentation.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator.lab import win32
from orchestrator.lab.fleet import TRIGGERS, Recovery
from orchestrator.lab.host import Host
from orchestrator.lab.win32 import Win32Error

SUCCESS = {"en": "SUCCESS", "de": "ERFOLG", "fr": "réussite(s)"}
_CONFIG_WORDS = {
    "boot": "Boot",
    "system": "System",
    "auto": "Automatic",
    "delayed-auto": "AutomaticDelayed",
    "demand": "Manual",
    "disabled": "Disabled",
}
_FAILURE_LABELS = {
    "en": ("RESET_PERIOD (in seconds)", "REBOOT_MESSAGE", "COMMAND_LINE", "FAILURE_ACTIONS"),
    "de": ("RESET_PERIOD (in Sekunden)", "NEUSTARTMELDUNG", "BEFEHLSZEILE", "FEHLERAKTIONEN"),
    "fr": ("RESET_PERIOD (en secondes)", "MESSAGE_REDÉMARRAGE", "LIGNE_COMMANDE", "ACTIONS_ÉCHEC"),
}
_ACTIONS = {
    "": "NONE -- {0} = {1} {2}.",
    "restart": "RESTART -- {0} = {1} {2}.",
    "reboot": "REBOOT -- {0} = {1} {2}.",
    "run": "RUN PROCESS -- {0} = {1} {2}.",
}
_DELAY = {"en": ("Delay", "milliseconds"), "de": ("Verzögerung", "Millisekunden"), "fr": ("Délai", "millisecondes")}
_NO_TRIGGERS = {
    "en": "The service {} has not registered for any start or stop triggers.",
    "de": "Der Dienst {} wurde für keine Start- oder Stopptrigger registriert.",
    "fr": "Le service {} n’est inscrit à aucun déclencheur de démarrage ou d’arrêt.",
}
_TRIGGER_HEADS = {
    "en": ("START SERVICE", "STOP SERVICE"),
    "de": ("DIENST STARTEN", "DIENST BEENDEN"),
    "fr": ("DÉMARRER LE SERVICE", "ARRÊTER LE SERVICE"),
}
_WIDE, _MARGIN = 29, 39


def shown_failure(host: Host, arguments: Sequence[str]) -> list[str]:
    """qfailure."""
    service, language = host.scm.find(name_of(arguments)), host.spec.language
    recovery = service.recovery
    labels = [f"        {label:<{_WIDE}}: " for label in _FAILURE_LABELS[language]]
    reset = "INFINITE" if recovery.reset_s is None else str(recovery.reset_s)
    lines = [labels[0] + reset, labels[1] + recovery.reboot_message, labels[2] + recovery.command]
    word, unit = _DELAY[language]
    for number, (what, delay_ms) in enumerate(recovery.actions):
        lines.append((" " * _MARGIN if number else labels[3]) + _ACTIONS[what].format(word, delay_ms, unit))
    return [*_head(host, service.name), *lines]


def change_failure(host: Host, arguments: Sequence[str]) -> list[str]:
    """`failure NAME [reset= S actions= A/MS/...] [command= C] [reboot= M]`: what is not named stays as it is."""
    name, options = _options(arguments, ("reset=", "actions=", "command=", "reboot="))
    if ("reset=" in options) != ("actions=" in options):
        raise Win32Error(win32.INVALID_PARAMETER)
    recovery = host.scm.find(name).recovery
    if "actions=" in options:
        recovery = replace(recovery, reset_s=_reset(options["reset="]), actions=_actions(options["actions="]))
        if not recovery.actions:
            recovery = replace(recovery, reset_s=0)
    recovery = replace(
        recovery,
        command=options.get("command=", recovery.command),
        reboot_message=options.get("reboot=", recovery.reboot_message),
    )
    _changed(host, name, "failure", lambda: host.scm.recover(name, recovery))
    return [_success(host, "ChangeServiceConfig2")]


def shown_failure_flag(host: Host, arguments: Sequence[str]) -> list[str]:
    """qfailureflag."""
    service = host.scm.find(name_of(arguments))
    label = f"        {'FAILURE_ACTIONS_ON_NONCRASH_FAILURES'}: "
    return [*_head(host, service.name), label + str(service.recovery.flag).upper()]


def change_failure_flag(host: Host, arguments: Sequence[str]) -> list[str]:
    """`failureflag NAME 0|1`."""
    name = name_of(arguments)
    if list(arguments[1:]) not in (["0"], ["1"]):
        raise Win32Error(win32.INVALID_PARAMETER)
    recovery: Recovery = replace(host.scm.find(name).recovery, flag=arguments[1] == "1")
    _changed(host, name, "failureflag", lambda: host.scm.recover(name, recovery))
    return [_success(host, "ChangeServiceConfig2")]


def shown_triggers(host: Host, arguments: Sequence[str]) -> list[str]:
    """qtriggerinfo."""
    service, language = host.scm.find(name_of(arguments)), host.spec.language
    if not service.triggers:
        return [_success(host, "QueryServiceConfig2"), "", _NO_TRIGGERS[language].format(service.name)]
    lines = _head(host, service.name)
    for trigger in service.triggers:
        action, kind, *data = trigger.split("/")
        label, subtype, means = TRIGGERS[f"{action}/{kind}".casefold()]
        which = subtype or (data.pop(0) if data else "")
        lines += [
            *([""] if len(lines) == 3 else []),
            f"        {_TRIGGER_HEADS[language][action.casefold() == 'stop']}",
            f"          {label:<28} : {which} [{means}]",
            *(f"            {'DATA':<26} : {each}" for each in data),
        ]
    return lines


def change_triggers(host: Host, arguments: Sequence[str]) -> list[str]:
    """`triggerinfo NAME start/networkon ...` takes the place of what is there; `triggerinfo NAME delete`."""
    name, *wanted = arguments or ("",)
    host.scm.find(name)
    triggers = () if [word.casefold() for word in wanted] == ["delete"] else tuple(wanted)
    known = all("/".join(trigger.casefold().split("/")[:2]) in TRIGGERS for trigger in triggers)
    if not wanted or not known:
        raise Win32Error(win32.INVALID_PARAMETER)
    _changed(host, name, "triggerinfo", lambda: host.scm.trigger(name, triggers))
    return [_success(host, "ChangeServiceConfig2")]


def change_config(host: Host, arguments: Sequence[str]) -> list[str]:
    """`config NAME start= TYPE`, in one argument or two."""
    name, options = _options(arguments, ("start=",))
    start_type = _CONFIG_WORDS.get(options.get("start=", "").casefold())
    if start_type is None:
        raise Win32Error(win32.INVALID_PARAMETER)
    _changed(host, name, f"config {start_type}", lambda: host.scm.configure(name, start_type))
    return [_success(host, "ChangeServiceConfig")]


def name_of(arguments: Sequence[str]) -> str:
    """The service that is asked about. Raises Win32Error 87 if none is."""
    if not arguments:
        raise Win32Error(win32.INVALID_PARAMETER)
    return arguments[0]


def _options(arguments: Sequence[str], known: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The service, and the options with their values: `x= value` or `x=value`."""
    name, options, words = name_of(arguments), {}, iter(arguments[1:])
    for word in words:
        option, equals, value = word.partition("=")
        if not equals or f"{option.casefold()}=" not in known:
            raise Win32Error(win32.INVALID_PARAMETER)
        options[f"{option.casefold()}="] = value.strip() or next(words, "")
    return name, options


def _reset(text: str) -> int | None:
    if text.casefold() == "infinite":
        return None
    if not text.isdigit():
        raise Win32Error(win32.INVALID_PARAMETER)
    return int(text)


def _actions(text: str) -> tuple[tuple[str, int], ...]:
    """`restart/1000//0`: pairs of what and milliseconds; nothing stands for nothing."""
    parts = text.split("/") if text else []
    pairs = list(zip(parts[::2], [*parts[1::2], ""], strict=False))
    found = tuple(("" if what.casefold() == "none" else what.casefold(), delay) for what, delay in pairs)
    if any(what not in _ACTIONS or not (delay or "0").isdigit() for what, delay in found):
        raise Win32Error(win32.INVALID_PARAMETER)
    return tuple((what, int(delay or "0")) for what, delay in found)


def _changed(host: Host, name: str, verb: str, ask: Callable[[], object]) -> None:
    outcome: int | str = "accepted"
    try:
        ask()
    except Win32Error as exc:
        outcome = exc.code
        raise
    finally:
        host.log("control", service=name, control=verb, outcome=outcome, by="sc.exe")


def _head(host: Host, name: str) -> list[str]:
    return [_success(host, "QueryServiceConfig2"), "", f"SERVICE_NAME: {name}"]


def _success(host: Host, call: str) -> str:
    return f"[SC] {call} {SUCCESS[host.spec.language]}"
