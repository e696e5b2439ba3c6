"""Inventories in INI form, read as Ansible's `ini` plugin reads them: line by line, each mistake with its place."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.adapters.documents import ini_values
from orchestrator.domain.errors import Mark
from orchestrator.domain.inventory.declaring import Declaration
from orchestrator.domain.secrets import CLOSE, OPEN
from orchestrator.domain.tree import Node

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_CHILD = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_WORDS = re.compile(r"""([^\s'"\\#]+)(?:'([^']*)'|"([^"\\]*)")?(?![^ \t])|(?P<other>[^ \t])""")
"""Words that are plain, or end in one quotation without a backslash. For all others shlex, which is slow, is asked."""
_SECTION_AND_MORE = re.compile(r"\[([^:\]\s]+)(?::(hosts|children|vars))?\]\s")
_NOT_SPLIT = {
    "No closing quotation": (
        "a quotation that begins here is not closed",
        r"close it; a quote that is text is \' or \"",
    ),
    "No escaped character": (
        "this line ends in a backslash",
        r"write \\ for one that is text; no line goes on in the next",
    ),
}
"""What shlex says, in our words."""
_KINDS = ("hosts", "children", "vars")
_UNFIT = re.compile(r"(?<!\\)(?:\\\\)*\\u(e00[01]|d[89a-f])")
"""What no text may hold, as the repr of a value spells it out."""
LONGEST_LINE = 64 << 10

_Take = Callable[[str, str, int], None]
"""Takes a line as it is, the same line stripped, and its number."""


@dataclass(slots=True)
class _Awaited:
    """A group that was named before it was declared: by its variables, or as a child of `parents`."""

    kind: str
    mark: Mark
    parents: list[tuple[str, Mark]] = field(default_factory=list)


def declare_ini(content: bytes, file: str, into: Declaration) -> None:
    """Add to *into* what the INI inventory *content* declares.

    Raises:
        Mistakes: there are so many that it makes no sense to go on.
    Cost: some 10 us for a line without quotes.
    """
    reader = _Reader(file, into)
    for number, line in enumerate(_lines(content, file, into), start=1):
        reader.line(line, number)
    reader.finish()


def _lines(content: bytes, file: str, into: Declaration) -> Iterator[str]:
    """The lines; as in Ansible, comments alone may be in another encoding than UTF-8."""
    try:
        yield from content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        for number, line in enumerate(content.splitlines(), start=1):
            try:
                yield line.decode("utf-8") if line[:1] not in (b"#", b";") else ""
            except UnicodeDecodeError as error:
                into.wrong(Mark(file, number, error.start + 1), "this is not UTF-8", "save the file as UTF-8")
                yield ""


class _Reader:
    """Takes one line after the other. The file begins as if its first line were `[ungrouped]`."""

    def __init__(self, file: str, into: Declaration) -> None:
        self._file = file
        self._into = into
        self._group = "ungrouped"
        self._awaited: dict[str, _Awaited] = {}
        self._takes: dict[str, _Take] = {"hosts": self._hosts, "children": self._child, "vars": self._variable}
        self._take: _Take = self._hosts

    def line(self, raw: str, number: int) -> None:
        line = raw.strip()
        if not line or line[0] in "#;":
            return
        if len(raw) > LONGEST_LINE:
            self._wrong(raw, raw[:1], number, f"a line of {len(raw)} characters", f"at most {LONGEST_LINE}")
        elif OPEN in raw or CLOSE in raw:
            wrong = "U+E000 and U+E001 are not allowed in text"
            self._wrong(raw, OPEN if OPEN in raw else CLOSE, number, wrong, "remove the invisible character")
        elif line[0] == "[" and (header := _SECTION.fullmatch(line)):
            self._section(header[1], header[2] or "hosts", self._mark(raw, line, number))
        elif line[0] == "[" and (header := _SECTION_AND_MORE.match(line)):
            self._wrong(raw, line, number, f"text behind {header[0].strip()}", "remove it; a comment begins with #")
            self._section(header[1], header[2] or "hosts", self._mark(raw, line, number))
        elif line[0] == "[" and line[-1] == "]":
            right = "write [GROUP], [GROUP:children] or [GROUP:vars], without blanks"
            self._wrong(raw, line, number, f"{line[:80]!r} is no section", right)
        else:
            self._take(raw, line, number)

    def finish(self) -> None:
        """What was named and never declared."""
        for name, awaited in self._awaited.items():
            if awaited.kind == "vars":
                self._into.wrong(awaited.mark, f"[{name}:vars] is for a group that is nowhere", f"write [{name}]")
            for parent, mark in awaited.parents:
                wrong = f"[{parent}:children] names {name!r}, a group that is nowhere"
                self._into.wrong(mark, wrong, f"write [{name}], or take it out")

    def _section(self, name: str, kind: str, mark: Mark) -> None:
        if kind not in _KINDS:
            self._into.wrong(
                mark, f"[{name}:{kind}] is no section", f"known: [{name}], [{name}:children], [{name}:vars]"
            )
            self._take = _nothing
            return
        self._group = name
        self._take = self._takes[kind]
        if name not in self._into.declared.groups:
            if kind == "vars" and name not in self._awaited:
                self._awaited[name] = _Awaited(kind, mark)
            self._into.group(name, mark)
        if kind == "vars" or name not in self._awaited:
            return
        for parent, child_mark in self._awaited.pop(name).parents:
            self._into.declared.groups[parent].children.setdefault(name, child_mark)

    def _child(self, raw: str, line: str, number: int) -> None:
        found = _CHILD.fullmatch(line)
        if not found:
            self._wrong(raw, line, number, f"{line[:80]!r} is no group name", "one name of a group in a line")
            return
        child, mark = found[1], self._mark(raw, line, number)
        if not self._into.may_hold(self._group, child, mark):
            return
        if child in self._into.declared.groups:
            self._into.declared.groups[self._group].children.setdefault(child, mark)
        else:
            awaited = self._awaited.setdefault(child, _Awaited("children", mark))
            awaited.parents.append((self._group, mark))

    def _variable(self, raw: str, line: str, number: int) -> None:
        name, sign, text = line.partition("=")
        if not sign:
            self._wrong(raw, line, number, f"{line[:80]!r} is no variable", "write NAME=VALUE")
            return
        name, text = name.strip(), text.strip()
        node = self._value(raw, text, number)
        if node is not None:
            self._into.group_variable(self._into.declared.groups[self._group], name, node)

    def _hosts(self, raw: str, line: str, number: int) -> None:
        try:
            words = split_words(line)
        except ValueError as error:
            self._wrong(raw, line, number, *_NOT_SPLIT[str(error)])
            return
        if not words:
            self._wrong(raw, line, number, "a line without a host", "write a name, then NAME=VALUE")
            return
        entry = words[0]
        mark = self._mark(raw, entry, number)
        if entry.endswith(":") or entry == "---":
            right = "INI lines are NAME, NAME:PORT or NAME VARIABLE=VALUE; files with YAML end in .yaml"
            self._into.wrong(mark, f"{entry[:80]!r} is no host name", right)
            return
        variables = {}
        for word in words[1:]:
            name, sign, text = word.partition("=")
            node = self._value(raw, text, number, before=word if sign else name) if sign else None
            if node is not None:
                variables[name] = node
            elif not sign:
                right = "write NAME=VALUE, without blanks around the =; a comment begins with #"
                if "{{" in line:
                    right = 'a value with blanks stands in quotes: NAME="{{ other }}"'
                self._wrong(raw, word, number, f"{word[:80]!r} is no variable", right)
        self._into.entry(self._into.declared.groups[self._group], entry, variables, mark)

    def _value(self, raw: str, text: str, number: int, *, before: str = "") -> Node | None:
        column = self._mark(raw, before or text, number).column
        try:
            node = ini_values.value(text, (self._file, number, column))
        except ValueError as error:
            self._into.wrong(Mark(self._file, number, column), str(error), "put it in quotes")
            return None
        if "\\" in text and (unfit := _UNFIT.search(repr(node.plain()))):
            wrong = "U+E000 and U+E001 are not allowed in text" if unfit[1][0] == "e" else "half of a character"
            self._into.wrong(node.mark, wrong, "remove the invisible character")
            return None
        return node

    def _wrong(self, raw: str, where: str, number: int, wrong: str, right: str) -> None:
        self._into.wrong(self._mark(raw, where, number), wrong, right)

    def _mark(self, raw: str, where: str, number: int) -> Mark:
        """Where *where* stands in the line; quotes may have changed it, then where its name begins, or the line."""
        found = raw.find(where)
        if found < 0:
            found = raw.find(where.partition("=")[0] + "=")
        return Mark(self._file, number, max(found, len(raw) - len(raw.lstrip()), 0) + 1)


def _nothing(raw: str, line: str, number: int) -> None:
    """Takes the lines of a section that is a mistake itself."""


def split_words(line: str) -> list[str]:
    """*line* as a shell would split it, up to its comment. Raises ValueError, as shlex does."""
    words = []
    for found in _WORDS.finditer(line):
        if found["other"]:
            return shlex.split(line, comments=True)
        words.append(found[1] + (found[2] or found[3] or ""))
    return words
