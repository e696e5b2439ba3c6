"""What a console makes of text: the OEM code page of each language, and back to bytes."""

import codecs

_OEM = {"en": 437, "de": 850, "fr": 850}
UTF8 = 65001
_BEST_FIT = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "."})
"""Windows writes these for letters that a code page lacks; all others become question marks."""


def oem(language: str) -> int:
    """The number of the code page in which a Windows of *language* starts its consoles."""
    return _OEM[language]


def known(code_page: int) -> bool:
    """Whether text can be put into *code_page*."""
    try:
        codecs.lookup(_codec(code_page))
    except LookupError:
        return False
    return True


def encode(text: str, code_page: int) -> bytes:
    """*text* as a console of *code_page* gets it."""
    if code_page == UTF8:
        return text.encode("utf-8", "replace")
    return text.translate(_BEST_FIT).encode(_codec(code_page), "replace")


def decode(data: bytes, code_page: int) -> str:
    """What stands in *data* for who takes it for *code_page*."""
    return data.decode(_codec(code_page), "replace")


def _codec(code_page: int) -> str:
    return "utf-8" if code_page == UTF8 else f"cp{code_page}"
