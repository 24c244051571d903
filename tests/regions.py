"""The region set that is shipped, and heads mirrored under it."""

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from models.package import read_region_set

REGIONS = read_region_set(
    (files("models.training") / "xi2025_regions.toml").read_text(encoding="utf-8")
)


def swapped_sides(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirror an array and let left and right change their codes."""
    table = np.arange(256, dtype=np.uint8)
    for region in REGIONS.regions:
        if region.laterality is not None:
            other = "right" if region.laterality == "left" else "left"
            twin = REGIONS[f"{other}_{region.pair}"]
            table[region.code] = twin.code
            assert region.csf_code is not None
            assert twin.csf_code is not None
            table[region.csf_code] = twin.csf_code
    return np.asarray(table[codes[:, :, ::-1]])
