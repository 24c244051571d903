"""The pages: lists, and one report per analysis."""
