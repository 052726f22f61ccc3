"""Python environments of their own, for packages and programs that do not fit beside ours: oracles of the tests."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tomoportal.errors import MissingPartError
from tomoportal.storage import Lock, open_store

__all__ = ["Environment", "not_testable"]

_PATIENCE = 2 * 3600  # seconds that one process waits for another one, which is alive, to make the same environment
_PAUSES = (10.0, 60.0)  # seconds before an installation that failed is tried again: the package index may be restarting
_TOLD = 2000  # characters of what pip says


@dataclass(frozen=True)
class Environment:
    """A folder, the list of what is installed into it, and what is installed without its dependencies.

    What is built from its sources is built with the versions of ``build.txt`` beside the list.
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
        return self._named is not None or (ready.exists() and ready.read_text() == self._wanted)

    def interpreter(self) -> Path:
        """Its Python, after the environment was made if need be, by one process at a time.

        Raises :class:`~tomoportal.errors.MissingPartError` when it cannot be made.
        """
        if self._named is not None:
            return Path(self._named)
        if not self.is_ready:
            faulthandler.cancel_dump_traceback_later()  # pytest's: this takes as long as the network does
        with _one_at_a_time(self.folder.name.lstrip(".")):
            if not self.is_ready:
                venv.create(self.folder, with_pip=True, clear=True)
                self.pip("install", "-r", self.requirements)
                if self.bare:
                    self.pip("install", "--no-deps", *self.bare)
                (self.folder / "ready").write_text(self._wanted)
        return self.programs / "python"

    def tested(self) -> Path:
        """Its Python for a test; see `not_testable`."""
        try:
            return self.interpreter()
        except MissingPartError as error:
            not_testable(str(error))

    def sources(self, name: str, version: str) -> Path:
        """The folder of a package's source distribution, with its own tests: fetched once, kept in the environment.

        Raises :class:`~tomoportal.errors.MissingPartError` when the package index does not give it.
        """
        python = Path(self._named or self.programs / "python")
        folder = python.parent.parent / "sources"
        unpacked = folder / f"{name}-{version}"
        with _one_at_a_time(f"sources-{name}"):
            if not unpacked.exists():
                self.pip("download", "--dest", folder, "--no-deps", "--no-binary", name, f"{name}=={version}")
                with tempfile.TemporaryDirectory(dir=folder) as aside:
                    with tarfile.open(folder / f"{unpacked.name}.tar.gz") as archive:
                        archive.extractall(aside, filter="data")
                    Path(aside, unpacked.name).rename(unpacked)
        return unpacked

    def pip(self, *arguments: str | Path) -> str:
        """What its pip prints; a package index that fails is asked again.

        Raises :class:`~tomoportal.errors.MissingPartError` when it goes on failing.
        """
        known = str(self.requirements.with_name("build.txt"))
        variables = {**os.environ, "PIP_CONSTRAINT": known, "PIP_BUILD_CONSTRAINT": known}
        python = self._named or self.programs / "python"
        command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries", "10", *arguments]
        for pause in (*_PAUSES, None):
            done = subprocess.run(command, capture_output=True, text=True, env=variables)
            if done.returncode == 0:
                return done.stdout
            if pause is not None:
                time.sleep(pause)
        raise MissingPartError(
            f"pip {' '.join(map(str, arguments))} failed",
            where=str(self.folder),
            fix=f"look whether the package index can be reached; pip says: {done.stderr[-_TOLD:]}",
        )

    @property
    def _named(self) -> str | None:
        return os.environ.get(self.variable) if self.variable else None

    @property
    def _wanted(self) -> str:
        return "\n".join([self.requirements.read_text(), *self.bare])


def _one_at_a_time(name: str) -> AbstractContextManager[Lock]:
    """A lock that the kernel releases when its process ends, however that ends."""
    locks = open_store(Path(tempfile.gettempdir()) / "tomoportal-tests", create=True)
    return locks.lock(name, timeout=_PATIENCE)


def not_testable(why: str) -> NoReturn:
    """Skip the test and say why; where ``CI`` is set nothing may stay untested because of the network, and it fails."""
    if os.environ.get("CI"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
