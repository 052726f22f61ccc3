"""TomoTwin's ``.tloc`` files are pickled tables: reading one runs whatever program it holds, so none is read.

The same picks leave TomoTwin (``tomotwin_pick.py``) and napari-boxmanager as ``.coords`` or ``.cbox``, which are text.
"""

from __future__ import annotations

from typing import NoReturn

from tomoportal.errors import FormatError

__all__ = ["is_pickle", "refuse_pickle"]


def is_pickle(data: bytes) -> bool:
    """Whether these bytes are a Python pickle of protocol 2 or later."""
    return len(data) > 2 and data[0] == 0x80 and 2 <= data[1] <= 5 and data.endswith(b".")


def refuse_pickle(data: bytes, name: str) -> NoReturn:
    """Raise the ``FormatError`` that says how to get the picks in a safe format."""
    what = "This is a pickled table" if is_pickle(data) else "TomoTwin's .tloc is a pickled table"
    raise FormatError(
        f"{what}, and reading a pickle can run any program: it is not read.",
        where=name,
        fix="Export the picks as .coords or .cbox (tomotwin_pick.py writes both) and use file_format coords or cbox.",
    )
