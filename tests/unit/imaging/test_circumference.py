"""The circumference of heads whose outline a formula gives, turned, tilted, held and cut."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.special import ellipe

from fontanelle.errors import Code, Reason
from fontanelle.imaging.circumference import (
    OuterCircumference,
    cephalic_index,
    measure_circumference,
)
from fontanelle.imaging.geometry import Geometry, Grid, Image, LabelArray
from fontanelle.imaging.pose import Pose
from tests.analytic_head import AIR_HU, axial, places, sheared

SEMI_AXES_MM = np.array([69.0, 85.0, 73.0])
"""Of the skin."""
TRUE_CM = 4 * 85.0 * float(ellipe(1 - (69.0 / 85.0) ** 2)) / 10
INNER_MM = np.array([60.0, 76.0, 64.0])
UPRIGHT = np.eye(3)
GRID = axial((70, 96, 90), 2.0)


@dataclass(frozen=True)
class Scene:
    """A head turned in the scanner, and what else lies there, in the scanner's axes."""

    turn: NDArray[np.float64]
    holder: bool = False
    ears: bool = False

    def image(self, grid: Grid) -> Image:
        """Paint it; edges are blurred over 2 mm, as a scanner's are."""
        at = places(grid)
        upright = (at @ self.turn).astype(np.float32)
        hu = _edged(_outside_mm(upright, SEMI_AXES_MM), 20.0)
        bone_mm = _outside_mm(upright, SEMI_AXES_MM - 5.0)
        hu[(bone_mm < 0) & (bone_mm > -4)] = 900.0
        left, back, up = np.moveaxis(upright, -1, 0)
        if self.ears:
            # A sheet that stands off the side of the head.
            sheet = np.abs(np.abs(left) - (69 + 0.6 * (back + 6))) < 2
            hu[sheet & (np.abs(back - 8) < 14) & (np.abs(up) < 20) & (hu < -500)] = 20.0
        if self.holder:
            left, back, _ = np.moveaxis(at, -1, 0)
            depth = np.hypot(left, back) - 86.0
            hu[(depth > 0) & (depth < 6) & (back > 20) & (hu < -500)] = -120.0
        return Image(hu.astype(np.int16), grid)


def _outside_mm(at: NDArray[np.float32], axes_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return how far places lie outside an ellipsoid, to first order."""
    scaled = at / axes_mm.astype(np.float32)
    length = np.sqrt((scaled**2).sum(axis=-1)) + 1e-6
    slope = np.sqrt(((scaled / axes_mm.astype(np.float32)) ** 2).sum(axis=-1)) / length + 1e-9
    return np.asarray((length - 1) / slope)


def _edged(outside_mm: NDArray[np.float32], inside_hu: float) -> NDArray[np.float32]:
    share = np.clip(0.5 - outside_mm / 2.0, 0, 1)
    return np.asarray(AIR_HU + share * (inside_hu - AIR_HU), dtype=np.float32)


def pose(turn: NDArray[np.float64] = UPRIGHT, scale: float = 1.0) -> Pose:
    """Return how the head lies; the middle of its regions is not that of its outline."""
    middle = turn @ np.array([1.0, 7.0, -6.0])
    return Pose(turn, scale, (middle[0], middle[1], middle[2]), 0.0, mirrored=False)


def turned(*angles_deg: float) -> NDArray[np.float64]:
    return np.asarray(Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix())


@cache
def upright() -> Image:
    return Scene(UPRIGHT).image(GRID)


@cache
def upright_cm() -> float:
    return cm(upright(), pose())


def cm(image: Image, how: Pose) -> float:
    found = measure_circumference(image, how)
    assert isinstance(found, OuterCircumference), found
    return found.cm


@pytest.mark.parametrize(
    ("turn", "grid"),
    [
        (turned(8, -14, 20), GRID),
        (UPRIGHT, sheared((76, 96, 90), 2.0, 15)),
    ],
    ids=["turned", "gantry"],
)
def test_the_outline_of_an_ellipsoid_is_found_however_it_lies(
    turn: NDArray[np.float64], grid: Grid
) -> None:
    assert cm(Scene(turn).image(grid), pose(turn)) == pytest.approx(TRUE_CM, abs=0.15)


def test_the_outline_of_an_upright_ellipsoid_is_found() -> None:
    assert upright_cm() == pytest.approx(TRUE_CM, abs=0.15)


def test_a_pose_that_is_pitched_wrongly_costs_little() -> None:
    assert cm(upright(), pose(turned(10, 0, 0))) == pytest.approx(upright_cm(), abs=0.15)


def test_a_head_holder_and_ears_add_little() -> None:
    image = Scene(UPRIGHT, holder=True, ears=True).image(GRID)

    assert cm(image, pose()) == pytest.approx(upright_cm(), abs=0.5)


def test_an_outline_that_leaves_the_field_is_not_measured() -> None:
    narrow = axial((70, 96, 68), 2.0)

    found = measure_circumference(Scene(UPRIGHT).image(narrow), pose())

    assert isinstance(found, Reason) and found.code is Code.HEAD_NOT_IN_VIEW


def test_an_outline_that_leaves_a_round_field_is_not_measured() -> None:
    square = Scene(UPRIGHT).image(axial((70, 87, 87), 2.0))
    noise = np.random.default_rng(1).normal(0, 10, square.hu.shape)
    rows, columns = np.indices((87, 87)) - 43
    padded = np.where(np.hypot(rows, columns) > 43, -1024, square.hu + noise).astype(np.int16)

    found = measure_circumference(Image(padded, square.grid), pose())

    assert isinstance(found, Reason) and found.code is Code.HEAD_NOT_IN_VIEW


def test_without_a_pose_nothing_is_measured() -> None:
    found = measure_circumference(Scene(UPRIGHT).image(axial((8, 8, 8), 4.0)), None)

    assert isinstance(found, Reason) and found.code is Code.HEAD_POSE_UNKNOWN


def test_air_has_no_circumference() -> None:
    empty = Image(np.full(GRID.shape, -1000, dtype=np.int16), GRID)

    assert isinstance(measure_circumference(empty, pose()), Reason)


@pytest.mark.parametrize("turn", [UPRIGHT, turned(12, -8, 25)])
def test_the_index_is_the_inner_width_in_percent_of_the_inner_length(
    turn: NDArray[np.float64],
) -> None:
    upright = places(GRID) @ turn
    inside = ((upright / INNER_MM) ** 2).sum(axis=-1) < 1

    found = cephalic_index(LabelArray(inside.astype(np.uint8), GRID), pose(turn))

    assert found == pytest.approx(100 * 60 / 76, abs=1.2)


def test_stray_labels_do_not_widen_the_head() -> None:
    codes = (((places(GRID) / INNER_MM) ** 2).sum(axis=-1) < 1).astype(np.uint8)
    before = cephalic_index(LabelArray(codes.copy(), GRID), pose())
    codes[0, 0, :3] = 1

    assert cephalic_index(LabelArray(codes, GRID), pose()) == pytest.approx(before, abs=0.1)


def test_nothing_labelled_has_no_index() -> None:
    nothing = LabelArray(np.zeros((4, 4, 4), np.uint8), Geometry((4, 4, 4), np.eye(4)))

    assert cephalic_index(nothing, pose()) is None
