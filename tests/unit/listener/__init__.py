"""The pure parts of the listener."""
