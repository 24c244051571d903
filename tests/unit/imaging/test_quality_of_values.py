"""Quality checks beyond places and totals: each is seen to trip once, and to pass once."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fontanelle.errors import Code
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.pose import Pose
from fontanelle.imaging.quality import (
    Grade,
    Likeness,
    QualityCheck,
    assess_values,
    features,
    head_pose,
    learnt,
    mirrored,
    passes_agree,
    size_for_age,
    unmirrored,
)
from fontanelle.imaging.quality.amounts import tissue_share
from fontanelle.imaging.quality.likeness import FEATURES
from fontanelle.imaging.quality.whole import regions_in_one_piece
from fontanelle.imaging.volumes import measure
from tests.analytic_head import axial, places
from tests.coded_head import CSF, CodedHead
from tests.regions import REGIONS, swapped_sides

GRID = axial((52, 64, 52), 3.0)
HEAD = CodedHead()
RANDOM = np.random.default_rng(3)


def codes() -> NDArray[np.uint8]:
    found = HEAD.classes(places(GRID))
    found[found == CSF] = 21
    return found


def hu() -> NDArray[np.float32]:
    """Skull, air and plain tissue with noise of 4 HU."""
    own = places(GRID)
    depth = np.sqrt(((own / np.array((58.0, 72.0, 56.0))) ** 2).sum(axis=-1))
    values = np.where(depth < 1.15, 900.0, -1000.0)
    values[depth < 1] = 32.0
    return (values + RANDOM.normal(0, 4, values.shape)).astype(np.float32)


def judged(image: NDArray[np.float32], known: Likeness | None = None) -> dict[str, QualityCheck]:
    found = assess_values(image, LabelArray(codes(), GRID), REGIONS, known)
    return {check.check: check for check in found}


def assert_graded(check: QualityCheck, grade: Grade, code: Code) -> None:
    assert check.grade is grade, check
    assert check.reason is not None
    assert check.reason.code is code
    assert check.sentence.endswith(".")


def test_a_plain_head_passes() -> None:
    assert {check.grade for check in judged(hu()).values()} == {Grade.PASS}


def test_labels_over_bone_are_outside_the_skull() -> None:
    image = hu()
    image[:, :26] = 900.0
    assert_graded(judged(image)["brain_in_skull"], Grade.FAIL, Code.QUALITY_SKULL)


@pytest.mark.parametrize(("shift_hu", "grade"), [(18, Grade.REMARK), (40, Grade.LIMIT)])
def test_a_brain_of_other_density_is_noted(shift_hu: float, grade: Grade) -> None:
    assert judged(hu() + np.float32(shift_hu))["values_plausible"].grade is grade


def test_a_scale_without_air_is_none_of_hounsfield() -> None:
    check = judged(np.maximum(hu(), -100))["values_plausible"]
    assert_graded(check, Grade.LIMIT, Code.QUALITY_VALUES)


def test_metal_is_measured_in_ml() -> None:
    image = hu()
    image[10:20, 30:36, 30:36] = 3000.0
    check = judged(image)["free_of_metal"]
    assert_graded(check, Grade.LIMIT, Code.QUALITY_METAL)
    assert check.value == pytest.approx(360 * 27 / 1000)


def test_streaks_over_the_brain_limit() -> None:
    image = hu()
    image[:, ::8] -= 300.0
    image[:, 1::8] -= 300.0
    assert_graded(judged(image)["free_of_streaks"], Grade.LIMIT, Code.QUALITY_STREAKS)


@pytest.mark.parametrize(
    ("stray", "grade"), [(0, Grade.PASS), (4, Grade.REMARK), (10, Grade.LIMIT), (25, Grade.FAIL)]
)
def test_a_region_in_pieces_is_graded_by_what_lies_apart(stray: int, grade: Grade) -> None:
    labels = codes()
    cerebellum = labels == REGIONS["cerebellum"].code
    wanted = stray / 100 * cerebellum.sum() / max(1 - stray / 100, 0.01)
    far = np.argwhere(labels == REGIONS["left_frontal"].code)
    for place in far[: round(wanted)]:
        labels[tuple(place)] = REGIONS["cerebellum"].code
    check = regions_in_one_piece(LabelArray(labels, GRID), REGIONS)
    assert check.grade is grade, check
    assert (check.reason is None) == (grade in {Grade.PASS, Grade.REMARK})


@pytest.mark.parametrize(
    ("share", "grade"),
    [(0.55, Grade.LIMIT), (0.7, Grade.REMARK), (0.9, Grade.PASS), (0.99, Grade.LIMIT)],
)
def test_tissue_fills_what_ct_of_children_shows(share: float, grade: Grade) -> None:
    volumes = measure(LabelArray(codes(), GRID), REGIONS)
    total = volumes.intracranial_ml
    lines = [replace(r, parenchyma_ml=0.0) for r in volumes.regions]
    lines[0] = replace(lines[0], parenchyma_ml=share * total)
    check = tissue_share(replace(volumes, regions=tuple(lines)))
    assert check.grade is grade
    assert check.value == pytest.approx(share)


@pytest.mark.parametrize(
    ("ml", "grade"),
    [
        (1030, Grade.PASS),
        (740, Grade.REMARK),
        (500, Grade.LIMIT),
        (1330, Grade.REMARK),
        (1600, Grade.LIMIT),
    ],
)
def test_a_size_is_held_against_the_age_both_ways(ml: float, grade: Grade) -> None:
    check = size_for_age(ml, [1030.0], "a curve")
    assert check is not None
    assert check.grade is grade
    assert "a curve" in check.sentence


def test_an_unknown_sex_gives_both_the_benefit_and_an_unknown_age_says_nothing() -> None:
    check = size_for_age(1010.0, [975.0, 1070.0], "a curve")
    assert check is not None
    assert check.value == 0.0
    assert size_for_age(1010.0, [], "a curve") is None


def test_the_same_labels_from_the_mirrored_head_agree() -> None:
    labels = codes()
    labels[labels == 21] = 22
    back = unmirrored(swapped_sides(HEAD.classes(places(GRID))), REGIONS)
    one = LabelArray(HEAD.classes(places(GRID)), GRID)
    check = passes_agree(one, LabelArray(back, GRID), REGIONS)
    assert check.grade is Grade.PASS
    assert check.value == 0.0
    image = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(mirrored(mirrored(image)), image)


def test_a_look_that_differs_is_an_uncertainty_in_ml() -> None:
    one, other = codes(), codes()
    cerebellum = np.argwhere(one == REGIONS["cerebellum"].code)
    for place in cerebellum[: len(cerebellum) // 4]:
        other[tuple(place)] = 0
    check = passes_agree(LabelArray(one, GRID), LabelArray(other, GRID), REGIONS)
    assert_graded(check, Grade.LIMIT, Code.QUALITY_AGREEMENT)
    assert check.uncertainty_ml is not None
    expected = (len(cerebellum) // 4) * 27.0 / 1000 / np.sqrt(2)
    assert check.uncertainty_ml["cerebellum"] == pytest.approx(expected)
    assert check.uncertainty_ml["brainstem"] == 0.0


def test_what_is_unlike_training_is_named() -> None:
    labels = LabelArray(codes(), GRID)
    noise = [RANDOM.normal(0, 3, GRID.shape).astype(np.float32) for _ in range(24)]
    samples = [
        features(hu() * RANDOM.uniform(0.9, 1.1) + each * RANDOM.uniform(0, 2), labels, REGIONS)
        for each in noise
    ]
    known = learnt(samples)
    assert len(samples[0]) == len(FEATURES) == len(known.mean)
    assert known.distance(known.mean) == 0.0
    # Two things do not vary in these samples: they are given room, or every head were unlike them.
    known = replace(known, covariance=known.covariance + np.diag(np.full(8, 0.01)))
    assert judged(hu(), known)["like_training"].grade is Grade.PASS
    other = judged(hu() + 60 * noise[0], known)["like_training"]
    assert_graded(other, Grade.LIMIT, Code.QUALITY_UNLIKE)


@pytest.mark.parametrize(
    ("pose", "grade"),
    [
        (None, Grade.FAIL),
        (Pose(np.eye(3), 1.0, (0, 0, 0), 0.05, mirrored=False), Grade.PASS),
        (Pose(np.eye(3), 1.0, (0, 0, 0), 0.15, mirrored=False), Grade.FAIL),
        (Pose(np.eye(3), 1.0, (0, 0, 0), 0.05, mirrored=True), Grade.FAIL),
        (Pose(np.diag([1.0, -1, -1]), 1.0, (0, 0, 0), 0.05, mirrored=False), Grade.FAIL),
    ],
    ids=["a region missing", "upright", "out of place", "mirrored", "upside down"],
)
def test_the_pose_is_judged_before_the_network_sees_the_head(
    pose: Pose | None, grade: Grade
) -> None:
    assert head_pose(pose, tolerance=0.1).grade is grade
