"""Percent signs: variables before a line is read, again for `call`, and the one of `for`."""

import re
from collections.abc import Callable

from orchestrator.lab.cmd.parse import NotBuilt


def variables(line: str, value_of: Callable[[str], str | None]) -> str:
    """*line* with each %NAME% as it is now. One that is not defined stays, as on a command line."""
    said: list[str] = []
    at = 0
    while (start := line.find("%", at)) >= 0:
        end = line.find("%", start + 1)
        name = line[start + 1 : end] if end > 0 else ""
        value = value_of(name) if name else None
        if value is None and ":" in name and value_of(name.partition(":")[0]) is not None:
            raise NotBuilt(f"%{name}%")
        said.append(line[at:start])
        said.append("%" if value is None else value)
        at = start + 1 if value is None else end + 1
    return "".join([*said, line[at:]])


def called(text: str, value_of: Callable[[str], str | None]) -> str:
    """What `call` makes of the text behind it: carets double inside quotes, and variables are looked up again."""
    parts = text.split('"')
    return variables('"'.join(part.replace("^", "^^") if n % 2 else part for n, part in enumerate(parts)), value_of)


def loop_variable(text: str, name: str, value: str) -> str:
    """*text* with %name and %~name (without quotes) replaced."""
    found = re.compile(rf"%(~[a-z]*)?{re.escape(name)}", re.IGNORECASE if not name.isalpha() else 0)

    def replaced(match: re.Match[str]) -> str:
        modifiers = match[1] or ""
        if len(modifiers) > 1:
            raise NotBuilt(match[0])
        return value.strip('"') if modifiers else value

    return found.sub(replaced, text)


def elements(text: str) -> list[str]:
    """The elements between the parentheses of `for`; quotes keep one together and stay."""
    return re.findall(r'(?:"[^"]*"|[^ \t,;="])+', text)


def numbers(text: str) -> list[str]:
    """The numbers of `for /l`: start, step, end."""
    try:
        start, step, end = (int(word) for word in elements(text))
    except ValueError:
        raise NotBuilt(f"for /l with ({text})") from None
    if step == 0:
        raise NotBuilt("for /l without an end")
    return [str(number) for number in range(start, end + (1 if step > 0 else -1), step)]
