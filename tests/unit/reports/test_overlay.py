"""The overlay picture: upright in patient space, in true proportions, left on the right."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from fontanelle.imaging.geometry import LabelArray
from fontanelle.reports.overlay import indices, render_overlay
from tests.unit.reports.builders import BY_NAME, REGION_SET, STANCES, case

every_stance = pytest.mark.parametrize("stance", [stance.name for stance in STANCES])
PANEL, MARGIN = 520, 16
AXIAL, CORONAL, SAGITTAL = 0, 1, 2
LEFT_FRONTAL, RIGHT_FRONTAL = REGION_SET.regions[0].rgb, REGION_SET.regions[1].rgb
CASES = {name: case(name) for name in BY_NAME}
"""Read alone by all tests of this file."""


def panels(stance: str) -> list[NDArray[np.uint8]]:
    of = CASES[stance]
    sheet = np.asarray(Picture.open(BytesIO(render_overlay(of.image, of.labels, REGION_SET))))
    starts = [MARGIN + number * (PANEL + MARGIN) for number in range(3)]
    return [sheet[MARGIN : MARGIN + PANEL, start : start + PANEL] for start in starts]


def outlined(panel: NDArray[np.uint8], rgb: tuple[int, int, int]) -> NDArray[np.intp]:
    """Return (row, column) of the pixels in exactly this colour: a region's outline."""
    return np.argwhere((panel == rgb).all(axis=-1))


def painted(panel: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return (row, column) of all outlines; the brainstem's grey occurs in bone and letters too."""
    coloured = [region.rgb for region in REGION_SET.segments if region.name != "brainstem"]
    return np.concatenate([outlined(panel, rgb) for rgb in coloured])


@every_stance
def test_the_left_frontal_lobe_is_on_the_right_of_the_axial_picture_in_front(stance: str) -> None:
    axial = panels(stance)[AXIAL]

    left, right = outlined(axial, LEFT_FRONTAL), outlined(axial, RIGHT_FRONTAL)

    # The phantom's midline lies 6 mm right of the middle of its extent: 60 mm left, 48 right.
    assert left[:, 1].min() > right[:, 1].mean()
    assert left[:, 1].mean() > PANEL / 2 > right[:, 1].mean()
    assert left[:, 0].mean() < PANEL / 2


@every_stance
def test_the_cerebellum_is_below_and_behind_in_the_sagittal_picture(stance: str) -> None:
    sagittal = panels(stance)[SAGITTAL]

    row, column = outlined(sagittal, REGION_SET["cerebellum"].rgb).mean(axis=0)

    assert row > PANEL / 2 and column > PANEL / 2


@every_stance
def test_proportions_are_those_of_the_head_and_not_of_the_voxels(stance: str) -> None:
    # The phantom is an ellipsoid of 60 + 48 by 148 by 116 mm; slices are 6 or 7 mm apart.
    axial, coronal, sagittal = (np.ptp(painted(panel), axis=0) for panel in panels(stance))

    assert axial[0] / axial[1] == pytest.approx(148 / 108, rel=0.08)
    assert coronal[0] / coronal[1] == pytest.approx(116 / 108, rel=0.12)
    assert sagittal[0] / sagittal[1] == pytest.approx(116 / 148, rel=0.12)


@pytest.mark.parametrize(
    ("panel", "letters"), [(AXIAL, "RLAP"), (CORONAL, "RLSI"), (SAGITTAL, "APSI")]
)
def test_the_letters_at_the_borders_name_the_patients_sides(panel: int, letters: str) -> None:
    pixels = panels("axial")[panel]

    middle, edge = PANEL // 2, 14
    places = ((edge, middle), (PANEL - edge, middle), (middle, edge), (middle, PANEL - edge))
    for letter, (x, y) in zip(letters, places, strict=True):
        cut = pixels[y - 14 : y + 14, x - 14 : x + 14].min(axis=-1) > 128
        assert _nearest_letter(cut) == letter


def _nearest_letter(cut: NDArray[np.bool_]) -> str:
    return min("RLAPSI", key=lambda letter: int((_drawn(letter) != cut).sum()))


def _drawn(letter: str) -> NDArray[np.bool_]:
    picture = Picture.new("L", (28, 28))
    font = ImageFont.load_default(24)
    ImageDraw.Draw(picture).text((14, 14), letter, fill=235, font=font, anchor="mm")
    return np.asarray(picture) > 128


def test_the_picture_holds_no_text_beside_its_pixels() -> None:
    of = CASES["axial"]

    picture = Picture.open(BytesIO(render_overlay(of.image, of.labels, REGION_SET)))

    assert picture.format == "PNG" and picture.info == {}


def test_drawn_twice_it_is_the_same_file() -> None:
    of = CASES["tilted"]

    assert render_overlay(of.image, of.labels, REGION_SET) == render_overlay(
        of.image, of.labels, REGION_SET
    )


def test_codes_that_the_region_set_does_not_name_are_not_painted() -> None:
    of = CASES["axial"]
    codes = np.where(of.labels.codes == 9, 200, of.labels.codes).astype(np.uint8)

    picture = render_overlay(of.image, LabelArray(codes, of.labels.grid), REGION_SET)

    sheet = np.asarray(Picture.open(BytesIO(picture)))[: MARGIN + PANEL]
    cerebellum = outlined(sheet, REGION_SET["cerebellum"].rgb)
    assert len(cerebellum) < 0.2 * len(outlined(sheet, REGION_SET["left_parietal"].rgb))


def test_without_a_labelled_voxel_there_is_no_picture() -> None:
    of = CASES["axial"]
    empty = LabelArray(np.zeros_like(of.labels.codes), of.labels.grid)

    with pytest.raises(ValueError, match="no labelled brain"):
        render_overlay(of.image, empty, REGION_SET)


@given(
    stance=st.sampled_from(sorted(BY_NAME)),
    voxel=st.tuples(st.integers(0, 22), st.integers(0, 47), st.integers(0, 47)),
)
def test_a_voxels_place_is_found_at_its_own_index(stance: str, voxel: tuple[int, int, int]) -> None:
    grid = CASES[stance].labels.grid
    plane, row, column = voxel

    place = grid.plane_affine(plane) @ np.array([0, row, column, 1.0])

    assert indices(grid, place[:3]) == pytest.approx(voxel, abs=1e-6)


@every_stance
def test_beyond_the_outermost_slices_there_is_nothing(stance: str) -> None:
    grid = CASES[stance].labels.grid
    first, last = grid.plane_affine(0)[:3, 3], grid.plane_affine(22)[:3, 3]
    normal = grid.normal_lps

    beyond = np.stack([first - 4 * normal, last + 4 * normal])
    within = np.stack([first - 2 * normal, last + 2 * normal])

    # Steps are 5.7 mm or more, so that the outermost planes stand for 2.8 mm or more beyond.
    assert np.isnan(indices(grid, beyond)[:, 0]).all()
    assert not np.isnan(indices(grid, within)[:, 0]).any()
