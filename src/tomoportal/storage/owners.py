"""Names of processes, for what a process leaves behind when it dies: temporary files, staging folders, locks."""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import time

__all__ = ["ABANDONED_AFTER", "is_abandoned", "new_token"]

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which something of a process on another machine counts as left behind."""

_serial = itertools.count()


def new_token() -> str:
    """A name that no other live process and no other call in this process uses: ``host-pid-serial``."""
    return f"{_host()}-{os.getpid():x}-{next(_serial):x}"


def is_abandoned(token: str, modified: float) -> bool:
    """Whether the process that made ``token`` is gone.

    On this machine the process table says so; for another machine age decides (:data:`ABANDONED_AFTER`, seconds
    since ``modified``, which is in seconds since the epoch).
    """
    host, _, rest = token.partition("-")
    pid, _, _serial_number = rest.partition("-")
    if host == _host():
        try:
            return not _alive(int(pid, 16))
        except ValueError:
            return False
    return time.time() - modified > ABANDONED_AFTER


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether the process has ended and only waits to be collected, for ever where process 1 collects nobody's orphans.

    Told by ``/proc``; where there is none, nobody is taken for dead.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
    except FileNotFoundError:
        return os.path.isdir("/proc/self")  # gone between two looks
    except OSError:
        return False
    return state in (b"Z", b"X")
