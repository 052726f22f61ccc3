"""What a value may be: numbers with bounds and units, texts with patterns, choices, and unions of them.

The generated pydantic classes annotate their fields with ``Permit(alternative, …)``. A value that fits none of the
alternatives gives **one** error that says what is permitted, however many alternatives there are. The alternatives also
print themselves as JSON Schema, from which the schema files for editors are made.
"""

from __future__ import annotations

import datetime
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = [
    "REFUSED",
    "Alternative",
    "Anything",
    "Choice",
    "Day",
    "Matrix",
    "Model",
    "Number",
    "Permit",
    "Text",
    "Truth",
]


class Model(BaseModel):
    """Base of the generated classes: a closed world, in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class _Refused:
    def __repr__(self) -> str:
        return "REFUSED"


REFUSED: Final = _Refused()
"""Answer of an alternative that does not take a value."""


class Alternative(ABC):
    """One of the forms that a value may have."""

    @abstractmethod
    def take(self, value: Any) -> Any:
        """The value in its canonical form, or ``REFUSED``."""

    @property
    @abstractmethod
    def permitted(self) -> str:
        """What the alternative takes, as the end of "must be …"."""

    @property
    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """The alternative in JSON Schema."""


@dataclass(frozen=True)
class Number(Alternative):
    """A finite number, with inclusive bounds; ``whole`` takes integers only (``4.0`` counts as 4)."""

    minimum: float | None = None
    maximum: float | None = None
    unit: str | None = None
    whole: bool = False

    def take(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return REFUSED
        if (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum):
            return REFUSED
        if self.whole and isinstance(value, float):
            return int(value) if value.is_integer() else REFUSED
        return value

    @property
    def permitted(self) -> str:
        text = "a whole number" if self.whole else "a number"
        if self.minimum is not None and self.maximum is not None:
            text += f" from {self.minimum:g} to {self.maximum:g}"
        elif self.minimum is not None:
            text += f" of at least {self.minimum:g}"
        elif self.maximum is not None:
            text += f" of at most {self.maximum:g}"
        return f"{text} ({self.unit})" if self.unit else text

    @property
    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        return schema


@dataclass(frozen=True)
class Text(Alternative):
    """A text, which has to match the whole of a pattern if there is one.

    ``noun`` and ``example`` describe it in messages; what ``drop_prefix`` matches at the start is taken off.
    """

    noun: str | None = None
    pattern: str | None = None
    example: str | None = None
    drop_prefix: str | None = None

    @cached_property
    def _expression(self) -> re.Pattern[str] | None:
        return re.compile(self.pattern) if self.pattern else None

    def take(self, value: Any) -> Any:
        if not isinstance(value, str):
            return REFUSED
        if self.drop_prefix:
            value = re.sub(f"^{self.drop_prefix}", "", value)
        return value if self._expression is None or self._expression.fullmatch(value) else REFUSED

    @property
    def permitted(self) -> str:
        if self.noun is None:
            return "a text"
        if self.noun.startswith("the "):
            return f"{self.noun} {self.example}"
        article = "an" if re.match("[AEIOUaeiou](?!ni)|NCBI", self.noun) else "a"
        return f"{article} {self.noun}" + (f" such as {self.example}" if self.example else "")

    @property
    def json_schema(self) -> dict[str, Any]:
        if self.pattern is None:
            return {"type": "string"}
        pattern = f"^({self.drop_prefix})?{self.pattern.removeprefix('^')}" if self.drop_prefix else self.pattern
        return {"type": "string", "pattern": pattern}


class Choice(Alternative):
    """One of several words; ``aliases`` are other spellings of them, and ``true`` and ``false`` may be Booleans."""

    def __init__(self, *values: str, aliases: dict[str, str] | None = None) -> None:
        self.values = values
        self.aliases = aliases or {}

    def take(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.values:
            return value
        if isinstance(value, str | bool):
            return self.aliases.get(str(value), REFUSED)
        return REFUSED

    @property
    def permitted(self) -> str:
        return f"one of {', '.join(self.values)}" if len(self.values) > 1 else f"the word {self.values[0]}"

    @property
    def json_schema(self) -> dict[str, Any]:
        flags = [flag for flag in (True, False) if str(flag) in self.aliases]
        return {"enum": [*self.values, *self.aliases, *flags]}


@dataclass(frozen=True)
class Truth(Alternative):
    """``true`` or ``false``."""

    def take(self, value: Any) -> Any:
        return value if isinstance(value, bool) else REFUSED

    @property
    def permitted(self) -> str:
        return "true or false"

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Day(Alternative):
    """A day, ``2023-06-01``: a text, or the date that YAML makes of it."""

    def take(self, value: Any) -> Any:
        if isinstance(value, datetime.datetime):
            return REFUSED
        if isinstance(value, datetime.date):
            return value
        if not isinstance(value, str) or not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return REFUSED
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:  # the 31st of June
            return REFUSED

    @property
    def permitted(self) -> str:
        return "a day such as 2023-06-01"

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}


@dataclass(frozen=True)
class Matrix(Alternative):
    """A matrix of finite numbers, as a list of rows."""

    rows: int
    columns: int

    def take(self, value: Any) -> Any:
        if not isinstance(value, list) or len(value) != self.rows:
            return REFUSED
        number = Number()
        for row in value:
            if not isinstance(row, list) or len(row) != self.columns or any(number.take(x) is REFUSED for x in row):
                return REFUSED
        return value

    @property
    def permitted(self) -> str:
        return f"a {self.rows}×{self.columns} matrix of numbers, as a list of rows"

    @property
    def json_schema(self) -> dict[str, Any]:
        row = {"type": "array", "items": {"type": "number"}, "minItems": self.columns, "maxItems": self.columns}
        return {"type": "array", "items": row, "minItems": self.rows, "maxItems": self.rows}


@dataclass(frozen=True)
class Anything(Alternative):
    """Any value."""

    def take(self, value: Any) -> Any:
        return value

    @property
    def permitted(self) -> str:
        return "any value"

    @property
    def json_schema(self) -> dict[str, Any]:
        return {}


class Permit:
    """Marks a field whose value has to fit one of several alternatives; the first that takes it decides its form."""

    def __init__(self, *alternatives: Alternative) -> None:
        self.alternatives = alternatives

    @property
    def permitted(self) -> str:
        """All that is permitted, in one line."""
        return describe(self.alternatives)

    def take(self, value: Any) -> Any:
        """The value in its canonical form; ``PydanticCustomError`` if no alternative takes it."""
        for alternative in self.alternatives:
            taken = alternative.take(value)
            if taken is not REFUSED:
                return taken
        raise PydanticCustomError("permitted", "must be {permitted}", {"permitted": self.permitted})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.take)


def describe(alternatives: Iterable[Alternative]) -> str:
    """What several alternatives permit together, without repetition."""
    words: list[str] = []
    texts: list[str] = []
    for alternative in alternatives:
        if isinstance(alternative, Choice):
            words += [word for word in alternative.values if word not in words]
        elif not (isinstance(alternative, Text) and _same_noun(alternative, texts)):
            texts.append(alternative.permitted)
    if words:
        texts.insert(0, Choice(*words).permitted)
    if len(texts) == 1:
        return texts[0]
    return f"{', '.join(texts[:-1])} or {texts[-1]}"


def _same_noun(text: Text, texts: list[str]) -> bool:
    start = text.permitted.split(" such as ")[0]
    return any(other.startswith(f"{start} such as ") for other in texts)
