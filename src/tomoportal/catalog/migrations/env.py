"""Read by Alembic: runs revisions on the connection that ``migrations.upgrade`` was given."""

from alembic import context

from tomoportal.catalog.migrations import REVISION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=REVISION_TABLE, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
