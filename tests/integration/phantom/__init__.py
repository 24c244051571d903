"""The phantom: drawn, scanned, written."""
