"""The record of ids in a PostgreSQL database, for an archive that cannot be written; it outlives a rebuild."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from sqlalchemy import Column, Engine, LargeBinary, MetaData, Table, Text, select

from tomoportal.errors import NotFoundError

__all__ = ["RecordTable"]


class RecordTable:
    """Objects by key in one table. Every write is a transaction of its own, before the rows are committed."""

    name = "catalog_record"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._table = Table(
            self.name,
            MetaData(),
            Column("key", Text, primary_key=True),
            Column("content", LargeBinary, nullable=False),
        )
        self._table.create(engine, checkfirst=True)

    def get(self, key: str) -> bytes:
        with self._engine.connect() as connection:
            found = connection.execute(select(self._table.c.content).where(self._table.c.key == key)).scalar()
        if found is None:
            raise NotFoundError("there is no such record", where=key)
        return bytes(found)

    def put(self, key: str, data: bytes) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._table.delete().where(self._table.c.key == key))
            connection.execute(self._table.insert().values(key=key, content=data))

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Nothing to do: who writes here holds the database's own lock."""
        return nullcontext()
