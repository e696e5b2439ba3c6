"""The registry of a host of a `MemoryFleet`, and the programs that change how its services are configured.

As on Windows, `sc.exe` writes in its own way (it normalises recovery actions, and says of an automatic start that it is
not delayed), and what `reg.exe` alone writes of a start type is not known to the service control manager.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryHost, MemoryKey, MemoryService
from orchestrator.domain.service import StartType
from orchestrator.engine.ports import CommandOutput

SERVICES = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services"
_TRIGGERS = "TriggerInfo"
_STARTS = {
    "boot": (0, StartType.BOOT),
    "system": (1, StartType.SYSTEM),
    "auto": (2, StartType.AUTOMATIC),
    "delayed-auto": (2, StartType.AUTOMATIC_DELAYED),
    "demand": (3, StartType.MANUAL),
    "disabled": (4, StartType.DISABLED),
}
_NUMBERS = {start: number for number, start in _STARTS.values()}
_ACTIONS = {"restart": 1, "reboot": 2, "run": 3}
_NO_SUCH_SERVICE, _INVALID = 1060, 87


def failure_actions(reset_s: int, *actions: tuple[int, int], pointer: int = 0) -> str:
    """Recovery actions as the registry has them, in hexadecimal digits: kinds with delays in milliseconds. *pointer* is
    a number of no meaning that stands among them."""
    words = (reset_s, pointer, 0, len(actions), 20, *(number for action in actions for number in action))
    return b"".join(word.to_bytes(4, "little") for word in words).hex().upper()


def configure(host: MemoryHost, service: str, **values: tuple[str, str]) -> None:
    """Put *values* (type and data, by name) into the key of *service*: what an installer would have done."""
    key = _made(host, f"{SERVICES}\\{service}")
    key.values |= {name.lower(): (name, kind, data) for name, (kind, data) in values.items()}


def trigger(host: MemoryHost, service: str, number: int, *, action: int = 1) -> None:
    """Give *service* a trigger: the first IP address (*action* 1: start it)."""
    key = _made(host, f"{SERVICES}\\{service}\\{_TRIGGERS}\\{number}")
    key.values["type"] = ("Type", "REG_DWORD", "0x2")
    key.values["action"] = ("Action", "REG_DWORD", f"{action:#x}")
    key.values["guid"] = ("GUID", "REG_BINARY", "07DF5743D1CB4C7CA9CF94EC3D4C3E4B")


def tree(host: MemoryHost, below: str = "") -> dict[str, dict[str, tuple[str, str]]]:
    """All keys with values, or those *below* one, as a test compares them."""
    keys = {key.path: key.values for key in _all(host).values() if key.values}
    return {
        path: {name: (kind, data) for name, kind, data in values.values()}
        for path, values in sorted(keys.items())
        if path.lower().startswith(_full(below).lower())
    }


def _reg(fleet: MemoryFleet, host: MemoryHost, args: Sequence[str]) -> CommandOutput:
    """`reg.exe query | add | delete | copy`."""
    verb, *words = (word for word in args if word.lower() != "/reg:64")
    known = {"query": _query, "add": _add, "delete": _delete, "copy": _copy}
    if not words or verb.lower() not in known:
        return CommandOutput(1, "ERROR: Invalid syntax.\n")
    return known[verb.lower()](host, words)


def _query(host: MemoryHost, words: Sequence[str]) -> CommandOutput:
    path, deep, keys = _full(words[0]), "/s" in [word.lower() for word in words], _all(host)
    if not any(_within(key, path) for key in keys):
        return CommandOutput(1, "ERROR: The system was unable to find the specified registry key or value.\n")
    printed = ""
    for lower, key in sorted(keys.items()):
        if (lower == path.lower() or deep) and _within(lower, path) and key.values:
            rows = "".join(f"    {name}    {kind}    {data}\n" for name, kind, data in key.values.values())
            printed += f"\n{key.path}\n{rows}"
    if not deep:
        start = len(path) + 1
        below = {
            f"{path}\\{key.path[start:].partition(chr(92))[0]}" for lower, key in keys.items() if _under(lower, path)
        }
        printed += "".join(f"{child}\n" for child in sorted(below))
    return CommandOutput(0, printed)


def _add(host: MemoryHost, words: Sequence[str]) -> CommandOutput:
    options = {word.lower(): value for word, value in zip(words[1:], words[2:], strict=False)}
    name, kind, data = options["/v"], options["/t"], options["/d"]
    data = f"{int(data, 0):#x}" if kind == "REG_DWORD" else data
    _made(host, words[0]).values[name.lower()] = (name, kind, data.upper() if kind == "REG_BINARY" else data)
    return CommandOutput(0, "The operation completed successfully.\n")


def _delete(host: MemoryHost, words: Sequence[str]) -> CommandOutput:
    path = _full(words[0])
    options = {word.lower(): value for word, value in zip(words[1:], words[2:], strict=False)}
    if "/v" in options:
        key = host.registry.get(path.lower())
        gone = key is not None and key.values.pop(options["/v"].lower(), None) is not None
    else:
        within = [lower for lower in host.registry if _within(lower, path)]
        gone = bool(within)
        for lower in within:
            del host.registry[lower]
    text = "The operation completed successfully." if gone else "ERROR: The system was unable to find the key or value."
    return CommandOutput(0 if gone else 1, f"{text}\n")


def _copy(host: MemoryHost, words: Sequence[str]) -> CommandOutput:
    source, target = _full(words[0]), _full(words[1])
    copied = [(key.path, dict(key.values)) for lower, key in _all(host).items() if _within(lower, source)]
    for path, values in copied:
        _made(host, target + path[len(source) :]).values |= values
    return CommandOutput(0 if copied else 1, "The operation completed successfully.\n" if copied else "ERROR\n")


def _sc(fleet: MemoryFleet, host: MemoryHost, args: Sequence[str]) -> CommandOutput:
    """`sc.exe config NAME start= X` and `sc.exe failure NAME reset= N actions= A`."""
    verb, name, *words = [*args, "", ""][: max(len(args), 2)]
    service, options = host.services.get(name.lower()), dict(zip(words[::2], words[1::2], strict=False))
    if service is None:
        return CommandOutput(_NO_SUCH_SERVICE, "[SC] OpenService FAILED 1060:\n")
    if verb == "config" and options.get("start=") in _STARTS:
        _start_type(host, service, options["start="])
        return CommandOutput(0, "[SC] ChangeServiceConfig SUCCESS\n")
    if verb == "failure" and "actions=" in options:
        key, text = _made(host, f"{SERVICES}\\{service.name}"), options["actions="]
        parts = text.split("/") if text else []
        actions = [(_ACTIONS.get(kind, 0), int(ms)) for kind, ms in zip(parts[::2], parts[1::2], strict=True)]
        reset = options["reset="]
        key.values.pop("failureactions", None)
        if actions:
            data = failure_actions(0xFFFFFFFF if reset == "INFINITE" else int(reset), *actions)
            key.values["failureactions"] = ("FailureActions", "REG_BINARY", data)
        return CommandOutput(0, "[SC] ChangeServiceConfig2 SUCCESS\n")
    return CommandOutput(_INVALID, "[SC] FAILED 87:\n")


def _start_type(host: MemoryHost, service: MemoryService, word: str) -> None:
    _, service.start_type = _STARTS[word]
    values = _made(host, f"{SERVICES}\\{service.name}").values
    if service.start_type in (StartType.AUTOMATIC, StartType.AUTOMATIC_DELAYED):
        delayed = service.start_type is StartType.AUTOMATIC_DELAYED
        values["delayedautostart"] = ("DelayedAutostart", "REG_DWORD", f"{delayed:#x}")
    else:
        values.pop("delayedautostart", None)


def _all(host: MemoryHost) -> dict[str, MemoryKey]:
    """All keys, those of services among them, by path in lower case."""
    installed = f"{_full('HKLM')}\\SOFTWARE\\Microsoft"
    keys = {installed.lower(): MemoryKey(installed), **host.registry}
    for service in host.services.values():
        path = f"{SERVICES}\\{service.name}"
        stored = host.registry.get(path.lower(), MemoryKey(path))
        own = {"start": ("Start", "REG_DWORD", f"{_NUMBERS[service.start_type]:#x}")}
        if service.start_type is StartType.AUTOMATIC_DELAYED:
            own["delayedautostart"] = ("DelayedAutostart", "REG_DWORD", "0x1")
        keys[path.lower()] = MemoryKey(path, own | stored.values)
    return keys


def _made(host: MemoryHost, path: str) -> MemoryKey:
    full = _full(path)
    return host.registry.setdefault(full.lower(), MemoryKey(full))


def _full(path: str) -> str:
    return re.sub(r"^HKLM(?=\\|$)", "HKEY_LOCAL_MACHINE", path, flags=re.IGNORECASE)


def _within(lower: str, path: str) -> bool:
    return lower == path.lower() or _under(lower, path)


def _under(lower: str, path: str) -> bool:
    return lower.startswith(f"{path.lower()}\\")


PROGRAMS: Mapping[str, Callable[[MemoryFleet, MemoryHost, Sequence[str]], CommandOutput]] = {
    "reg.exe": _reg,
    "sc.exe": _sc,
}
"""By name in lower case."""
