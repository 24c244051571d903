"""The region set that is shipped, for tests that need one."""

from importlib.resources import files

from models.package import read_region_set

REGIONS = read_region_set(
    (files("models.training") / "xi2025_regions.toml").read_text(encoding="utf-8")
)
