"""JSON Schema of playbooks and fragments, for editors: that of the shapes, and the short forms that people write.

It accepts what the reader accepts, and refuses what is wrong by form alone. What several places decide together (names
that must be known, circles, templates) only `orch validate` tells.
"""

from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DictSchema, NullableSchema, WithDefaultSchema

from orchestrator.domain.playbook import longhand
from orchestrator.domain.playbook.gate_shapes import BOUND, KINDS, ORIGINS_OF
from orchestrator.domain.playbook.kind_reading import OF_PROCESSES, OF_SERVICES
from orchestrator.domain.playbook.kind_shapes import KindShape
from orchestrator.domain.playbook.life_shapes import ACTS
from orchestrator.domain.playbook.reading import KEY, NOT_EXTERNAL
from orchestrator.domain.playbook.shapes import FragmentShape, PlaybookShape
from orchestrator.domain.playbook.values import ORIGINS, any_case

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL = {"type": "null"}
_GIVEN = {"not": _NULL}
"""What is left empty counts as not given."""


def playbook_schema() -> dict[str, Any]:
    """The schema of one file, be it the playbook or a fragment. JSON-serialisable."""
    schema = PlaybookShape.model_json_schema(schema_generator=_Editors)
    shapes = schema["$defs"]
    _entry(shapes["EntryShape"])
    _checks(shapes)
    shared = shapes["StopTiming"]["properties"]["kill_shared"]
    _also(shared, shared["items"])
    top = schema["properties"]
    _policy(top, shapes)
    for paths in (top["include"], top["inventory"]):
        _also(paths, paths["items"])
    top["services"]["additionalProperties"] = {"$ref": "#/$defs/EntryShape"}  # an empty one has no hosts
    top["services"]["propertyNames"] = {"pattern": f"^{KEY.pattern}$"}
    return {
        "$schema": DIALECT,
        **schema,
        "anyOf": [{"required": [key]} for key in FragmentShape.model_fields],
    }


class _Editors(GenerateJsonSchema):
    """pydantic's own, but that whatever may be left out may be left empty too, and without titles that only repeat."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        default = made.pop("default", None)
        return _or_empty(made) | ({"default": default} if default else {})

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        values = made.get("additionalProperties")
        return made | ({"additionalProperties": _or_empty(values)} if isinstance(values, dict) else {})


def _or_empty(form: JsonSchemaValue) -> JsonSchemaValue:
    if isinstance(form.get("type"), str):
        return form | {"type": [form["type"], "null"]}
    forms = form["anyOf"] if form.keys() == {"anyOf"} else [form]
    return {"anyOf": [*forms, _NULL]}


def _also(said: JsonSchemaValue, *forms: JsonSchemaValue) -> None:
    """What is *said* of a key may have these *forms* too."""
    if "anyOf" not in said:
        moved = {name: said.pop(name) for name in list(said) if name not in ("description", "default")}
        said["anyOf"] = [moved]
    said["anyOf"] = [*forms, *said["anyOf"]]


def _entry(entry: JsonSchemaValue) -> None:
    """A service's short forms, and what an external one can't say."""
    keys = entry["properties"]
    _also(keys["service"], keys["service"]["items"])
    _also(keys["hosts"], {"type": "array", "items": {"type": "string"}, "minItems": 1})
    _also(keys["batch"], keys["batch"]["items"])
    one = {"type": "string", "pattern": f"^{KEY.pattern}$"}
    _also(keys["depends_on"], {"type": "array", "items": one, "uniqueItems": True}, one)
    no = {"anyOf": [{"enum": [False, None]}, any_case("false")]}
    entry["if"] = {"required": ["external"], "properties": {"external": {"not": no}}}
    entry["then"] = {
        "properties": dict.fromkeys(NOT_EXTERNAL, _NULL),
        "anyOf": [_with(key) for key in ("ready", "stopped")],
    }
    entry["else"] = _with("hosts")
    entry["allOf"] = [{"if": _with(kind), "then": {"properties": _not_beside(kind)}} for kind in KindShape.model_fields]


def _not_beside(kind: str) -> JsonSchemaValue:
    """What an entry can't say that is a thing of that *kind*."""
    others = [one for one in ("service", *KindShape.model_fields) if one != kind]
    owned = {"not": {"anyOf": [{"const": True}, any_case("true")]}}
    return {
        **dict.fromkeys((*others, *OF_SERVICES), _NULL),
        "stop": {"properties": dict.fromkeys(OF_PROCESSES, _NULL)},
        "ready": {"items": {"properties": {"bound": owned}}},
    }


