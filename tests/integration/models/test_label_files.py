"""A folder of one's own label maps: taken in any orientation, refused pair by pair."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from models.training import label_files

Volume = NDArray[np.generic]
Change = Callable[[Volume, Volume, NDArray[np.float64]], None]

# Middle of each region, in voxels towards (S, P, L); left has the odd number and the higher column.
PLACES = {
    1: (20, 8, 22), 2: (20, 8, 10), 3: (26, 16, 22), 4: (26, 16, 10), 5: (18, 26, 22),
    6: (18, 26, 10), 7: (12, 14, 24), 8: (12, 14, 8), 9: (8, 24, 16), 10: (6, 18, 16),
}  # fmt: skip


def drawn() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Ten cubes of brain in a box of CSF and bone, axes growing towards (S, P, L)."""
    structures = np.zeros((32, 34, 33), dtype=np.uint8)
    tissues = np.zeros_like(structures)
    tissues[1:-1, 1:-1, 1:-1] = 6
    tissues[3:-3, 3:-3, 3:-3] = 3
    for number, (s, r, c) in PLACES.items():
        cube = (slice(s - 2, s + 3), slice(r - 2, r + 3), slice(c - 2, c + 3))
        structures[cube], tissues[cube] = number, 1 + number % 2
    return structures, tissues


def write(
    folder: Path, name: str, change: Change = lambda *_: None, *, codes: str = "RAS",
    dtype: type[np.generic] = np.uint8, spacing_mm: float = 1.0,
) -> None:  # fmt: skip
    """Write a pair whose axes grow towards `codes`; `change` alters regions, tissues, affine."""
    ras = [spl.transpose(2, 1, 0)[::-1, ::-1].astype(dtype) for spl in drawn()]
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = (-16.0, -17.0, 3.0)
    change(ras[0], ras[1], affine)
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    for values, kind in zip(ras, ("regions", "tissues"), strict=True):
        image = nibabel.nifti1.Nifti1Image(values, affine).as_reoriented(turn)
        nibabel.nifti1.save(image, folder / f"{name}_{kind}.nii.gz")


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAL", "PIR"])
def test_a_head_comes_in_the_axes_of_the_synthesis_however_it_is_stored(
    tmp_path: Path, codes: str
) -> None:
    write(tmp_path, "mine", codes=codes)
    found = label_files.read_all(tmp_path)
    assert [one.name for one in found] == ["mine"]
    for array, expected in zip((found[0].structures, found[0].tissues), drawn(), strict=True):
        assert np.array_equal(array, expected)
        assert array.dtype == np.uint8


def test_whole_numbers_may_be_stored_as_fractions_can(tmp_path: Path) -> None:
    write(tmp_path, "mine", dtype=np.float32)
    assert np.array_equal(label_files.read(tmp_path, "mine").structures, drawn()[0])


def strange(regions: Volume, *_: Volume) -> None:
    regions[16, 16, 16] = 77


def no_cerebellum(regions: Volume, *_: Volume) -> None:
    regions[regions == 9] = 0


def mirrored(_: Volume, __: Volume, affine: NDArray[np.float64]) -> None:
    affine[0, 0] = -1.0


def upside_down(_: Volume, __: Volume, affine: NDArray[np.float64]) -> None:
    affine[2, 2] = -1.0


def another_head(_: Volume, tissues: Volume, __: NDArray[np.float64]) -> None:
    tissues[:] = np.roll(tissues, 15, axis=1)


def turned(_: Volume, __: Volume, affine: NDArray[np.float64]) -> None:
    angle = np.radians(40.0)
    affine[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0],
                      [0, 0, 1]]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (strange, Code.LABELS_NUMBER, "77"),
        (no_cerebellum, Code.LABELS_NUMBER, "cerebellum"),
        (mirrored, Code.LABELS_ORIENTATION, "left"),
        (upside_down, Code.LABELS_ORIENTATION, "cerebellum"),
        (turned, Code.LABELS_GRID, "degrees"),
        (another_head, Code.LABELS_GRID, "same head"),
    ],
)
def test_a_wrong_head_is_refused_in_a_sentence_that_names_it(
    tmp_path: Path, change: Change, code: Code, said: str
) -> None:
    write(tmp_path, "mine", change)
    with pytest.raises(Refused, match=said) as refusal:
        label_files.read_all(tmp_path)
    assert refusal.value.reason.code is code
    assert refusal.value.reason.sentence.startswith("mine: ")


@pytest.mark.parametrize("spacing_mm", [0.8, 1.1, 2.0])
def test_another_spacing_is_refused(tmp_path: Path, spacing_mm: float) -> None:
    write(tmp_path, "mine", spacing_mm=spacing_mm)
    with pytest.raises(Refused, match="1 mm") as refusal:
        label_files.read(tmp_path, "mine")
    assert refusal.value.reason.code is Code.LABELS_GRID


def test_two_files_of_two_shapes_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "mine")
    small = nibabel.nifti1.Nifti1Image(drawn()[1][:-2].transpose(2, 1, 0), np.eye(4))
    nibabel.nifti1.save(small, tmp_path / "mine_tissues.nii.gz")
    with pytest.raises(Refused, match="shape") as refusal:
        label_files.read(tmp_path, "mine")
    assert refusal.value.reason.code is Code.LABELS_GRID


def test_all_wrong_heads_are_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "good")
    write(tmp_path, "first", strange)
    write(tmp_path, "second", mirrored)
    with pytest.raises(Refused, match=r"first: .* second: "):
        label_files.read_all(tmp_path)


def test_only_those_wanted_are_read(tmp_path: Path) -> None:
    write(tmp_path, "good")
    write(tmp_path, "bad", strange)
    assert [one.name for one in label_files.read_all(tmp_path, ["good"])] == ["good"]
    with pytest.raises(Refused, match="no better; it holds bad, good"):
        label_files.read_all(tmp_path, ["better"])


def test_a_file_without_its_twin_is_named(tmp_path: Path) -> None:
    write(tmp_path, "mine")
    (tmp_path / "mine_tissues.nii.gz").unlink()
    with pytest.raises(Refused, match="mine_tissues") as refusal:
        label_files.names(tmp_path)
    assert refusal.value.reason.code is Code.PAIRS_INVALID


@pytest.mark.parametrize("folder", ["absent", "."])
def test_a_folder_that_is_absent_or_empty_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(Refused) as refusal:
        label_files.names(tmp_path / folder)
    assert refusal.value.reason.code is Code.INPUT_NOT_FOUND


def test_a_file_that_is_no_nifti_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "mine")
    (tmp_path / "mine_regions.nii.gz").write_bytes(b"no NIfTI")
    with pytest.raises(Refused, match="mine: ") as refusal:
        label_files.read_all(tmp_path)
    assert refusal.value.reason.code is Code.INPUT_NIFTI
