"""Finding the head in the voxels, and telling a brain from none."""

import numpy as np
import pytest

from fontanelle.errors import Code, Refused
from fontanelle.imaging.geometry import Image
from fontanelle.imaging.head import Head, find_head
from tests.analytic_head import AnalyticHead, axial, image_of, sheared

FIELD = (60, 80, 80)
SPACING_MM = 3.0


def found(head: AnalyticHead, shape: tuple[int, int, int] = FIELD, top_mm: float = 0.0) -> Head:
    return find_head(image_of(head, axial(shape, SPACING_MM, top_mm=top_mm)))


def assert_box_fits(result: Head, head: AnalyticHead, tolerance_mm: float = 8.0) -> None:
    center, axes = np.array(head.center_lps_mm), np.array(head.semi_axes_mm)
    assert np.abs(np.array(result.low_lps_mm) - (center - axes)).max() < tolerance_mm
    assert np.abs(np.array(result.high_lps_mm) - (center + axes)).max() < tolerance_mm


def test_the_box_is_that_of_the_inner_table() -> None:
    head = AnalyticHead(center_lps_mm=(4.0, -7.0, 3.0))
    assert_box_fits(found(head), head)


def test_the_enclosed_volume_is_that_of_the_ellipsoid() -> None:
    head = AnalyticHead()
    assert found(head).inside_ml == pytest.approx(head.inside_ml, rel=0.12)


def test_a_mirrored_image_has_the_mirrored_box() -> None:
    image = image_of(AnalyticHead(center_lps_mm=(7.3, 1.0, -2.0)), axial((96, 96, 97), 2.1))
    found = find_head(image)
    mirrored = find_head(Image(image.hu[:, :, ::-1].copy(), image.grid))
    assert mirrored.low_lps_mm[0] == pytest.approx(-found.high_lps_mm[0])
    assert mirrored.high_lps_mm[0] == pytest.approx(-found.low_lps_mm[0])
    assert mirrored.inside_ml == found.inside_ml


def test_a_table_behind_the_head_changes_nothing() -> None:
    assert found(AnalyticHead(table=True)) == found(AnalyticHead())


def test_in_a_long_field_with_shoulders_the_head_is_found_and_not_the_trunk() -> None:
    head = AnalyticHead(center_lps_mm=(0.0, 0.0, 100.0), shoulders=True)
    assert_box_fits(found(head, shape=(130, 130, 130)), head)


def test_a_thin_infant_vault_encloses_a_brain() -> None:
    head = AnalyticHead(bone_mm=2.2)
    grid = axial((90, 110, 110), 2.0)
    assert_box_fits(find_head(image_of(head, grid)), head)


def test_a_head_cut_at_the_vertex_is_still_a_head() -> None:
    head = AnalyticHead()
    cut = found(head, shape=(40, 80, 80), top_mm=-15.0)
    assert cut.high_lps_mm[2] < 50.0
    assert cut.inside_ml < found(head).inside_ml


def test_a_tilted_stack_shows_the_same_head() -> None:
    head = AnalyticHead()
    assert_box_fits(find_head(image_of(head, sheared((80, 90, 80), 2.5, 18.5))), head)


def refused(head: AnalyticHead, shape: tuple[int, int, int] = FIELD) -> Refused:
    with pytest.raises(Refused) as refusal:
        find_head(image_of(head, axial(shape, SPACING_MM)))
    return refusal.value


@pytest.mark.parametrize("inside_hu", [-1000.0, 0.0, 120.0], ids=["air", "water", "dense plastic"])
def test_a_skull_without_brain_inside_holds_no_brain(inside_hu: float) -> None:
    assert refused(AnalyticHead(inside_hu=inside_hu)).reason.code is Code.NO_BRAIN


def test_brain_density_without_a_skull_is_no_brain() -> None:
    assert refused(AnalyticHead(bone_mm=0.0)).reason.code is Code.NO_BRAIN


def test_what_is_smaller_than_a_newborns_brain_is_none() -> None:
    found = refused(AnalyticHead(semi_axes_mm=(30, 30, 30)))
    assert found.reason.code is Code.NO_BRAIN
    assert "250" in found.reason.sentence


def test_a_few_slices_through_a_brain_are_a_cut_brain_and_not_none() -> None:
    assert refused(AnalyticHead(), shape=(16, 80, 80)).reason.code is Code.BRAIN_CUT


def test_a_few_slices_through_an_empty_skull_are_no_cut_brain() -> None:
    found = refused(AnalyticHead(inside_hu=-1000.0), shape=(16, 80, 80))
    assert found.reason.code is Code.NO_BRAIN
