"""The similarity between the canonical frame and a head, and the grid that follows from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fontanelle.imaging.geometry import Geometry, LabelArray
from fontanelle.imaging.placement import Placement, centroids
from fontanelle.imaging.pose import Canonical, Pose, canonical_grid, find_pose
from tests.analytic_head import axial, places
from tests.coded_head import CodedHead
from tests.regions import REGIONS

COARSE = axial((48, 64, 48), 4.0)
ANGLES = st.tuples(*[st.floats(-35, 35)] * 3)
SHIFTS = st.tuples(*[st.floats(-8, 8)] * 3)


def labels_of(head: CodedHead, grid: Geometry = COARSE) -> LabelArray:
    return LabelArray(head.classes(places(grid)), grid)


def total_ml(labels: LabelArray) -> float:
    return float(np.count_nonzero(labels.codes)) * labels.grid.plane_voxel_mm3[0] / 1000


UPRIGHT = labels_of(CodedHead(), axial((80, 96, 80), 2.0))
PLACEMENT = Placement(centroids(UPRIGHT, total_ml(UPRIGHT), REGIONS), 0.1)
FRAME = Canonical(total_ml(UPRIGHT), (32, 64, 32), 4.0, (1.0, -3.0, 2.0))


def pose_of(head: CodedHead) -> Pose | None:
    labels = labels_of(head)
    return find_pose(labels, total_ml(labels), REGIONS, PLACEMENT, FRAME)


@settings(max_examples=12, deadline=None)
@given(angles=ANGLES, scale=st.floats(0.8, 1.15), shift=SHIFTS)
def test_any_turn_size_and_place_is_found(
    angles: tuple[float, float, float], scale: float, shift: tuple[float, float, float]
) -> None:
    head = CodedHead(turn_deg=angles, scale=scale, shift_mm=shift)

    pose = pose_of(head)

    assert pose is not None
    assert not pose.mirrored
    assert pose.misplaced < PLACEMENT.tolerance
    assert pose.scale == pytest.approx(scale, rel=0.02)
    apart = Rotation.from_matrix(pose.rotation @ head.rotation.T).magnitude()
    assert np.degrees(apart) < 2.0
    upright = pose_of(CodedHead())
    assert upright is not None
    middle = head.rotation @ np.array(upright.middle_lps_mm) * scale + np.array(shift)
    np.testing.assert_allclose(pose.middle_lps_mm, middle, atol=1.0)


def test_a_mirrored_head_is_seen_as_one() -> None:
    pose = pose_of(CodedHead(mirrored=True))
    assert pose is not None
    assert pose.mirrored


def test_without_one_region_there_is_no_pose() -> None:
    assert pose_of(CodedHead(without="brainstem")) is None


@given(angles=ANGLES, scale=st.floats(0.7, 1.3), shift=SHIFTS)
def test_the_grid_maps_the_frame_onto_the_patient(
    angles: tuple[float, float, float], scale: float, shift: tuple[float, float, float]
) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    pose = Pose(turn, scale, shift, misplaced=0.0, mirrored=False)

    grid = canonical_grid(pose, FRAME)

    # By hand: the field's middle, and a step along each axis of the array (S, P, L).
    middle = grid.to_patient((np.array(FRAME.field) - 1) / 2)
    np.testing.assert_allclose(middle, shift + scale * turn @ FRAME.center_lps_mm, atol=1e-9)
    for axis, canonical in enumerate(np.eye(3)[::-1]):
        np.testing.assert_allclose(
            grid.affine_lps_mm[:3, axis], turn @ canonical * FRAME.spacing_mm * scale, atol=1e-9
        )
    assert np.linalg.det(grid.affine_lps_mm[:3, :3]) < 0
    assert grid.voxel_mm3 == pytest.approx((FRAME.spacing_mm * scale) ** 3)
    # And back from the patient to the frame.
    back = (grid.to_patient(np.zeros(3)) - shift) @ turn / scale
    corner = -(np.array(FRAME.field[::-1]) - 1) / 2 * FRAME.spacing_mm + FRAME.center_lps_mm
    np.testing.assert_allclose(back, corner, atol=1e-9)


def test_the_turn_is_said_in_degrees() -> None:
    turn = Rotation.from_euler("x", 25, degrees=True).as_matrix()
    assert Pose(turn, 1.0, (0, 0, 0), 0.0, mirrored=False).turn_deg == pytest.approx(25)
