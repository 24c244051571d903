"""Overlap, surfaces and confusions on boxes whose answers can be worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import directed_hausdorff

from fontanelle.imaging.geometry import Geometry
from models.evaluation.overlap import confusions, counts, overlap, surface_distances

NAMES = {0: "outside", 1: "one", 2: "two"}


def grid(shape: tuple[int, int, int], spacing_mm: float) -> Geometry:
    return Geometry(shape, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))


def box(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((24, 24, 24), dtype=bool)
    mask[4:20, 4:20, start:stop] = True
    return mask


def test_dice_sensitivity_and_specificity_by_hand() -> None:
    truth = np.array([1, 1, 1, 1, 2, 2, 0, 0], dtype=np.uint8)
    found = np.array([1, 1, 2, 0, 2, 1, 1, 0], dtype=np.uint8)
    place = overlap(counts(truth, found, 3), 1)
    assert place.dice == pytest.approx(2 * 2 / (4 + 4))
    assert place.sensitivity == pytest.approx(2 / 4)
    # Within the skull (truth or found): seven voxels, three not truly one, of which one is spared.
    assert place.specificity == pytest.approx(1 / 3)


def test_air_around_the_head_does_not_raise_the_specificity() -> None:
    truth, found = np.array([1, 2], dtype=np.uint8), np.array([1, 1], dtype=np.uint8)
    air = np.zeros(1000, dtype=np.uint8)
    alone = overlap(counts(truth, found, 3), 1)
    padded = overlap(counts(np.append(truth, air), np.append(found, air), 3), 1)
    assert alone == padded
    assert alone.specificity == 0.0


def test_a_region_that_is_in_neither_agrees() -> None:
    nothing = np.zeros(5, dtype=np.uint8)
    assert overlap(counts(nothing, nothing, 3), 2).dice == 1.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_counts_and_dice_agree_with_set_arithmetic(pairs: list[tuple[int, int]]) -> None:
    truth, found = (np.array(column, dtype=np.uint8) for column in zip(*pairs, strict=True))
    counted = counts(truth, found, 3)
    assert counted.sum() == len(pairs)
    for code in range(3):
        one = {i for i, value in enumerate(truth) if value == code}
        other = {i for i, value in enumerate(found) if value == code}
        expected = 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0
        assert overlap(counted, code).dice == pytest.approx(expected)


def test_confusions_name_who_was_taken_for_whom_worst_first() -> None:
    truth = np.array([1] * 10 + [2] * 4, dtype=np.uint8)
    found = np.array([1] * 8 + [2, 0] + [2, 2, 2, 1], dtype=np.uint8)
    found_out = confusions(counts(truth, found, 3), NAMES)
    assert [(c.region, c.taken_for) for c in found_out] == [
        ("two", "one"),
        ("one", "outside"),
        ("one", "two"),
    ]
    assert [c.percent for c in found_out] == pytest.approx([25.0, 10.0, 10.0])


def test_surfaces_that_coincide_are_at_no_distance() -> None:
    mask = box(4, 20)
    distances = surface_distances(mask, mask, grid(mask.shape, 1.0))
    assert distances.dice(0.5) == 1.0
    assert distances.hausdorff_95() == 0.0


@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 2.0])
def test_one_face_moved_by_three_voxels(spacing_mm: float) -> None:
    truth, found = box(4, 20), box(4, 23)
    distances = surface_distances(truth, found, grid(truth.shape, spacing_mm))
    # Each has a face of 16 x 16 voxels (one layer of six) that is three voxels from the other's.
    assert distances.hausdorff_95() == pytest.approx(3 * spacing_mm)
    assert distances.dice(3 * spacing_mm) == 1.0
    assert 0.6 < distances.dice(0.9 * spacing_mm) < 0.9


def test_surface_distances_are_scipys_at_their_largest() -> None:
    random = np.random.default_rng(0)
    truth, found = (random.random((8, 8, 8)) > 0.9 for _ in range(2))
    distances = surface_distances(truth, found, grid((8, 8, 8), 1.5))
    # Single voxels are their own surface.
    points = [np.argwhere(mask) * 1.5 for mask in (truth, found)]
    there, back = directed_hausdorff(*points)[0], directed_hausdorff(*reversed(points))[0]
    assert distances.truth_to_found.max() == pytest.approx(there)
    assert distances.found_to_truth.max() == pytest.approx(back)


def test_a_region_that_was_not_found_has_no_distance() -> None:
    mask = box(4, 20)
    distances = surface_distances(mask, np.zeros_like(mask), grid(mask.shape, 1.0))
    assert math.isnan(distances.dice(1.0)) and math.isnan(distances.hausdorff_95())
