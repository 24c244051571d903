"""Alembic migrations, from the first table on; installed with the product."""
