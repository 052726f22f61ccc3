"""Programs in processes of their own: what they say is awaited with patience, and they end with the block.

    with Program([sys.executable, "-m", "tomoportal", "serve", "--port", "0"], cwd=folder) as program:
        address = program.says(r"http://\\S+")
        assert program.stop() == 0
    assert "Traceback" not in program.errors

What is said goes to nameless files: a pipe that nobody empties would hold the program up, and one that a process of
the program keeps open would hold us up.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["PATIENCE", "Program"]

PATIENCE = 120.0
"""Seconds that a program gets on a busy machine to say or do what it will certainly say or do."""


class Program:
    """One process, and the processes that it starts; none of them is left after the block.

    ``settings`` is its environment: by default ours without the variables of Tomoportal.
    """

    def __init__(self, command: Sequence[str | Path], *, cwd: Path, settings: Mapping[str, str] | None = None) -> None:
        self.command = [str(word) for word in command]
        if settings is None:
            settings = {name: value for name, value in os.environ.items() if not name.startswith("TOMOPORTAL_")}
        self._cwd, self._settings = cwd, settings

    def __enter__(self) -> Program:
        self._output, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command,
            cwd=self._cwd,
            env=dict(self._settings),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output, self.errors = self._said()
        self._output.close()
        self._errors.close()

    def says(self, pattern: str) -> str:
        """Wait until its output has the pattern; return what matched.

        Raises :class:`AssertionError` with everything that it said when it ends before, or takes too long.
        """
        end = time.monotonic() + PATIENCE
        while True:
            has_ended = self.process.poll() is not None
            if found := re.search(pattern, self._said()[0]):
                return found.group()
            if has_ended or time.monotonic() > end:
                raise AssertionError(f"{self._state()} and did not say {pattern!r}{self._transcript()}")
            time.sleep(0.01)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it the signal and wait; return its exit code.

        Raises :class:`AssertionError` with everything that it said when it goes on.
        """
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{number.name} did not stop it{self._transcript()}") from None

    def _said(self) -> tuple[str, str]:
        # Read beside the program's own place in the files.
        descriptors = (self._output.fileno(), self._errors.fileno())
        output, errors = (os.pread(each, os.fstat(each).st_size, 0).decode(errors="replace") for each in descriptors)
        return output, errors

    def _state(self) -> str:
        code = self.process.poll()
        return f"it ended with {code}" if code is not None else f"it runs for {PATIENCE:g} s"

    def _transcript(self) -> str:
        output, errors = self._said()
        return f": {' '.join(self.command)}\n--- output\n{output}\n--- errors\n{errors}"
