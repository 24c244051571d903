"""Grids: order of slices, sheared and uneven stacks, volumes by determinant and by half gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from fontanelle.imaging.geometry import Geometry, Image, Planes, stack, stacking_order

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

# The headers of the real GE HiSpeed series (tests/data/ge_head_tilt): 14 slices 4.22 mm apart along
# the table, then 14 slices 7.38 mm apart; 1.14 mm between the two blocks. The gantry is tilted.
GE_ORIENTATION = (1.0, 0.0, 0.0, 0.0, 0.9483237, -0.3173047)
GE_SPACING_MM = (0.4882812, 0.4882812)
GE_FIRST_MM = (-125.0, -123.5404569, 5.8360586)
GE_STEPS_Z_MM = (*[4.22] * 13, 1.14, *[7.38] * 13)


def ge_positions(count: int = 28) -> list[list[float]]:
    z_mm = GE_FIRST_MM[2] + np.concatenate(([0.0], np.cumsum(GE_STEPS_Z_MM)))
    return [[GE_FIRST_MM[0], GE_FIRST_MM[1], float(z)] for z in z_mm[:count]]


def rotation(angles: tuple[float, float, float]) -> NDArray[np.float64]:
    turned = np.eye(3)
    for axis, angle in enumerate(angles):
        one = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        one[[i, j], [i, j]] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        turned = turned @ one
    return turned


angles = st.floats(-np.pi, np.pi)
steps_mm = st.floats(0.2, 10.0)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[list[list[float]], list[float], list[float], float]:
    """Any even stack: turned in space, tilted, at any place; positions, orientation, spacing, h."""
    turned = rotation((draw(angles), draw(angles), draw(angles)))
    along_row, along_column, normal = turned[:, 0], turned[:, 1], turned[:, 2]
    tilt = draw(st.floats(-0.5, 0.5))
    step_mm = draw(steps_mm)
    travel = step_mm * (normal + np.tan(tilt) * along_column)
    first = np.array([draw(st.floats(-300, 300)) for _ in range(3)])
    count = draw(st.integers(2, 40))
    positions = [(first + k * travel).tolist() for k in range(count)]
    orientation = [*along_row.tolist(), *along_column.tolist()]
    return positions, orientation, [draw(steps_mm), draw(steps_mm)], step_mm


@given(stacks(), st.randoms())
def test_slices_are_found_in_order_however_they_arrive(built: tuple, random: st.randoms) -> None:
    positions, orientation, _, _ = built
    shuffled = positions.copy()
    random.shuffle(shuffled)

    order = stacking_order(shuffled, orientation)

    assert [shuffled[index] for index in order] == positions


@pytest.mark.parametrize(
    ("orientation", "in_order"),
    [
        (AXIAL, [1.0, 2.0, 3.0]),
        ((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0), [1.0, 2.0, 3.0]),  # Turned about the long axis.
        ((1.0, 0.0, 0.0, 0.0, -1.0, 0.0), [3.0, 2.0, 1.0]),  # Rows x columns points to the feet.
    ],
)
def test_the_order_follows_rows_cross_columns(
    orientation: tuple[float, ...], in_order: list[float]
) -> None:
    positions = [[0.0, 0.0, z] for z in (3.0, 1.0, 2.0)]

    order = stacking_order(positions, orientation)

    assert [positions[index][2] for index in order] == in_order


@given(stacks())
def test_an_even_stack_is_a_grid_and_each_voxel_lies_where_dicom_puts_it(built: tuple) -> None:
    positions, orientation, spacing, _ = built
    grid = stack(positions, orientation, spacing, (7, 5))
    assert isinstance(grid, Geometry)

    k, row, column = len(positions) - 1, 6, 4
    # PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1, written out for the last voxel.
    expected = (
        np.array(positions[k])
        + np.array(orientation[:3]) * spacing[1] * column
        + np.array(orientation[3:]) * spacing[0] * row
    )

    assert grid.to_patient(np.array([k, row, column], float)) == pytest.approx(expected, abs=1e-6)
    assert grid.plane_affine(k) @ [0, row, column, 1] == pytest.approx([*expected, 1], abs=1e-6)


@given(stacks())
def test_a_voxel_is_area_times_perpendicular_step_however_tilted(built: tuple) -> None:
    positions, orientation, spacing, step_mm = built
    grid = stack(positions, orientation, spacing, (7, 5))

    expected_mm3 = spacing[0] * spacing[1] * step_mm

    assert isinstance(grid, Geometry)
    assert grid.voxel_mm3 == pytest.approx(expected_mm3, rel=1e-6)
    assert grid.plane_voxel_mm3 == pytest.approx([expected_mm3] * len(positions), rel=1e-6)


@given(stacks())
def test_the_normal_points_the_way_slices_are_counted(built: tuple) -> None:
    positions, orientation, spacing, step_mm = built
    grid = stack(positions, orientation, spacing, (7, 5))

    assert np.linalg.norm(grid.normal_lps) == pytest.approx(1)
    assert np.subtract(positions[1], positions[0]) @ grid.normal_lps == pytest.approx(step_mm)


@given(
    st_numpy.arrays(float, st.integers(2, 30), elements=st.floats(0.3, 9.0)),
    st.floats(-0.5, 0.5),
)
def test_half_gaps_fill_the_slab_and_mirror_with_the_stack(
    gaps_mm: NDArray[np.float64], tilt: float
) -> None:
    offsets = np.concatenate(([0.0], np.cumsum(gaps_mm)))
    travel = np.array([0.0, np.tan(tilt), 1.0])
    planes = Planes(
        (len(offsets), 2, 2),
        np.array([0, 1.0, 0]),
        np.array([1.0, 0, 0]),
        offsets[:, None] * travel,
    )
    mirrored = Planes(planes.shape, planes.row_step_lps_mm, planes.column_step_lps_mm,
                      planes.origins_lps_mm[::-1])  # fmt: skip

    # From half a gap in front of the first plane to half a gap behind the last.
    assert planes.widths_mm.sum() == pytest.approx(offsets[-1] + gaps_mm[0] / 2 + gaps_mm[-1] / 2)
    assert mirrored.widths_mm == pytest.approx(planes.widths_mm[::-1])
    assert planes.offsets_mm == pytest.approx(offsets)


def test_the_lower_block_of_the_ge_series_has_the_worked_voxel_and_place() -> None:
    grid = stack(ge_positions(14), GE_ORIENTATION, GE_SPACING_MM, (512, 512))

    # Worked by hand from the header: h = 4.22 x 0.9483237 = 4.0019 mm; area x h = 0.95413 mm3,
    # where area x |step| would be 1.00613. Column 256, row 400, slice 5 lies at (0, 61.68, -35.04).
    assert isinstance(grid, Geometry)
    assert grid.voxel_mm3 == pytest.approx(0.95413, abs=5e-5)
    assert grid.step_mm == pytest.approx((4.22, 0.48828, 0.48828), abs=1e-4)
    place = grid.to_patient(np.array([5.0, 400, 256]))
    assert place == pytest.approx((0.0, 61.68, -35.04), abs=0.01)


def test_the_upper_block_of_the_ge_series_has_the_worked_voxel() -> None:
    grid = stack(ge_positions()[14:], GE_ORIENTATION, GE_SPACING_MM, (512, 512))

    assert isinstance(grid, Geometry)
    assert grid.voxel_mm3 == pytest.approx(1.66860, abs=5e-5)  # 7.38 x 0.9483237 x area


def test_the_whole_ge_series_is_uneven_and_its_slices_count_with_half_gaps() -> None:
    grid = stack(ge_positions(), GE_ORIENTATION, GE_SPACING_MM, (512, 512))

    # 13 of 4.0 mm, 2.54 and 4.04 at the seam, 13 of 7.0; nominal thickness would add up to 154.
    assert isinstance(grid, Planes)
    assert grid.widths_mm == pytest.approx([*[4.0] * 13, 2.54, 4.04, *[7.0] * 13], abs=0.01)
    assert grid.widths_mm.sum() == pytest.approx(149.6, abs=0.05)
    assert grid.plane_voxel_mm3[0] == pytest.approx(0.95413, abs=5e-5)
    assert grid.plane_affine(20) @ [0, 0, 0, 1] == pytest.approx([*ge_positions()[20], 1])


def test_positions_written_with_one_decimal_are_an_even_stack() -> None:
    positions = [[0.0, 0.0, round(0.625 * k, 1)] for k in range(200)]

    assert isinstance(stack(positions, AXIAL, (0.4, 0.4), (4, 4)), Geometry)


def test_one_missing_slice_makes_a_stack_uneven() -> None:
    positions = [[0.0, 0.0, 0.625 * k] for k in range(200) if k != 77]

    grid = stack(positions, AXIAL, (0.4, 0.4), (4, 4))

    assert isinstance(grid, Planes)
    assert grid.widths_mm.max() == pytest.approx(0.9375)


@pytest.mark.parametrize(
    ("positions", "code"),
    [
        ([[0, 0, 0.0]], Code.COVERAGE),
        ([[0, 0, 0.0], [0, 0, 1.0], [0, 0, 1.005], [0, 0, 2.0]], Code.POSITION_DUPLICATE),
        ([[0, 0, 0.0], [0, 3, 1.0], [0, 0, 2.0]], Code.POSITION_IRREGULAR),
    ],
)
def test_what_is_no_stack_is_refused(positions: list, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        stack(positions, AXIAL, (0.4, 0.4), (4, 4))
    assert refused.value.reason.code is code


def test_an_image_cannot_be_written_to() -> None:
    image = Image(np.zeros((2, 2, 2), np.int16), Geometry((2, 2, 2), np.eye(4)))

    with pytest.raises(ValueError, match="read-only"):
        image.hu[0, 0, 0] = 1
