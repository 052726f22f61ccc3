"""Python environments of their own, for packages and programs that do not fit beside ours: oracles of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

from tomoportal.storage import open_store

__all__ = ["Environment"]

_PATIENCE = 600  # seconds that one process waits for another one to make the same environment


@dataclass(frozen=True)
class Environment:
    """A folder, the list of what is installed into it, and what is installed without its dependencies.

    The environment variable ``variable`` names the interpreter of another environment to take instead.
    """

    folder: Path
    requirements: Path
    variable: str = ""
    bare: tuple[str, ...] = ()

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def is_ready(self) -> bool:
        """Whether it holds what the list asks for now."""
        ready = self.folder / "ready"
        return self._named is not None or (ready.exists() and ready.read_text() == self.requirements.read_text())

    def interpreter(self) -> Path:
        """Its Python, after the environment was made if need be, by one process at a time.

        Raises :class:`OSError` or :class:`subprocess.CalledProcessError` when it cannot be made.
        """
        if self._named is not None:
            return Path(self._named)
        python = self.programs / "python"
        locks = open_store(Path(tempfile.gettempdir()) / "tomoportal-tests", create=True)
        with locks.lock(self.folder.name.lstrip("."), timeout=_PATIENCE):
            if not self.is_ready:
                venv.create(self.folder, with_pip=True, clear=True)
                install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                subprocess.run([*install, "-r", self.requirements], check=True, capture_output=True, text=True)
                if self.bare:
                    subprocess.run([*install, "--no-deps", *self.bare], check=True, capture_output=True, text=True)
                (self.folder / "ready").write_text(self.requirements.read_text())
        return python

    @property
    def _named(self) -> str | None:
        return os.environ.get(self.variable) if self.variable else None
