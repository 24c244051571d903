"""The template of places is alike on both sides, and so is every pose that is found by it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.imaging.geometry import LabelArray  # noqa: E402
from fontanelle.imaging.head import axis_aligned  # noqa: E402
from fontanelle.imaging.placement import Placement  # noqa: E402
from fontanelle.imaging.pose import find_pose  # noqa: E402
from models.training import heads  # noqa: E402
from models.training.protocol import MIRRORED, XI2025_MATCHED  # noqa: E402
from models.training.synthesis.anatomy import placement, region_set  # noqa: E402
from tests.regions import REGIONS  # noqa: E402

pytestmark = pytest.mark.torch

MIRROR = np.diag([-1.0, 1.0, 1.0])
COARSE_MM = 3.0


@pytest.fixture(scope="module")
def places() -> Placement:
    return placement([heads.load(name, XI2025_MATCHED) for name in ("head_13", "toddler_24mo")])


def test_the_template_is_its_own_mirror_image(places: Placement) -> None:
    for region in REGIONS.regions:
        x, y, z = places.centroids[region.name]
        if region.laterality is None:
            assert x == 0.0
        else:
            other = "right" if region.laterality == "left" else "left"
            assert places.centroids[f"{other}_{region.pair}"] == (-x, y, z)
    # L grows towards the left.
    assert places.centroids["left_parietal"][0] > 0.1


def test_the_first_heads_pitch_is_that_of_the_frame_and_what_is_not_alike_averages_out(
    places: Placement,
) -> None:
    head = heads.load("head_13", XI2025_MATCHED)
    labels = LabelArray(head.classes, axis_aligned(head.codes.shape, 1.0, np.zeros(3)))
    pose = find_pose(labels, head.intracranial_ml, region_set(), places, heads.CANONICAL)
    assert pose is not None
    pitch_deg, *others_deg = Rotation.from_matrix(pose.rotation).as_euler("xyz", degrees=True)
    assert abs(pitch_deg) < 0.5
    assert max(map(abs, others_deg)) < 5.0
    assert pose.misplaced < places.tolerance


@pytest.mark.parametrize("name", ["toddler_24mo", "head_13"])
def test_a_mirrored_heads_pose_is_the_mirrored_pose(places: Placement, name: str) -> None:
    # So coarse that every voxel counts: of a fine grid only every second column does.
    step = int(COARSE_MM)
    classes = heads.load(name, XI2025_MATCHED).classes[::step, ::step, ::step]
    middle_mm = -COARSE_MM * (np.array(classes.shape[::-1]) - 1) / 2
    grid = axis_aligned(classes.shape, COARSE_MM, middle_mm)
    intracranial_ml = float(np.count_nonzero(classes)) * COARSE_MM**3 / 1000
    pose, mirrored = (
        find_pose(
            LabelArray(np.ascontiguousarray(codes), grid),
            intracranial_ml,
            region_set(),
            places,
            heads.CANONICAL,
        )
        for codes in (classes, MIRRORED[classes[:, :, ::-1]])
    )
    assert pose is not None and mirrored is not None
    assert not mirrored.mirrored
    np.testing.assert_allclose(mirrored.rotation, MIRROR @ pose.rotation @ MIRROR, atol=1e-9)
    np.testing.assert_allclose(mirrored.middle_lps_mm, MIRROR @ pose.middle_lps_mm, atol=1e-9)
    assert mirrored.scale == pose.scale
    assert mirrored.misplaced == pytest.approx(pose.misplaced, abs=1e-9)
