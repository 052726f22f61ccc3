"""Projects and what belongs to them in pickles: ours only, since those of the package copick hold other things."""

from __future__ import annotations

from typing import Any, ClassVar

from tomoportal.errors import FormatError

__all__ = ["Pickled"]


class Pickled:
    """Refuses the state of an object that another package pickled, where it would fail at its first use."""

    _OWN: ClassVar[str]
    """An attribute that every object of ours has, and none of theirs."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        if self._OWN not in state:
            raise FormatError(
                f"This {type(self).__name__} was pickled by the package copick, not by tomoportal.",
                where="pickle",
                fix="open its project here (from_file), and pickle names instead: root.get_run(name), or URIs;"
                " points, objects and configs can be read from such a pickle",
            )
        self.__dict__.update(state)
