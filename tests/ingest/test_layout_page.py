"""F79: the page about the tree shows what is there: every row is found in an archive, every file stands in a row."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tomoportal.archive.layout_page import layout_markdown, layout_rows
from tomoportal.ingest import Report

PAGE = Path(__file__).parents[2] / "docs/reference/archive-layout.md"

_VALUES = {
    "dataset": r"\d+",
    "deposition": r"\d+",
    "id": r"\d{3,}",
    "spacing": r"\d+\.\d{3}",
    "version": r"\d+\.\d",
    "program": "CTFFIND|Gctf|IMOD",
    "shape": "[a-z]+",
    "picture": "original|snapshot|thumbnail|expanded",
    "ext": "[a-z]+",
}


def _expression(pattern: str) -> re.Pattern[str]:
    """What a row stands for; a name that occurs twice has one value."""
    seen: set[str] = set()

    def group(found: re.Match[str]) -> str:
        name = found[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{_VALUES.get(name, '[^/]+')})"

    text = re.sub(r"\\\{(\w+)\\\}", group, re.escape(pattern))
    return re.compile(text + (".+" if pattern.endswith("/") else ""))


def test_the_page_is_made_from_the_layout() -> None:
    """F79."""
    table = PAGE.read_text().partition("## Files\n\n")[2]
    assert table == layout_markdown(), "replace all below '## Files' by what tomoportal.archive.layout_page prints"


def test_every_row_is_in_an_archive_and_every_file_in_a_row(
    tmp_path: Path, write_whole: Callable[..., Path], ingest: Callable[..., Report]
) -> None:
    """F79: with every entity type and shape of annotation."""
    assert ingest(write_whole(tmp_path / "raw", 1), tmp_path / "archive").ok
    keys = [path.relative_to(tmp_path / "archive").as_posix() for path in (tmp_path / "archive").rglob("*")]
    files = [key for key in keys if (tmp_path / "archive" / key).is_file() and not key.startswith(".tomoportal/")]
    rows = [(pattern, _expression(pattern)) for pattern, _ in layout_rows()]
    unnamed = [key for key in files if not any(expression.fullmatch(key) for _, expression in rows)]
    assert unnamed == []
    absent = [pattern for pattern, expression in rows if not any(expression.fullmatch(key) for key in files)]
    assert absent == []
