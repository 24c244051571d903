"""The C-STORE listener: from the socket to the spool, and from the spool to the records."""
