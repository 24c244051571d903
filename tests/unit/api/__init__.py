"""HTTP without a socket or a database."""
