"""Facts as JSON text and back: what the journal stores and `--json` prints.

The text is compact and canonical (fields in their declared order, after `kind` and `version`), ASCII alone, so that
half a surrogate pair in a host's answer survives. Codecs are compiled once per type from the dataclasses' own
annotations. The names below are on disk for ever: a class may be renamed, its name here may not.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    OrderTaken,
    RollbackBegan,
    RunBegan,
    RunEnded,
    RunParked,
    RunResumed,
    StageBegan,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.gates import CommandCheck, HttpCheck, PortClosedCheck, ServiceCheck, TcpCheck
from orchestrator.domain.life import Reboot

VERSION = 1

FACT_KINDS: Mapping[str, type[Any]] = {
    "run_began": RunBegan,
    "stage_began": StageBegan,
    "step_intended": StepIntended,
    "step_ended": StepEnded,
    "order_taken": OrderTaken,
    "strayed": Strayed,
    "decision_asked": DecisionAsked,
    "decision_grew": DecisionGrew,
    "decision_answered": DecisionAnswered,
    "decision_withdrawn": DecisionWithdrawn,
    "rollback_began": RollbackBegan,
    "run_parked": RunParked,
    "run_resumed": RunResumed,
    "run_ended": RunEnded,
}
_CHECK_KINDS: Mapping[str, type[Any]] = {
    "service": ServiceCheck,
    "tcp": TcpCheck,
    "port_closed": PortClosedCheck,
    "http": HttpCheck,
    "command": CommandCheck,
    "reboot": Reboot,
}
_KIND_OF = {made: kind for kinds in (FACT_KINDS, _CHECK_KINDS) for kind, made in kinds.items()}
_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_Convert = Callable[[Any], Any]
_Made = TypeVar("_Made")


class _Codec(NamedTuple):
    """How values of one type go to JSON and come back; None: as they are."""

    to_json: _Convert | None
    from_json: _Convert | None


def encode(fact: Fact) -> str:
    """The fact as one line of JSON.

    Raises:
        ValueError: a number in it is not finite.
    """
    made: Any = type(fact)
    return _write({"kind": _KIND_OF[made], "version": VERSION, **cast(_Convert, _codec(made).to_json)(fact)})


def decode(text: str) -> Fact:
    """The fact that *text* holds. A field that *text* lacks has its default.

    Raises:
        OrchError: the text is damaged, or a newer orch wrote it.
    """
    try:
        data = _upcast(json.loads(text))
        made: Any = FACT_KINDS[data.pop("kind")]
        return cast(Fact, cast(_Convert, _codec(made).from_json)(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise OrchError(
            f"the journal holds a fact that can't be read ({type(exc).__name__}: {exc}): {text[:80]!r}",
            hint="the file is damaged or a newer orch wrote it; try the orch that wrote it",
        ) from exc


def packed(value: Any) -> Any:
    """A dataclass of which facts are made (a plan, units, a MadeFrom), as JSON values: what a file or a column holds.

    Raises:
        TypeError: facts hold nothing of this type.
    """
    made: Any = type(value)
    write = _codec(made).to_json
    return value if write is None else write(value)


def unpacked(made: type[_Made], data: Any) -> _Made:
    """What `packed` made JSON values of; *data* is used up. A field that *data* lacks has its default.

    Raises:
        OrchError: the values are those of something else, or a newer orch wrote them.
    """
    codec: Any = _codec(cast(Any, made))
    try:
        return cast(_Made, data if codec.from_json is None else codec.from_json(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise OrchError(f"what was kept of a {made.__name__} can't be read ({type(exc).__name__}: {exc})") from exc


def _upcast(data: dict[str, Any]) -> dict[str, Any]:
    """Bring a fact of any known version to the current one: the single place that knows old versions."""
    version = data.pop("version")
    if version != VERSION:
        raise ValueError(f"version {version!r} of {data.get('kind')!r}; this orch knows version {VERSION}")
    return data


@cache
def _codec(made: Any) -> _Codec:
    """The codec of an annotation: scalars, enums, dataclasses, tuples, dicts with text keys, and unions of these."""
    if made in (str, int, bool, NoneType):
        return _Codec(None, None)
    if made is float:
        return _Codec(None, float)
    origin, args = get_origin(made), get_args(made)
    if origin in (Union, UnionType):
        return _union(args)
    if origin is tuple:
        return _tuple(args)
    if origin is dict and args[0] is str:
        return _mapping(_codec(args[1]))
    if isinstance(made, type) and issubclass(made, Enum):
        return _Codec(None, {member.value: member for member in made}.__getitem__)
    if is_dataclass(made):
        return _record(made)
    raise TypeError(f"facts hold no {made!r}")


def _record(made: Any) -> _Codec:
    hints = get_type_hints(made)
    names = [field.name for field in fields(made)]
    codecs = {name: _codec(hints[name]) for name in names}
    writers = [(name, codec.to_json) for name, codec in codecs.items() if codec.to_json]
    readers = [(name, codec.from_json) for name, codec in codecs.items() if codec.from_json]
    values_of = attrgetter(names[0], *names[1:])
    single = len(names) == 1

    def to_json(value: Any) -> dict[str, Any]:
        data = {names[0]: values_of(value)} if single else dict(zip(names, values_of(value), strict=True))
        for name, write in writers:
            data[name] = write(data[name])
        return data

    def from_json(data: dict[str, Any]) -> Any:
        for name, read in readers:
            if name in data:
                data[name] = read(data[name])
        return made(**data)

    return _Codec(to_json, from_json)


def _union(args: tuple[Any, ...]) -> _Codec:
    """Nothing or one type; scalars; or dataclasses told apart by `kind`, or nothing."""
    some = tuple(arg for arg in args if arg is not NoneType)
    if len(some) == 1:
        return _optional(_codec(some[0]))
    if not all(map(is_dataclass, some)):
        if set(some) <= {str, int, float, bool}:
            return _Codec(None, None)
        raise TypeError(f"facts hold no union of {args!r}")
    if len(some) < len(args):
        return _optional(_union(some))
    by_type = {made: (_KIND_OF[made], cast(_Convert, _codec(made).to_json)) for made in some}
    by_kind = {_KIND_OF[made]: cast(_Convert, _codec(made).from_json) for made in some}

    def to_json(value: Any) -> dict[str, Any]:
        kind, write = by_type[type(value)]
        return {"kind": kind, **write(value)}

    def from_json(data: dict[str, Any]) -> Any:
        return by_kind[data.pop("kind")](data)

    return _Codec(to_json, from_json)


def _optional(codec: _Codec) -> _Codec:
    def unless_none(convert: _Convert | None) -> _Convert | None:
        if convert is None:
            return None
        return lambda value: None if value is None else convert(value)

    return _Codec(unless_none(codec.to_json), unless_none(codec.from_json))


def _tuple(args: tuple[Any, ...]) -> _Codec:
    if len(args) == 2 and args[1] is ...:
        write, read = _codec(args[0])
        return _Codec(
            None if write is None else lambda value: list(map(write, value)),
            tuple if read is None else lambda value: tuple(map(read, value)),
        )
    parts = tuple(_codec(arg) for arg in args)
    if any(part.to_json for part in parts):
        raise TypeError(f"facts hold no tuple of {args!r}")
    readers = tuple(part.from_json for part in parts)
    return _Codec(
        None,
        lambda value: tuple(item if read is None else read(item) for item, read in zip(value, readers, strict=True)),
    )


def _mapping(codec: _Codec) -> _Codec:
    if codec.to_json is not None or codec.from_json is not None:
        raise TypeError("facts hold mappings of plain values only")
    return _Codec(None, None)
