"""Finding the head in the voxels, and telling a brain from none."""

import numpy as np
import pytest

from fontanelle.errors import Code, Reason
from fontanelle.imaging.head import Head, find_head
from tests.analytic_head import AnalyticHead, axial, image_of, sheared

FIELD = (60, 80, 80)
SPACING_MM = 3.0


def found(head: AnalyticHead, shape: tuple[int, int, int] = FIELD, top_mm: float = 0.0) -> Head:
    result = find_head(image_of(head, axial(shape, SPACING_MM, top_mm=top_mm)))
    assert isinstance(result, Head), result
    return result


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


def test_a_table_behind_the_head_changes_nothing() -> None:
    assert found(AnalyticHead(table=True)) == found(AnalyticHead())


def test_in_a_long_field_with_shoulders_the_head_is_found_and_not_the_trunk() -> None:
    head = AnalyticHead(center_lps_mm=(0.0, 0.0, 100.0), shoulders=True)
    assert_box_fits(found(head, shape=(130, 130, 130)), head)


def test_a_thin_infant_vault_encloses_a_brain() -> None:
    head = AnalyticHead(bone_mm=2.2)
    grid = axial((90, 110, 110), 2.0)
    result = find_head(image_of(head, grid))
    assert isinstance(result, Head)
    assert_box_fits(result, head)


def test_a_head_cut_at_the_vertex_is_still_a_head() -> None:
    head = AnalyticHead()
    cut = found(head, shape=(40, 80, 80), top_mm=-15.0)
    assert cut.high_lps_mm[2] < 50.0
    assert cut.enclosure < found(head).enclosure


def test_a_tilted_stack_shows_the_same_head() -> None:
    head = AnalyticHead()
    result = find_head(image_of(head, sheared((80, 90, 80), 2.5, 18.5)))
    assert isinstance(result, Head)
    assert_box_fits(result, head)


@pytest.mark.parametrize(
    ("inside_hu", "what"), [(-1000.0, "air"), (0.0, "water"), (120.0, "dense plastic")]
)
def test_a_skull_without_brain_inside_holds_no_brain(inside_hu: float, what: str) -> None:
    result = find_head(image_of(AnalyticHead(inside_hu=inside_hu), axial(FIELD, SPACING_MM)))
    assert isinstance(result, Reason), what
    assert result.code is Code.NO_BRAIN


def test_brain_density_without_a_skull_is_no_brain() -> None:
    image = image_of(AnalyticHead(bone_mm=0.0), axial(FIELD, SPACING_MM))
    assert isinstance(find_head(image), Reason)


def test_what_is_smaller_than_a_newborns_brain_is_none() -> None:
    small = AnalyticHead(semi_axes_mm=(30, 30, 30))
    result = find_head(image_of(small, axial(FIELD, SPACING_MM)))
    assert isinstance(result, Reason)
    assert "250" in result.sentence
