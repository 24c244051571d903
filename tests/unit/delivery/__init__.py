"""Messages and outcomes of the sending side."""
