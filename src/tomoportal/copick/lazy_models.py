"""The base of the room's pydantic models, whose validators are built when they are first used.

Building them is a third of what importing the room would cost, and most scripts need only some. Threads may meet at
the first use: one builds, the others wait, also under versions of pydantic that do not see to that (before 2.14).
"""

from __future__ import annotations

import threading
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

__all__ = ["LazyModel"]

_BUILDING: Final = threading.RLock()


class _Signature:
    """Stands for what pydantic puts into its place when it builds the model."""

    def __get__(self, instance: object, owner: type[BaseModel]) -> Any:
        if instance is not None:
            raise AttributeError("__signature__")
        owner.model_rebuild()
        return owner.__signature__


class LazyModel(BaseModel):
    """A model that costs little until one is made."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.__signature__ = _Signature()  # type: ignore[assignment]

    @classmethod
    def model_rebuild(cls, *, force: bool = False, _parent_namespace_depth: int = 2, **options: Any) -> bool | None:
        """Build the validator now, unless it is there; what pydantic calls at the first use."""
        with _BUILDING:
            return super().model_rebuild(force=force, _parent_namespace_depth=_parent_namespace_depth + 1, **options)
