"""A command line of cmd.exe as a tree: operators, parentheses, quotes, carets, redirections, `for`.

Percent signs are not its affair: they are expanded before (expand.py).
Source: cmd's documented behaviour; its order of phases as told by dbenham and jeb, "How does the Windows Command
Interpreter parse scripts?".
"""

import re
from dataclasses import dataclass

DELIMITERS = " \t,;="
_FOR = re.compile(r"for[ \t]+(?P<l>/l[ \t]+)?%(?P<name>[^ \t])[ \t]+in[ \t]*\(", re.IGNORECASE)
_DO = re.compile(r"[ \t]*do[ \t]+", re.IGNORECASE)
_REM = re.compile(r"rem(?=[ \t]|$)", re.IGNORECASE)
_ABSENT = re.compile(r"(?:for[ \t]+/[^l]|if[ \t])", re.IGNORECASE)


class Unexpected(ValueError):
    """cmd would say that this stands where it can't be."""


class NotBuilt(ValueError):
    """cmd knows it, this one does not; the text says what."""


@dataclass(frozen=True, slots=True)
class Redirection:
    """Handle 0, 1 or 2 now goes where `target` says: another handle's number, or a file's name."""

    handle: int
    target: int | str


@dataclass(frozen=True, slots=True)
class Simple:
    """One command with its arguments: carets are gone, quotes are still there."""

    text: str
    redirections: tuple[Redirection, ...] = ()
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A parenthesis."""

    body: "Node"
    redirections: tuple[Redirection, ...] = ()
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """Two commands with `&`, `&&` or `||` between them."""

    left: "Node"
    operator: str
    right: "Node"


@dataclass(frozen=True, slots=True)
class For:
    """`for %name in (elements) do body`; `counts` with /l."""

    name: str
    elements: str
    body: "Node"
    counts: bool
    quiet: bool = False


Node = Simple | Block | Joined | For


def parse(line: str) -> Node | None:
    """The tree of the first line in *line*; None if nothing stands there. Raises Unexpected, NotBuilt."""
    text = re.split(r"[\r\n]", line, maxsplit=1)[0]
    if not text.strip(DELIMITERS):
        return None
    parser = _Parser(text)
    node = parser.sequence(0)
    parser.finish()
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def finish(self) -> None:
        if self._at < len(self._text):
            raise Unexpected(self._text[self._at])

    def sequence(self, depth: int) -> Node:
        node = self._either(depth)
        while self._operator("&"):
            if self._ends(depth):
                break
            node = Joined(node, "&", self._either(depth))
        return node

    def _either(self, depth: int) -> Node:
        node = self._both(depth)
        while self._operator("||"):
            node = Joined(node, "||", self._both(depth))
        return node

    def _both(self, depth: int) -> Node:
        node = self._command(depth)
        while self._operator("&&"):
            node = Joined(node, "&&", self._command(depth))
        if self._text[self._at : self._at + 1] == "|" and self._text[self._at + 1 : self._at + 2] != "|":
            raise NotBuilt("pipes")
        return node

    def _operator(self, wanted: str) -> bool:
        found = re.match(r"&&?|\|\|?", self._text[self._at :])
        if found is None or found[0] != wanted:
            return False
        self._at += len(wanted)
        return True

    def _ends(self, depth: int) -> bool:
        self._skip()
        return self._at == len(self._text) or (depth > 0 and self._text[self._at] == ")")

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in DELIMITERS:
            self._at += 1

    def _command(self, depth: int) -> Node:
        self._skip()
        quiet = False
        while self._text[self._at : self._at + 1] == "@":
            quiet, self._at = True, self._at + 1
            self._skip()
        rest = self._text[self._at :]
        if not rest or rest[0] in "&|" or (depth and rest[0] == ")"):
            raise Unexpected(rest[:1])
        if _ABSENT.match(rest):
            raise NotBuilt(rest.split()[0])
        if rest[0] == "(":
            return self._block(depth, quiet)
        if found := _FOR.match(rest):
            return self._for(found, depth, quiet)
        if _REM.match(rest):
            self._at = len(self._text)
            return Simple("rem", (), quiet)
        return self._simple(depth, quiet)

    def _block(self, depth: int, quiet: bool) -> Node:
        self._at += 1
        body = self.sequence(depth + 1)
        if self._text[self._at : self._at + 1] != ")":
            raise Unexpected(self._text[self._at : self._at + 1])
        self._at += 1
        behind = self._simple(depth, quiet)
        if behind.text.strip(DELIMITERS):
            raise Unexpected(behind.text.split()[0])
        return Block(body, behind.redirections, quiet)

    def _for(self, found: re.Match[str], depth: int, quiet: bool) -> Node:
        start = self._at + found.end()
        end = self._text.find(")", start)
        do = _DO.match(self._text, end + 1)
        if end < 0 or do is None:
            raise Unexpected("for")
        self._at = do.end()
        return For(found["name"], self._text[start:end], self.sequence(depth), found["l"] is not None, quiet)

    def _simple(self, depth: int, quiet: bool) -> Simple:
        said: list[str] = []
        redirections: list[Redirection] = []
        quoted, ends = False, "&|)" if depth else "&|"
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == '"':
                quoted = not quoted
            elif not quoted and letter in ends:
                break
            elif not quoted and letter in "<>":
                redirections.append(self._redirection(said))
                continue
            elif not quoted and letter == "^":
                self._at += 1
                letter = self._text[self._at : self._at + 1]
            said.append(letter)
            self._at += 1
        return Simple("".join(said), tuple(redirections), quiet)

    def _redirection(self, said: list[str]) -> Redirection:
        """What stands from here on; its handle's number is taken back from *said*."""
        handle = 1 if self._text[self._at] == ">" else 0
        if said and said[-1].isdigit() and (len(said) == 1 or said[-2] in DELIMITERS):
            handle = int(said.pop())
        found = re.compile(r'(?:>>?|<)(?:&(\d)|[ \t,;=]*("[^"]*"|[^ \t,;=&|<>()"]+))').match(self._text, self._at)
        if found is None:
            raise Unexpected(self._text[self._at])
        self._at = found.end()
        return Redirection(handle, int(found[1]) if found[1] else found[2].strip('"'))
