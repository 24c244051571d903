"""Whose CSF it is, and how many millilitres."""

import numpy as np
import pytest

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, LabelArray, Planes
from fontanelle.imaging.volumes import measure
from tests.analytic_head import axial, sheared
from tests.regions import REGIONS, swapped_sides

LEFT, RIGHT = REGIONS["left_frontal"], REGIONS["right_frontal"]
OUTER_CSF = 12


def two_lobes() -> np.ndarray:
    """Two slabs of brain side by side, CSF around both, a ventricle between, an island far off."""
    classes = np.zeros((32, 32, 64), dtype=np.uint8)
    classes[4:28, 4:28, 4:60] = OUTER_CSF
    classes[8:24, 8:24, 8:32] = RIGHT.code
    classes[8:24, 8:24, 32:56] = LEFT.code
    classes[14:18, 14:18, 30:34] = REGIONS.ventricles.code
    return classes


def test_csf_goes_to_the_nearest_region() -> None:
    codes = assemble(two_lobes(), REGIONS, OUTER_CSF)
    assert codes[6, 16, 20] == RIGHT.csf_code
    assert codes[6, 16, 50] == LEFT.csf_code
    assert not (codes == OUTER_CSF).any()


def test_csf_nearest_to_a_region_that_has_none_is_inside_the_skull_and_in_no_compartment() -> None:
    assert REGIONS["brainstem"].csf_code is None
    classes = two_lobes()
    classes[classes == LEFT.code] = REGIONS["brainstem"].code
    codes = assemble(classes, REGIONS, OUTER_CSF)
    assert codes[6, 16, 50] == OUTER_CSF
    volumes = measure(LabelArray(codes, axial(codes.shape, 1.0)), REGIONS)
    assert next(v.csf_ml for v in volumes.regions if v.region == "brainstem") == 0.0
    cisterns_ml = np.count_nonzero(codes == OUTER_CSF) / 1000
    assert cisterns_ml > 0
    inside_ml = volumes.total_ml + volumes.ventricles_ml + cisterns_ml
    assert volumes.intracranial_ml == pytest.approx(inside_ml)


def test_what_is_not_connected_to_the_brain_is_dropped() -> None:
    classes = two_lobes()
    classes[0, 0, 0:2] = LEFT.code
    assert assemble(classes, REGIONS, OUTER_CSF)[0, 0, 0] == 0


def test_nothing_but_the_rule_changes_a_voxel() -> None:
    classes = two_lobes()
    codes = assemble(classes, REGIONS, OUTER_CSF)
    untouched = classes != OUTER_CSF
    np.testing.assert_array_equal(codes[untouched], classes[untouched])
    assert np.count_nonzero(codes) == np.count_nonzero(classes)


def test_an_empty_segmentation_stays_empty() -> None:
    assert not assemble(np.zeros((8, 8, 8), dtype=np.uint8), REGIONS, OUTER_CSF).any()


def test_a_compartment_is_parenchyma_plus_csf_and_all_add_up_to_the_intracranial_volume() -> None:
    codes = assemble(two_lobes(), REGIONS, OUTER_CSF)
    volumes = measure(LabelArray(codes, axial(codes.shape, 2.0)), REGIONS)
    right = next(v for v in volumes.regions if v.region == "right_frontal")
    assert right.compartment_ml == pytest.approx(right.parenchyma_ml + right.csf_ml)
    # Half of the 16 x 16 x 48 slab less half of the ventricle, 8 mm3 a voxel.
    assert right.parenchyma_ml == pytest.approx((16 * 16 * 24 - 4 * 4 * 2) * 8 / 1000)
    assert volumes.ventricles_ml == pytest.approx(4 * 4 * 4 * 8 / 1000)
    assert volumes.intracranial_ml == pytest.approx(np.count_nonzero(codes) * 8 / 1000)
    assert volumes.total_ml + volumes.ventricles_ml == pytest.approx(volumes.intracranial_ml)


@pytest.mark.parametrize("width", [5, 6, 7, 8])
def test_a_fissure_is_shared_evenly_and_a_mirrored_head_has_mirrored_volumes(width: int) -> None:
    classes = np.zeros((24, 24, 60), dtype=np.uint8)
    classes[2:22, 2:22, 2:58] = OUTER_CSF
    classes[4:20, 4:20, 6 : 30 - width // 2] = RIGHT.code
    classes[4:20, 4:20, 30 + width - width // 2 : 54] = LEFT.code
    grid = axial(classes.shape, 1.0)
    as_is = measure(LabelArray(assemble(classes, REGIONS, OUTER_CSF), grid), REGIONS)
    mirror = assemble(swapped_sides(classes), REGIONS, OUTER_CSF)
    mirrored = measure(LabelArray(mirror, grid), REGIONS)
    for one, other in (("left_frontal", "right_frontal"), ("right_frontal", "left_frontal")):
        assert as_is.by_region_ml[one] == pytest.approx(mirrored.by_region_ml[other], rel=0.002)


def test_a_tilted_stack_is_measured_by_its_perpendicular_step() -> None:
    grid = sheared((20, 10, 10), 2.0, 18.5)
    codes = np.full(grid.shape, LEFT.code, dtype=np.uint8)
    volumes = measure(LabelArray(codes, grid), REGIONS)
    # Area 2 x 2 mm, perpendicular step 2 mm x cos 18.5 degrees = 1.89664 mm.
    assert volumes.total_ml == pytest.approx(2000 * 4 * 1.89664 / 1000, rel=1e-4)


def test_uneven_planes_count_half_the_gap_on_either_side() -> None:
    origins = np.array([(0.0, 0.0, z) for z in (0.0, 4.0, 5.0, 12.0)])
    planes = Planes((4, 10, 10), np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), origins)
    codes = np.zeros(planes.shape, dtype=np.uint8)
    codes[2] = LEFT.code
    # Half of 1 mm below and half of 7 mm above: 4 mm of 100 mm2.
    assert measure(LabelArray(codes, planes), REGIONS).total_ml == pytest.approx(0.4)


def test_geometry_is_the_only_source_of_millilitres() -> None:
    codes = np.full((5, 5, 5), LEFT.code, dtype=np.uint8)
    small = measure(LabelArray(codes, axial((5, 5, 5), 1.0)), REGIONS).total_ml
    affine = axial((5, 5, 5), 1.0).affine_lps_mm.copy()
    affine[:3, :3] *= 2
    codes = codes.copy()
    assert measure(LabelArray(codes, Geometry((5, 5, 5), affine)), REGIONS).total_ml == (
        pytest.approx(8 * small)
    )
