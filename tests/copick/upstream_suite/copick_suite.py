"""Runs the tests of the PyPI package copick, from its source distribution, on that package or on ours.

From a shell: ``python copick_suite.py ours|upstream test_uri.py [local|s3|mlcroissant] [arguments of pytest]``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tomoportal.storage import open_store
from tomoportal.testing.environments import Environment

VERSION = "1.31.0"
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]


class Outcome(NamedTuple):
    """What became of one test: passed, failed, error or skipped, and why."""

    test: str
    outcome: str
    reason: str


class Suite(NamedTuple):
    """Their tests and the sample project that they read, and the interpreter that has both packages."""

    python: Path
    tests: Path
    corpus: Path

    def run(
        self, name: str, *arguments: str, ours: bool, backend: str = "local", portal: str = "", show: bool = False
    ) -> list[Outcome]:
        """Run a file of theirs; ``portal`` takes the place of the public one.

        Raises :class:`RuntimeError` when pytest breaks or the other package was tested.
        """
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder, "record")
            command = [self.python, "-W", "ignore", "-m", "pytest", "-q", "--tb=short", "--show-capture=no"]
            command += ["-p", "no:cacheprovider", "-p", "copick_recorder", "--basetemp", folder + "/t"]
            command += ["--rootdir", self.tests, self.tests / name]
            known = {
                key: value for key, value in os.environ.items() if not key.startswith(("COPICK", "PYTEST", "TOMO"))
            }
            variables = {
                **corpus_variables(self.corpus),
                "BACKEND": backend,
                "COPICK_PORTAL_URL": portal,
                "COPICK_SUITE_RECORD": str(record),
                "HOME": folder,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": os.pathsep.join([str(HERE), str(REPOSITORY / "src")]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": folder,
                "TOMOPORTAL_AS_COPICK": "1" if ours else "",
            }
            done = subprocess.run(
                [*command, *arguments],
                stdout=None if show else subprocess.PIPE,
                stderr=None if show else subprocess.STDOUT,
                text=True,
                env={**known, **variables},
                cwd=folder,
                check=False,
            )
            lines = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else [{}]
        if done.returncode not in (0, 1) or lines[0].get("package") != ("tomoportal" if ours else "copick"):
            raise RuntimeError(f"{name} ended with {done.returncode} on {lines[0]}: {(done.stdout or '')[-3000:]}")
        return [Outcome(**line) for line in lines[1:]]


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def prepare(python: Path) -> Suite:
    """Fetch their tests and make the sample project, once, in the folder of the environment.

    Raises :class:`~tomoportal.errors.MissingPartError` when the package index does not give them.
    """
    source = HERE / "copick_corpus.py"
    environment = Environment(python.parent.parent, REPOSITORY / "requirements" / "copick-plugins.txt")
    tests = environment.sources("copick", VERSION) / "tests"
    corpus = environment.folder / "copick-suite" / f"corpus-{digest(source)[:8]}"
    locks = open_store(Path(tempfile.gettempdir()) / "tomoportal-tests", create=True)
    with locks.lock("copick-suite", timeout=7200):
        if not (corpus / "ready").exists():
            subprocess.run([python, "-W", "ignore", source, tests, corpus], check=True, capture_output=True, text=True)
            # Theirs unpacks it when a session begins; several that begin at once would be in each other's way.
            unpack = [python, "-c", "import conftest; conftest.ensure_test_data()"]
            variables = {**os.environ, **corpus_variables(corpus)}
            subprocess.run(unpack, check=True, capture_output=True, text=True, cwd=tests, env=variables)
            (corpus / "ready").touch()
    return Suite(python, tests, corpus)


def corpus_variables(corpus: Path) -> dict[str, str]:
    """The environment variables by which theirs finds the sample project."""
    known = digest(corpus / "sample_project.zip")
    return {"COPICK_TEST_DATA_CACHE": str(corpus), "COPICK_TEST_DATA_DIGEST": f"md5:{known}"}


def main(arguments: list[str]) -> None:
    which, name, *rest = arguments
    backend = rest.pop(0) if rest and not rest[0].startswith("-") else "local"
    python = Path(os.environ.get("TOMOPORTAL_COPICK_PLUGINS_PYTHON", REPOSITORY / ".venv-copick-plugins/bin/python"))
    found = prepare(python).run(name, *rest, ours=which == "ours", backend=backend, show=True)
    for each in found:
        if each.outcome != "passed":
            print(each.outcome, each.test)
    print(which, name, backend, dict(Counter(each.outcome for each in found)))


if __name__ == "__main__":
    main(sys.argv[1:])
