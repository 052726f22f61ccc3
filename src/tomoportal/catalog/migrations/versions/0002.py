"""Counts of the whole catalog by value; the next ``index`` fills the table, and until then the rows are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """A table beside those that are there."""
    op.create_table(
        "catalog_summary",
        sa.Column("place", _TEXT, nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("value", _TEXT, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place", "missing", "value"),
    )


def downgrade() -> None:
    """Programs of the older version do not know of the counts."""
    op.drop_table("catalog_summary")
    op.execute("DELETE FROM catalog_info WHERE key = 'summary'")
