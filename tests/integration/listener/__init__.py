"""The listener with real associations, files and rows."""
