"""The phantom in the scanner: planes, and what they show beside the head."""

from dataclasses import replace

import numpy as np
import pytest

from fontanelle.imaging.geometry import Geometry, Planes
from models.phantom.head import CENTER_LPS_MM, Phantom, Recipe
from models.phantom.scan import Field, View, grid, scan
from tests.integration.phantom.conftest import COARSE

LEFT_FRONTAL, RIGHT_FRONTAL, VENTRICLES = 1, 2, 11
UNEVEN_MM = [1.5] * 40 + [2.6] * 40


def with_recipe(phantom: Phantom, **changes: object) -> Phantom:
    """Return the same head in another scene; drawing it again would give the same voxels."""
    return replace(phantom, recipe=replace(phantom.recipe, **changes))


@pytest.mark.parametrize("view", View)
def test_every_view_shows_the_true_volumes(plain: Phantom, view: View) -> None:
    image, truth = scan(plain, grid(view, COARSE))

    # Voxels times their own volume; 2 mm sampling of folded cortex costs some percent.
    voxels = np.bincount(truth.codes.ravel(), minlength=13)[1:11]
    assert voxels * image.grid.plane_voxel_mm3[0] / 1000 == pytest.approx(
        plain.truth_ml[1:11], rel=0.04
    )


def test_uneven_planes_show_the_true_volumes_with_half_the_gap_on_either_side(
    plain: Phantom,
) -> None:
    uneven = grid(View.AXIAL, COARSE, UNEVEN_MM)
    _, truth = scan(plain, uneven)

    assert isinstance(uneven, Planes)
    by_plane = [np.bincount(plane.ravel(), minlength=13) for plane in truth.codes]
    volumes_ml = (np.array(by_plane) * uneven.plane_voxel_mm3[:, None]).sum(axis=0) / 1000
    assert volumes_ml[1:11] == pytest.approx(plain.truth_ml[1:11], rel=0.04)


@pytest.mark.parametrize("view", View)
def test_left_is_left_in_every_view(plain: Phantom, view: View) -> None:
    _, truth = scan(plain, grid(view, COARSE))

    for class_code, side in ((LEFT_FRONTAL, 1), (RIGHT_FRONTAL, -1)):
        index = np.argwhere(truth.codes == class_code).mean(axis=0)
        left_mm = truth.grid.plane_affine(0)[0] @ (0, index[1], index[2], 1)
        assert side * (left_mm - CENTER_LPS_MM[0]) > 10


def test_feet_first_counts_downwards_and_a_tilted_stack_is_sheared() -> None:
    feet_first = grid(View.FEET_FIRST, COARSE)
    tilted = grid(View.TILTED, COARSE)

    assert isinstance(feet_first, Geometry) and isinstance(tilted, Geometry)
    assert feet_first.slice_vector == pytest.approx((0, 0, -2.0))
    assert feet_first.affine_lps_mm[:3, 2] == pytest.approx((-COARSE.pixel_mm, 0, 0))
    # The GE series of dcm_qa_ct: 18.5 degrees between the table's way and the normal.
    lean_deg = np.degrees(np.arccos(tilted.normal_lps @ tilted.slice_vector / 2.0))
    assert lean_deg == pytest.approx(18.5)


def test_the_noise_is_as_strong_as_the_recipe_says(plain: Phantom) -> None:
    at = grid(View.AXIAL, COARSE)
    noisy, _ = scan(with_recipe(plain, noise_hu=6.0), at)
    silent, _ = scan(with_recipe(plain, noise_hu=0.0), at)

    difference = noisy.hu[40].astype(float) - silent.hu[40]
    assert difference.std() == pytest.approx(6.0, rel=0.1)


def test_ventricles_look_like_csf_and_brain_like_brain(plain: Phantom) -> None:
    image, truth = scan(plain, grid(View.AXIAL, COARSE))

    # CT of young children: CSF 0 to 15 HU, brain 24 to 40 HU.
    assert 3 < np.median(image.hu[truth.codes == VENTRICLES]) < 20
    assert 28 < np.median(image.hu[truth.codes == LEFT_FRONTAL]) < 40


def test_table_and_head_holder_lie_behind_the_head_and_can_be_left_out(plain: Phantom) -> None:
    at = grid(View.AXIAL, COARSE)
    with_both, _ = scan(with_recipe(plain, noise_hu=0.0), at)
    bare = with_recipe(plain, noise_hu=0.0, table=False, head_holder=False)
    without, _ = scan(bare, at)

    differs = np.argwhere(with_both.hu != without.hu)
    back_mm = at.plane_affine(0)[1] @ np.array((0, differs[:, 1].min(), 0, 1.0))
    assert len(differs) > 1000
    assert back_mm > CENTER_LPS_MM[1] + 10


def test_a_long_field_shows_shoulders_wider_than_the_head(plain: Phantom) -> None:
    long = Field(slices=60, rows_columns=(128, 128), step_mm=5.0, pixel_mm=3.0, shift_mm=-100.0)
    scene = with_recipe(plain, shoulders=True, table=False, head_holder=False)
    image, truth = scan(scene, grid(View.AXIAL, long))

    widths = (image.hu > -300).any(axis=1).sum(axis=1) * 3.0
    head_mm = widths[truth.codes.any(axis=(1, 2))].max()
    assert widths[:20].max() > 1.5 * head_mm
    assert (widths[widths > 0].min()) < 0.8 * head_mm


def test_a_lowered_field_cuts_the_vertex(plain: Phantom) -> None:
    _, whole = scan(plain, grid(View.AXIAL, COARSE))
    low = replace(COARSE, slices=50, shift_mm=-40.0)
    _, cut = scan(plain, grid(View.AXIAL, low))

    assert not whole.codes[-1].any() and not whole.codes[0].any()
    assert cut.codes[-1].any()


def test_a_default_field_is_a_real_head_scan() -> None:
    field = Field()

    # 512 x 512, 0.625 mm, 200 slices or more, 22 cm wide.
    assert field.rows_columns == (512, 512) and field.slices >= 200 and field.step_mm == 0.625
    assert 512 * field.pixel_mm == pytest.approx(220, abs=1)


def test_the_recipe_of_a_phantom_is_kept(plain: Phantom) -> None:
    assert plain.recipe == Recipe()
