"""System.Text.Encoding, and the writers of System.Console."""

from typing import Any

from orchestrator.lab import codepages
from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.formatting import Writer
from orchestrator.lab.powershell.objects import Record
from orchestrator.lab.powershell.values import NOTHING, unsupported


class Encoding(Record):
    """An encoding by its .NET type, its code page, and Python's name of it."""

    def __init__(self, type_name: str, web_name: str, code_page: int, codec: str) -> None:
        super().__init__(WebName=web_name, CodePage=code_page, EncodingName=web_name, BodyName=web_name)
        self.type_name = type_name
        self.code_page = code_page
        self.fixed = True

        async def get_bytes(arguments: list[Any]) -> bytes:
            return "".join(convert.strings(convert.items(arguments[0]))).encode(codec, _on_error(codec))

        async def get_string(arguments: list[Any]) -> str:
            data: bytes = convert.cast(arguments[0], "System.Byte[]")
            if len(arguments) > 2:
                data = data[int(arguments[1]) : int(arguments[1]) + int(arguments[2])]
            return data.decode(codec, "replace")

        self.methods = {"getbytes": get_bytes, "getstring": get_string}


def _on_error(codec: str) -> str:
    return "replace" if codec in ("ascii",) or codec.startswith("cp") else "surrogatepass"


_ENCODINGS = {
    "utf8": ("System.Text.UTF8Encoding", "utf-8", 65001, "utf-8"),
    "ascii": ("System.Text.ASCIIEncoding", "us-ascii", 20127, "ascii"),
    "unicode": ("System.Text.UnicodeEncoding", "utf-16", 1200, "utf-16-le"),
    "default": ("System.Text.SBCSCodePageEncoding", "Windows-1252", 1252, "cp1252"),
}


def named(name: str) -> Encoding:
    """[Text.Encoding]::UTF8 and its kin."""
    return Encoding(*_ENCODINGS[name])


def of_code_page(code_page: int) -> Encoding:
    """The encoding of a code page. Raises Failed."""
    for known in _ENCODINGS.values():
        if known[2] == code_page:
            return Encoding(*known)
    if not codepages.known(code_page):
        raise unsupported(f"the code page {code_page}")
    return Encoding("System.Text.SBCSCodePageEncoding", f"IBM{code_page}", code_page, f"cp{code_page}")


def by_name(wanted: Any) -> Encoding:
    """[Text.Encoding]::GetEncoding(NAME or NUMBER). Raises Failed."""
    if isinstance(wanted, int):
        return of_code_page(int(wanted))
    name = convert.text(wanted).lower()
    for known in _ENCODINGS.values():
        if known[1].lower() == name:
            return Encoding(*known)
    digits = "".join(char for char in name if char.isdigit())
    return of_code_page(int(digits or 0))


class ConsoleWriter(Record):
    """[Console]::Out or [Console]::Error."""

    type_name = "System.IO.TextWriter+SyncTextWriter"

    def __init__(self, writer: Writer, *, error: bool) -> None:
        super().__init__(AutoFlush=True)

        def put(said: str) -> Any:
            if error:
                writer.raw_error(said)
            else:
                writer.text(said)
            return NOTHING

        async def write(arguments: list[Any]) -> Any:
            return put(written(arguments))

        async def write_line(arguments: list[Any]) -> Any:
            return put(written(arguments) + "\r\n")

        async def flush(arguments: list[Any]) -> Any:
            return NOTHING

        self.methods = {"write": write, "writeline": write_line, "flush": flush}


def written(arguments: list[Any]) -> str:
    """What Write makes of its arguments: text, or a format with what fills it. Raises Failed for the latter."""
    if len(arguments) > 1:
        raise unsupported("[Console]::Write with a format")
    value = arguments[0] if arguments else ""
    return "".join(convert.strings(value)) if isinstance(value, list) else convert.text(value)
