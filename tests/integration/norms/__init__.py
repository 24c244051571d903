"""Norms: with files and the command line."""
