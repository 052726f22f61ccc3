"""SerialEM's metadata text (``.mdoc``), as SerialEM and Thermo Tomography 5 write it.

Header lines ``Key = value``, title lines ``[T = …]`` (frame files: ``T = …``), then sections that begin with
``[ZValue = n]``, ``[FrameSet = n]`` or ``[MontSection = n]``. Everything is kept in order, repeated keys and
repeated sections included; a typed property converts its text only when asked. Bytes that are not UTF-8 are Latin-1.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime

from tomoportal.errors import FormatError

__all__ = ["Mdoc", "MdocEntry", "MdocSection", "format_mdoc", "read_mdoc"]

_BRACKETS = re.compile(r"\[\s*(\w+)\s*=\s*(.*?)\s*\]")
_TILT_AXIS = re.compile(r"tilt\s*axis\s*angle\s*=\s*([-+]?[0-9]*\.?[0-9]+)", re.IGNORECASE)
_DATE = re.compile(
    r"(?:(?P<day>\d{1,2})[-/ ](?P<month>[A-Za-z]{3})[-/ ](?P<year>\d{4}|\d{2})"
    r"|(?P<iso_year>\d{4})[-/ ](?P<iso_month>[A-Za-z]{3}|\d{1,2})[-/ ](?P<iso_day>\d{1,2}))"
    r"[\sT]+(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6})\d*)?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class MdocEntry:
    """One ``key = value`` line; ``line`` counts from 1 and does not take part in comparisons."""

    key: str
    value: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class _Entries:
    entries: tuple[MdocEntry, ...]
    name: str = field(default="mdoc", compare=False)
    line: int = field(default=0, compare=False)

    def get(self, key: str) -> str | None:
        """Text of a key, of its last line if it is repeated; ``None`` without it."""
        entry = self._entry(key)
        return None if entry is None else entry.value

    def number(self, key: str) -> float | None:
        """Number of a key, ``None`` without it or with an empty value; raises ``FormatError`` with the line."""
        entry = self._entry(key)
        if entry is None or not entry.value:
            return None
        try:
            value = float(entry.value) if "_" not in entry.value else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FormatError(f"{key} is not a number: {entry.value!r}.", where=f"{self.name}:{entry.line}")
        return value

    def _entry(self, key: str) -> MdocEntry | None:
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)

    @property
    def pixel_spacing(self) -> float | None:
        """``PixelSpacing`` in Å."""
        return self.number("PixelSpacing")


@dataclass(frozen=True, slots=True)
class MdocSection(_Entries):
    """One section: ``kind`` is ``ZValue``, ``FrameSet`` or ``MontSection``, ``index`` its number."""

    kind: str = "ZValue"
    index: int = 0

    @property
    def tilt_angle(self) -> float | None:
        """``TiltAngle`` of the stage in degrees."""
        return self.number("TiltAngle")

    @property
    def exposure_time(self) -> float | None:
        """``ExposureTime`` in seconds."""
        return self.number("ExposureTime")

    @property
    def exposure_dose(self) -> float | None:
        """``ExposureDose`` in e⁻/Å²."""
        return self.number("ExposureDose")

    @property
    def prior_record_dose(self) -> float | None:
        """``PriorRecordDose`` in e⁻/Å²: what the place had received before this section."""
        return self.number("PriorRecordDose")

    @property
    def rotation_angle(self) -> float | None:
        """``RotationAngle`` of the image in degrees."""
        return self.number("RotationAngle")

    @property
    def acquired_at(self) -> datetime | None:
        """``DateTime`` without a time zone; ``None`` if it is missing or in no known notation.

        Known: ``06-Jun-23  23:51:26``, ``24-Mar-2023 12:13:13``, ``2023-Jun-06 23:51:26``, ``2023-06-06 23:51:26``.
        """
        text = self.get("DateTime")
        return None if text is None else _date_time(text)

    @property
    def frame_name(self) -> str | None:
        """Base name of ``SubFramePath``, which may be a Windows path; ``None`` without it."""
        path = self.get("SubFramePath")
        return None if not path else re.split(r"[\\/]", path.rstrip("\\/"))[-1] or None


@dataclass(frozen=True, slots=True)
class Mdoc(_Entries):
    """A whole file: header ``entries``, ``titles`` and ``sections``, each in file order."""

    titles: tuple[str, ...] = ()
    sections: tuple[MdocSection, ...] = ()

    @property
    def exposures(self) -> tuple[MdocSection, ...]:
        """The sections that are images: ``ZValue``, in a file of a single frame stack ``FrameSet``."""
        images = tuple(section for section in self.sections if section.kind == "ZValue")
        return images or tuple(section for section in self.sections if section.kind == "FrameSet")

    @property
    def tilt_axis(self) -> float | None:
        """Angle of the tilt axis in degrees from a title ``Tilt axis angle = …``; ``None`` if no title says it."""
        found = (_TILT_AXIS.search(title) for title in self.titles)
        return next((float(match[1]) for match in found if match), None)


def read_mdoc(data: bytes, name: str) -> Mdoc:
    """Parse a file; raises ``FormatError`` with the line number of a line that is neither entry, title nor section.

    A file without any section is refused too: it is something else.
    """
    header: list[MdocEntry] = []
    titles: list[str] = []
    begun: list[tuple[str, int, int, list[MdocEntry]]] = []  # kind, index, line, entries of a section
    for number, line in enumerate(_text(data).splitlines(), start=1):
        text = line.strip()
        if not text:
            continue
        where = f"{name}:{number}"
        if text.startswith("["):
            kind, value = _bracketed(text, where)
            if kind == "T":
                titles.append(value)
            elif re.fullmatch(r"-?[0-9]{1,9}", value):
                begun.append((kind, int(value), number, []))
            else:
                raise FormatError(f"The number of a section is not a whole number: {text[:60]!r}.", where=where)
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key:
            raise FormatError(f"The line is not Key = value: {text[:60]!r}.", where=where)
        if key == "T" and not begun:
            titles.append(value)
        else:
            (begun[-1][3] if begun else header).append(MdocEntry(key, value, number))
    if not begun:
        raise FormatError("There is no section ([ZValue = 0] …) in this file.", where=name)
    sections = tuple(MdocSection(tuple(entries), name, line, kind, index) for kind, index, line, entries in begun)
    return Mdoc(tuple(header), name, 0, tuple(titles), sections)


def format_mdoc(mdoc: Mdoc) -> bytes:
    """The file again, in SerialEM's layout, UTF-8; reading it gives an equal ``Mdoc``."""
    parts = ["".join(f"{entry.key} = {entry.value}\n" for entry in mdoc.entries)]
    parts += [f"[T = {title}]\n" for title in mdoc.titles]
    for section in mdoc.sections:
        body = "".join(f"{entry.key} = {entry.value}\n" for entry in section.entries)
        parts.append(f"[{section.kind} = {section.index}]\n{body}")
    return "\n".join(part for part in parts if part).encode("utf-8")


def _bracketed(text: str, where: str) -> tuple[str, str]:
    match = _BRACKETS.fullmatch(text)
    if match is None:
        raise FormatError(f"The line is not [Name = value]: {text[:60]!r}.", where=where)
    return match[1], match[2]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _date_time(text: str) -> datetime | None:
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day = match["year"] or match["iso_year"], match["month"] or match["iso_month"], match["day"]
    try:
        number = int(month) if month.isdigit() else _MONTHS.index(month.lower()) + 1
        return datetime(
            int(year) + (2000 if len(year) == 2 else 0),
            number,
            int(day or match["iso_day"]),
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"]),
            int((match["fraction"] or "0").ljust(6, "0")),
        )
    except ValueError:  # no such month, day or hour
        return None
