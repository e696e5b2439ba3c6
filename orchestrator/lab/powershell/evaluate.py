"""Expressions: literals, variables, members, indexes, casts, operators, hashtables, script blocks."""

import functools
import re
from typing import Any

from orchestrator.lab.powershell import convert, dotnet, members, operators
from orchestrator.lab.powershell.frame import Expression, Frame, Quick
from orchestrator.lab.powershell.source import Node
from orchestrator.lab.powershell.types import full_name
from orchestrator.lab.powershell.values import NOTHING, Block, Failed, Table, Type, failure, unsupported

_QUOTES = "'\u2018\u2019\u201a\u201b"
_DOUBLE_QUOTES = '"\u201c\u201d\u201e'
_DOUBLED = re.compile(f"[{_QUOTES}]([{_QUOTES}])")
_ESCAPED = re.compile(f"`(\r\n|.)|[{_DOUBLE_QUOTES}]([{_DOUBLE_QUOTES}])", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def no_type(written: str) -> Failed:
    """The error for a type that is not there."""
    return failure(f"Unable to find type [{written}].", "TypeNotFound", target=written, target_type="TypeName")


def named_type(node: Node) -> str:
    """The full name of a type literal. Raises Failed."""
    written = node.text.strip()[1:-1]
    found = full_name(written)
    if found is None:
        raise no_type(written)
    return found


def variable_name(node: Node) -> str:
    """`x` of $x, ${x} and @x."""
    name = node.text[1:]
    return name[1:-1] if name.startswith("{") else name


@functools.lru_cache(maxsize=2048)
def unescaped(raw: str, *, here: bool = False) -> str:
    """What stands between variables in an expandable string."""

    def meant(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0] if here else str(found[2])
        return _ESCAPES.get(found[1], "" if found[1] in ("\n", "\r\n") else found[1])

    return _ESCAPED.sub(meant, raw)


def _variable(frame: Frame, node: Node) -> Any:
    if node.text.startswith("@"):
        said = f"The splatting operator '@' cannot be used to reference variables in an expression. '{node.text}'"
        raise failure(said, "SplattingNotPermitted", category=(17, "ParserError"))
    return frame.get(variable_name(node))


def _number(frame: Frame, node: Node) -> Any:
    found = convert.parse_number(node.text)
    if found is None:
        raise unsupported(f"the number {node.text}")
    return found


def verbatim(raw: str) -> str:
    """The text of a single-quoted string with its quotes; any of the five quote characters doubled is one."""
    inside = raw[1:-1]
    return inside.replace("''", "'") if raw.isascii() else _DOUBLED.sub(r"\1", inside)


def _here(frame: Frame, node: Node) -> str:
    _, _, inside = node.text.partition("\n")
    return inside[: inside.rindex("\n")].removesuffix("\r") if "\n" in inside else ""


def _type(frame: Frame, node: Node) -> Type:
    return Type(named_type(node))


def _block(frame: Frame, node: Node) -> Block:
    return block_of(node)


def block_of(node: Node, name: str = "", *, is_filter: bool = False) -> Block:
    """The script block of a node that holds one: { } or a function."""
    script = node.kid("script_block")
    holder = script or node
    parameters = holder.kid("param_block") or node.kid("param_block")
    body = script.kid("script_block_body") if script else None
    return Block(node, parameters, body, name, is_filter)


async def text_value(frame: Frame, node: Node) -> str:
    """A bare word or an expandable string: text with variables in it."""
    here = node.kind == "expandable_here_string_literal"
    start, end = node.start, node.end
    if here:
        start += node.text.index("\n") + 1
        end = node.start + node.text.rindex("\n")
    elif node.kind == "expandable_string_literal":
        start, end = start + 1, end - 1
    out: list[str] = []

    def literal(until: int) -> None:
        raw = node.text[max(0, start - node.start) : max(0, until - node.start)]
        out.append(_bare(raw) if node.kind in ("generic_token", "command_name") else unescaped(raw, here=here))

    for kid in node.kids:
        if kid.kind not in ("variable", "sub_expression") or kid.start < start:
            continue
        literal(kid.start)
        out.append(joined(frame, await frame.value(kid)))
        start = kid.end
    literal(end)
    operators.check_length(out)
    return "".join(out)


def _bare(raw: str) -> str:
    return re.sub(r"`(.)", r"\1", raw.replace('"', "").replace("'", ""), flags=re.DOTALL)


def joined(frame: Frame, value: Any) -> str:
    """A value within a string: an array's elements stand with $OFS between them."""
    if isinstance(value, (list, bytes)):
        between = frame.get("ofs")
        return (" " if between is None else convert.text(between)).join(convert.text(item) for item in value)
    return convert.text(value)


async def _string(frame: Frame, node: Node) -> Any:
    return await frame.value(node.kids[0])


async def _parenthesized(frame: Frame, node: Node) -> Any:
    return await pipeline_value(frame, node.named_kids()[0])


async def pipeline_value(frame: Frame, node: Node) -> Any:
    """A pipeline as a value: an expression alone is not taken apart."""
    while node.kind in ("pipeline", "while_condition", "for_condition") and len(node.kids) == 1:
        node = node.kids[0]
    if node.kind in frame.session.language.quick or node.kind in frame.session.language.expressions:
        return await frame.value(node)
    return convert.single(await frame.collect(node))


async def _statements(frame: Frame, node: Node) -> Any:
    """$( ): what the statements put out."""
    return convert.single(await _all_of(frame, node))


async def _array(frame: Frame, node: Node) -> Any:
    return await _all_of(frame, node)


async def _all_of(frame: Frame, node: Node) -> list[Any]:
    statements = node.fields.get("statements")
    return await frame.collect(statements) if statements else []


async def _elements(frame: Frame, node: Node) -> Any:
    found: list[Any] = []
    for kid in node.named_kids():
        if kid.kind == "array_literal_expression":
            found += await _elements(frame, kid)
        else:
            found.append(await frame.plain(kid))
    return found


async def _hash(frame: Frame, node: Node) -> Any:
    return await hash_value(frame, node, ordered=False)


async def hash_value(frame: Frame, node: Node, *, ordered: bool) -> Table:
    """@{ }, its keys once each."""
    table = Table(ordered=ordered)
    body = node.kid("hash_literal_body")
    for entry in body.all("hash_entry") if body else ():
        key_node, *_, value_node = entry.named_kids()
        inner = key_node.kids[0] if key_node.kids else key_node
        key = inner.text if inner.kind in ("simple_name", "key_expression") else await frame.plain(inner)
        if key in table:
            said = f"Item has already been added. Key in dictionary: '{convert.text(key)}'"
            raise failure(said, "DuplicateKeyInHashLiteral")
        value = await pipeline_value(frame, value_node)
        table[key] = None if value is NOTHING else value
    return table


async def _cast(frame: Frame, node: Node) -> Any:
    kind, inner = node.named_kids()
    if inner.kind == "hash_literal_expression" and kind.text.strip("[] ").lower() in ("ordered", "pscustomobject"):
        table = await hash_value(frame, inner, ordered=True)
        return convert.cast(table, named_type(kind))
    wanted = named_type(kind)
    value = await frame.plain(inner)
    return dotnet.cast(frame.session, value, wanted)


async def _unary(frame: Frame, node: Node) -> Any:
    if len(node.kids) == 1:
        return await frame.value(node.kids[0])
    sign, inner = node.kids[0].text.lower(), node.kids[-1]
    value = await frame.plain(inner)
    if sign not in _UNARY:
        raise unsupported(f"the operator {sign}")
    return _UNARY[sign](value)


_UNARY: dict[str, Any] = {
    ",": lambda value: [value],
    "-not": lambda value: not convert.truth(value),
    "!": lambda value: not convert.truth(value),
    "+": lambda value: operators.add(0, value),
    "-": lambda value: operators.subtract(0, value),
    "-bnot": lambda value: ~int(convert.cast(value, "System.Int64")),
    "-join": lambda value: "".join(convert.text(item) for item in convert.items(value)),
    "-split": lambda value: [part for item in convert.items(value) for part in convert.text(item).split()],
}


async def _logical(frame: Frame, node: Node) -> Any:
    left, word, right = node.kids
    one = convert.truth(await frame.value(left))
    operator = word.text.lower()
    if operator == "-xor":
        return one != convert.truth(await frame.value(right))
    if operator == "-and":
        return one and convert.truth(await frame.value(right))
    return one or convert.truth(await frame.value(right))


async def _comparison(frame: Frame, node: Node) -> Any:
    left_node, word, right_node = node.kids
    left, right = await frame.plain(left_node), await frame.plain(right_node)
    operator = word.text.strip().lower()
    if operator in ("-match", "-imatch", "-cmatch") and not isinstance(left, list):
        found = operators.match(left, right, cased=operator == "-cmatch")
        if found:
            frame.set("matches", _matches(found))
        return found is not None
    if operator.endswith("replace") and isinstance(right, list) and len(right) == 2 and isinstance(right[1], Block):
        raise unsupported("a script block as replacement")
    return operators.compare(operator, left, right)


def _matches(found: re.Match[str]) -> Table:
    table = Table()
    for number, group in enumerate((found[0], *found.groups())):
        if group is not None:
            table[number] = group
    for name, group in found.groupdict().items():
        if group is not None:
            table[name] = group
    return table


async def _binary(frame: Frame, node: Node) -> Any:
    left, word, right = node.kids
    operator = word.text.strip().lower()
    work = operators.ARITHMETIC.get(operator)
    if work is None:
        raise unsupported(f"the operator {operator}")
    return work(await frame.plain(left), await frame.plain(right))


async def _format(frame: Frame, node: Node) -> Any:
    left, _, right = node.kids
    pattern = convert.text(await frame.plain(left))
    return dotnet.formatted(frame.session, pattern, convert.items(await frame.plain(right)))


async def _member(frame: Frame, node: Node) -> Any:
    target, sign, name_node = node.kids
    name = await member_name(frame, name_node)
    value = await frame.plain(target)
    if sign.text == "::":
        return dotnet.static(frame.session, type_of(value), name)
    return members.get(frame.session, value, name)


def type_of(value: Any) -> str:
    """The type on the left of `::`."""
    if isinstance(value, Type):
        return value.name
    if isinstance(value, str) and (found := full_name(value)):
        return found
    raise unsupported(f"a static member of '{convert.text(value)}'")


async def member_name(frame: Frame, node: Node) -> str:
    """What stands behind the dot: a name, or an expression that gives one."""
    inner = node.kids[0] if node.kids else node
    if inner.kind in ("simple_name", "member_name"):
        return inner.text
    return convert.text(await frame.plain(inner))


async def _invoke(frame: Frame, node: Node) -> Any:
    if node.kids[0].kind == "invokation_foreach_expression":
        raise unsupported("the method .foreach{}")
    target, sign, name_node, arguments = node.kids
    name = await member_name(frame, name_node)
    value = await frame.plain(target)
    return await invoke(frame, value, name, await argument_values(frame, arguments), static=sign.text == "::")


async def argument_values(frame: Frame, node: Node) -> list[Any]:
    """What stands in the parentheses of a call."""
    listed = node.kid("argument_expression_list")
    return [await frame.plain(kid) for kid in listed.named_kids()] if listed else []


async def invoke(frame: Frame, value: Any, name: str, arguments: list[Any], *, static: bool) -> Any:
    """Call a method of a value, or of a type."""
    if static:
        return await dotnet.call(frame.session, type_of(value), name, arguments)
    return await members.call(frame, value, name, arguments)


async def _index(frame: Frame, node: Node) -> Any:
    target, index = node.named_kids()
    return members.index(await frame.plain(target), await frame.plain(index))


QUICK: dict[str, Quick] = {
    "variable": _variable,
    "integer_literal": _number,
    "decimal_integer_literal": _number,
    "hexadecimal_integer_literal": _number,
    "real_literal": _number,
    "verbatim_string_characters": lambda frame, node: verbatim(node.text),
    "verbatim_here_string_characters": _here,
    "type_literal": _type,
    "script_block_expression": _block,
}
EXPRESSIONS: dict[str, Expression] = {
    "string_literal": _string,
    "expandable_string_literal": text_value,
    "expandable_here_string_literal": text_value,
    "generic_token": text_value,
    "parenthesized_expression": _parenthesized,
    "sub_expression": _statements,
    "array_expression": _array,
    "array_literal_expression": _elements,
    "hash_literal_expression": _hash,
    "cast_expression": _cast,
    "expression_with_unary_operator": _unary,
    "logical_expression": _logical,
    "logical_argument_expression": _logical,
    "comparison_expression": _comparison,
    "comparison_argument_expression": _comparison,
    "bitwise_argument_expression": _logical,
    "format_expression": _format,
    "format_argument_expression": _format,
    "member_access": _member,
    "invokation_expression": _invoke,
    "element_access": _index,
    **dict.fromkeys(
        (
            "bitwise_expression",
            "additive_expression",
            "additive_argument_expression",
            "multiplicative_expression",
            "multiplicative_argument_expression",
            "range_expression",
            "range_argument_expression",
        ),
        _binary,
    ),
}
