"""The one result model, and everything rendered from it."""
