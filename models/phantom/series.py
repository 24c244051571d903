"""The scanned phantom as a DICOM series: CT Image Storage, as a scanner would send it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fontanelle.imaging.geometry import Grid
from fontanelle.uids import derived_uid
from models.phantom.head import Phantom
from models.phantom.scan import planes

_INTERCEPT: Final = -1024


@dataclass(frozen=True, slots=True)
class Header:
    """What the series says of itself beside its pixels; nobody is described by it.

    Attributes
    ----------
    sex, birth_date, study_date
        DICOM values. By default a boy of 726 days.
    patient_age
        DICOM age string; agrees with the dates.
    patient_position
        HFS or FFS.
    slice_thickness_mm
        None: the distance of the first two planes.
    kernel
        Reconstruction kernel.
    descending
        InstanceNumber and file names run against the order of the planes.
    label
        Tells series apart that are otherwise alike: UIDs derive from it.
    """

    patient_name: str = "Phantom^Toddler"
    patient_id: str = "PHANTOM-24M"
    sex: str = "M"
    birth_date: str = "20240110"
    study_date: str = "20260105"
    patient_age: str = "023M"
    patient_position: str = "HFS"
    slice_thickness_mm: float | None = None
    kernel: str = "STANDARD"
    series_number: int = 2
    descending: bool = False
    label: str = "phantom"


def instances(phantom: Phantom, grid: Grid, header: Header) -> Iterator[Dataset]:
    """Scan a phantom and describe each plane as one CT instance.

    Parameters
    ----------
    phantom
        What lies in the scanner.
    grid
        The planes.
    header
        Everything else.

    Yields
    ------
    Dataset
        With file meta information, Explicit VR Little Endian. UIDs derive from the arguments:
        the same phantom on the same planes is the same series.
    """
    uids = _Uids.of(phantom, grid, header)
    for index, (hu, _) in enumerate(planes(phantom, grid)):
        number = grid.shape[0] - index if header.descending else index + 1
        instance = _described(header, uids, grid.shape[0])
        _place(instance, grid, index, header)
        _show(instance, hu)
        instance.InstanceNumber = number
        instance.SOPInstanceUID = derived_uid("phantom-instance", uids.series, str(index))
        instance.file_meta = _file_meta(instance)
        yield instance


def write_series(folder: Path, phantom: Phantom, grid: Grid, header: Header) -> list[Path]:
    """Write one file an instance into `folder`, which is made; return them by InstanceNumber."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for instance in instances(phantom, grid, header):
        path = folder / f"IM{int(instance.InstanceNumber or 0):04d}.dcm"
        instance.save_as(path, enforce_file_format=True)
        paths.append(path)
    return sorted(paths)


@dataclass(frozen=True, slots=True)
class _Uids:
    study: str
    series: str
    frame_of_reference: str

    @staticmethod
    def of(phantom: Phantom, grid: Grid, header: Header) -> "_Uids":
        # The study is the child's; the series is what was scanned, how, and from whom.
        planes_mm = [grid.plane_affine(index).round(4).tolist() for index in range(grid.shape[0])]
        scanned = (repr(phantom.recipe), repr(grid.shape), repr(planes_mm), repr(header))
        study = (header.patient_id, header.study_date, header.label)
        return _Uids(
            derived_uid("phantom-study", *study),
            derived_uid("phantom-series", *scanned),
            derived_uid("phantom-frame-of-reference", *study),
        )


def _described(header: Header, uids: _Uids, slices: int) -> Dataset:
    """Return what all instances of the series say: PS3.3 A.3.3, CT Image IOD."""
    instance = Dataset()
    instance.SpecificCharacterSet = "ISO_IR 100"
    instance.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    instance.SOPClassUID = CTImageStorage
    for day in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(instance, day, header.study_date)
    for time in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(instance, time, "101500")
    instance.AccessionNumber = ""
    instance.Modality = "CT"
    instance.Manufacturer = "Fontanelle"
    instance.ManufacturerModelName = "Phantom"
    instance.DeviceSerialNumber = "0"
    instance.SoftwareVersions = "1"
    instance.ReferringPhysicianName = ""
    instance.StudyDescription = "Synthetic head"
    instance.SeriesDescription = f"Synthetic head, {slices} slices"
    instance.PatientName = header.patient_name
    instance.PatientID = header.patient_id
    instance.PatientBirthDate = header.birth_date
    instance.PatientSex = header.sex
    instance.PatientAge = header.patient_age
    instance.BodyPartExamined = "HEAD"
    instance.ScanOptions = "HELICAL MODE"
    instance.KVP = "100"
    instance.ConvolutionKernel = header.kernel
    instance.PatientPosition = header.patient_position
    instance.StudyInstanceUID = uids.study
    instance.SeriesInstanceUID = uids.series
    instance.StudyID = "1"
    instance.SeriesNumber = header.series_number
    instance.AcquisitionNumber = 1
    instance.FrameOfReferenceUID = uids.frame_of_reference
    instance.PositionReferenceIndicator = ""
    return instance


def _place(instance: Dataset, grid: Grid, index: int, header: Header) -> None:
    plane = grid.plane_affine(index)
    row_step, column_step, position = plane[:3, 1], plane[:3, 2], plane[:3, 3]
    row_mm, column_mm = float(np.linalg.norm(row_step)), float(np.linalg.norm(column_step))
    # PS3.3 C.7.6.2.1.1: direction of a row (from column to column), then of a column.
    instance.ImageOrientationPatient = _decimals([*(column_step / column_mm), *(row_step / row_mm)])
    instance.ImagePositionPatient = _decimals(position)
    instance.PixelSpacing = _decimals([row_mm, column_mm])
    normal = np.cross(column_step, row_step) / (row_mm * column_mm)
    travel = grid.plane_affine(1)[:3, 3] - grid.plane_affine(0)[:3, 3]
    step_mm = float(abs(travel @ normal))
    sheared = step_mm < 0.999 * np.linalg.norm(travel)
    lean_deg = float(np.degrees(np.arcsin(normal[1]))) if sheared else 0.0
    instance.GantryDetectorTilt = _decimals([lean_deg])[0]
    instance.SliceThickness = _decimals([header.slice_thickness_mm or step_mm])[0]


def _decimals(values: NDArray[np.float64] | list[float]) -> list[str]:
    """Write numbers as DICOM decimal strings: at most 16 characters."""
    return [f"{value:.8g}"[:16] for value in np.asarray(values, dtype=np.float64) + 0.0]


def _show(instance: Dataset, hu: NDArray[np.int16]) -> None:
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.Rows, instance.Columns = hu.shape
    instance.BitsAllocated = 16
    instance.BitsStored = 12
    instance.HighBit = 11
    instance.PixelRepresentation = 0
    instance.WindowCenter, instance.WindowWidth = "40", "120"
    instance.RescaleIntercept, instance.RescaleSlope = str(_INTERCEPT), "1"
    instance.RescaleType = "HU"
    instance.PixelData = (hu - np.int16(_INTERCEPT)).astype("<u2").tobytes()


def _file_meta(instance: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = instance.SOPClassUID
    meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta
