"""What could bring a stopped service up again by itself, how that is taken away, and how exactly it is put back.

Room: domain. What `reg.exe` prints is read by names and positions: types, numbers and bytes are in no language. What is
changed, is changed through `sc.exe`, so that the running service control manager knows it; `reg.exe` then gives back
what `sc.exe` can't spell, to the byte. A start type of Disabled holds back boot, triggers, dependents and hands alike,
so triggers are written down and left as they are; recovery actions go, for they may reboot the host or run a program.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from orchestrator.domain.durations import spoken

SERVICES = "HKLM\\SYSTEM\\CurrentControlSet\\Services"
KEPT = "HKLM\\SOFTWARE\\orch\\KeptDown"
"""Below it stands a key for each service that is kept down, of its SCM name."""
WIDE = "/reg:64"
"""A 32-bit shell would be shown another SOFTWARE."""
RECORD, TRIGGERS = "Record", "TriggerInfo"
DISABLED = 4
_START_WORDS = {0: "boot", 1: "system", 2: "auto", 3: "demand", DISABLED: "disabled"}
_START_NAMES = {0: "Boot", 1: "System", 2: "Automatic", 3: "Manual", DISABLED: "Disabled"}
_AUTOMATIC = 2
_DELAYED, _FAILURE = "DelayedAutostart", "FailureActions"
_ACTIONS = {0: "none", 1: "restart", 2: "reboot", 3: "run"}
_ACTION_NAMES = {1: "restart it", 2: "reboot the host", 3: "run a program", 4: "restart its process"}
_NEVER = 0xFFFFFFFF
_PROGRAM = re.compile(r'\s*"?([^"]{1,80}?\.(?:exe|com|cmd|bat|vbs|ps1))\b', re.IGNORECASE)
"""Of a recovery command the program alone is told: what stands behind it is nobody's business."""
_HEAD = 20
"""Bytes before the actions: reset period, two pointers of no meaning, how many actions, where they stand."""
_VALUE = re.compile(r" {4}(\S.*?) {4}REG_([A-Z_]+)(?: {4}(.*))?")
_ROOT = "HKEY_LOCAL_MACHINE"

Command = tuple[str, tuple[str, ...]]
"""A program and its arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the registry has of one service. `failure` are the bytes of its recovery actions as hexadecimal digits.

    None: there is no such value. `triggers` are the rows of its triggers, each a subkey's number, name, type and data;
    `starters` of them start it.
    """

    start: int
    delayed: int | None = None
    failure: str | None = None
    non_crash: int | None = None
    command: str = ""
    reboot: str = ""
    triggers: tuple[str, ...] = ()
    starters: int = 0

    @property
    def program(self) -> str:
        """What the recovery command runs, without its arguments: a password may stand there."""
        named = _PROGRAM.match(self.command)
        return named[1] if named else ""

    @property
    def words(self) -> str:
        """What is kept, for people: `Automatic (delayed); on failure: restart it after 60 s; 1 start trigger`."""
        actions = failure_words(self.failure, program=self.program)
        non_crash = ", failed exits too" if self.non_crash and actions else ""
        parts = [start_words(self.start, self.delayed)]
        parts += [f"on failure: {actions}{non_crash}"] if actions else []
        parts += [f"{self.starters} start trigger{'s' * (self.starters > 1)}"] if self.starters else []
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What stands on the host of one service that is kept down: what was there before, for whom, since when.

    `at` is UTC, seconds since 1970. `triggers` is the hash of the rows, "" without any. `words` are `Config.words`.
    """

    service: str
    run: str
    at: float
    start: int
    delayed: int | None = None
    failure: str | None = None
    triggers: str = ""
    words: str = ""


def record_of(service: str, config: Config, *, run: str, at: float) -> Record:
    """What is to be put back one day."""
    return Record(
        service=service,
        run=run,
        at=at,
        start=config.start,
        delayed=config.delayed,
        failure=config.failure,
        triggers=_hash(config.triggers),
        words=config.words,
    )


def journalled(record: Record, config: Config | None) -> str:
    """*record* as a journal keeps it, with what was read and is not touched, as JSON of ASCII: of the recovery command
    the program alone."""
    untouched = {} if config is None else {"command": config.program, "reboot": config.reboot}
    flag = None if config is None else config.non_crash
    rows = [] if config is None else list(config.triggers)
    return json.dumps({**asdict(record), **untouched, "non_crash": flag, "trigger_rows": rows})


def service_key(name: str) -> str:
    """Where Windows keeps what is configured of the service *name*."""
    return f"{SERVICES}\\{name}"


def kept_key(name: str) -> str:
    """Where it is written down that the service *name* is kept down."""
    return f"{KEPT}\\{name}"


def read_config(printed: str, triggers: str = "") -> Config | None:
    """From what `reg.exe query` *printed* of a service's key, and with `/s` of its *triggers*; None: no start type is
    there, so that it is no service, or the answer is not whole."""
    keys = _keys(printed)
    own = next(iter(keys.values()), {})
    start = _number(own, "Start")
    if start is None:
        return None
    rows = tuple(
        f"{key.rpartition(chr(92))[2]} {name} {kind} {data}"
        for key, values in _keys(triggers).items()
        for name, (kind, data) in values.items()
    )
    failure = own.get(_FAILURE.lower())
    return Config(
        start=start,
        delayed=_number(own, _DELAYED),
        failure=failure[1].upper() if failure else None,
        non_crash=_number(own, "FailureActionsOnNonCrashFailures"),
        command=own.get("failurecommand", ("", ""))[1],
        reboot=own.get("rebootmessage", ("", ""))[1],
        triggers=rows,
        starters=sum(re.fullmatch(r"\d+ action DWORD 0x1", row) is not None for row in rows),
    )


def has_triggers(printed: str) -> bool:
    """Whether what `reg.exe query` *printed* of a service's key names a subkey of triggers."""
    return any(key.lower().endswith(f"\\{TRIGGERS.lower()}") for key in _keys(printed))


def lists(printed: str, key: str) -> bool:
    """Whether what `reg.exe query` *printed* of the key above *key* names it."""
    wanted = f"{_ROOT}{key[key.index(chr(92)) :]}".lower()
    return any(line.strip().lower() == wanted for line in printed.splitlines())


def written(record: Record) -> str:
    """*record* as it is written on the host: letters, digits, `-` and `_` alone, which no shell touches."""
    text = json.dumps({"v": 1, **asdict(record)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def read_records(printed: str) -> list[Record]:
    """The records in what `reg.exe query` *printed*, in its order. What is no record is passed over."""
    found = (_record(values.get(RECORD.lower(), ("", ""))[1]) for values in _keys(printed).values())
    return [record for record in found if record is not None]


def _record(text: str) -> Record | None:
    try:
        raw = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        version = raw.pop("v")
        record = Record(**raw)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    sound = isinstance(record.start, int) and isinstance(record.service, str) and isinstance(record.at, int | float)
    return record if version == 1 and sound else None


def writing_down(record: Record, *, with_triggers: bool) -> list[Command]:
    """What puts *record* on the host. A copy of the triggers comes first: where the record stands, all of it does."""
    key = kept_key(record.service)
    copied = ("copy", f"{service_key(record.service)}\\{TRIGGERS}", f"{key}\\{TRIGGERS}", "/s", "/f", WIDE)
    added = ("add", key, "/v", RECORD, "/t", "REG_SZ", "/d", written(record), "/f", WIDE)
    return [("reg.exe", words) for words in ((copied, added) if with_triggers else (added,))]


def forgetting(name: str) -> Command:
    """What takes the record of the service *name* off the host."""
    return "reg.exe", ("delete", kept_key(name), "/f", WIDE)


def neutralising(name: str, config: Config) -> list[Command]:
    """What takes away what *config* has and could bring the service up, or reboot its host when it is killed.

    Its command and its message stay: without actions nobody uses them, and `sc.exe` leaves alone what is not named.
    """
    commands: list[Command] = []
    if _acts(config.failure):
        commands.append(("sc.exe", ("failure", name, "reset=", "0", "actions=", "")))
    if config.start != DISABLED:
        commands.append(("sc.exe", ("config", name, "start=", "disabled")))
    return commands


def restoring(record: Record) -> list[Command]:
    """What makes the running service control manager know again what *record* has."""
    word = "delayed-auto" if record.start == _AUTOMATIC and record.delayed else _START_WORDS.get(record.start, "demand")
    commands: list[Command] = []
    if _acts(record.failure):
        actions = "/".join(f"{_ACTIONS.get(kind, 'none')}/{delay}" for kind, delay in _actions(record.failure))
        reset = _dword(record.failure or "", 0)
        period = "INFINITE" if reset == _NEVER else str(reset)
        commands.append(("sc.exe", ("failure", record.service, "reset=", period, "actions=", actions)))
    commands.append(("sc.exe", ("config", record.service, "start=", word)))
    return commands


def repairs(record: Record, now: Config) -> list[Command]:
    """What gives back, to the byte, what `sc.exe` wrote in its own way, or wrote beside."""
    key = service_key(record.service)
    commands: list[Command] = []
    if now.delayed != record.delayed:
        commands.append(_set(key, _DELAYED, "REG_DWORD", None if record.delayed is None else str(record.delayed)))
    if now.failure != record.failure:
        commands.append(_set(key, _FAILURE, "REG_BINARY", record.failure))
    return commands


def _set(key: str, name: str, kind: str, data: str | None) -> Command:
    if data is None:
        return "reg.exe", ("delete", key, "/v", name, "/f")
    return "reg.exe", ("add", key, "/v", name, "/t", kind, "/d", data, "/f")


def not_back(record: Record, now: Config) -> list[str]:
    """What is not as *record* has it, in words; empty: all is as it was."""
    found = []
    if (now.start, now.delayed) != (record.start, record.delayed):
        was, is_now = start_words(record.start, record.delayed), start_words(now.start, now.delayed)
        found.append(f"its start type is {is_now}, and was {was}")
    if now.failure != record.failure:
        was, is_now = failure_words(record.failure) or "none", failure_words(now.failure) or "none"
        found.append(f"its recovery actions are {is_now}, and were {was}")
    return found


def rewritten(now: Config) -> list[str]:
    """What somebody has given back to a service that is kept down, in words: group policy, or a hand."""
    found = [] if now.start == DISABLED else [f"its start type is {start_words(now.start, now.delayed)} again"]
    return found + ([f"on failure: {failure_words(now.failure)}"] if _acts(now.failure) else [])


def triggers_changed(record: Record, now: Config) -> bool:
    """Whether somebody else changed its triggers since: they are left as they are now."""
    return _hash(now.triggers) != record.triggers


def start_words(start: int, delayed: int | None) -> str:
    """A start type as people call it: `Automatic (delayed)`."""
    return _START_NAMES.get(start, f"start type {start}") + (" (delayed)" if start == _AUTOMATIC and delayed else "")


def failure_words(failure: str | None, *, program: str = "") -> str:
    """Recovery actions as people call them; "" if there are none that do anything. *program* is what they run."""
    if not _acts(failure):
        return ""
    return ", then ".join(_action_words(kind, ms, program) for kind, ms in _actions(failure))


def _action_words(kind: int, delay_ms: int, program: str) -> str:
    if not kind:
        return "nothing"
    what = f"run {program}" if kind == 3 and program else _ACTION_NAMES.get(kind, f"action {kind}")
    return f"{what} after {spoken(delay_ms / 1000)}"


def _acts(failure: str | None) -> bool:
    return any(kind for kind, _ in _actions(failure))


def _actions(failure: str | None) -> list[tuple[int, int]]:
    """Kind and delay in milliseconds of each action."""
    whole = failure or ""
    count = min(_dword(whole, 12), max(0, len(whole) // 2 - _HEAD) // 8)
    return [(_dword(whole, _HEAD + 8 * n), _dword(whole, _HEAD + 8 * n + 4)) for n in range(count)]


def _dword(digits: str, at: int) -> int:
    try:
        return int.from_bytes(bytes.fromhex(digits[2 * at : 2 * at + 8]), "little")
    except ValueError:
        return 0


def _hash(rows: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32] if rows else ""


def _keys(printed: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Key -> name of a value in lower case -> its type without `REG_`, and its data."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    here: dict[str, tuple[str, str]] | None = None
    for line in printed.splitlines():
        if line.startswith(_ROOT):
            here = found.setdefault(line.strip(), {})
        elif here is not None and (value := _VALUE.fullmatch(line)) is not None:
            here[value[1].lower()] = (value[2], (value[3] or "").strip())
    return found


def _number(values: Mapping[str, tuple[str, str]], name: str) -> int | None:
    kind, data = values.get(name.lower(), ("", ""))
    return int(data, 16) if kind == "DWORD" and re.fullmatch(r"0x[0-9a-fA-F]+", data) else None
