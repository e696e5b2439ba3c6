"""What stands behind a command's name: arguments read from the tree, and bound to parameters by name or place."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.lab import texts
from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.evaluate import argument_values, invoke, member_name, variable_name
from orchestrator.lab.powershell.frame import Frame
from orchestrator.lab.powershell.source import Node
from orchestrator.lab.powershell.values import Block, Failed, Table, failure, unsupported

_REDIRECTION = re.compile(r"([1-6*]?)>>?(&1|.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: a parameter's `name` (without its dash) with what a colon ties to it, or a value. `raw` is how it
    was written, for programs."""

    name: str | None
    value: Any = None
    raw: str = ""
    tied: bool = False


@dataclass(slots=True)
class Redirections:
    """Streams that lead elsewhere, by number: `null`, or `1` for the output."""

    streams: dict[str, str] = field(default_factory=dict)

    def add(self, stream: str, goal: str) -> None:
        """One redirection. Raises Failed for a file."""
        if goal not in ("$null", "&1"):
            raise unsupported(f"redirection to '{goal}'")
        for each in ("1", "2", "3", "4", "5", "6") if stream == "*" else (stream or "1",):
            if not (goal == "&1" and each == "1"):
                self.streams[each] = "1" if goal == "&1" else "null"


async def read(frame: Frame, elements: Sequence[Node]) -> tuple[list[Argument], Redirections]:
    """The arguments of a command, evaluated from left to right. Raises Failed."""
    arguments: list[Argument] = []
    redirections = Redirections()
    rest = list(elements)
    while rest:
        node = rest.pop(0)
        if node.kind == "redirection":
            _redirect(node, redirections)
        elif node.kind == "command_parameter":
            arguments.append(await _parameter(frame, node, rest))
        elif node.kind == "generic_token" and (found := _REDIRECTION.fullmatch(node.text)):
            _redirect_word(found, rest, redirections)
        elif node.kind == "variable" and node.text.startswith("@"):
            arguments += _splatted(frame, node)
        else:
            arguments.append(Argument(None, await _value(frame, node, rest), _raw(node)))
    return arguments, redirections


def _raw(node: Node) -> str:
    number = node.kind in ("integer_literal", "real_literal")
    return node.text if number or (node.kind == "expression_with_unary_operator" and node.text[1:].isdigit()) else ""


def _redirect(node: Node, redirections: Redirections) -> None:
    operator, *rest = node.kids
    text = operator.text.strip()
    if operator.kind == "merging_redirection_operator":
        redirections.add(text.partition(">")[0], text.partition(">")[2])
    else:
        redirections.add(text.rstrip(">"), rest[0].text.strip().lower() if rest else "")


def _redirect_word(found: re.Match[str], rest: list[Node], redirections: Redirections) -> None:
    goal = found[2] or (rest.pop(0).text if rest else "")
    redirections.add(found[1], goal.lower())


async def _parameter(frame: Frame, node: Node, rest: list[Node]) -> Argument:
    tied = node.text.endswith(":")
    name = node.text.rstrip(":")
    if tied and rest:
        value = rest.pop(0)
        return Argument(name[1:], await _value(frame, value, rest), f"{name}:", tied=True)
    return Argument(name[1:], raw=node.text)


def _splatted(frame: Frame, node: Node) -> list[Argument]:
    value = frame.get(variable_name(node))
    if isinstance(value, Table):
        return [Argument(convert.text(key), item, f"-{convert.text(key)}:", tied=True) for key, item in value]
    if convert.is_null(value):
        return []
    return [item if isinstance(item, Argument) else Argument(None, item) for item in convert.items(value)]


