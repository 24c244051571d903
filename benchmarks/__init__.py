"""Programs that print a table; never a timed test."""
