"""What Alembic runs; the connection, its transaction and its lock come from `migrate.py`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
