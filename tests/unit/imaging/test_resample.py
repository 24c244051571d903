"""Sampling through affines with shear, uneven planes, and the way back."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fontanelle.imaging.geometry import Geometry, Grid, Image, Planes
from fontanelle.imaging.resample import averaged, regular, restored, sampled
from tests.analytic_head import axial, places, sheared


def ramp(lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a linear field: linear interpolation must give it back exactly."""
    return lps_mm @ np.array([1.5, -2.0, 3.0]) + 7.0


def ramp_image(grid: Grid) -> Image:
    return Image(ramp(places(grid)).astype(np.float32), grid)


def uneven(offsets_mm: list[float], tilt_mm_per_mm: float = 0.0) -> Planes:
    origins = np.array([(-20.0, -20.0 + tilt_mm_per_mm * z, z) for z in offsets_mm])
    return Planes(
        (len(offsets_mm), 41, 41), np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), origins
    )


@given(tilt_deg=st.floats(-30, 30), step_mm=st.floats(0.7, 3.0))
def test_a_linear_field_survives_sampling_from_any_sheared_stack(
    tilt_deg: float, step_mm: float
) -> None:
    source = sheared((30, 30, 30), step_mm, tilt_deg)
    target = axial((5, 5, 5), 1.0)
    hu = sampled(ramp_image(source), target, -1024.0)
    np.testing.assert_allclose(hu, ramp(places(target)), atol=2e-3)


@pytest.mark.parametrize("flip", [(-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)])
def test_the_direction_in_which_voxels_are_counted_does_not_matter(flip: tuple[int, ...]) -> None:
    source = axial((21, 23, 25), 2.0)
    affine = source.affine_lps_mm.copy()
    for axis, (sign, size) in enumerate(zip(flip, source.shape, strict=True)):
        if sign < 0:
            affine[:3, 3] += (size - 1) * affine[:3, axis]
            affine[:3, axis] *= -1
    target = axial((6, 7, 8), 1.3)
    hu = sampled(ramp_image(Geometry(source.shape, affine)), target, 0.0)
    np.testing.assert_allclose(hu, ramp(places(target)), atol=2e-3)


def test_uneven_planes_become_a_grid_without_moving_anything() -> None:
    planes = uneven([0.0, 4.0, 8.0, 9.1, 16.0, 23.0], tilt_mm_per_mm=0.3)
    voxels, geometry = regular(ramp_image(planes))
    heights_mm = places(geometry)[:, 0, 0, 2]
    between = (heights_mm >= 0.0) & (heights_mm <= 23.0)
    np.testing.assert_allclose(voxels[between], ramp(places(geometry))[between], atol=2e-3)


@given(
    steps_mm=st.lists(st.floats(0.6, 8.0), min_size=2, max_size=8),
    tilt_mm_per_mm=st.floats(-0.5, 0.5),
)
def test_uneven_planes_fill_the_slab_of_their_widths(
    steps_mm: list[float], tilt_mm_per_mm: float
) -> None:
    offsets_mm = np.concatenate(([0.0], np.cumsum(steps_mm))).tolist()
    planes = uneven(offsets_mm, tilt_mm_per_mm)
    hu = np.full(planes.shape, 40, np.int16)

    voxels, geometry = regular(Image(hu, planes))

    # By hand: half of the first step below the first plane, half of the last one above the last.
    slab_mm = steps_mm[0] / 2 + sum(steps_mm) + steps_mm[-1] / 2
    step_mm = float(geometry.slice_vector @ geometry.normal_lps)
    assert step_mm * geometry.shape[0] == pytest.approx(slab_mm)
    assert step_mm <= 1.0
    first_mm = geometry.affine_lps_mm[2, 3]
    assert first_mm - step_mm / 2 == pytest.approx(-steps_mm[0] / 2, abs=1e-6)
    np.testing.assert_allclose(voxels, 40, rtol=1e-6)


def test_the_outermost_planes_of_an_uneven_stack_are_tissue_over_their_whole_width() -> None:
    # Planes at -9 and 12.6 mm stand for 2 mm below and 2.8 mm above themselves.
    planes = uneven([-9, -5, -1, 0.2, 7, 12.6])
    image = Image(np.full(planes.shape, 40, np.int16), planes)
    for height_mm, hu in ((12.6, 40), (15.3, 40), (15.5, -1024), (-10.9, 40), (-11.1, -1024)):
        at = axial((1, 1, 1), 1.0, top_mm=height_mm)
        assert sampled(image, at, -1024.0).item() == hu, height_mm


