"""What a SQLite file stands on: the kind of file system, the free space, the lock of its folder.

SQLite's WAL needs shared memory and file locks, which network file systems do not have
between hosts: a database there is damaged sooner or later. What must hold: such a file is
refused before it is opened for writing, and only one process at a time creates or upgrades.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lam3db.errors import DatabaseBusyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
NEEDED = 64 * MIB
"""Free bytes without which nothing is begun."""

_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3"),
        *("smbfs", "ncpfs", "afs", "coda", "ceph", "lustre"),
        *("gpfs", "glusterfs", "beegfs", "orangefs", "pvfs2", "panfs"),
        *("ocfs2", "gfs", "gfs2", "quobyte", "davfs", "fuse.sshfs"),
        *(
            "fuse.glusterfs",
            "fuse.ceph",
            "fuse.ceph-fuse",
            "fuse.s3fs",
            "fuse.rclone",
            "fuse.gcsfuse",
        ),
        *(
            "fuse.juicefs",
            "fuse.davfs2",
            "fuse.davfs",
            "fuse.seaweedfs",
            "fuse.mount-s3",
            "fuse.weka",
        ),
        *(
            "fuse.lizardfs",
            "fuse.moosefs",
            "fuse.mfs",
            "fuse.cvmfs2",
            "fuse.quobyte",
            "fuse.smbnetfs",
        ),
        *("fuse.curlftpfs", "fuse.goofys", "fuse.blobfuse", "fuse.blobfuse2", "wekafs"),
    }
)
# 9p and virtiofs are left out: sandboxes and virtual machines have their own root on them
_OCTAL = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}
_WAIT_SECONDS = 60.0


def network_type(folder: Path, mountinfo: str) -> str | None:
    """Return the network file system ``folder`` lies on, or None where it is a local one.

    ``folder`` is absolute and resolved; ``mountinfo`` is the text of ``/proc/self/mountinfo``.
    A later line covers an earlier one of the same mount point.
    """
    best, kind = "", ""
    place = str(folder)
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        parts, after = fields.split(" "), rest.split(" ")
        if len(parts) <= _MOUNT_POINT or not rest:
            continue
        point = _unquoted(parts[_MOUNT_POINT])
        if _is_below(place, point) and len(point) >= len(best):
            best, kind = point, after[0]
    return kind if kind in _NETWORK else None


_MOUNT_POINT = 4


def refuse_network(path: Path) -> None:
    """Raise StoreError when the file lies on a network file system."""
    folder = path.parent.resolve()
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return  # no Linux: nothing to look at
    kind = network_type(folder, mountinfo)
    if kind is not None:
        raise StoreError(
            f"{path} lies on a network file system ({kind}), where SQLite files get damaged:"
            " put it on a local disk (--db /local/disk/lam3.db, or LAM3DB_URL), or use"
            " PostgreSQL (--db postgresql://...) to share it between hosts"
        )


def require_space(folder: Path, needed: int) -> None:
    """Raise StoreError unless the folder's disk has ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{folder}: {free // MIB} MiB are free and {-(-needed // MIB)} MiB are needed:"
            " make room, or put the database elsewhere with --db"
        )


@contextlib.contextmanager
def alone_in(folder: Path, wait: float = _WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of a folder: of all processes, one creates or upgrades a database there.

    The folder itself is locked (``flock``), so no lock file is left behind.

    Raises:
        DatabaseBusyError: another process held it for ``wait`` seconds.

    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        _take(handle, folder, time.monotonic() + wait)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreError(f"{folder} cannot be locked: {error.strerror}") from error
            if time.monotonic() > deadline:
                raise DatabaseBusyError(
                    f"another process is creating or upgrading a database in {folder}:"
                    " try again when it is done"
                ) from None
            time.sleep(0.05)
        else:
            return


def _is_below(place: str, point: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")


def _unquoted(text: str) -> str:
    for code, character in _OCTAL.items():
        text = text.replace(code, character)
    return text
