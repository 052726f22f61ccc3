"""Where the words of the full-text search are kept: FTS5 on SQLite, a ``tsvector`` with a GIN index on PostgreSQL.

Both fold case and accents, split at everything that is neither letter nor digit, take a word of the question with
punctuation inside (``EMD-0001``) as a phrase, and let the last letters of each word be missing. Matches in the
title count most, then ids, names, text; the exact ranks differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, text

__all__ = ["WORD", "Entry", "SearchIndex", "search_index", "search_index_of"]

_TABLE = "catalog_search"
_WEIGHTS = (10.0, 5.0, 8.0, 1.0)
"""Of title, names, ids and text."""
_COLUMNS = ("title", "names", "ids", "text")

Entry = tuple[str, str, str, str]
"""Title, names, ids, text."""

WORD = re.compile(r"[^\W_]+")
"""A word of a question, as the databases split texts."""


class SearchIndex(Protocol):
    """One entry per number."""

    def matches(self, word: str, bind: Callable[[object], str]) -> list[tuple[str, int]]:
        """SELECTs of the ``number`` of each entry with a word that begins so, and what a match there counts.

        For words that :data:`WORD` finds. A single letter or digit stands for itself: half of all words begin with it.
        """

    def create(self, connection: Connection) -> None: ...
    def write(self, connection: Connection, entries: Mapping[int, Entry]) -> None: ...
    def remove(self, connection: Connection, numbers: Sequence[int]) -> None: ...

    def find(self, connection: Connection, words: Sequence[str], where: str, limit: int) -> list[tuple[int, float]]:
        """Numbers and ranks (smaller is better), best first; ``where`` is a condition on the number ``{number}``."""


def search_index(connection: Connection) -> SearchIndex:
    """The search of the connection's database."""
    return search_index_of(connection.dialect.name)


def search_index_of(database: str) -> SearchIndex:
    """The search of ``sqlite`` or ``postgresql``."""
    return _Tsvector() if database == "postgresql" else _Fts5()


class _Fts5:
    def create(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {_TABLE} USING fts5(title, names, ids, text,"
            " tokenize='unicode61 remove_diacritics 2', prefix='2 3')"
        )

    def write(self, connection: Connection, entries: Mapping[int, Entry]) -> None:
        if entries:
            connection.exec_driver_sql(
                f"INSERT INTO {_TABLE} (rowid, title, names, ids, text) VALUES (?, ?, ?, ?, ?)",
                [(number, *entry) for number, entry in entries.items()],
            )

    def matches(self, word: str, bind: Callable[[object], str]) -> list[tuple[str, int]]:
        end = " *" if len(word) > 1 else ""
        questions = [f'{column} : "{word}"{end}' for column in _COLUMNS]
        texts = [f"SELECT rowid AS number FROM {_TABLE} WHERE {_TABLE} MATCH {bind(text)}" for text in questions]
        return [(text, int(weight)) for text, weight in zip(texts, _WEIGHTS, strict=True)]

    def remove(self, connection: Connection, numbers: Sequence[int]) -> None:
        if numbers:
            connection.exec_driver_sql(f"DELETE FROM {_TABLE} WHERE rowid = ?", [(number,) for number in numbers])

    def find(self, connection: Connection, words: Sequence[str], where: str, limit: int) -> list[tuple[int, float]]:
        question = " ".join(f'"{word}"*' for word in words)
        weights = ", ".join(map(str, _WEIGHTS))
        rows = connection.exec_driver_sql(
            f"SELECT rowid, bm25({_TABLE}, {weights}) AS rank FROM {_TABLE}"
            f" WHERE {_TABLE} MATCH ? AND ({where.format(number='rowid')}) ORDER BY rank, rowid LIMIT ?",
            (question, limit),
        )
        return [(number, rank) for number, rank in rows]


_LAST_POSITION = 16_383
_LONGEST_TOKEN = 500
_LABELS = "ACBD"
"""PostgreSQL's names for four weights: title A, names C, ids B, text D."""


class _Tsvector:
    """The words are folded here, so that the search depends neither on extensions nor on the server's locale."""

    def create(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (number integer PRIMARY KEY, words tsvector NOT NULL)"
        )
        connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {_TABLE}_words ON {_TABLE} USING gin (words)")

    def write(self, connection: Connection, entries: Mapping[int, Entry]) -> None:
        if entries:
            connection.execute(
                text(f"INSERT INTO {_TABLE} (number, words) VALUES (:number, CAST(:words AS tsvector))"),
                [{"number": number, "words": _vector(entry)} for number, entry in entries.items()],
            )

    def matches(self, word: str, bind: Callable[[object], str]) -> list[tuple[str, int]]:
        words, star = _tokens(word), "*" if len(word) > 1 else ""
        found = []
        for label, weight in zip(_LABELS, _WEIGHTS, strict=True):
            question = bind(" <-> ".join(f"'{one}':{star}{label}" for one in words))
            found.append((f"SELECT number FROM {_TABLE} WHERE words @@ CAST({question} AS tsquery)", int(weight)))
        return found

    def remove(self, connection: Connection, numbers: Sequence[int]) -> None:
        if numbers:
            gone = [{"number": number} for number in numbers]
            connection.execute(text(f"DELETE FROM {_TABLE} WHERE number = :number"), gone)

    def find(self, connection: Connection, words: Sequence[str], where: str, limit: int) -> list[tuple[int, float]]:
        phrases = [tokens for word in words if (tokens := _tokens(word))]
        if len(phrases) < len(words):
            return []
        question = " & ".join("('" + "' <-> '".join(tokens) + "':*)" for tokens in phrases)
        found: Any = connection.execute(
            text(
                f"SELECT number, -ts_rank('{{0.1, 0.5, 0.8, 1.0}}', words, q) AS rank"
                f" FROM {_TABLE}, CAST(:question AS tsquery) q"
                f" WHERE words @@ q AND ({where.format(number='number')}) ORDER BY rank, number LIMIT :limit"
            ),
            {"question": question, "limit": limit},
        )
        return [(int(number), float(rank)) for number, rank in found]


def _tokens(words: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", words.lower())
    plain = "".join(character for character in folded if not unicodedata.combining(character))
    return [token[:_LONGEST_TOKEN] for token in WORD.findall(plain)]


def _vector(entry: Entry) -> str:
    """Text form of a ``tsvector``: every word with the positions where it stands and their weights."""
    places: dict[str, list[str]] = {}
    position = 0
    for label, part in zip(_LABELS, entry, strict=True):
        for token in _tokens(part):
            position = min(position + 1, _LAST_POSITION)
            places.setdefault(token, []).append(f"{position}{label}")
    return " ".join(f"'{token}':{','.join(found[:255])}" for token, found in places.items())
