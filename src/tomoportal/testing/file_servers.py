"""Real file servers for tests: Samba's ``smbd`` and OpenSSH's ``sshd``, without root and without a trace.

    with smb_server(folder) as server:          # raises ServerIsMissing where the program is not installed
        store = open_fsspec("smb:///share/place", server.arguments)
        with outage(server, 5):             # nobody waits for 5 s
            store.get("key")

Debian has them in the packages ``samba`` and ``openssh-server``.
"""

from __future__ import annotations

import getpass
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tomoportal.storage import server_connection

__all__ = ["FileServer", "ServerIsMissing", "free_port", "outage", "smb_server", "ssh_server"]

_PATIENCE = 60.0
_FIRST_PORT = 10240
_PASSWORD = "secret"
_PROGRAMS = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/lib/openssh", "/usr/libexec"))

_SMB = """[global]
server role = standalone server
bind interfaces only = yes
interfaces = 127.0.0.1/8
smb ports = {port}
private dir = {place}/private
state directory = {place}/state
cache directory = {place}/cache
lock directory = {place}/lock
pid directory = {place}/pid
ncalrpc dir = {place}/rpc
passdb backend = tdbsam:{place}/private/passdb.tdb
log file = {place}/log
disable netbios = yes
load printers = no
printing = bsd
printcap name = /dev/null
disable spoolss = yes
[share]
path = {folder}
read only = no
[locked]
path = {folder}
read only = yes
"""

_SSH = """Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host
AuthorizedKeysFile {place}/client.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
Subsystem sftp internal-sftp
"""


class ServerIsMissing(RuntimeError):
    """The program of a server is not installed; the message says which package holds it."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens.

    None of those that the system gives to clients: one of them would sit there while a server is away, and a client
    that calls a port of its own kind in vain now and then reaches itself.
    """
    for number in random.SystemRandom().sample(range(_FIRST_PORT, _first_of_clients()), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number
    raise ServerIsMissing("no port is free")


def _first_of_clients() -> int:
    with suppress(OSError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        if first > _FIRST_PORT + 1000:
            return first
    return 32768


class FileServer:
    """A server process with its helpers; ``arguments`` are those of fsspec's file system."""

    def __init__(self, command: list[str], port: int, arguments: Mapping[str, Any]) -> None:
        self.port, self.arguments = port, dict(arguments)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        end = time.monotonic() + _PATIENCE
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise ServerIsMissing(f"{self._command[0]} does not start")
            time.sleep(0.05)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        """Kill it with all its connections, as a machine does that loses its power."""
        if self._process is None:
            return
        for process in [*_below(self._process.pid), self._process.pid]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Break every connection."""
        self.stop()
        self.start()


@contextmanager
def outage(server: FileServer, seconds: float = math.inf) -> Iterator[list[float]]:
    """The server is away until stores have paused for ``seconds`` in all, or until the end; they pause by the clock of
    the test, which costs no time. Yields the pauses."""
    pauses: list[float] = []
    lock = threading.Lock()

    def pause(length: float) -> None:
        with lock:
            before = sum(pauses)
            pauses.append(length)
            if before < seconds <= before + length:
                server.start()

    server.stop()
    with mock.patch.object(server_connection, "time", SimpleNamespace(sleep=pause, monotonic=lambda: sum(pauses))):
        try:
            yield pauses
        finally:
            if not server.is_running:
                server.start()


def _below(process: int) -> list[int]:
    """Processes that a process has started, and those of these."""
    found: list[int] = []
    with suppress(OSError):
        for name in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            found += [*_below(int(name)), int(name)]
    return found


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=_PROGRAMS)
    if found is None:
        raise ServerIsMissing(f"{name} is not installed (Debian: apt install {package})")
    return found


@contextmanager
def smb_server(folder: Path) -> Iterator[FileServer]:
    """Serve a folder as the share ``share``, and read-only as ``locked``. Raises :class:`ServerIsMissing`."""
    smbd, smbpasswd = _program("smbd", "samba"), _program("smbpasswd", "samba-common-bin")
    port, user = free_port(), getpass.getuser()
    with tempfile.TemporaryDirectory(prefix="smb", dir="/tmp") as name:  # a short path: it holds sockets
        place = Path(name)
        for each in ("private", "state", "cache", "lock", "pid", "rpc"):
            (place / each).mkdir()
        config = place / "smb.conf"
        config.write_text(_SMB.format(port=port, place=place, folder=folder))
        said = f"{_PASSWORD}\n{_PASSWORD}\n"
        added = subprocess.run([smbpasswd, "-c", config, "-s", "-a", user], input=said, text=True, capture_output=True)
        if added.returncode:
            raise ServerIsMissing(f"smbpasswd knows no user {user}: {added.stderr}")
        arguments = {"host": "127.0.0.1", "port": port, "username": user, "password": _PASSWORD}
        yield from _served(FileServer([smbd, "--foreground", "--no-process-group", "-s", str(config)], port, arguments))


@contextmanager
def ssh_server() -> Iterator[FileServer]:
    """Serve the files of this machine to this user, who has a key. Raises :class:`ServerIsMissing`."""
    sshd, keygen = _program("sshd", "openssh-server"), _program("ssh-keygen", "openssh-client")
    port, user = free_port(), getpass.getuser()
    if os.getuid() == 0:  # where sshd puts what it does not trust
        Path("/run/sshd").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ssh", dir="/tmp") as name:
        place = Path(name)
        for each in ("host", "client"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", place / each], check=True)
        config = place / "sshd_config"
        config.write_text(_SSH.format(port=port, place=place))
        arguments = {
            "host": "127.0.0.1",
            "port": port,
            "username": user,
            "client_keys": [str(place / "client")],
            "known_hosts": None,
        }
        yield from _served(FileServer([sshd, "-D", "-e", "-f", str(config)], port, arguments))


def _served(server: FileServer) -> Iterator[FileServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
