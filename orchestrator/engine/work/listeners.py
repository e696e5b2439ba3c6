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
    rows = [cells for cells in map(str.split, table.splitlines()) if len(cells) >= 4 and cells[0].upper() == "TCP"]
    if any(cells[2] in NOBODY and cells[1].rpartition(":")[2] == str(port) for cells in rows):
        return True
    cut = may_be_cut(table)
    return None if cut or not rows else False
