"""Quality checks: each one trips alone, and a sound head passes all."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fontanelle.errors import Code
from fontanelle.imaging.geometry import Geometry, LabelArray
from fontanelle.imaging.head import Head
from fontanelle.imaging.quality import Grade, Placement, QualityCheck, assess, centroids
from fontanelle.imaging.volumes import measure
from tests.analytic_head import axial, places
from tests.regions import REGIONS

SCALE = 1.25
GRID = axial((90, 90, 70), 2.0 * SCALE)
# Centre (L, P, S) and radius of a ball for each region of a made-up head; in SCALE mm.
BALLS = {
    "left_frontal": ((28, -38, 20), 30),
    "right_frontal": ((-28, -38, 20), 30),
    "left_parietal": ((26, 22, 26), 22),
    "right_parietal": ((-26, 22, 26), 22),
    "left_occipital": ((18, 56, -4), 17),
    "right_occipital": ((-18, 56, -4), 17),
    "left_temporal": ((40, 0, -18), 20),
    "right_temporal": ((-40, 0, -18), 20),
    "cerebellum": ((0, 36, -38), 22),
    "brainstem": ((0, 4, -36), 12),
}


def scaled_places() -> NDArray[np.float64]:
    return places(GRID) / SCALE


def labelled(turn: NDArray[np.float64] | None = None) -> LabelArray:
    lps = scaled_places() @ (np.eye(3) if turn is None else turn)
    codes = np.zeros(GRID.shape, dtype=np.uint8)
    for name, (center, radius) in BALLS.items():
        codes[((lps - np.array(center)) ** 2).sum(axis=-1) < radius**2] = REGIONS[name].code
    return LabelArray(codes, GRID)


def placement() -> Placement:
    labels = labelled()
    ml = measure(labels, REGIONS).intracranial_ml
    return Placement(centroids(labels, ml, REGIONS), 0.12)


def checks(labels: LabelArray, inside_ml: float | None = None) -> dict[str, QualityCheck]:
    volumes = measure(labels, REGIONS)
    head = Head((-65, -75, -60), (65, 75, 60), inside_ml or volumes.intracranial_ml)
    found = assess(labels, labels, head, volumes, region_set=REGIONS, placement=placement())
    return {check.check: check for check in found}


def failed(labels: LabelArray, inside_ml: float | None = None) -> dict[str, Code]:
    found = checks(labels, inside_ml)
    return {
        name: check.reason.code
        for name, check in found.items()
        if check.grade is Grade.FAIL and check.reason is not None
    }


def changed(**codes: str | None) -> LabelArray:
    """Give regions another's code, or none."""
    labels = labelled()
    result = labels.codes.copy()
    for name, other in codes.items():
        result[labels.codes == REGIONS[name].code] = REGIONS[other].code if other else 0
    return LabelArray(result, GRID)


def test_a_sound_head_passes_every_check() -> None:
    assert failed(labelled()) == {}


@pytest.mark.parametrize("pitch_deg", [-35, -18, 18, 35])
def test_a_pitched_head_with_its_regions_in_order_passes(pitch_deg: int) -> None:
    c, s = np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))
    assert failed(labelled(np.array([[1, 0, 0], [0, c, -s], [0, s, c]]))) == {}


def test_a_front_called_cerebellum_is_out_of_place_though_the_total_is_the_same() -> None:
    labels = labelled()
    wrong = labels.codes.copy()
    front = (scaled_places()[..., 1] < -38) & (labels.codes == REGIONS["left_frontal"].code)
    wrong[front] = REGIONS["cerebellum"].code
    found = failed(LabelArray(wrong, GRID))
    assert found["regions_in_place"] is Code.QUALITY_PLACE


def test_a_mirrored_arrangement_is_out_of_place() -> None:
    labels = labelled()
    mirrored = LabelArray(labels.codes[:, :, ::-1].copy(), GRID)
    found = checks(mirrored)
    assert found["regions_in_place"].grade is Grade.FAIL
    assert "mirrored" in found["regions_in_place"].sentence


def test_an_upside_down_head_is_turned_too_far() -> None:
    found = checks(labelled(np.diag([1.0, -1.0, -1.0])))
    assert found["regions_in_place"].grade is Grade.FAIL


def test_a_missing_region_is_named() -> None:
    found = checks(changed(brainstem=None))
    assert found["regions_found"].reason is not None
    assert found["regions_found"].reason.code is Code.QUALITY_REGION_EMPTY
    assert "brainstem" in found["regions_found"].sentence
    assert found["regions_in_place"].grade is Grade.FAIL


def test_a_side_twice_the_other_is_implausible() -> None:
    labels = labelled()
    codes = labels.codes.copy()
    half = (codes == REGIONS["left_occipital"].code) & (scaled_places()[..., 2] > -6)
    codes[half] = 0
    assert failed(LabelArray(codes, GRID)) == {"sides_alike": Code.QUALITY_RATIO}


@pytest.mark.parametrize("share", [0.6, 1.5])
def test_a_total_unlike_what_bone_encloses_is_implausible(share: float) -> None:
    ml = measure(labelled(), REGIONS).intracranial_ml
    assert failed(labelled(), inside_ml=ml * share) == {"total_plausible": Code.QUALITY_TOTAL}


def test_a_total_no_human_has_is_implausible() -> None:
    labels = labelled()
    grid = Geometry(GRID.shape, GRID.affine_lps_mm @ np.diag([2.0, 2.0, 2.0, 1.0]))
    assert "total_plausible" in failed(LabelArray(labels.codes.copy(), grid))


def test_brain_on_a_face_of_the_field_means_that_it_was_cut() -> None:
    labels = labelled()
    top = 60
    part = Geometry((top, *GRID.shape[1:]), GRID.affine_lps_mm)
    found = failed(LabelArray(labels.codes[:top].copy(), part))
    assert found["brain_whole"] is Code.QUALITY_BRAIN_CUT


def test_every_check_carries_a_number_and_a_sentence() -> None:
    for check in checks(labelled()).values():
        assert check.value is not None
        assert check.sentence.endswith(".")


def test_what_is_within_the_limits_but_unusual_is_noted() -> None:
    labels = labelled()
    codes = labels.codes.copy()
    part = (codes == REGIONS["left_occipital"].code) & (scaled_places()[..., 2] > 0)
    codes[part] = 0
    sides = checks(LabelArray(codes, GRID))["sides_alike"]
    assert sides.grade is Grade.REMARK
    assert sides.reason is None
