"""The phantom as a DICOM series, read by others than us."""

import subprocess
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from models.phantom.head import Phantom
from models.phantom.scan import Field, View, grid, scan
from models.phantom.series import Header, instances, write_series

FEW = Field(slices=5, rows_columns=(64, 48), step_mm=20.0, pixel_mm=3.5)


@pytest.fixture(scope="module")
def written(plain: Phantom, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("series")
    return write_series(folder, plain, grid(View.AXIAL, FEW), Header())


@pytest.mark.peer("dciodvfy")
@pytest.mark.parametrize("view", View)
def test_dciodvfy_finds_no_error(plain: Phantom, tmp_path: Path, view: View) -> None:
    path = write_series(tmp_path, plain, grid(view, FEW), Header())[2]

    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)

    assert said.returncode == 0
    assert "Error" not in said.stderr
    assert "CTImage" in said.stderr


def test_another_reader_finds_the_same_grid_and_the_same_hu(
    plain: Phantom, written: list[Path]
) -> None:
    expected, _ = scan(plain, grid(View.AXIAL, FEW))

    read = sitk.ReadImage([str(path) for path in written])

    assert np.array_equal(sitk.GetArrayFromImage(read), expected.hu)
    assert read.GetSpacing() == pytest.approx((3.5, 3.5, 20.0))
    # ITK's physical space is LPS; its index is (x, y, z).
    corner = read.TransformIndexToPhysicalPoint((47, 63, 4))
    expected_corner = (expected.grid.plane_affine(4) @ (0, 63, 47, 1))[:3]
    assert corner == pytest.approx(expected_corner, abs=1e-3)


def test_it_is_a_boy_of_two_by_both_dates_and_by_age(written: list[Path]) -> None:
    header = pydicom.dcmread(written[0], stop_before_pixels=True)

    birth, study = (date.fromisoformat(d) for d in (header.PatientBirthDate, header.StudyDate))
    # Two years less a few days; the reference covers 548 to 913 days.
    assert 723 <= (study - birth).days <= 730
    assert header.PatientSex == "M" and header.PatientAge == "023M"
    assert header.SOPClassUID.name == "CT Image Storage"
    assert header.file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"


def test_the_same_phantom_is_the_same_series_and_another_is_not(plain: Phantom) -> None:
    def uids(view: View, header: Header) -> list[str]:
        return [i.SOPInstanceUID for i in instances(plain, grid(view, FEW), header)]

    once = uids(View.AXIAL, Header())

    assert once == uids(View.AXIAL, Header())
    assert len(set(once)) == 5
    assert not set(once) & set(uids(View.TILTED, Header()))
    assert not set(once) & set(uids(View.AXIAL, Header(label="another")))


def test_descending_numbers_run_against_the_planes(plain: Phantom) -> None:
    rows = list(instances(plain, grid(View.AXIAL, FEW), Header(descending=True)))

    heights = [i.ImagePositionPatient[2] for i in sorted(rows, key=lambda i: i.InstanceNumber)]
    assert heights == sorted(heights, reverse=True)


def test_a_tilted_series_says_so_and_moves_along_the_table_only(plain: Phantom) -> None:
    first, second, *_ = instances(plain, grid(View.TILTED, FEW), Header())

    moved = np.subtract(second.ImagePositionPatient, first.ImagePositionPatient)
    # As in dcm_qa_ct/In/GE: orientation (1, 0, 0, 0, 0.948, -0.317), tilt +18.5.
    assert moved == pytest.approx((0, 0, 20.0), abs=1e-4)
    assert first.GantryDetectorTilt == pytest.approx(18.5)
    assert list(first.ImageOrientationPatient) == pytest.approx(
        (1, 0, 0, 0, 0.9483237, -0.3173047), abs=1e-6
    )
    # The thickness is that along the normal: 20 cos 18.5.
    assert first.SliceThickness == pytest.approx(18.966, abs=1e-3)
