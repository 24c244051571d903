"""The records and a real PostgreSQL."""
