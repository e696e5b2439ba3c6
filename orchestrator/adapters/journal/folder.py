"""Where the journal stands: a folder on a local disk, for its owner alone unless it was made for a group."""

import os
import re
import stat
import sys
from pathlib import Path

from orchestrator.domain.errors import OrchError

NETWORK_TYPES = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2", "gpfs", "glusterfs", "lustre", "ncpfs")
    + ("nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs", "fuse.ceph", "fuse.cifs", "fuse.davfs")
    + ("fuse.davfs2", "fuse.glusterfs", "fuse.gvfsd-fuse", "fuse.nfs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs")
    + ("fuse.sshfs",)
)
"""File systems whose locks and write order can't be trusted with a write-ahead log, as mountinfo names them."""

_OCTAL = re.compile(r"\\([0-7]{3})")


def network_type(folder: str, mountinfo: str) -> str | None:
    """The network file system that *folder* (absolute, resolved) lies on, or None for a local disk.

    *mountinfo* is the text of /proc/self/mountinfo. Source: proc_pid_mountinfo(5): mount point in the fifth field,
    blanks in it as octal, file system type first after the lone dash; a later mount hides an earlier one.
    """
    deepest, kind = "", ""
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
        if _holds(point, folder) and len(point) >= len(deepest):
            deepest, kind = point, after.split(" ")[0]
    return kind if kind in NETWORK_TYPES else None


def _holds(point: str, folder: str) -> bool:
    return point in ("/", folder) or folder.startswith(point + "/")


def refuse_network(folder: Path) -> None:
    """Raises OrchError if *folder* lies on a network file system, as far as this platform tells.

    Linux tells by name; Windows for `\\\\server\\share` paths; elsewhere nothing is refused.
    """
    kind: str | None = None
    resolved = folder.resolve()
    if sys.platform == "linux":
        kind = network_type(str(resolved), Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    elif str(resolved).startswith("\\\\"):
        kind = "a network share"
    if kind:
        raise OrchError(
            f"the journal can't live in {folder}: it is a network file system ({kind}), which may lose or reorder "
            "what was committed; nothing was touched",
            hint="--state-dir or ORCH_STATE_DIR: a folder on a disk of this machine",
        )


def make_folder(folder: Path) -> None:
    """Make *folder*, for its owner alone (0700); one that exists keeps its bits. Raises OSError."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def make_file(path: Path) -> None:
    """Make *path*, empty, for its owner, and for the folder's group too if that may write in the folder.

    SQLite gives the same bits to the files that it keeps beside it. Raises OSError.
    """
    shared = path.parent.stat().st_mode & stat.S_IWGRP
    mode = 0o660 if shared else 0o600
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except FileExistsError:
        return
    try:
        if shared and sys.platform != "win32":
            os.fchmod(handle, mode)  # past the umask
    finally:
        os.close(handle)
