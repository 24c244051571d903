"""Runs migrations on the connection that `fontanelle.records.migrate` hands over."""

from alembic import context

from fontanelle.records.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