async def _value(frame: Frame, node: Node, rest: list[Node]) -> Any:
    """One argument with what belongs to it: the parentheses of a call, and further elements of a bare list."""
    first = node
    value = await _called(frame, node, rest)
    parts = [value]
    is_list = False
    while rest and rest[0].kind != "redirection" and _goes_on(node, rest[0]):
        node = rest.pop(0)
        if not is_list and first.kind == "array_literal_expression":
            parts = list(value)
        is_list = True
        if further := _behind_comma(node):
            parts += [await frame.plain(each) for each in further]
            continue
        if node.kind == "generic_token" and node.text.startswith(","):
            if len(node.text) > 1:
                parts += node.text[1:].rstrip(",").split(",")
            continue
        parts.append(await _called(frame, node, rest))
    if not is_list and node.kind == "generic_token" and "," in node.text.strip(","):
        return value.split(",")
    if is_list and isinstance(parts[0], str) and parts[0].endswith(","):
        parts[0] = parts[0][:-1]
    return parts if is_list else value


def _behind_comma(node: Node) -> list[Node]:
    """The elements of `, b, c` that stands behind a blank: the grammar takes it for an argument of its own."""
    if node.kind == "expression_with_unary_operator":
        return [node.kids[-1]] if node.kids[0].text == "," else []
    if node.kind == "array_literal_expression":
        first, *rest = node.named_kids()
        head = _behind_comma(first)
        return [*head, *rest] if head else []
    return []


def _goes_on(before: Node, after: Node) -> bool:
    if after.kind == "command_parameter":
        return False
    comma_behind = before.kind == "generic_token" and before.text.endswith(",")
    return comma_behind or bool(_behind_comma(after)) or (after.kind == "generic_token" and after.text.startswith(","))


