"""The phantom's head: its size, its two sides, and what a change of one region does to it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.phantom.head import CENTER_LPS_MM, Atrophy, Phantom, Recipe, Resize, make, turned
from models.training.protocol import MIRRORED, OUTER_CSF

LEFT_FRONTAL, RIGHT_FRONTAL, CEREBELLUM = 1, 2, 9


def centroid_lps_mm(phantom: Phantom, class_code: int) -> np.ndarray:
    index = np.argwhere(phantom.codes == class_code).mean(axis=0)
    return phantom.affine_lps_mm[:3, :3] @ index + phantom.affine_lps_mm[:3, 3]


def test_its_skull_holds_as_much_as_that_of_a_boy_of_two(plain: Phantom) -> None:
    # 1071.71 mL: cranium_0-10y.csv, age 2, boys.
    assert plain.truth_ml[1:].sum() == pytest.approx(1071.71, abs=0.01)


def test_left_lies_to_the_left_the_cerebellum_low_and_at_the_back(plain: Phantom) -> None:
    left = centroid_lps_mm(plain, LEFT_FRONTAL)
    cerebellum = centroid_lps_mm(plain, CEREBELLUM)

    assert left[0] > CENTER_LPS_MM[0] + 15
    assert cerebellum[1] > left[1] + 50
    assert cerebellum[2] < left[2] - 30


def test_a_mirrored_head_has_the_volumes_of_the_other_side(plain: Phantom) -> None:
    mirrored = make(Recipe(mirrored=True))

    assert mirrored.truth_ml == pytest.approx(plain.truth_ml[MIRRORED])
    assert centroid_lps_mm(mirrored, LEFT_FRONTAL)[0] > CENTER_LPS_MM[0] + 15


def test_atrophy_turns_the_surface_of_one_region_into_csf_and_nothing_else(plain: Phantom) -> None:
    smaller = make(Recipe(change=Atrophy(LEFT_FRONTAL, 20.0)))

    gain = smaller.truth_ml - plain.truth_ml
    lost = 0.2 * plain.truth_ml[LEFT_FRONTAL]
    assert gain[LEFT_FRONTAL] == pytest.approx(-lost, rel=1e-3)
    assert gain[OUTER_CSF] == pytest.approx(lost, rel=1e-3)
    assert np.delete(gain, [LEFT_FRONTAL, OUTER_CSF]) == pytest.approx(0)


def test_atrophy_is_seen_as_csf(plain: Phantom) -> None:
    smaller = make(Recipe(change=Atrophy(LEFT_FRONTAL, 20.0)))

    lost = (plain.codes == LEFT_FRONTAL) & (smaller.codes == OUTER_CSF)
    # Grey matter is about 37 HU, CSF about 9; next to bone partial volume raises both.
    assert np.median(smaller.hu[lost]) < np.median(plain.hu[lost]) - 10


@pytest.mark.parametrize("percent", [-15.0, 15.0])
def test_a_resized_region_changes_by_so_much_and_the_others_hardly(
    plain: Phantom, percent: float
) -> None:
    changed = make(Recipe(change=Resize(LEFT_FRONTAL, percent)))

    gain_percent = 100 * (changed.truth_ml / plain.truth_ml - 1)
    assert gain_percent[LEFT_FRONTAL] == pytest.approx(percent, abs=3.0)
    assert gain_percent[RIGHT_FRONTAL] == pytest.approx(0, abs=3.0)
    assert gain_percent[CEREBELLUM] == pytest.approx(0, abs=3.0)


def test_a_pitched_head_turns_round_its_middle_and_keeps_its_volumes(plain: Phantom) -> None:
    pitched = make(Recipe(angles_deg=(18.0, 0.0, 0.0)))

    arm = centroid_lps_mm(plain, CEREBELLUM) - CENTER_LPS_MM
    turned_arm = centroid_lps_mm(pitched, CEREBELLUM) - CENTER_LPS_MM
    # By hand: about the left axis by t, (p, s) becomes (p cos t - s sin t, p sin t + s cos t).
    cos, sin = np.cos(np.radians(18)), np.sin(np.radians(18))
    expected = (arm[0], arm[1] * cos - arm[2] * sin, arm[1] * sin + arm[2] * cos)
    assert turned_arm == pytest.approx(expected, abs=0.01)
    assert pitched.truth_ml == pytest.approx(plain.truth_ml)


def test_the_same_recipe_draws_the_same_head(plain: Phantom) -> None:
    again = make(Recipe())
    other = make(replace(plain.recipe, seed=3))

    assert np.array_equal(again.hu, plain.hu)
    assert not np.array_equal(other.hu, plain.hu)
    assert np.array_equal(other.codes, plain.codes)


@given(st.tuples(*[st.floats(-60, 60)] * 3))
def test_a_turn_keeps_lengths_and_hands(angles_deg: tuple[float, float, float]) -> None:
    turn = turned(angles_deg)

    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
