"""The registry of one virtual host: keys with typed values below HKEY_LOCAL_MACHINE.

What is configured of services stands in it too. What the service control manager changes is written there; what a
program writes there by itself is not known to it until the host boots, as on Windows.
"""

import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.lab.fleet import CLUSTER_SERVICE, RECOVERY_ACTIONS, TRIGGERS, HostSpec, Recovery, ServiceSpec
from orchestrator.lab.scm import Scm
from orchestrator.lab.service import Service

ROOT = "HKEY_LOCAL_MACHINE"
SERVICES = f"{ROOT}\\SYSTEM\\CurrentControlSet\\Services"
_RESOURCES = f"{ROOT}\\Cluster\\Resources"
_GROUPS = f"{ROOT}\\Cluster\\Groups"
START = {"Boot": 0, "System": 1, "Automatic": 2, "AutomaticDelayed": 2, "Manual": 3, "Disabled": 4}
_START_TYPES = {0: "Boot", 1: "System", 2: "Automatic", 3: "Manual", 4: "Disabled"}
_TRIGGER_TYPES = {
    "DEVICE INTERFACE ARRIVAL": 1,
    "IP ADDRESS AVAILABILITY": 2,
    "DOMAIN JOINED STATUS": 3,
    "FIREWALL PORT EVENT": 4,
    "GROUP POLICY": 5,
    "NETWORK EVENT": 6,
    "CUSTOM": 20,
}
_HEAD = struct.Struct("<IIIII")
_ACTION = struct.Struct("<II")
_FOREVER = 0xFFFFFFFF
_LEFTOVER = 0x00650074
"""What Windows' own tools leave where a pointer was: sc.exe writes 0 there."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its type as `REG_SZ`, and its data as reg.exe prints it."""

    type: str
    data: str


Values = Mapping[str, Value]


@dataclass(slots=True)
class Registry:
    """Keys by path, as they were first spelled. Lookups fold case."""

    _keys: dict[str, tuple[str, dict[str, tuple[str, Value]]]] = field(default_factory=dict)

    def put(self, key: str, name: str | None = None, value: Value | None = None) -> None:
        """Make *key* with all that is above it, and give it a value."""
        parts = key.split("\\")
        for count in range(2, len(parts) + 1):
            path = "\\".join(parts[:count])
            self._keys.setdefault(path.casefold(), (path, {}))
        if name is not None and value is not None:
            held = self._keys[key.casefold()][1]
            spelled = held[name.casefold()][0] if name.casefold() in held else name
            held[name.casefold()] = (spelled, value)

    def drop(self, key: str, name: str | None = None, *, values: bool = False) -> bool:
        """Take a value, all *values*, or the key with all below it away; False if there is no such thing."""
        held = self._keys.get(key.casefold())
        if held is None or (name is not None and name.casefold() not in held[1]):
            return False
        if name is not None:
            del held[1][name.casefold()]
        elif values:
            held[1].clear()
        else:
            below = f"{key.casefold()}\\"
            for path in [path for path in self._keys if path == key.casefold() or path.startswith(below)]:
                del self._keys[path]
        return True

    def value(self, key: str, name: str) -> Value | None:
        """One value; None if it is not there."""
        _, held = self._keys.get(key.casefold(), ("", {}))
        return held[name.casefold()][1] if name.casefold() in held else None

    def items(self) -> Iterator[tuple[str, Values]]:
        """All keys with their values, each before those below it."""
        for _, (spelled, held) in sorted(self._keys.items(), key=lambda item: item[0].split("\\")):
            yield spelled, dict(held.values())


def filled(spec: HostSpec, scm: Scm) -> Registry:
    """The registry of a host as it is installed."""
    registry = Registry()
    registry.put(f"{ROOT}\\SOFTWARE\\Microsoft")
    registry.put(SERVICES)
    for key, texts in _cluster(spec).items():
        registry.put(key)
        for name, text in texts.items():
            registry.put(key, name, Value("REG_MULTI_SZ" if name == "Contains" else "REG_SZ", text))
    for service in scm.every():
        _install(registry, service)
    return registry


def configured(registry: Registry, service: Service, what: str) -> None:
    """The service control manager has changed *what* of *service*: `start`, `recovery` or `triggers`."""
    key = f"{SERVICES}\\{service.name}"
    if what == "start":
        registry.put(key, "Start", _dword(START[service.start_type]))
        if service.start_type in ("Automatic", "AutomaticDelayed"):
            registry.put(key, "DelayedAutostart", _dword(service.start_type == "AutomaticDelayed"))
        else:
            registry.drop(key, "DelayedAutostart")
    elif what == "recovery":
        _write_recovery(registry, key, service.recovery, 0)
    elif what == "triggers":
        _write_triggers(registry, key, service.triggers)


def read_at_boot(registry: Registry, service: Service) -> None:
    """What the service control manager takes from the registry when it begins."""
    key = f"{SERVICES}\\{service.name}"
    start, delayed = (_number(registry.value(key, name)) for name in ("Start", "DelayedAutostart"))
    service.start_type = _START_TYPES.get(start or 0, "Manual") if start is not None else "Disabled"
    if service.start_type == "Automatic" and delayed:
        service.start_type = "AutomaticDelayed"
    failure, flag = registry.value(key, "FailureActions"), registry.value(key, "FailureActionsOnNonCrashFailures")
    command, message = (registry.value(key, name) for name in ("FailureCommand", "RebootMessage"))
    reset, actions = _unpacked(bytes.fromhex(failure.data)) if failure is not None else (0, ())
    service.recovery = Recovery(
        reset_s=None if reset == _FOREVER else reset,
        actions=actions,
        command=command.data if command else "",
        reboot_message=message.data if message else "",
        flag=bool(_number(flag)),
    )


