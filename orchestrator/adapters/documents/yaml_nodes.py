"""YAML files as nodes with their places: PyYAML's events put together in one pass, without recursion.

Input is not trusted. An alias shares the node that it names and counts as often as it is used, so a bomb is refused
before it goes off; files, texts, nesting and the number of mistakes are bounded. Merge keys (`<<`) work as in PyYAML,
for inventories use them, except that a second `<<` in one mapping is a duplicate key. Keys are text as written: a
host named 10 is "10". `!unsafe` is refused: everything here is a template, and one that must not be is written
`"{{ '...' }}"`.
"""

import stat
from pathlib import Path

import yaml
from yaml.reader import Reader, ReaderError

from orchestrator.adapters.documents.composing import LARGEST, Composer
from orchestrator.adapters.documents.vaulted import Vault
from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.secrets import CLOSE, OPEN
from orchestrator.domain.tree import Node

_LOADER: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser, if PyYAML was built with it; the pure one understands the same and is some ten times slower."""


def read(path: Path, shown_as: str | None = None) -> Node:
    """The one document of the file at *path*; mistakes name it *shown_as*, or as *path* is written.

    Raises:
        Mistakes: no such file, not readable, or what `parse` finds.
    """
    file = shown_as or str(path)
    return parse(contents(path, file), file)


def contents(path: Path, file: str) -> bytes:
    """What the file at *path* holds, one byte more than `parse` takes at most. *file* is what mistakes call it.

    Raises:
        Mistakes: no such file, no file, or not readable.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _one(file, "this is no file", "name a YAML file")
        with path.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise _one(file, "there is no such file", _nearest(path)) from None
    except OSError as error:
        raise _one(file, f"it can't be read: {error.strerror or error}") from None


def parse(text: bytes, file: str, vault: Vault | None = None) -> Node:
    """The one document in *text*; an empty one is a node of None. *file* is what mistakes call it.

    With a *vault*, `!vault` values become secret references that it resolves; else they are mistakes.

    Raises:
        Mistakes: all that are found before the first one that makes the rest unreadable.
    Cost: linear in *text*; about that of PyYAML's own C composer.
    """
    if len(text) > LARGEST:
        raise _one(file, f"the file is larger than {LARGEST >> 20} MiB", "split it")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start]
        mark = Mark(file, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise Mistakes([Mistake(mark, "this is not UTF-8", "save the file as UTF-8")]) from None
    composer = Composer(file, any_private=OPEN in decoded or CLOSE in decoded or "\\" in decoded, vault=vault)
    root = Node(None, file, 1, 1)
    try:
        root = composer.compose(_LOADER(decoded).get_event)
    except yaml.MarkedYAMLError as error:
        composer.mistakes.append(_syntax(error, file, decoded))
    except ReaderError:
        composer.mistakes.append(_unprintable(file, decoded))
    if composer.mistakes:
        raise Mistakes(composer.mistakes)
    return root


def _one(file: str, wrong: str, right: str = "") -> Mistakes:
    return Mistakes([Mistake(Mark(file, 1, 1), wrong, right)])


def _nearest(path: Path) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  only for a mistake

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent} either"
    near = get_close_matches(path.name, names, n=1)
    return f"the nearest name there is {near[0]}" if near else ""


def _syntax(error: yaml.MarkedYAMLError, file: str, text: str) -> Mistake:
    place = error.problem_mark or error.context_mark
    line, column = (place.line, place.column) if place else (0, 0)
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    wrong = f"this is no YAML: {error.problem or error.context}"
    if error.context and error.problem:
        wrong += f" ({error.context})"
    right = ""
    if "\t" in here[: column + 1]:
        right = "indent with spaces, not with tabs"
    elif "{{" in here:
        right = 'text that begins with {{ stands in quotes: "{{ name }}"'
    elif "mapping values are not allowed" in wrong:
        right = "text that holds a colon and a space stands in quotes; keys of one mapping stand at one column"
    return Mistake(Mark(file, line + 1, column + 1), wrong, right)


def _unprintable(file: str, text: str) -> Mistake:
    found = Reader.NON_PRINTABLE.search(text)
    index = found.start() if found else 0
    mark = Mark(file, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))
    code = f"U+{ord(text[index]):04X}" if found else "a character"
    return Mistake(mark, f"{code} is not allowed in YAML", "remove it")
