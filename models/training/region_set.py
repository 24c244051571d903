"""The region set that packages trained here declare."""

from importlib.resources import files


def region_set_text() -> str:
    """Return the region set as TOML."""
    return (files("models.training") / "xi2025_regions.toml").read_text(encoding="utf-8")