def _checks(shapes: JsonSchemaValue) -> None:
    """The short forms of what gates look at and hooks do."""
    for name, key in (("HttpGate", "status"), ("HttpAct", "status"), ("CommandGate", "exit_code")):
        listed = shapes[name]["properties"][key]
        _also(listed, listed["items"])
    for name, key in (("ReadProgram", "running"), ("ReadProgram", "stopped"), ("MoveProgram", "exit_code")):
        listed = shapes[name]["properties"][key]
        _also(listed, listed["items"])
    for holder in ("GateShape", "CheckShape", "ActShape", "HookShape"):
        keys = shapes[holder]["properties"]
        for kind, key in longhand.SHORT.items():
            if kind in keys:
                inner = shapes[keys[kind]["anyOf"][0]["$ref"].rpartition("/")[2]]["properties"]
                _also(keys[kind], {name: said for name, said in inner[key].items() if name != "description"})
    shapes["BetweenShape"]["oneOf"] = list(_between())
    shapes["GateShape"]["oneOf"] = list(_gates())
    shapes["CheckShape"]["oneOf"] = [_with(kind) for kind in KINDS]
    shapes["ActShape"]["oneOf"] = [_with(kind) for kind in ACTS]
    shapes["HookShape"]["oneOf"] = [_with(kind) for kind in ("do", *ACTS)]


def _between() -> Iterator[JsonSchemaValue]:
    """What is done between stop and start: a program has more to say than a reboot."""
    yield _with("command")
    yield _with("reboot", timeout=_NULL, idempotent={"not": {"anyOf": [{"const": True}, any_case("true")]}})


def _gates() -> Iterator[JsonSchemaValue]:
    """A gate's one check, where it may look from, and whether somebody owns a port of it."""
    for kind, allowed in ORIGINS_OF.items():
        others = [origin for origin in ORIGINS if origin not in allowed]
        said: dict[str, JsonSchemaValue] = {"from": {"not": any_case(*others)}} if others else {}
        if kind not in BOUND:
            said["bound"] = {"not": {"anyOf": [{"const": True}, any_case("true")]}}
        yield _with(kind, **said)


def _policy(top: JsonSchemaValue, shapes: JsonSchemaValue) -> None:
    """The short forms of what is said about failures, decisions and notices."""
    said = shapes["OnFailureShape"]["properties"]["default"]
    _also(top["on_failure"], *(form for form in said["anyOf"] if form != _NULL))
    _also(top["approve_before"], top["approve_before"]["items"])
    _also(shapes["DecisionsShape"]["properties"]["approvers"], {"type": ["string", "integer"]})
    for key, lists in longhand.ITEMS.items():
        item = top[key]["items"]
        shape = shapes[item["$ref"].rpartition("/")[2]]["properties"]
        for one in lists:
            _also(shape[one], shape[one]["items"])
        _also(top[key], item)
    group = shapes["RuleShape"]["properties"]["group"]
    _also(group, {"type": "array", "items": {"type": "string"}, "minItems": 1})


def _with(key: str, **others: JsonSchemaValue) -> JsonSchemaValue:
    """That *key* is given, and what then holds for *others*."""
    return {"required": [key], "properties": {key: _GIVEN, **others}}
