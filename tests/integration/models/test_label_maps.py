"""The label maps that are shipped, under the protocol."""

import pytest

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.volumes import measure
from models.training.heads import load, names
from models.training.protocol import OUTER_CSF, XI2025_MATCHED
from tests.analytic_head import axial
from tests.regions import REGIONS, swapped_sides


def test_sixteen_heads_are_shipped() -> None:
    assert len(names()) == 16
    assert {"toddler_12mo", "toddler_24mo"} <= set(names())


def test_a_toddler_has_the_same_compartments_mirrored() -> None:
    classes = load("toddler_24mo", XI2025_MATCHED).classes
    grid = axial((classes.shape[0], classes.shape[1], classes.shape[2]), 1.0)
    as_is, mirrored = (
        measure(LabelArray(assemble(c, REGIONS, OUTER_CSF), grid), REGIONS).by_region_ml
        for c in (classes, swapped_sides(classes))
    )
    for region in REGIONS.regions:
        if region.laterality == "left":
            right = f"right_{region.pair}"
            assert as_is[region.name] == pytest.approx(mirrored[right], rel=0.002)
            assert as_is[right] == pytest.approx(mirrored[region.name], rel=0.002)
