"""The cmdlets that work on whatever is piped to them."""

import functools
from collections.abc import Callable
from typing import Any

from orchestrator.lab.powershell import convert, members, operators
from orchestrator.lab.powershell.binding import Parameters
from orchestrator.lab.powershell.frame import Frame
from orchestrator.lab.powershell.invocation import Cmdlet, Invocation
from orchestrator.lab.powershell.values import Block, Custom, Enough, Return, Table, failure, unsupported
from orchestrator.lab.wildcard import has_wildcards, matcher

_ABSENT = object()


async def _run_block(frame: Frame, block: Block, value: Any, sink: Any) -> None:
    """A script block for one object, in the scope where it was written."""
    if block.body is None:
        return
    if block.parameters is not None:
        raise unsupported("parameters of a block that a cmdlet runs")
    held = frame.variables.get("_", _ABSENT)
    frame.variables["_"] = value
    frame.enter()
    try:
        await frame.run(block.body, sink)
    except Return:
        return
    finally:
        frame.leave()
        if held is _ABSENT:
            frame.variables.pop("_", None)
        else:
            frame.variables["_"] = held


async def block_value(frame: Frame, block: Block, value: Any) -> Any:
    """What a script block gives for one object."""
    found: list[Any] = []

    async def keep(item: Any) -> None:
        found.append(item)

    await _run_block(frame, block, value, keep)
    return convert.single(found)


async def _foreach(call: Invocation, value: Any) -> None:
    work = call.get("Process")
    if isinstance(work, str) or "MemberName" in call.bound:
        name = work if isinstance(work, str) else call.text("MemberName")
        for item in convert.items(members.get(call.frame.session, value, name)):
            await call.out(item)
        return
    await _begin(call)
    for block in convert.items(work)[-1 if "Begin" in call.bound else 0 :]:
        await _run_block(call.frame, _block(block), value, call.out)


async def _begin(call: Invocation) -> None:
    if "Begin" in call.bound and "begun" not in call.state:
        call.state["begun"] = True
        await _run_block(call.frame, _block(call.get("Begin")), None, call.out)


async def _foreach_end(call: Invocation) -> None:
    if "InputObject" in call.bound and not call.is_piped:
        await _foreach(call, call.get("InputObject"))
    await _begin(call)
    if "End" in call.bound:
        await _run_block(call.frame, _block(call.get("End")), None, call.out)


def _block(value: Any) -> Block:
    if isinstance(value, Block):
        return value
    said = f'Cannot convert the "{convert.text(value)}" value to type "System.Management.Automation.ScriptBlock".'
    raise failure(said, "CannotConvertArgumentNoMessage", category=(5, "InvalidArgument"))


_TESTS = ("EQ", "NE", "LT", "LE", "GT", "GE", "Like", "NotLike", "Match", "NotMatch", "Contains", "In", "NotIn", "CEQ")


async def _where(call: Invocation, value: Any) -> None:
    if await _passes(call, value):
        await call.out(value)


async def _passes(call: Invocation, value: Any) -> bool:
    condition = call.get("FilterScript", call.get("Property"))
    if isinstance(condition, Block):
        return convert.truth(await block_value(call.frame, condition, value))
    found = members.get(call.frame.session, value, convert.text(condition))
    for test in _TESTS:
        if test in call.bound:
            return convert.truth(operators.compare(test, found, call.get("Value")))
    return convert.truth(found)


async def _select(call: Invocation, value: Any) -> None:
    limit = call.whole("First", -1)
    seen = call.state.get("seen", 0)
    if seen < call.whole("Skip", 0):
        call.state["seen"] = seen + 1
        return
    if "Last" in call.bound or call.on("Unique"):
        call.items.append(value)
        return
    if limit == 0:
        raise Enough(call.stage)
    call.state["count"] = call.state.get("count", 0) + 1
    for item in await _selected(call, value):
        await call.out(item)
    if call.state["count"] == limit:
        raise Enough(call.stage)


async def _select_end(call: Invocation) -> None:
    if "InputObject" in call.bound and not call.is_piped:
        await _select(call, call.get("InputObject"))
    if "Last" in call.bound:
        call.items = call.items[-call.whole("Last", 1) :]
    given: list[Any] = []
    for value in call.items:
        for item in await _selected(call, value):
            if not call.on("Unique") or not any(_same(item, other) for other in given):
                given.append(item)
                await call.out(item)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Custom) and isinstance(other, Custom):
        return [*one.members] == [*other.members]
    return operators.equal(one, other, cased=True)


async def _selected(call: Invocation, value: Any) -> list[Any]:
    if "ExpandProperty" in call.bound:
        name = call.text("ExpandProperty")
        found = members.get(call.frame.session, value, name)
        if found is None and folded_names(value).get(name.casefold()) is None:
            said = f'Property "{name}" cannot be found.'
            id = f"ExpandPropertyNotFound,{call.cmdlet.class_name}"
            call.error(failure(said, id, category=(5, "InvalidArgument"), activity=call.cmdlet.name).record)
            return []
        return convert.items(found)
    if "Property" not in call.bound:
        return [value]
    chosen = Table(ordered=True)
    for wanted in convert.items(call.get("Property")):
        for name, found in await _properties(call, value, wanted):
            chosen[name] = found
    return [Custom(chosen, "Selected.System.Management.Automation.PSCustomObject")]


def folded_names(value: Any) -> dict[str, str]:
    """The property names of an object, by lower case."""
    return {name.casefold(): name for name, _ in members.all_of(value)}


