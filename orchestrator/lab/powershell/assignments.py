"""Assignments: to variables, properties, elements, several at once, and one more or less."""

from typing import Any

from orchestrator.lab.powershell import convert, dotnet, members, operators
from orchestrator.lab.powershell.evaluate import member_name, named_type, pipeline_value, type_of, variable_name
from orchestrator.lab.powershell.frame import Expression, Frame
from orchestrator.lab.powershell.source import Node
from orchestrator.lab.powershell.values import NOTHING, failure


def _stepped(by: int, *, before: bool) -> Expression:
    async def step(frame: Frame, node: Node) -> Any:
        target = node.named_kids()[0]
        old = await frame.plain(target)
        if not isinstance(old, (int, float)) and old is not None:
            said = "The '++' operator works only on numbers." if by > 0 else "The '--' operator works only on numbers."
            raise failure(said, "OperatorRequiresNumber")
        new = operators.add(0 if old is None else old, by)
        await store(frame, target, new)
        return new if before else (0 if old is None else old)

    return step


async def assign(frame: Frame, node: Node) -> Any:
    """An assignment; gives what was assigned."""
    left = node.kids[0].kids[0]
    operator = node.kids[1].text.strip()
    value = await pipeline_value(frame, node.kids[2])
    if operator != "=":
        old = operators.copy_of(await frame.plain(left))
        value = operators.ARITHMETIC[operator[0]](old, None if value is NOTHING else value)
    await store(frame, left, value)
    return value


async def store(frame: Frame, target: Node, value: Any) -> None:
    """Put *value* where *target* says: a variable, a property, an element, or several of them. Raises Failed."""
    while target.kind in ("parenthesized_expression", "expression_with_unary_operator", "pipeline"):
        target = target.named_kids()[0]
    if target.kind == "variable":
        frame.set(variable_name(target), value)
    elif target.kind == "cast_expression":
        kind, inner = target.named_kids()
        converted = dotnet.cast(frame.session, None if value is NOTHING else value, named_type(kind))
        if inner.kind == "variable":
            frame.types[variable_name(inner).casefold()] = named_type(kind)
        await store(frame, inner, converted)
    elif target.kind == "member_access":
        await _store_member(frame, target, None if value is NOTHING else value)
    elif target.kind == "element_access":
        holder, index = target.named_kids()
        members.set_index(await frame.plain(holder), await frame.plain(index), None if value is NOTHING else value)
    elif target.kind == "array_literal_expression":
        await _store_each(frame, target, value)
    else:
        said = "The assignment expression is not valid. The input to an assignment operator must be an object that is"
        raise failure(f"{said} able to accept assignments, such as a variable or a property.", "InvalidLeftHandSide")


async def _store_member(frame: Frame, target: Node, value: Any) -> None:
    holder, sign, name_node = target.kids
    name = await member_name(frame, name_node)
    owner = await frame.plain(holder)
    if sign.text == "::":
        dotnet.set_static(frame.session, type_of(owner), name, value)
    else:
        members.set_member(owner, name, value)


async def _store_each(frame: Frame, target: Node, value: Any) -> None:
    targets, values = target.named_kids(), convert.items(value)
    for number, each in enumerate(targets):
        rest: Any = values[number] if number < len(values) else None
        if number == len(targets) - 1 and len(values) > len(targets):
            rest = values[number:]
        await store(frame, each, rest)


EXPRESSIONS: dict[str, Expression] = {
    "assignment_expression": assign,
    "post_increment_expression": _stepped(1, before=False),
    "post_decrement_expression": _stepped(-1, before=False),
    "pre_increment_expression": _stepped(1, before=True),
    "pre_decrement_expression": _stepped(-1, before=True),
}
