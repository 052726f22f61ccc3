"""Every entity can be searched for: which rows a topic of the search index stands for."""

import sqlalchemy
from alembic import op

from tomoportal.catalog.graph import Graph
from tomoportal.catalog.search_rows import ROWS, create_rows, refresh_rows
from tomoportal.catalog.tables import Tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table and fill it from the rows that are there."""
    connection, tables = op.get_bind(), Tables(Graph())
    create_rows(connection)
    for kind in ("dataset", "deposition"):
        for number in connection.execute(sqlalchemy.select(tables[kind].c.id)).scalars().all():
            refresh_rows(connection, tables, kind, number)


def downgrade() -> None:
    """Remove the table and the topics."""
    connection = op.get_bind()
    number = "number" if connection.dialect.name == "postgresql" else "rowid"
    connection.exec_driver_sql(f"DELETE FROM catalog_search WHERE {number} < 0")
    op.execute(f"DROP TABLE IF EXISTS {ROWS.name}")