async def _properties(call: Invocation, value: Any, wanted: Any) -> list[tuple[str, Any]]:
    if isinstance(wanted, Table):
        name, work = _calculated(wanted)
        return [(name, _null(await value_of(call.frame, value, work)))]
    if isinstance(wanted, Block):
        return [(convert.text(wanted), _null(await block_value(call.frame, wanted, value)))]
    name = convert.text(wanted)
    if has_wildcards(name):
        whole = matcher(name)
        return [(each, found) for each, found in members.all_of(value) if whole.fullmatch(each)]
    spelled = folded_names(value).get(name.casefold(), name)
    return [(spelled, members.get(call.frame.session, value, name))]


def _null(value: Any) -> Any:
    return None if convert.is_null(value) else value


def _calculated(wanted: Table) -> tuple[str, Any]:
    """@{Name=...; Expression=...}, by any beginning of the two words."""
    name, work = "", None
    for key, value in wanted:
        word = convert.text(key).lower()
        if "name".startswith(word) or "label".startswith(word):
            name = convert.text(value)
        elif "expression".startswith(word):
            work = value
        elif word not in ("ascending", "descending"):
            raise failure(f"The key '{convert.text(key)}' is not valid.", "DictionaryKeyIllegal")
    return name, work


async def value_of(frame: Frame, value: Any, work: Any) -> Any:
    """A property by name, or what a script block gives."""
    if isinstance(work, Block):
        return await block_value(frame, work, value)
    return members.get(frame.session, value, convert.text(work))


async def _sort(call: Invocation) -> None:
    items = call.items if call.is_piped else convert.items(call.get("InputObject"))
    wanted = convert.items(call.get("Property")) if "Property" in call.bound else []
    keyed: list[tuple[list[Any], Any]] = []
    for item in items:
        works = [_calculated(each)[1] if isinstance(each, Table) else each for each in wanted]
        keyed.append(([await value_of(call.frame, item, work) for work in works] or [item], item))
    keyed.sort(key=functools.cmp_to_key(_by_pairs))
    if call.on("Descending"):
        keyed.reverse()
    given: list[list[Any]] = []
    for keys, item in keyed:
        if call.on("Unique") and given and _by_keys(given[-1], keys) == 0:
            continue
        given.append(keys)
        await call.out(item)


def _by_pairs(one: tuple[list[Any], Any], other: tuple[list[Any], Any]) -> int:
    return _by_keys(one[0], other[0])


def _by_keys(one: list[Any], other: list[Any]) -> int:
    for left, right in zip(one, other, strict=True):
        if order := _order(left, right):
            return order
    return 0


def _order(left: Any, right: Any) -> int:
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return (left > right) - (left < right)
    if hasattr(left, "number") and hasattr(right, "number"):
        return int((left.number > right.number) - (left.number < right.number))
    if convert.is_null(left) or convert.is_null(right):
        return convert.is_null(right) - convert.is_null(left)
    return operators.ordered(convert.text(left), right)


async def _measure(call: Invocation) -> None:
    items = call.items
    if "Property" in call.bound:
        items = [members.get(call.frame.session, item, call.text("Property")) for item in items]
    wanted: dict[str, Callable[[list[Any]], Any]] = {
        "Average": lambda numbers: sum(numbers) / len(numbers),
        "Sum": lambda numbers: float(sum(numbers)),
        "Maximum": max,
        "Minimum": min,
    }
    numbers = [convert.number(item) for item in items] if any(call.on(name) for name in wanted) else []
    result = Table([("Count", len(items))], ordered=True)
    for name, work in wanted.items():
        result[name] = work(numbers) if call.on(name) and numbers else None
    result["Property"] = call.text("Property") or None
    await call.out(Custom(result, "Microsoft.PowerShell.Commands.GenericMeasureInfo"))


async def _group(call: Invocation) -> None:
    groups = Table(ordered=True)
    for item in call.items:
        key = await value_of(call.frame, item, call.get("Property")) if "Property" in call.bound else item
        name = convert.text(key)
        groups[name] = [*(groups[name] or ()), item]
    for name, found in groups:
        pairs = [("Count", len(found)), ("Name", name), ("Group", found)]
        await call.out(Custom(Table(pairs, ordered=True), "Microsoft.PowerShell.Commands.GroupInfo"))


CMDLETS = (
    Cmdlet(
        name="ForEach-Object",
        each=_foreach,
        end=_foreach_end,
        parameters=Parameters(
            ("Process", "Begin", "End", "MemberName", "InputObject"), places=("Process",), takes_rest=True
        ),
    ),
    Cmdlet(
        name="Where-Object",
        each=_where,
        parameters=Parameters(
            ("FilterScript", "Property", "Value", "InputObject"),
            _TESTS,
            ("Property", "Value"),
        ),
    ),
    Cmdlet(
        name="Select-Object",
        each=_select,
        end=_select_end,
        parameters=Parameters(
            ("Property", "ExpandProperty", "First", "Last", "Skip", "InputObject", "ExcludeProperty"),
            ("Unique", "Wait"),
            ("Property",),
        ),
    ),
    Cmdlet(
        name="Sort-Object",
        end=_sort,
        parameters=Parameters(("Property", "InputObject", "Culture"), ("Descending", "Unique"), ("Property",)),
    ),
    Cmdlet(
        name="Measure-Object",
        end=_measure,
        parameters=Parameters(("Property", "InputObject"), ("Average", "Sum", "Maximum", "Minimum"), ("Property",)),
    ),
    Cmdlet(
        name="Group-Object",
        end=_group,
        parameters=Parameters(("Property", "InputObject"), ("NoElement",), ("Property",)),
    ),
)
