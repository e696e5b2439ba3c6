"""The listener table of a Windows host, as `netstat.exe -a -n -o` prints it.

Its headings and states are localised (LISTENING, ABHÖREN, ÉCOUTE); numbers and positions are not:

    TCP    0.0.0.0:135     0.0.0.0:0     ABHÖREN     1044
    TCP    [::]:135        [::]:0        ABHÖREN     1044
"""

from orchestrator.engine.ports import may_be_cut

ARGS = ("-a", "-n", "-o")
NOBODY = ("0.0.0.0:0", "[::]:0")


def listens(table: str, port: int) -> bool | None:
    """Whether somebody listens on TCP *port*, on any address; None where the table does not tell.

    It tells nothing without a single TCP row (every Windows host that answers has some), and a table that may have
    been cut can only say that somebody listens.
    """
    rows = _rows(table)
    if any(_listening(cells, port) for cells in rows):
        return True
    cut = may_be_cut(table)
    return None if cut or not rows else False


def owners(table: str, port: int) -> list[int] | None:
    """The PIDs of all that listen on TCP *port*, as the table has them; None where it does not tell."""
    found = [cells[-1] for cells in _rows(table) if _listening(cells, port)]
    if not found and listens(table, port) is None:
        return None
    return list(dict.fromkeys(int(pid) for pid in found if pid.isascii() and pid.isdigit()))


def _rows(table: str) -> list[list[str]]:
    return [cells for cells in map(str.split, table.splitlines()) if len(cells) >= 4 and cells[0].upper() == "TCP"]


def _listening(cells: list[str], port: int) -> bool:
    return cells[2] in NOBODY and cells[1].rpartition(":")[2] == str(port)
