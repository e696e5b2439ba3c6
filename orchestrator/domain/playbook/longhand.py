"""Writes short forms out: `tcp: 1433` becomes `tcp: {port: 1433}`. What is left empty counts as not given."""

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.templates import is_template
from orchestrator.domain.tree import Node

SHORT = {"tcp": "port", "port_closed": "port", "http": "url", "service": "state"}
"""The key that a gate's check may be written as alone."""
LISTS = {"http": "status", "command": "exit_code"}
"""Keys that hold a list, where one item may stand for it."""
EXACT = ("json", "json_body")
"""Keys of a request in which null is a value like others."""
ITEMS = {"failure_rules": ("kind", "service"), "notify": ("events",)}
"""Keys that hold a list of mappings, where one may stand for it, and the lists within."""
LATER = ("title", "body")
"""What a notice says in templates of its own, with names that are known when it is sent."""


def given(node: Node) -> dict[str, Node]:
    """The keys of a mapping that were given a value; none if *node* is no mapping."""
    if not isinstance(node.value, dict):
        return {}
    return {key: child for key, child in node.value.items() if child.value is not None}


def mapping(node: Node | None, name: str, found: Findings) -> dict[str, Node]:
    """The keys of the mapping *name* that were given a value; none if it is no mapping, and *found* then says so."""
    if node is not None and not isinstance(node.value, dict):
        found.add(
            node.mark, f"{name!r} is {node.kind}, not a mapping", f"write `{name}: {{ ... }}` or its keys below it"
        )
    return given(node) if node is not None else {}


def plain(node: Node) -> Any:
    """The value without its places, and without the keys that were left empty."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in given(node).items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def gate(node: Node, found: Findings) -> dict[str, Any] | None:
    """A gate in its long form; None if it is no mapping, and *found* then says so."""
    if not isinstance(node.value, dict):
        found.add(node.mark, f"a gate is a mapping, this is {node.kind}", "write for example { tcp: 1433 }")
        return None
    return _checks(node)


def hook(node: Node, found: Findings) -> dict[str, Any] | None:
    """A hook in its long form; None if it is no mapping, and *found* then says so."""
    if not isinstance(node.value, dict):
        right = "write for example { http: { url: ... } }, or { do: { command: { exe: ... } }, undo: ... }"
        found.add(node.mark, f"a hook is a mapping, this is {node.kind}", right)
        return None
    long = _checks(node)
    for part in ("do", "undo", "check"):
        if part in long and isinstance(node.value[part].value, dict):
            long[part] = _checks(node.value[part])
    return long


def _checks(node: Node) -> dict[str, Any]:
    """The mapping *node* with the checks in it, or what is done in it, in their long forms."""
    long = {key: plain(child) for key, child in given(node).items()}
    for kind, key in SHORT.items():
        if kind in long and not isinstance(long[kind], dict | list):
            long[kind] = {key: long[kind]}
    for kind, key in LISTS.items():
        check = long.get(kind)
        if isinstance(check, dict) and key in check and not isinstance(check[key], list):
            check[key] = [check[key]]
    for key in EXACT:
        exact = node.at(["http", key])
        if isinstance(long.get("http"), dict) and key in long["http"] and isinstance(exact.value, dict):
            long["http"][key] = exact.plain()  # null is a value that can be compared with, or sent
    return long


def dependencies(node: Node, found: Findings) -> dict[str, Any]:
    """`depends_on` as a mapping from service to options; a list or one name may stand for it."""
    value = node.value
    if isinstance(value, dict):
        return {key: {} if child.value is None else plain(child) for key, child in value.items()}
    items = value if isinstance(value, list) else [node]
    names: dict[str, Any] = {}
    for item in items:
        if not isinstance(item.value, str):
            found.add(
                item.mark,
                f"a dependency is the key of a service, this is {item.kind}",
                "write [sql, broker], or with options { sql: {}, broker: { need: 1 } }",
            )
        elif item.value in names:
            found.add(item.mark, f"{item.value!r} is listed twice", "list it once")
        else:
            names[item.value] = {}
    return names


def policy(keys: Mapping[str, Node]) -> dict[str, Any]:
    """What the playbook says about failures, decisions and notices; templates of LATER are left out."""
    long = {key: plain(child) for key, child in keys.items()}
    if "on_failure" in long and not isinstance(long["on_failure"], dict | list):
        long["on_failure"] = {"default": long["on_failure"]}
    listed(long, "approve_before")
    listed(long.get("decisions"), "approvers")
    for key, lists in ITEMS.items():
        listed(long, key)
        for item in long.get(key, ()):
            for one in lists:
                listed(item, one)
    for rule in _mappings(long.get("failure_rules")):
        if "group" in rule:
            rule["group"] = _pattern(rule["group"])
    for notice in _mappings(long.get("notify")):
        notice |= {key: "" for key in LATER if is_template(str(notice.get(key, "")))}
    return long


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in value or () if isinstance(item, dict)]


def listed(value: Any, key: str) -> None:
    """Make a list of what stands at *key* of a mapping, if that is one item."""
    if isinstance(value, dict) and key in value and not isinstance(value[key], list):
        value[key] = [value[key]]


def services(node: Node) -> Any:
    """`service` as a list of names."""
    return node.plain() if isinstance(node.value, list) else [node.plain()]


def hosts(node: Node) -> Any:
    """`hosts` as one pattern; a list of patterns is one with colons, or commas if it holds any."""
    return _pattern(node.plain())


def _pattern(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ("," if any("," in item for item in value) else ":").join(value)
    return value
