"""The skull is stripped and the rest equalised: what is kept, what goes, what never changes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fontanelle.imaging.equalisation import brain_mask, equalised
from fontanelle.imaging.prepare import PREPROCESSING
from tests.analytic_head import BONE_HU, AnalyticHead, axial

WINDOW = (-30.0, 130.0)
SPACING_MM = 2.0
GRID = axial((38, 42, 38), SPACING_MM)
HEAD = AnalyticHead(semi_axes_mm=(27.0, 31.0, 27.0))
LESION_HU = 8.0


def places() -> NDArray[np.float64]:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in GRID.shape), indexing="ij"), axis=-1)
    return GRID.to_patient(index.astype(np.float64))


@pytest.fixture(scope="module")
def lesion() -> NDArray[np.bool_]:
    return np.asarray(np.linalg.norm(places(), axis=-1) < 8.0)


@pytest.fixture(scope="module")
def hu(lesion: NDArray[np.bool_]) -> NDArray[np.float32]:
    noise = np.random.default_rng(1).normal(0.0, 3.0, GRID.shape)
    return (HEAD.hu(places()) + noise + LESION_HU * lesion).astype(np.float32)


@pytest.fixture(scope="module")
def result(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    return equalised(hu, *WINDOW, spacing_mm=SPACING_MM)


@pytest.fixture(scope="module")
def inside() -> NDArray[np.bool_]:
    """Return the brain but for its outermost voxel, which shares bone."""
    semi_axes_mm = np.array(HEAD.semi_axes_mm) - SPACING_MM
    return np.asarray(np.linalg.norm(places() / semi_axes_mm, axis=-1) < 1.0)


def test_the_skull_goes_and_the_brain_stays(
    hu: NDArray[np.float32], inside: NDArray[np.bool_]
) -> None:
    mask = brain_mask(hu, SPACING_MM)
    assert mask[inside].mean() > 0.99
    assert not mask[hu > BONE_HU / 2].any()
    assert mask.sum() < 1.2 * inside.sum()


def test_what_is_not_brain_is_black_and_all_else_lies_in_the_window(
    hu: NDArray[np.float32], result: NDArray[np.float32], inside: NDArray[np.bool_]
) -> None:
    assert result.dtype == np.float32
    assert (result[~brain_mask(hu, SPACING_MM)] == -1.0).all()
    assert result.min() >= -1.0
    assert result.max() <= 1.0
    assert result[inside].mean() > -0.7


def test_the_same_image_gives_the_same_result(
    hu: NDArray[np.float32], result: NDArray[np.float32]
) -> None:
    assert np.array_equal(result, equalised(hu, *WINDOW, spacing_mm=SPACING_MM))


def test_contrast_that_the_window_leaves_flat_is_spread(
    result: NDArray[np.float32], inside: NDArray[np.bool_], lesion: NDArray[np.bool_]
) -> None:
    windowed_contrast = 2 * LESION_HU / (WINDOW[1] - WINDOW[0])
    assert result[lesion].mean() - result[inside & ~lesion].mean() > 1.5 * windowed_contrast


def test_where_there_is_no_brain_all_is_black() -> None:
    assert (equalised(np.full((12, 12, 12), -1000.0, dtype=np.float32), *WINDOW, 1.0) == -1.0).all()


def test_a_package_can_name_it_and_its_voxel_is_known_to_it(
    hu: NDArray[np.float32], result: NDArray[np.float32]
) -> None:
    named = PREPROCESSING["equalised"]
    assert np.array_equal(named(hu, *WINDOW, SPACING_MM), result)
    # The neighbourhood is one of millimetres, so in other voxels it is another one.
    assert not np.array_equal(named(hu, *WINDOW, 1.0), result)


def test_the_window_is_the_same_for_every_voxel(hu: NDArray[np.float32]) -> None:
    named = PREPROCESSING["hu_window"]
    assert np.array_equal(named(hu, *WINDOW, 1.0), named(hu, *WINDOW, 2.0))
