"""What a run leaves beside the journal for people: files in `runs/<RUN>/` of the state folder."""

import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path

from orchestrator.domain.errors import OrchError

_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


def leave(state: Path, run: str, name: str, text: str) -> Path:
    """Put *text* (ASCII) into the file *name* of the run's folder: there whole or not at all, in place of one before.

    For its owner alone, and for the group too where the state folder was made for one. Only *run* and *name* make up
    the path, and neither comes from a host. Raises OrchError for what the disk refuses.
    """
    if not _RUN.fullmatch(run):
        raise OrchError(f"{run!r} is no run's id: {name} was not written")
    folder = state / "runs" / run
    try:
        shared = bool(state.stat().st_mode & stat.S_IWGRP)
        for made in (folder.parent, folder):
            _make(made, shared=shared)
        return _put(folder / name, text, 0o660 if shared else 0o600)
    except OSError as exc:
        raise OrchError(
            f"{folder / name} can't be written: {exc.strerror or exc}", hint=f"orch show {run} tells the same"
        ) from exc


def left(state: Path, run: str, name: str) -> tuple[Path, str] | None:
    """The file *name* of the run's folder and its text; None if there is none that can be read."""
    path = state / "runs" / run / name
    if not _RUN.fullmatch(run):
        return None
    with suppress(OSError, UnicodeDecodeError):
        return path, path.read_text(encoding="ascii")
    return None


def _make(folder: Path, *, shared: bool) -> None:
    """Raises OSError, also if something else stands there, such as a link to elsewhere."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if shared and sys.platform != "win32":
            folder.chmod(0o2770)  # past the umask
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise NotADirectoryError(f"{folder} is no folder")


def _put(path: Path, text: str, mode: int) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="") as file:
            if sys.platform != "win32":
                os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
