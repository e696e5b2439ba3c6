"""The file of a saved plan: there whole or not at all, for its owner alone, never written over unasked."""

import os
from contextlib import suppress
from pathlib import Path

from orchestrator.domain.errors import BadInput

MOST_BYTES = 256 * 2**20
"""What is taken for a plan: one of 10,000 units has 20 MiB."""


def refuse(path: Path, *, overwrite: bool) -> None:
    """Raises BadInput if nothing may or can be written to *path*: said before hosts are read."""
    if path.exists() and not overwrite:
        raise BadInput(f"{path} is there already; nothing was touched", hint="--overwrite replaces it")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise BadInput(f"{path} can't be written; nothing was touched", hint="name a file in a folder of yours")


def write(path: Path, text: str, *, overwrite: bool) -> None:
    """Put *text* there. Raises BadInput as `refuse`, and for what the disk refuses."""
    refuse(path, overwrite=overwrite)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                beside.replace(path)
            else:
                path.hardlink_to(beside)  # fails if it has come to be there meanwhile, which a rename does not
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
    except FileExistsError:
        raise BadInput(f"{path} is there already; nothing was touched", hint="--overwrite replaces it") from None
    except OSError as exc:
        raise BadInput(f"{path} can't be written: {exc.strerror}; nothing was touched") from exc


def read(path: Path) -> str:
    """Its text. Raises BadInput if it can't be read."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path} is no saved plan: it has more than {MOST_BYTES >> 20} MiB")
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise BadInput(
            f"{path} is no saved plan", hint="orch stop --plan FILE --save stop.orchplan makes one"
        ) from None
    except OSError as exc:
        raise BadInput(f"{path} can't be read: {exc.strerror}") from exc
