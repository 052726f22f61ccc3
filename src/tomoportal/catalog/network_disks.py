"""Whether a path lies on a network file system, where SQLite's locks and shared memory do not work."""

from __future__ import annotations

from pathlib import Path

__all__ = ["network_file_system"]

_NETWORK = frozenset(
    {
        "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
        "fuse.weka", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "panfs", "smb3", "smbfs",
        "wekafs",
    }
)  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(path: Path, mounts: str | None = None) -> str | None:
    """Kind of network file system that ``path`` lies on (``nfs4``), or None if it is local or cannot be told.

    ``mounts`` is text in the format of Linux's ``/proc/self/mountinfo``; None reads that file.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text()
        except OSError:
            return None
    resolved = path.resolve()
    best, found = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = Path(fields[4].replace("\\040", " "))
        depth = len(point.parts)
        if depth >= best and (resolved == point or point in resolved.parents):
            best, found = depth, right.split()[0]
    return found if found in _NETWORK else None
