"""XML read element by element, attributes only: nothing is expanded, nothing is fetched, nothing but one row is kept.

A document type declaration is refused, and with it every entity that a file could define.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from xml.parsers import expat

from tomoportal.errors import FormatError
from tomoportal.formats.rows import finite

__all__ = ["Attributes", "read_elements"]

_DEEPEST = 64


class Attributes:
    """Attributes of one element, and where it is."""

    def __init__(self, values: Mapping[str, str], where: str) -> None:
        self.where = where
        self._values = values

    def text(self, *names: str) -> str | None:
        """The value of the first of these attributes that is there."""
        return next((self._values[name] for name in names if name in self._values), None)

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number; raises ``FormatError`` if it is none, or absent and without ``default``."""
        text = self._values.get(name)
        value = default if text is None else finite(text)
        if value is None:
            raise FormatError(f"The attribute {name} is {text!r}, not a number.", where=self.where)
        return value


def read_elements(
    data: bytes,
    name: str,
    *,
    root: str,
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None] | None = None,
) -> None:
    """Call ``start`` and ``end`` for the elements below ``root``, in the order of the file.

    Raises ``FormatError`` with the line for XML that is not well formed, for another root element, for a document
    type declaration and for nesting that no particle list has; whatever the callbacks raise goes through.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    open_elements: list[str] = []

    def opened(tag: str, values: dict[str, str]) -> None:
        where = f"{name}:{parser.CurrentLineNumber}"
        if not open_elements and tag != root:
            raise FormatError(f"The root element is <{tag[:40]}>, not <{root}>.", where=where)
        if len(open_elements) >= _DEEPEST:
            raise FormatError(f"Elements are nested more than {_DEEPEST} deep.", where=where)
        if open_elements:
            start(tag, Attributes(values, where))
        open_elements.append(tag)

    def closed(tag: str) -> None:
        open_elements.pop()
        if end is not None and open_elements:
            end(tag)

    def refused(*_declaration: object) -> None:
        raise FormatError(
            "The file declares a document type, which can hide entities that grow without bound.",
            where=f"{name}:{parser.CurrentLineNumber}",
            fix="Remove the DOCTYPE declaration.",
        )

    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.StartDoctypeDeclHandler = refused
    parser.EntityDeclHandler = refused
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise FormatError(
            f"The XML is not well formed: {expat.ErrorString(error.code)}.", where=f"{name}:{error.lineno}"
        ) from error
    except (ValueError, LookupError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"The XML cannot be read: {error}.", where=name) from error
