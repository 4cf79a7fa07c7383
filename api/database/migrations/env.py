"""What alembic runs: the steps, in the connection that it was given (`api.database.engine`)."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
