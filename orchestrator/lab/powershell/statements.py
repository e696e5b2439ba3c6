"""Statements: lists, conditions, loops, switch, try, functions, and the ways out of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.lab.powershell import convert, operators
from orchestrator.lab.powershell.evaluate import block_of, named_type, pipeline_value, variable_name
from orchestrator.lab.powershell.frame import Frame, Sink, Statement
from orchestrator.lab.powershell.source import Node
from orchestrator.lab.powershell.types import is_a
from orchestrator.lab.powershell.values import (
    ErrorRecord,
    Exit,
    Failed,
    Leave,
    NetException,
    Return,
    failure,
    unsupported,
)

_RUNTIME = "System.Management.Automation.RuntimeException"
_PASSED = frozenset({"empty_statement", "{", "}", ";", "("})
_WITHOUT_OUTPUT = frozenset(
    {
        "assignment_expression",
        "post_increment_expression",
        "post_decrement_expression",
        "pre_increment_expression",
        "pre_decrement_expression",
    }
)


async def _list(frame: Frame, node: Node, sink: Sink) -> None:
    """One statement after the other: an error that nothing catches ends its own statement only."""
    for kid in node.kids:
        if kid.kind in _PASSED:
            continue
        frame.session.statement = kid
        try:
            await frame.run(kid, sink)
        except Failed as exc:
            if exc.fatal or frame.session.tries or _stops(frame):
                raise
            exc.record.at = exc.record.at or kid.text
            _report(frame, exc.record)


def _stops(frame: Frame) -> bool:
    return operators.equal(frame.get("erroractionpreference"), "Stop")


def _report(frame: Frame, record: ErrorRecord) -> None:
    if convert.text(frame.get("erroractionpreference")).lower() in ("silentlycontinue", "ignore"):
        frame.session.ok = False
        frame.session.errors.insert(0, record)
    else:
        frame.session.put_error(record)


async def _block(frame: Frame, node: Node, sink: Sink) -> None:
    """{ } of a statement: its list, or the one statement that the grammar left alone."""
    await _list(frame, node, sink)


async def _if(frame: Frame, node: Node, sink: Sink) -> None:
    if await _holds(frame, node.fields["condition"]):
        await _then(frame, node, sink)
        return
    for clauses in node.all("elseif_clauses"):
        for clause in clauses.all("elseif_clause"):
            if await _holds(frame, clause.fields["condition"]):
                await _then(frame, clause, sink)
                return
    if last := node.kid("else_clause"):
        await _then(frame, last, sink)


async def _holds(frame: Frame, condition: Node) -> bool:
    return convert.truth(await pipeline_value(frame, condition))


async def _then(frame: Frame, node: Node, sink: Sink) -> None:
    block = node.kid("statement_block")
    if block is not None:
        await frame.run(block, sink)


async def _turn(frame: Frame, node: Node, sink: Sink) -> bool:
    """The body of a loop once; False when the loop is left."""
    try:
        await _then(frame, node, sink)
    except Leave as exc:
        return _stays(node, exc)
    return True


def _stays(node: Node, leave: Leave) -> bool:
    """Whether the loop *node* goes on. Raises Leave if another loop is meant."""
    label = node.fields.get("label")
    if leave.label and (label is None or leave.label != _label(label)):
        raise leave
    return leave.goes_on


def _label(node: Node) -> str:
    return node.text.strip(": ").casefold()


async def _foreach(frame: Frame, node: Node, sink: Sink) -> None:
    if node.kid("foreach_parameter"):
        raise unsupported("foreach -parallel")
    variable, collection = (kid for kid in node.named_kids() if kid.kind != "statement_block")
    values = await pipeline_value(frame, collection)
    for value in [] if convert.is_null(values) else convert.items(values):
        frame.set(variable_name(variable), value)
        if not await _turn(frame, node, sink):
            break


async def _while(frame: Frame, node: Node, sink: Sink) -> None:
    while await _holds(frame, node.fields["condition"]):
        if not await _turn(frame, node, sink):
            break


async def _do(frame: Frame, node: Node, sink: Sink) -> None:
    wanted = node.kid("until") is None
    while await _turn(frame, node, sink):
        if await _holds(frame, node.fields["condition"]) is not wanted:
            break


async def _for(frame: Frame, node: Node, sink: Sink) -> None:
    async def quietly(part: str) -> None:
        if found := node.fields.get(part):
            await frame.collect(found.kids[0])

    condition = node.fields.get("for_condition")
    await quietly("for_initializer")
    while condition is None or await _holds(frame, condition):
        if not await _turn(frame, node, sink):
            break
        await quietly("for_iterator")


async def _switch(frame: Frame, node: Node, sink: Sink) -> None:
    modes = {parameter.text.lower() for holder in node.all("switch_parameters") for parameter in holder.kids}
    condition, body = node.kid("switch_condition"), node.kid("switch_body")
    if condition is None or body is None or not condition.kids or condition.kids[0].text != "(":
        raise unsupported("switch -file")
    values = await pipeline_value(frame, condition.named_kids()[0])
    clauses = [clause for holder in body.all("switch_clauses") for clause in holder.all("switch_clause")]
    for value in [None] if convert.is_null(values) else convert.items(values):
        frame.variables["_"] = value
        if not await _switch_one(frame, node, clauses, modes, sink):
            break


async def _switch_one(frame: Frame, node: Node, clauses: list[Node], modes: set[str], sink: Sink) -> bool:
    matched, value = False, frame.variables["_"]
    default: Node | None = None
    try:
        for clause in clauses:
            condition = clause.kids[0]
            if condition.text.strip().lower() == "default":
                default = clause
            elif await _case_holds(frame, value, condition, modes):
                matched = True
                await _then(frame, clause, sink)
        if not matched and default is not None:
            await _then(frame, default, sink)
    except Leave as exc:
        return _stays(node, exc)
    return True


async def _case_holds(frame: Frame, value: Any, condition: Node, modes: set[str]) -> bool:
    cased = "-casesensitive" in modes
    inner = condition.kids[0] if condition.kids else None
    if inner is None:
        case: Any = condition.text.strip()
    elif inner.kind == "script_block_expression":
        return convert.truth(convert.single(await call_in_place(frame, inner)))
    else:
        case = await frame.plain(inner)
    if "-regex" in modes:
        return operators.match(value, case, cased=cased) is not None
    if "-wildcard" in modes:
        return operators.like(value, case, cased=cased)
    return operators.equal(value, case, cased=cased)


async def call_in_place(frame: Frame, node: Node) -> list[Any]:
    """What a script block puts out, run in the scope where it stands."""
    block = block_of(node)
    return await frame.collect(block.body) if block.body else []


async def _try(frame: Frame, node: Node, sink: Sink) -> None:
    clauses, last = node.kid("catch_clauses"), node.kid("finally_clause")
    if clauses is None and last is None:
        said = "The Try statement is missing its Catch or Finally block."
        raise failure(said, "MissingCatchOrFinally", category=(17, "ParserError"))
    try:
        await _caught(frame, node, list(clauses.all("catch_clause")) if clauses else [], sink)
    finally:
        if last is not None:
            await _then(frame, last, sink)


async def _caught(frame: Frame, node: Node, clauses: list[Node], sink: Sink) -> None:
    session = frame.session
    session.tries += bool(clauses)
    depth = session.depth
    try:
        await _then(frame, node, sink)
        return
    except Failed as exc:
        failed = exc
    finally:
        session.tries -= bool(clauses)
    session.depth = depth
    clause, record = _handler(clauses, failed.record)
    if clause is None:
        raise failed
    session.errors.insert(0, record)
    held = frame.get("_")
    frame.variables["_"] = record
    try:
        await _then(frame, clause, sink)
    finally:
        frame.variables["_"] = held


def _handler(clauses: Sequence[Node], record: ErrorRecord) -> tuple[Node | None, ErrorRecord]:
    """The clause that takes an error, and the error as it sees it: by type what a method threw, else the whole."""
    inner = record.exception.inner
    if inner is not None and _RUNTIME in record.exception.bases:
        for clause in clauses:
            if _names(clause, inner):
                return clause, replace(record, exception=inner)
    for clause in clauses:
        if clause.kid("catch_type_list") is None or _names(clause, record.exception):
            return clause, record
    return None, record


def _names(clause: Node, exception: NetException) -> bool:
    types = clause.kid("catch_type_list")
    return types is not None and any(is_a(exception, named_type(kind)) for kind in types.all("type_literal"))


async def _flow(frame: Frame, node: Node, sink: Sink) -> None:
    word, *rest = node.kids
    keyword = word.text.strip().lower()
    inner = rest[0] if rest else None
    if keyword in ("break", "continue"):
        raise Leave(_label(inner) if inner else "", goes_on=keyword == "continue")
    if keyword == "return":
        if inner is not None:
            await frame.run(inner, sink)
        raise Return
    if keyword == "throw" and inner is None and isinstance(held := frame.get("_"), ErrorRecord):
        raise Failed(held, fatal=True)
    value = None if inner is None else await pipeline_value(frame, inner)
    if keyword == "exit":
        raise Exit(int(convert.cast(value, "System.Int32")) if not convert.is_null(value) else 0)
    raise thrown(value, "ScriptHalted" if inner is None else "")


def thrown(value: Any, id: str = "") -> Failed:
    """What `throw` makes of a value: an error record or exception as it is, anything else as text."""
    if id:
        return Failed(_runtime(id, id), fatal=True)
    if isinstance(value, ErrorRecord):
        return Failed(value, fatal=True)
    if isinstance(value, NetException):
        return Failed(ErrorRecord(value, value.message, (14, "OperationStopped")), fatal=True)
    said = convert.text(value)
    record = _runtime(said, said)
    record.target, record.target_name, record.target_type = value, said, "String" if isinstance(value, str) else ""
    return Failed(record, fatal=True)


def _runtime(said: str, id: str) -> ErrorRecord:
    return failure(said, id, category=(14, "OperationStopped")).record


async def _function(frame: Frame, node: Node, sink: Sink) -> None:
    keyword = node.kids[0].text.strip().lower()
    if keyword == "workflow":
        raise unsupported("workflow")
    name = node.kid("function_name")
    if name is None:
        raise unsupported("a function without a name")
    block = block_of(node, name.text, is_filter=keyword == "filter")
    if declared := node.kid("function_parameter_declaration"):
        block.parameters = declared
    frame.functions[name.text.casefold()] = block


async def _script(frame: Frame, node: Node, sink: Sink) -> None:
    """A program, or the body of a block."""
    for kid in node.named_kids():
        if kid.kind == "param_block":
            raise unsupported("param() of a whole script")
        await frame.run(kid, sink)


async def _pipeline(frame: Frame, node: Node, sink: Sink) -> None:
    """A pipeline of one expression; those with commands are `pipelines`' affair."""
    inner = node
    while inner.kind == "pipeline" and len(inner.kids) == 1:
        inner = inner.kids[0]
    if inner.kind == "pipeline":
        raise unsupported("the separator " + next((kid.text for kid in inner.kids if "tail" in kid.kind), inner.text))
    if inner.kind in frame.session.language.statements:
        await frame.run(inner, sink)
        return
    if inner.kind in _WITHOUT_OUTPUT:
        await frame.value(inner)
        frame.session.ok = True
        return
    if inner.kind == "expression_with_unary_operator" and inner.kids[0].kind in _WITHOUT_OUTPUT:
        await frame.value(inner)
        return
    for value in convert.items(await frame.value(inner)):
        await sink(value)
    frame.session.ok = True


async def _empty(frame: Frame, node: Node, sink: Sink) -> None:
    return


STATEMENTS: dict[str, Statement] = {
    "program": _script,
    "script_block_body": _script,
    "statement_list": _list,
    "statement_block": _block,
    "empty_statement": _empty,
    "if_statement": _if,
    "foreach_statement": _foreach,
    "while_statement": _while,
    "do_statement": _do,
    "for_statement": _for,
    "switch_statement": _switch,
    "try_statement": _try,
    "flow_control_statement": _flow,
    "function_statement": _function,
    "pipeline": _pipeline,
}
