"""``import copick`` resolves to this room, so that released plug-ins run on it (reference copick-api, 1 and 16).

:func:`install` puts a finder first on the import path; a module of that name and its sub-modules then hand out names of
ours. A module that we do not provide yet is a ``ModuleNotFoundError`` that says so.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from tomoportal.copick.drop_in.names import MODULES, SAME

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder

__all__ = ["install", "is_installed"]

_ROOM: Final = "tomoportal.copick"
_VARIABLE: Final = "TOMOPORTAL_AS_COPICK"


class _Alias(ModuleType):
    """A module whose names are looked up in ours when they are first used."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The names of {name}, from {_ROOM}.")
        self._names = MODULES[name]
        self.__all__ = [each for each in self._names if not each.startswith("_") or each == "__version__"]
        self.__path__: list[str] = []
        if name == "copick":  # what programs print to tell which copick they run on
            self.__file__ = os.path.join(os.path.dirname(os.path.dirname(__file__)), "__init__.py")

    def __getattr__(self, name: str) -> Any:
        try:
            module, ours = self._names[name]
        except KeyError:
            below = f"{self.__name__}.{name}"
            if below in MODULES or below in SAME:
                return importlib.import_module(below)
            raise AttributeError(
                f"module {self.__name__!r} (provided by tomoportal) has no attribute {name!r}"
            ) from None
        return getattr(importlib.import_module(_home(module)), ours)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._names])


def _home(module: str) -> str:
    return module if module.startswith("tomoportal.") else f"{_ROOM}.{module}" if module else _ROOM


class _Finder:
    """Finds and loads ``copick`` and everything below it; the base classes of importlib would cost a long import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in MODULES or fullname in SAME:
            return importlib.machinery.ModuleSpec(fullname, cast(Any, self), is_package=True)
        if fullname.startswith("copick."):
            raise ModuleNotFoundError(f"{fullname} is not provided by tomoportal.copick", name=fullname)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return ModuleType(spec.name) if spec.name in SAME else _Alias(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run; a module that is one of ours under another name gives way to it."""
        if module.__name__ in SAME:
            sys.modules[module.__name__] = importlib.import_module(_home(SAME[module.__name__]))

    def find_distributions(self, context: DistributionFinder.Context) -> Iterator[Distribution]:
        """A stand-in that tells the version of the names, where the PyPI package itself is not installed."""
        if context.name == "copick":
            others = [each for each in sys.meta_path if each is not self and hasattr(each, "find_distributions")]
            if not any(True for each in others for _ in each.find_distributions(context)):
                from tomoportal.copick.drop_in.distribution import StandIn

                yield StandIn()


def is_installed() -> bool:
    """Whether ``import copick`` means this room."""
    return any(isinstance(each, _Finder) for each in sys.meta_path)


def install() -> None:
    """Make ``import copick`` mean this room, in this process and, by the environment, in those that it starts.

    Raises :class:`SettingsError` if the other package has been imported already.
    """
    if is_installed():
        return
    known = sys.modules.get("copick")
    if known is not None and not isinstance(known, _Alias):
        from tomoportal.errors import SettingsError

        raise SettingsError(
            "the PyPI package copick has been imported already in this process",
            where="tomoportal.copick.install",
            fix="call install() before the first import of copick, or set TOMOPORTAL_AS_COPICK=1",
        )
    sys.meta_path.insert(0, cast(Any, _Finder()))
    # Workers of a pool import a plug-in before anything of this program runs there.
    os.environ[_VARIABLE] = "1"
