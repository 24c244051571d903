"""Small CT series made in memory, to be damaged by tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import FileDataset, FileMetaDataset, dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fontanelle.imaging.series import Series, read_study

STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
SERIES_UID = "1.2.826.0.1.3680043.8.498.2"
ROWS, COLUMNS = 72, 80


def grey(count: int) -> NDArray[np.int16]:
    """Return an asymmetric picture in HU, all voxels within -1024..3071."""
    k, i, j = np.mgrid[:count, :ROWS, :COLUMNS]
    noise = np.random.default_rng(8).integers(-20, 20, k.shape)
    return np.asarray(-900 + 20 * i + 15 * j + 60 * k + noise, dtype=np.int16)


def ct_slices(
    hu: NDArray[np.int16], *, step_mm: float = 1.25, series_uid: str = SERIES_UID
) -> list[FileDataset]:
    """Return valid CT images of stored values HU + 1024, 12 bits, unsigned, head first."""
    return [_ct(k, plane, step_mm, series_uid) for k, plane in enumerate(hu)]


def _ct(index: int, plane: NDArray[np.int16], step_mm: float, series_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{series_uid}.{index + 1}"
    header = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.Modality = "CT"
    header.PatientName, header.PatientID = "", ""
    header.StudyInstanceUID, header.SeriesInstanceUID = STUDY_UID, series_uid
    header.InstanceNumber = 1
    header.ImagePositionPatient = [-10.0, -8.0, step_mm * index]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [0.75, 0.5]
    header.SliceThickness = step_mm
    header.Rows, header.Columns = plane.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.RescaleSlope, header.RescaleIntercept = 1, -1024
    set_stored(header, plane + 1024, bits_stored=12, is_signed=False)
    return header


def set_stored(
    header: FileDataset, stored: NDArray[np.integer], *, bits_stored: int, is_signed: bool
) -> None:
    """Give an instance other stored values and their bit layout."""
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, bits_stored, bits_stored - 1
    header.PixelRepresentation = int(is_signed)
    header.PixelData = stored.astype("<i2" if is_signed else "<u2").tobytes()
    header["PixelData"].VR = "OW"


def written(folder: Path, slices: Sequence[FileDataset]) -> list[Path]:
    """Write instances into a folder and return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{index:03}.dcm" for index in range(len(slices))]
    for file, header in zip(files, slices, strict=True):
        syntax = header.file_meta.TransferSyntaxUID
        dcmwrite(
            file,
            header,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
            enforce_file_format=True,
        )
    return files


def only_series(files: Sequence[Path]) -> Series:
    """Return the one series of these files."""
    (series,) = read_study(files).series
    return series