@pytest.mark.parametrize("aside_mm", [0.0, 6.5, -7.0])
@pytest.mark.parametrize("spacing_mm", [0.9, 1.25, 2.0])
def test_averaging_fine_voxels_moves_nothing(spacing_mm: float, aside_mm: float) -> None:
    source = sheared((47, 61, 53), 0.6, 12.0)
    target = moved(axial((6, 7, 8), spacing_mm), aside_mm)
    coarser = averaged(ramp_image(source), target)
    hu = sampled(coarser, target, -1024.0)
    np.testing.assert_allclose(hu, ramp(places(target)), atol=2e-3)
    assert (np.array(coarser.grid.shape) <= np.array(source.shape)).all()


def test_averaging_takes_noise_away_and_leaves_what_is_coarse_as_it_is() -> None:
    noise = np.random.default_rng(1).normal(0, 20, (60, 60, 60)).astype(np.float32)
    # Not a multiple of the source's step: samples fall on and between its voxels.
    target = axial((20, 20, 20), 1.3)
    fine = Image(noise.copy(), axial(noise.shape, 0.6))
    plain = sampled(fine, target, 0.0)
    calm = sampled(averaged(fine, target), target, 0.0)
    assert calm.std() < 0.6 * plain.std()
    coarse = Image(noise.copy(), axial(noise.shape, 1.0))
    np.testing.assert_allclose(
        sampled(averaged(coarse, target), target, 0.0),
        sampled(coarse, target, 0.0),
        atol=1e-4,
    )


@given(aside_mm=st.floats(-3, 3), columns=st.integers(30, 45), spacing_mm=st.floats(1.0, 3.5))
def test_averages_of_a_mirrored_image_are_the_mirrored_averages(
    aside_mm: float, columns: int, spacing_mm: float
) -> None:
    source = axial((20, 22, columns), 0.5)
    hu = np.random.default_rng(columns).normal(0, 20, source.shape).astype(np.float32)
    # An edge half way between two voxels would be rounded to one side or the other.
    edge = aside_mm / 0.5 + columns / 2
    assume(abs(edge % 1 - 0.5) > 1e-6)
    one, other = (moved(axial((3, 3, 4), spacing_mm), aside) for aside in (aside_mm, -aside_mm))
    seen = sampled(averaged(Image(hu, source), one), one, 0.0)
    back = sampled(averaged(Image(hu[:, :, ::-1].copy(), source), other), other, 0.0)
    np.testing.assert_allclose(back[:, :, ::-1], seen, atol=1e-3)


def moved(grid: Geometry, aside_mm: float) -> Geometry:
    affine = grid.affine_lps_mm.copy()
    affine[0, 3] += aside_mm
    return Geometry(grid.shape, affine)


def test_outside_the_scan_the_value_is_the_one_asked_for() -> None:
    target = axial((1, 1, 1), 1.0, top_mm=500.0)
    assert sampled(ramp_image(axial((5, 5, 5), 1.0)), target, -1024.0).item() == -1024.0


@pytest.mark.parametrize(
    "grid",
    [axial((20, 40, 40), 1.7), sheared((20, 40, 40), 1.3, 18.5), uneven([-9, -5, -1, 0.2, 7, 12])],
    ids=["axial", "tilted", "uneven"],
)
def test_labels_come_back_to_where_they_were(grid: Grid) -> None:
    field = axial((64, 64, 64), 1.0)
    inside = places(field) @ np.array([0.2, 1.0, -0.4]) > 3.0
    labels = restored(inside.astype(np.uint8) + 1, field, grid)
    lps = places(grid)
    signed_mm = (lps @ np.array([0.2, 1.0, -0.4]) - 3.0) / np.linalg.norm([0.2, 1.0, -0.4])
    within = (np.abs(lps) < 31).all(axis=-1)
    clear = within & (np.abs(signed_mm) > 0.87)
    assert clear.sum() > 1000
    np.testing.assert_array_equal(labels.codes[clear] == 2, signed_mm[clear] > 0)
    assert (labels.codes[(np.abs(lps) > 33).any(axis=-1)] == 0).all()