async def _called(frame: Frame, node: Node, rest: list[Node]) -> Any:
    """A value; `$a.b` followed at once by parentheses is a call, which the grammar doesn't see in arguments."""
    if not (rest and rest[0].kind == "argument_list" and rest[0].start == node.end and node.kind == "member_access"):
        return await frame.plain(node)
    target, sign, name_node = node.kids
    values = await argument_values(frame, rest.pop(0))
    name = await member_name(frame, name_node)
    return await invoke(frame, await frame.plain(target), name, values, static=sign.text == "::")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a command takes: parameters with values and switches, in their own spelling; places; other names."""

    values: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    takes_rest: bool = False
    """Whether further arguments belong to the last place."""


COMMON = Parameters(
    ("ErrorAction", "WarningAction", "InformationAction", "ErrorVariable", "WarningVariable", "OutVariable"),
    ("Verbose", "Debug"),
    aliases={"ea": "ErrorAction", "wa": "WarningAction", "ev": "ErrorVariable", "vb": "Verbose", "db": "Debug"},
)


def no_parameter(language: str, given: str, command: str, class_name: str) -> Failed:
    """The error for a parameter that a command does not have."""
    return failure(
        texts.say("no parameter", language, given),
        f"NamedParameterNotFound,{class_name}",
        exception="System.Management.Automation.ParameterBindingException",
        category=(5, "InvalidArgument"),
        activity=command,
    )


def find(name: str, known: Collection[str], aliases: Mapping[str, str], language: str, who: tuple[str, str]) -> str:
    """The parameter that *name* means: itself, another name, or the only one that begins so. Raises Failed."""
    wanted = name.casefold()
    for each in known:
        if each.casefold() == wanted:
            return each
    if wanted in aliases:
        return aliases[wanted]
    begins = sorted({each for each in known if each.casefold().startswith(wanted)})
    if len(begins) == 1:
        return begins[0]
    if not begins:
        raise no_parameter(language, name, *who)
    possible = " ".join(f"-{each}" for each in begins)
    raise failure(
        f"Parameter cannot be processed because the parameter name '{name}' is ambiguous. Possible matches include:"
        f" {possible}.",
        f"AmbiguousParameter,{who[1]}",
        exception="System.Management.Automation.ParameterBindingException",
        category=(5, "InvalidArgument"),
        activity=who[0],
    )


def bind(
    takes: Parameters, arguments: Sequence[Argument], language: str, who: tuple[str, str]
) -> tuple[dict[str, Any], list[Any]]:
    """Values by parameter in its own spelling, and the arguments that found no place. *who* names the command.

    Raises: Failed.
    """
    bound: dict[str, Any] = {}
    loose: list[Any] = []
    switches = {*takes.switches, *COMMON.switches}
    known = [*takes.values, *takes.switches, *COMMON.values, *COMMON.switches]
    aliases = {**COMMON.aliases, **takes.aliases}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument.name is None:
            loose.append(argument.value)
            continue
        name = find(argument.name, known, aliases, language, who)
        if name in bound:
            said = f"Cannot bind parameter because parameter '{name}' is specified more than once."
            raise _binding_failure(said, f"ParameterAlreadyBound,{who[1]}", who[0])
        if name in switches:
            bound[name] = convert.truth(argument.value) if argument.tied else True
        elif argument.tied:
            bound[name] = argument.value
        elif rest and rest[0].name is None:
            bound[name] = rest.pop(0).value
        else:
            said = f"Missing an argument for parameter '{name}'. Specify a parameter and try again."
            raise _binding_failure(said, f"MissingArgument,{who[1]}", who[0])
    return bound, _placed(takes, bound, loose)


def _placed(takes: Parameters, bound: dict[str, Any], loose: list[Any]) -> list[Any]:
    free = [place for place in takes.places if place not in bound]
    while free and loose:
        place = free.pop(0)
        if takes.takes_rest and not free and len(loose) > 1:
            bound[place] = list(loose)
            return []
        bound[place] = loose.pop(0)
    return loose


def _binding_failure(said: str, id: str, command: str) -> Failed:
    return failure(
        said,
        id,
        exception="System.Management.Automation.ParameterBindingException",
        category=(5, "InvalidArgument"),
        activity=command,
    )


def no_place(value: Any, command: str, class_name: str) -> Failed:
    """The error for an argument that no parameter takes."""
    said = f"A positional parameter cannot be found that accepts argument '{convert.text(value)}'."
    return _binding_failure(said, f"PositionalParameterNotFound,{class_name}", command)


@dataclass(frozen=True, slots=True)
class Declared:
    """One parameter of a function."""

    name: str
    types: tuple[Node, ...]
    default: Node | None
    mandatory: bool
    from_pipeline: bool
    is_advanced: bool

    @property
    def is_switch(self) -> bool:
        """Whether it is declared as [switch]."""
        return any(kind.text.strip("[] ").lower() == "switch" for kind in self.types)


def declared(block: Block) -> list[Declared]:
    """The parameters of a block, in order."""
    listed = block.parameters.kid("parameter_list") if block.parameters else None
    return [_declared(parameter) for parameter in listed.all("script_parameter")] if listed else []


def _declared(parameter: Node) -> Declared:
    attributes = parameter.kid("attribute_list")
    types: list[Node] = []
    options: dict[str, bool] = {}
    advanced = False
    for attribute in attributes.all("attribute") if attributes else ():
        if kind := attribute.kid("type_literal"):
            types.append(kind)
            continue
        name = attribute.kid("attribute_name")
        if name is None or name.text.strip().lower() not in (
            "parameter",
            "alias",
            "allownull",
            "allowemptystring",
            "allowemptycollection",
        ):
            raise unsupported(f"the attribute {attribute.text}")
        advanced = advanced or name.text.strip().lower() == "parameter"
        given = attribute.kid("attribute_arguments")
        for argument in given.all("attribute_argument") if given else ():
            option = argument.kids[0].text.strip().lower()
            options[option] = len(argument.kids) < 3 or argument.kids[2].text.strip().lower() != "$false"
    variable, default = parameter.kid("variable"), parameter.kid("script_parameter_default")
    return Declared(
        variable_name(variable) if variable else "",
        tuple(types),
        default.named_kids()[0] if default else None,
        options.get("mandatory", False),
        options.get("valuefrompipeline", False),
        advanced,
    )
