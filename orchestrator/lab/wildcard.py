"""PowerShell's wildcard patterns: `*`, `?`, `[a-z]`, with the backtick as escape, never minding case."""

import re


def has_wildcards(pattern: str) -> bool:
    """Whether *pattern* holds a wildcard that is not escaped."""
    escaped = False
    for char in pattern:
        if escaped:
            escaped = False
        elif char == "`":
            escaped = True
        elif char in "*?[]":
            return True
    return False


def matcher(pattern: str) -> re.Pattern[str]:
    """A regular expression for the whole of a name. A bracket that never closes stands for itself."""
    out, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        if char == "`" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        elif char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[" and (end := _end_of_set(pattern, at)):
            out.append(_set(pattern[at + 1 : end]))
            at = end
        else:
            out.append(re.escape(char))
        at += 1
    return re.compile("".join(out), re.IGNORECASE | re.DOTALL)


def _end_of_set(pattern: str, start: int) -> int:
    at = start + 1
    while at < len(pattern):
        if pattern[at] == "`":
            at += 1
        elif pattern[at] == "]" and at > start + 1:
            return at
        at += 1
    return 0


def _set(inside: str) -> str:
    """The inside of `[...]`: single characters and ranges, nothing else is special."""
    chars = [(match[1] or match[0], bool(match[1])) for match in re.finditer(r"`(.)|.", inside, re.DOTALL)]
    out, at = [], 0
    while at < len(chars):
        char, _ = chars[at]
        if at + 2 < len(chars) and chars[at + 1] == ("-", False):
            low, high = sorted((char, chars[at + 2][0]))
            out.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            out.append(re.escape(char))
            at += 1
    return f"[{''.join(out)}]"
