"""The servers that `up` starts where no address is given: PostgreSQL and Valkey, as children."""
