"""What a console shows: text as it is, objects as tables or lists, errors and warnings in the host's language."""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from orchestrator.lab import codepages
from orchestrator.lab.console import Console
from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.values import NOTHING, Custom, Enum, ErrorRecord, NetException, Table

_POSITION = {
    "en": "At line:{} char:{}",
    "de": "In Zeile:{} Zeichen:{}",
    "fr": "Au caractère Ligne:{} : {}",
}
_WARNING = {"en": "WARNING: ", "de": "WARNUNG: ", "fr": "AVERTISSEMENT : "}
_XML = 'xmlns="http://schemas.microsoft.com/powershell/2004/04"'
_SERVICE_COLUMNS = (("Status", 8), ("Name", 18), ("DisplayName", 38))
_WIDEST_TABLE = 4
_ROW = "{:<{}} "


class Writer:
    """Standard output and error of one powershell.exe, in its console's code page."""

    def __init__(self, console: Console, language: str) -> None:
        self._console = console
        self.language = language
        self.code_page = codepages.oem(language)
        self.quiet = False
        """Warnings lead nowhere."""
        self.silent = False
        """What is written to the host leads nowhere."""
        self.errors_as_xml = False
        """Standard error is CLIXML: what a client gets for -EncodedCommand without -OutputFormat."""
        self._began_xml = False

    def text(self, text: str) -> None:
        """To standard output, as it is."""
        self._console.write(codepages.encode(text, self.code_page))

    def line(self, text: str) -> None:
        """A line to standard output; line feeds within it stay what they are."""
        self.text(f"{text}\r\n")

    def host(self, text: str) -> None:
        """Write-Host."""
        if not self.silent:
            self.text(text)

    def warning(self, text: str) -> None:
        """A warning: a console shows it on standard output."""
        if not self.quiet:
            self.line(_WARNING[self.language] + text)

    def error_text(self, text: str) -> None:
        """A line to standard error."""
        if self.errors_as_xml:
            head = "" if self._began_xml else "#< CLIXML\r\n"
            self._began_xml = True
            said = escape(text.replace("_x", "_x005F_x")) + "_x000D__x000A_"
            whole = f'{head}<Objs Version="1.1.0.1" {_XML}><S S="Error">{said}</S></Objs>'
            self._console.write_error(codepages.encode(whole, self.code_page))
        else:
            self._console.write_error(codepages.encode(f"{text}\r\n", self.code_page))

    def raw_error(self, text: str) -> None:
        """To standard error, as it is."""
        self._console.write_error(codepages.encode(text, self.code_page))

    def error(self, record: ErrorRecord) -> None:
        """An error record to standard error."""
        for line in error_lines(record, self.language):
            self.error_text(line)


def error_lines(record: ErrorRecord, language: str) -> list[str]:
    """An error record as PowerShell shows it: the message, where it came from, and what kind it is."""
    lines = record.exception.message.splitlines() or [""]
    lines[0] = f"{record.activity} : {lines[0]}" if record.activity else lines[0]
    if record.at:
        first = record.at.splitlines()[0]
        lines += [_POSITION[language].format(1, 1), f"+ {first}", "+ " + "~" * len(first)]
    number, category = record.category
    reason = record.exception.type_name.rpartition(".")[2]
    whom = f"{_short(record.target_name)}:{record.target_type}"
    lines.append(f"    + CategoryInfo          : {category}: ({whom}) [{record.activity}], {reason}")
    return [*lines, f"    + FullyQualifiedErrorId : {record.id}", " "]


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:17]}...{name[-18:]}"


class Shown:
    """The formatter behind a pipeline: text goes out at once, objects of a kind wait for each other's table."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._rows: list[Any] = []

    async def put(self, value: Any) -> None:
        """One object."""
        if value is None or value is NOTHING:
            return
        if _is_plain(value):
            self.flush()
            self._writer.line(local_text(value, self._writer.language))
            return
        if self._rows and _columns(self._rows[0]) != _columns(value):
            self.flush()
        self._rows.append(value)

    def flush(self) -> None:
        """Show what waits."""
        rows, self._rows = self._rows, []
        for line in object_lines(rows, self._writer.language):
            self._writer.line(line)


def local_text(value: Any, language: str) -> str:
    """A value in the host's own culture: the decimal point of a double."""
    shown = convert.text(value)
    return shown.replace(".", ",") if isinstance(value, float) and language != "en" else shown


def _is_plain(value: Any) -> bool:
    return not isinstance(value, (Custom, Table, list, ErrorRecord, NetException)) and not hasattr(value, "members_of")


def _columns(value: Any) -> tuple[str, ...]:
    if isinstance(value, (ErrorRecord, NetException)):
        return ("",)
    return tuple(key for key, _ in properties(value))


def properties(value: Any) -> Sequence[tuple[str, Any]]:
    """What a formatter shows of an object."""
    if isinstance(value, Table):
        return (("Name", ""), ("Value", ""))
    if isinstance(value, Custom):
        return [(convert.text(key), item) for key, item in value.members]
    return value.members_of() if hasattr(value, "members_of") else ()


def object_lines(rows: Sequence[Any], language: str) -> list[str]:
    """Objects of one kind as lines: a table of at most four columns, a list beyond."""
    if not rows:
        return []
    if isinstance(rows[0], ErrorRecord):
        return [line for row in rows for line in error_lines(row, language)]
    if isinstance(rows[0], NetException):
        return [row.message for row in rows]
    if isinstance(rows[0], list):
        return [local_text(item, language) for row in rows for item in row]
    if isinstance(rows[0], Table):
        return _table([{"Name": key, "Value": item} for row in rows for key, item in row], ("Name", "Value"))
    if hasattr(rows[0], "service_row"):
        return _services(rows)
    shown = [dict(properties(row)) for row in rows]
    columns = _columns(rows[0])
    if not columns:
        return []
    return _table(shown, columns) if len(columns) <= _WIDEST_TABLE else _list(shown)


def cell(value: Any) -> str:
    """A value in a table: an array in braces."""
    if isinstance(value, list):
        return "{" + ", ".join(convert.text(item) for item in value) + "}"
    return value.name if isinstance(value, Enum) else convert.text(value)


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    widths = [max(len(column), *(len(cell(row.get(column))) for row in rows), 0) for column in columns]
    lines = [[*columns], ["-" * len(column) for column in columns]]
    lines += [[cell(row.get(column)) for column in columns] for row in rows]
    written = ["".join(_ROW.format(part, width) for part, width in zip(line, widths, strict=True)) for line in lines]
    return ["", *written, "", ""]


def _list(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [""]
    for row in rows:
        width = max(len(name) for name in row)
        lines += ["", *(f"{name:<{width}} : {cell(value)}" for name, value in row.items())]
    return [*lines, "", "", ""]


def _services(rows: Sequence[Any]) -> list[str]:
    shown = [row.service_row() for row in rows]
    lines = [[name for name, _ in _SERVICE_COLUMNS], ["-" * len(name) for name, _ in _SERVICE_COLUMNS], *shown]
    return [
        "",
        *(
            "".join(
                _ROW.format(_cut(part, width), width) for part, (_, width) in zip(line, _SERVICE_COLUMNS, strict=True)
            )
            for line in lines
        ),
        "",
        "",
    ]


def _cut(part: str, width: int) -> str:
    return part if len(part) <= width else part[: width - 3] + "..."
