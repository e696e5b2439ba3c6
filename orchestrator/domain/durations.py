"""Durations as people write them: `90s`, `2m`, `1h30m`, `1.5s`, `500ms`, or a number of seconds."""

import math
import re

_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_S = 30 * 86400.0


def seconds(text: str | float) -> float:
    """The duration in seconds.

    Raises:
        ValueError: *text* is no duration, is negative, or is longer than 30 days; the message says what would be right.
    """
    if isinstance(text, bool):
        raise ValueError("a duration is a number of seconds or text such as 90s, 2m, 1h30m")
    if isinstance(text, int | float):
        value = float(text)
    elif _WHOLE.fullmatch(text.strip()):
        value = sum(float(number) * _UNIT_S[unit] for number, unit in _PARTS.findall(text))
    else:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is no duration; write 90s, 2m, 1h30m, or a number of seconds") from None
    if not math.isfinite(value) or not 0 <= value <= LONGEST_S:
        raise ValueError(f"{text!r} is out of range; a duration lies between 0 and 30 days")
    return value


def spoken(duration_s: float) -> str:
    """A duration for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if duration_s < 9.95:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
