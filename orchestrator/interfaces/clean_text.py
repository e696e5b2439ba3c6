"""Text from elsewhere made harmless to show: pure, and loaded without the library that draws."""

import re
import unicodedata

from orchestrator.domain.secrets import shown

_ESCAPES = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    "|\x1b[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?"  # OSC, DCS and their kin, up to their end
    "|\x1b[ -/]*[0-~]?"  # the rest
    "|\x9b[0-?]*[ -/]*[@-~]"
)
_BLANKS = re.compile(r"[\s\x85\u2028\u2029]+")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn")


def clean(text: str) -> str:
    """Text from elsewhere on one line and harmless: no terminal sequences, no hidden or turned-around characters.

    Line breaks and blanks become one blank; whatever else can't be seen is spelled out (`\\u202e`); secret references
    are named. Views put the result in `Text`, never in markup.
    """
    text = _BLANKS.sub(" ", _ESCAPES.sub("", shown(text))).strip()
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if unicodedata.category(character) in _HIDDEN:
        return character.encode("unicode_escape", "backslashreplace").decode("ascii")
    return character
