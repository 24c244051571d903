"""The only place with SQL: tables, transitions, outbox, leases; and the file store."""
