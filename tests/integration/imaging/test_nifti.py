"""NIfTI in and out: left stays left, through every affine; what says too little is refused."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from fontanelle.imaging.decoding import decode
from fontanelle.imaging.geometry import Geometry, LabelArray, Planes
from fontanelle.imaging.nifti import read, resampled_labels, write_labels
from tests import real
from tests.integration.imaging.small_ct import only_series

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AXIAL_RAS = np.array([[0.5, 0, 0, -10], [0, 0.75, 0, -20], [0, 0, 1.25, 5], [0, 0, 0, 1]])


def saved(path: Path, values: NDArray, affine: NDArray = AXIAL_RAS, code: int = 1) -> Path:
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=code)
    image.set_qform(None, code=0)
    nib.save(image, path)
    return path


def refusal(path: Path) -> Code:
    with pytest.raises(Refused) as refused:
        read(path)
    return refused.value.reason.code


def marked(shape: tuple[int, int, int], at: tuple[int, int, int]) -> NDArray[np.int16]:
    values = np.full(shape, -1000, np.int16)
    values[at] = 700
    return values


def place_of(image_hu: NDArray, grid: Geometry) -> NDArray[np.float64]:
    return grid.to_patient(np.argwhere(image_hu == 700)[0].astype(float))


@st.composite
def affines(draw: st.DrawFn) -> NDArray[np.float64]:
    """Any turn, mirror, step and shear that leaves the axes apart."""
    turned, _ = np.linalg.qr(
        np.array([[draw(st.floats(-1, 1)) for _ in range(3)] for _ in range(3)]) + 2 * np.eye(3)
    )
    turned = turned[:, draw(st.permutations([0, 1, 2]))]
    turned[:, 2] += draw(st.floats(-0.4, 0.4)) * turned[:, 1]
    steps = [draw(st.floats(0.3, 7)) * draw(st.sampled_from([-1, 1])) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = turned * steps
    affine[:3, 3] = [draw(st.floats(-300, 300)) for _ in range(3)]
    return affine


def test_an_axial_file_is_read_as_slices_rows_and_columns(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.nii.gz", marked((6, 5, 4), (1, 2, 3)))

    image = read(path).image

    # Voxel (1, 2, 3) lies at R -10 + 0.5, A -20 + 1.5, S 5 + 3.75, so L 9.5, P 18.5, S 8.75.
    assert image.hu.shape == (4, 5, 6)
    assert image.hu[3, 2, 1] == 700
    assert isinstance(image.grid, Geometry)
    assert place_of(image.hu, image.grid) == pytest.approx((9.5, 18.5, 8.75))
    assert image.grid.voxel_mm3 == pytest.approx(0.5 * 0.75 * 1.25)


@given(affine=affines(), data=st.data())
def test_a_voxel_keeps_its_place_through_any_affine(
    tmp_path_factory: pytest.TempPathFactory, affine: NDArray, data: st.DataObject
) -> None:
    at = tuple(data.draw(st.integers(0, length - 1)) for length in (6, 5, 4))
    path = saved(tmp_path_factory.mktemp("n") / "x.nii", marked((6, 5, 4), at), affine)

    image = read(path).image

    assert isinstance(image.grid, Geometry)
    expected = (RAS_FROM_LPS @ affine @ [*at, 1])[:3]
    assert place_of(image.hu, image.grid) == pytest.approx(expected, abs=1e-3)
    assert image.grid.voxel_mm3 == pytest.approx(abs(np.linalg.det(affine[:3, :3])), rel=1e-4)
    # The slice axis is the one nearest to inferior-superior.
    heights = np.abs(image.grid.affine_lps_mm[2, :3]) / image.grid.step_mm
    assert heights[0] == pytest.approx(heights.max())


@given(affine=affines())
def test_labels_written_and_read_lie_where_they_lay(
    tmp_path_factory: pytest.TempPathFactory, affine: NDArray
) -> None:
    codes = np.random.default_rng(1).integers(0, 30, (4, 5, 6)).astype(np.uint8)
    path = tmp_path_factory.mktemp("n") / "labels.nii.gz"

    write_labels(path, LabelArray(codes, Geometry((4, 5, 6), affine)))

    # Read by nibabel alone: RAS, axes (column, row, slice).
    image = nib.load(path)
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(image.dataobj), codes.transpose(2, 1, 0))
    expected = RAS_FROM_LPS @ affine @ [3, 2, 1, 1]
    assert image.affine @ [1, 2, 3, 1] == pytest.approx(expected, abs=1e-3)
    # A qform holds no shear: where it is given, it must say the same as the sform.
    if image.header["qform_code"]:
        assert image.get_qform() @ [5, 4, 3, 1] == pytest.approx(
            image.get_sform() @ [5, 4, 3, 1], abs=1e-2
        )


@given(affine=affines(), order=st.permutations([0, 1, 2]))
def test_labels_of_a_file_come_back_with_its_shape_and_affine(
    tmp_path_factory: pytest.TempPathFactory, affine: NDArray, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("n")
    affine = affine[:, [*order, 3]]
    values = np.random.default_rng(3).integers(0, 30, (6, 5, 4)).astype(np.int16)
    source = nib.load(saved(folder / "x.nii", values, affine))
    scan = read(folder / "x.nii")

    codes = scan.image.hu.astype(np.uint8)
    write_labels(folder / "labels.nii.gz", LabelArray(codes, scan.image.grid), scan.axes)

    labels = nib.load(folder / "labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(labels.dataobj), values)
    np.testing.assert_array_equal(labels.get_sform(), source.get_sform())


def test_a_sheared_grid_is_written_without_a_qform_and_a_straight_one_with_it(
    tmp_path: Path,
) -> None:
    straight = np.diag([2.0, 0.5, 0.5, 1.0])[:, [2, 1, 0, 3]]
    sheared = straight.copy()
    sheared[1, 0] = 0.6
    codes = np.zeros((3, 3, 3), np.uint8)

    for affine, code in ((straight, 1), (sheared, 0)):
        write_labels(tmp_path / "x.nii.gz", LabelArray(codes, Geometry((3, 3, 3), affine)))
        header = nib.load(tmp_path / "x.nii.gz").header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (1, code)


def test_the_same_labels_give_the_same_bytes(tmp_path: Path) -> None:
    labels = LabelArray(np.ones((3, 3, 3), np.uint8), Geometry((3, 3, 3), np.eye(4)))

    for name in ("a.nii.gz", "b.nii.gz"):
        write_labels(tmp_path / name, labels)

    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_uneven_planes_cannot_be_written_as_if_they_were_even() -> None:
    planes = Planes((2, 1, 1), np.eye(3)[1], np.eye(3)[0], np.eye(3)[[2, 2]])

    with pytest.raises(TypeError, match="resampled_labels"):
        write_labels(Path("unwritten.nii.gz"), LabelArray(np.zeros((2, 1, 1), np.uint8), planes))


def test_labels_of_the_real_tilted_series_keep_their_volumes_and_places_when_resampled() -> None:
    image = decode(only_series(sorted(real.ge_head_tilt().iterdir())))
    assert isinstance(image.grid, Planes)
    codes = np.digitize(image.hu, [-500, 0, 80, 300]).astype(np.uint8)
    labels = LabelArray(codes, image.grid)

    regular = resampled_labels(labels)

    assert isinstance(regular.grid, Geometry)
    # The smallest perpendicular step of the series is 1.08 mm; the slab is 149.6 mm high.
    step_mm = float(regular.grid.slice_vector @ regular.grid.normal_lps)
    assert 0.9 < step_mm <= 1.09
    assert step_mm * regular.grid.shape[0] == pytest.approx(149.6, abs=0.05)
    for code in range(5):
        per_plane = (codes == code).sum(axis=(1, 2))
        volume_mm3 = per_plane @ image.grid.plane_voxel_mm3
        count = (regular.codes == code).sum()
        assert count * regular.grid.voxel_mm3 == pytest.approx(volume_mm3, rel=0.01)
    # Each plane is found again at its own place, in the middle of its slab.
    inverse = np.linalg.inv(regular.grid.affine_lps_mm)
    for index in range(28):
        found = inverse @ image.grid.plane_affine(index) @ [0, 300, 200, 1]
        assert found[1:3] == pytest.approx((300, 200), abs=0.01)
        np.testing.assert_array_equal(regular.codes[round(found[0])], codes[index])


def test_planes_closer_than_half_a_millimetre_are_resampled_to_half_a_millimetre() -> None:
    origins = np.array([[0, 0, z] for z in (0.0, 0.2, 3.0, 6.0)])
    planes = Planes((4, 1, 1), np.eye(3)[1], np.eye(3)[0], origins)

    regular = resampled_labels(LabelArray(np.zeros((4, 1, 1), np.uint8), planes))

    assert isinstance(regular.grid, Geometry)
    assert 0.4 < regular.grid.step_mm[0] <= 0.5


def test_labels_on_a_grid_are_left_alone() -> None:
    labels = LabelArray(np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2), np.eye(4)))

    assert resampled_labels(labels) is labels


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, np.float32, np.float64]
)
def test_values_of_any_number_type_become_hu(tmp_path: Path, dtype: type) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)

    np.testing.assert_array_equal(
        read(saved(tmp_path / "x.nii", values)).image.hu, values.transpose(2, 1, 0)
    )


def test_scaling_in_the_header_is_obeyed_and_rounded(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([2.5, -1000], "<f4").tobytes()  # scl_slope, scl_inter.
    path.write_bytes(content)

    assert np.abs(read(path).image.hu[:, 0, 0] - [-1000, -997.5, -995, -992.5]).max() <= 0.5


def test_what_is_not_a_number_or_below_air_becomes_air(tmp_path: Path) -> None:
    values = np.zeros((2, 2, 2), np.float32)
    values[0, 0] = np.nan, -3024

    assert sorted(read(saved(tmp_path / "x.nii", values)).image.hu.ravel()) == [-1024] * 2 + [0] * 6


def test_values_beyond_sixteen_bits_are_refused(tmp_path: Path) -> None:
    assert refusal(saved(tmp_path / "x.nii", np.full((2, 2, 2), 40000, np.int32))) is Code.BITS


def test_a_fourth_axis_of_one_is_taken_off(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.nii", np.zeros((4, 3, 2, 1), np.int16))

    assert read(path).image.hu.shape == (2, 3, 4)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4, 2), (4, 4, 1)])
def test_what_has_not_three_axes_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert refusal(saved(tmp_path / "x.nii", np.zeros(shape, np.int16))) is Code.INPUT_NIFTI


def test_colours_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros((2, 2, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))

    assert refusal(saved(tmp_path / "x.nii", rgb)) is Code.INPUT_NIFTI


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, name: str, share: float) -> None:
    values = np.random.default_rng(2).integers(-1000, 1000, (12, 12, 12)).astype(np.int16)
    path = saved(tmp_path / name, values)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    assert refusal(path) is Code.INPUT_NIFTI


def test_something_else_under_the_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.nii.gz").write_text("<html>404</html>")

    assert refusal(tmp_path / "x.nii.gz") is Code.INPUT_NIFTI


@pytest.mark.parametrize(
    ("affine", "code"),
    [
        (AXIAL_RAS, 0),
        (np.eye(4), 0),
        (np.diag([1.0, 1.0, 0.0, 1.0]), 1),
        (AXIAL_RAS[[0, 0, 2, 3]], 1),
        (np.diag([1.0, np.nan, 1.0, 1.0]), 1),
    ],
    ids=["no code", "the default", "flat", "collinear", "not a number"],
)
def test_a_file_that_does_not_say_where_it_lies_is_refused(
    tmp_path: Path, affine: NDArray, code: int
) -> None:
    path = saved(tmp_path / "x.nii", np.zeros((3, 3, 3), np.int16))
    content = bytearray(path.read_bytes())
    content[254:256] = code.to_bytes(2, "little")  # sform_code, and its rows behind.
    content[280:328] = affine[:3].astype("<f4").tobytes()
    path.write_bytes(content)

    assert refusal(path) is Code.INPUT_NIFTI_AFFINE


def test_the_scanners_space_is_preferred_to_a_templates(tmp_path: Path) -> None:
    image = nib.Nifti1Image(marked((3, 3, 3), (0, 0, 0)), AXIAL_RAS)
    image.set_sform(2 * AXIAL_RAS, code=4)
    image.set_qform(AXIAL_RAS, code=1)
    nib.save(image, tmp_path / "x.nii")

    grid = read(tmp_path / "x.nii").image.grid

    assert isinstance(grid, Geometry)
    assert grid.voxel_mm3 == pytest.approx(0.5 * 0.75 * 1.25)


def test_metres_and_microns_are_told_from_millimetres(tmp_path: Path) -> None:
    for unit, factor in (("meter", 0.001), ("micron", 1000.0), ("unknown", 1.0)):
        affine = np.diag([factor, factor, factor, 1.0]) @ AXIAL_RAS
        image = nib.Nifti1Image(marked((3, 3, 3), (0, 0, 0)), affine)
        image.header.set_xyzt_units(unit)
        image.set_sform(affine, code=1)
        nib.save(image, tmp_path / "x.nii")

        grid = read(tmp_path / "x.nii").image.grid

        assert isinstance(grid, Geometry)
        assert grid.to_patient(np.zeros(3)) == pytest.approx((10, 20, 5), rel=1e-5), unit