def _install(registry: Registry, service: Service) -> None:
    spec, key = service.spec, f"{SERVICES}\\{service.name}"
    registry.put(key, "Type", _dword(0x20 if spec.process else 0x10))
    registry.put(key, "Start", _dword(START[service.start_type]))
    registry.put(key, "ErrorControl", _dword(1))
    registry.put(key, "ImagePath", Value("REG_EXPAND_SZ", f"C:\\Services\\{service.name}.exe"))
    registry.put(key, "DisplayName", Value("REG_SZ", spec.display_name))
    registry.put(key, "ObjectName", Value("REG_SZ", "LocalSystem"))
    if service.start_type == "AutomaticDelayed":
        registry.put(key, "DelayedAutostart", _dword(1))
    if spec.requires:
        registry.put(key, "DependOnService", Value("REG_MULTI_SZ", "\\0".join(spec.requires)))
    _write_recovery(registry, key, service.recovery, _LEFTOVER)
    _write_triggers(registry, key, service.triggers)


def _write_recovery(registry: Registry, key: str, recovery: Recovery, pointer: int) -> None:
    reset = _FOREVER if recovery.reset_s is None else recovery.reset_s
    if recovery.actions:
        head = _HEAD.pack(reset, pointer, 0, len(recovery.actions), _HEAD.size)
        actions = b"".join(_ACTION.pack(RECOVERY_ACTIONS.index(what), ms) for what, ms in recovery.actions)
        registry.put(key, "FailureActions", Value("REG_BINARY", (head + actions).hex().upper()))
    else:
        registry.drop(key, "FailureActions")
    for name, text in (("FailureCommand", recovery.command), ("RebootMessage", recovery.reboot_message)):
        if text:
            registry.put(key, name, Value("REG_SZ", text))
        else:
            registry.drop(key, name)
    if recovery.flag or registry.value(key, "FailureActionsOnNonCrashFailures"):
        registry.put(key, "FailureActionsOnNonCrashFailures", _dword(recovery.flag))


def _unpacked(data: bytes) -> tuple[int, tuple[tuple[str, int], ...]]:
    reset, _, _, count, at = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (0, 0, 0, 0, 0)
    pairs = [_ACTION.unpack_from(data, at + n * _ACTION.size) for n in range(count)]
    return reset, tuple((RECOVERY_ACTIONS[what] if what < len(RECOVERY_ACTIONS) else "", ms) for what, ms in pairs)


def _write_triggers(registry: Registry, key: str, triggers: tuple[str, ...]) -> None:
    registry.drop(f"{key}\\TriggerInfo")
    for number, trigger in enumerate(triggers):
        kind, *data = trigger.split("/")[1:]
        action = trigger.partition("/")[0].casefold()
        label, subtype, _ = TRIGGERS[f"{action}/{kind.casefold()}"]
        which = subtype or (data.pop(0) if data else str(uuid.UUID(int=0)))
        one = f"{key}\\TriggerInfo\\{number}"
        registry.put(one, "Type", _dword(_TRIGGER_TYPES[label]))
        registry.put(one, "Action", _dword(1 if action == "start" else 2))
        registry.put(one, "GUID", Value("REG_BINARY", uuid.UUID(which).bytes_le.hex().upper()))
        for place, text in enumerate(data):
            registry.put(one, f"Data{place}", Value("REG_BINARY", f"{text}\0".encode("utf-16-le").hex().upper()))
            registry.put(one, f"DataType{place}", _dword(2))


def _dword(number: int) -> Value:
    return Value("REG_DWORD", f"{int(number):#x}")


def _number(value: Value | None) -> int | None:
    return int(value.data, 16) if value is not None and value.type == "REG_DWORD" else None


def _cluster(spec: HostSpec) -> dict[str, dict[str, str]]:
    """Where a failover cluster keeps its resources, and its roles."""
    if all(service.name.casefold() != CLUSTER_SERVICE.casefold() for service in spec.services):
        return {}
    keys: dict[str, dict[str, str]] = {_RESOURCES: {}, _GROUPS: {}}
    for service in spec.services:
        if service.cluster_role:
            key = f"{_RESOURCES}\\{uuid.uuid5(uuid.NAMESPACE_DNS, f'{spec.name} {service.name}')}"
            keys[key] = {"Type": _type(service), "Name": service.cluster_role}
            keys[f"{key}\\Parameters"] = {"ServiceName": service.name}
            group = f"{_GROUPS}\\{uuid.uuid5(uuid.NAMESPACE_DNS, f'group {service.cluster_role}')}"
            before = keys.get(group, {"Contains": ""})["Contains"]
            contains = "\\0".join(filter(None, (before, key.rpartition("\\")[2])))
            keys[group] = {"Name": service.cluster_role, "Contains": contains}
    return keys


def _type(service: ServiceSpec) -> str:
    return "SQL Server" if service.name.casefold().startswith("mssql") else "Generic Service"
