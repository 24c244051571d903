"""HTTP with a real PostgreSQL and real files."""
