"""A piece of a playbook: a shape, where it stands in the file, and the templates in it.

A piece is validated when it is read, templates aside. One without templates is then the same for every host; one with
templates is rendered and validated again for each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from orchestrator.domain.errors import Mark, TemplateError
from orchestrator.domain.inventory.rendering import VariableError
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import FINAL, Wrong, nearest
from orchestrator.domain.templates import Render, is_template
from orchestrator.domain.tree import Node

ShapeT = TypeVar("ShapeT", bound=Shape)
Path = tuple[str | int, ...]


@dataclass(slots=True)
class Piece(Generic[ShapeT]):
    """One shape of the playbook.

    `plain` is its long form; `borrowed` says which of its keys stand elsewhere in the file, in the defaults; `fixed`
    is the validated shape, in which templates still stand as text; None if it was wrong, and a mistake says how.
    """

    model: type[ShapeT]
    node: Node
    plain: dict[str, Any]
    borrowed: Mapping[str, Node]
    fixed: ShapeT | None
    sites: tuple[tuple[Path, str], ...]

    def filled(self, render: Render, context: Mapping[str, object], found: Findings, host: str | None) -> ShapeT | None:
        """The shape with its templates rendered; None if something is wrong, and *found* then says how."""
        if not self.sites:
            return self.fixed
        values = self.rendered(render, context, found, host)
        return None if values is None else self.shaped(values, found, host)

    def without_templates(self) -> ShapeT | None:
        """The shape without the values in which templates stand: what is left to look at when they went wrong."""
        plain = self.plain
        for path, _ in self.sites:
            plain = _without(plain, path)
        return validated(self.model, plain, self._place, Findings())

    def rendered(
        self, render: Render, context: Mapping[str, object], found: Findings, host: str | None
    ) -> list[object] | None:
        """What the templates give, in order; None if something is wrong, and *found* then says how.

        The templates of a shape that is wrong already are rendered all the same, for the mistakes in them.
        """
        values: list[object] = []
        for path, text in self.sites:
            try:
                values.append(render(text, context))
            except TemplateError as error:
                mark = error.mark if isinstance(error, VariableError) else self._place(path).mark
                found.add(mark, str(error), error.hint, host=host)
        return None if self.fixed is None or len(values) < len(self.sites) else values

    def shaped(self, values: Sequence[object], found: Findings, host: str | None) -> ShapeT | None:
        """The shape with *values* where the templates stood; None if it is wrong, and *found* then says how."""
        by_path = dict(zip((path for path, _ in self.sites), values, strict=True))
        plain = _replaced(self.plain, by_path)
        return validated(self.model, plain, self._place, found, context=FINAL, host=host)

    def _place(self, path: Path) -> Node:
        return _place(self.node, self.borrowed, path)


def read_piece(
    model: type[ShapeT],
    node: Node,
    plain: dict[str, Any],
    found: Findings,
    borrowed: Mapping[str, Node] | None = None,
) -> Piece[ShapeT]:
    """The piece; if its shape is wrong, *found* says how."""
    elsewhere = borrowed or {}
    shape = validated(model, plain, lambda path: _place(node, elsewhere, path), found)
    return Piece(model, node, plain, elsewhere, shape, tuple(_templates(plain, ())))


def salvage_piece(model: type[ShapeT], node: Node, plain: dict[str, Any], found: Findings) -> Piece[ShapeT]:
    """The piece without the values that are wrong, so that the others can be looked at; *found* says what was wrong.

    Where a value can't be left out alone, its whole key is.
    """
    for depth in (None, 1):
        try:
            model.model_validate(plain)
        except ValidationError as error:
            if depth is None:
                validated(model, plain, node.at, found)
            for detail in error.errors(include_url=False, include_input=False):
                plain = _without(plain, detail["loc"][:depth])
    return read_piece(model, node, plain, Findings())


def validated(
    model: type[ShapeT],
    plain: dict[str, Any],
    place: Any,
    found: Findings,
    *,
    context: str | None = None,
    host: str | None = None,
) -> ShapeT | None:
    """*plain* as a *model*; None if it is none, with every mistake added to *found* in our words."""
    try:
        return model.model_validate(plain, context=context)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            mark, wrong, right = _in_our_words(model, detail, place)
            found.add(mark, wrong, right, host=host)
        return None


def _in_our_words(model: type[Shape], detail: Any, place: Any) -> tuple[Mark, str, str]:
    path: Path = detail["loc"]
    node: Node = place(path)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        return node.mark, cause.wrong, cause.right
    key = str(path[-1]) if path else ""
    match detail["type"]:
        case "extra_forbidden":
            return (
                place(path[:-1]).key_mark(key),
                f"unknown key {key!r}",
                _right_for(key, _model_at(model, path[:-1])),
            )
        case "missing":
            return node.mark, f"{key!r} is missing", f"write `{key}: ...`"
        case "model_type" | "dict_type":
            keys = keys_of(_model_at(model, path))
            return node.mark, f"{key!r} is {node.kind}, not a mapping", f"its keys: {', '.join(keys)}" if keys else ""
        case "list_type" | "tuple_type":
            return (
                node.mark,
                f"{key!r} is {node.kind}, not a list",
                "write [ ..., ... ] or one item a line after a dash",
            )
    return node.mark, f"{key!r}: {detail['msg']}", ""


def refuse_unknown(node: Node, shape: type[Shape], found: Findings) -> None:
    """Tell of the keys of *node* that *shape* has not, where its pieces are read one by one."""
    known = keys_of(shape)
    for key in node.value if isinstance(node.value, dict) else ():
        if key not in known:
            found.add(node.key_mark(key), f"unknown key {key!r}", _right_for(key, shape))


def refuse_empty(node: Node, annotation: Any, found: Findings) -> None:
    """Tell of the unknown keys in *node*, an *annotation* by its form, that were left empty.

    What is left empty counts as not given, so no shape ever sees it.
    """
    if isinstance(node.value, list):
        for item in node.value:
            refuse_empty(item, annotation, found)
    if not isinstance(node.value, dict):
        return
    known = _forms(node.value, annotation)
    for key, child in node.value.items():
        if key in known:
            refuse_empty(child, known[key], found)
        elif known and child.value is None:
            found.add(node.key_mark(key), f"unknown key {key!r}", _right_for(key, next(models_in(annotation), None)))


def _forms(keys: Iterable[str], annotation: Any) -> dict[str, Any]:
    """What the keys of a mapping hold, an *annotation* by its form; empty if any key may hold anything."""
    if get_origin(annotation) is dict:
        return dict.fromkeys(keys, get_args(annotation)[1])
    model = next(models_in(annotation), None)
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()} if model else {}


def _right_for(key: str, model: type[BaseModel] | None) -> str:
    """What to write in place of the unknown *key* of a *model*: the same one mapping further down, if it belongs there;
    else the nearest that it has."""
    fields = model.model_fields if model else {}
    homes = [f"`{info.alias or name}:`" for name, info in fields.items() if key in _keys_below(info.annotation)]
    return f"write it under {' or '.join(homes)}" if homes else nearest(key, keys_of(model))


def _keys_below(annotation: Any) -> list[str]:
    """The keys of the mapping that stands there, if it is one of ours, and no list of them."""
    inner = (annotation, *get_args(annotation)) if get_origin(annotation) not in (list, tuple, dict) else ()
    models = (one for one in inner if isinstance(one, type) and get_origin(one) is None and issubclass(one, BaseModel))
    return [key for model in models for key in keys_of(model)]


def keys_of(model: type[BaseModel] | None) -> list[str]:
    """The keys that the file may use, by their names there."""
    return [info.alias or name for name, info in model.model_fields.items()] if model else []


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model of what stands at *path*, or None where no model describes it."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is None or isinstance(part, int):
            continue
        info = next((info for name, info in current.model_fields.items() if (info.alias or name) == part), None)
        # `dict[str, Shape]` has a key of the user's between two of ours, which names no field: stay where we are.
        if info is not None:
            current = next(models_in(info.annotation), None)
    return current


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def _place(node: Node, borrowed: Mapping[str, Node], path: Path) -> Node:
    if path and path[0] in borrowed:
        return borrowed[str(path[0])].at(path[1:])
    return node.at(path)


def _without(value: Any, path: Path) -> Any:
    """*value* without what stands at *path*; of a list on the way, without all of it."""
    path = tuple(takewhile(lambda part: isinstance(part, str), path))
    if not path or not isinstance(value, dict):
        return value
    return {
        key: _without(item, path[1:]) if key == path[0] else item
        for key, item in value.items()
        if key != path[0] or len(path) > 1
    }


def _templates(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if is_template(value):
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _templates(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _templates(item, (*path, index))


def _replaced(value: Any, values: Mapping[Path, object], path: Path = ()) -> Any:
    if path in values:
        return values[path]
    if isinstance(value, dict):
        return {key: _replaced(item, values, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, values, (*path, index)) for index, item in enumerate(value)]
    return value
