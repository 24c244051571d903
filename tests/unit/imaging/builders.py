"""CT series as headers, in memory: valid unless told otherwise, with an improbable patient.

series(slices=160, step_mm=1.0)                       even, axial, 0.5 mm pixels
series(PatientSex="", at={3: {"Rows": 256}})          an attribute changed in all, in one slice
series(KVP=ABSENT)                                    an attribute left out
series(KVP=b"12O")                                    bytes as they come out of a file
series(tilt_deg=18.5)                                 positions sheared against the normal
series(offsets_mm=[0, 4, 8, 15])                      along the normal
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fontanelle.imaging.instance import Instance, PixelLocation
from fontanelle.imaging.series import Series

ABSENT = object()
"""As a value: the attribute is left out."""
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
STUDY_UID = "2.25.4711"
CANARIES = ("CANARY", "4711", "20220315", "2022-03-15", "20240321")
"""What must be in no sentence: name, identifiers and dates of the patient below."""

PLAIN: Mapping[str, object] = {
    "SOPClassUID": CTImageStorage,
    "StudyInstanceUID": STUDY_UID,
    "StudyDate": "20240321",
    "SeriesDate": "20240321",
    "AcquisitionDate": "20240321",
    "StudyTime": "101500",
    "AccessionNumber": "CANARY-A",
    "Modality": "CT",
    "Manufacturer": "GE MEDICAL SYSTEMS",
    "ReferringPhysicianName": "",
    "PatientName": "CANARY^IMPROBABLE",
    "PatientID": "CANARY-4711",
    "PatientBirthDate": "20220315",
    "PatientSex": "M",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SliceThickness": 1.0,
    "KVP": 120,
    "ConvolutionKernel": "STANDARD",
    "StudyID": "1",
    "SeriesNumber": 2,
    "AcquisitionNumber": 1,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": 512,
    "Columns": 512,
    "PixelSpacing": [0.5, 0.5],
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "RescaleIntercept": 0,
    "RescaleSlope": 1,
    "ImageOrientationPatient": list(AXIAL),
}


@dataclass(frozen=True, slots=True, eq=False)
class InMemory(Instance):
    """An instance whose pixel data never were on disk."""

    stored: bytes = b""

    def stored_bytes(self) -> bytes:
        return self.stored


def header(**changes: object) -> Dataset:
    """Return the header of one slice; values are taken as they are, valid or not."""
    return _changed(Dataset(), {"TransferSyntaxUID": ExplicitVRLittleEndian, **PLAIN, **changes})


def series(
    *,
    slices: int = 160,
    step_mm: float = 1.0,
    offsets_mm: Sequence[float] | None = None,
    orientation: Sequence[float] = AXIAL,
    tilt_deg: float = 0.0,
    uid: str = "2.25.1",
    without_pixels: Sequence[int] = (),
    stored: Sequence[bytes] | None = None,
    at: Mapping[int, Mapping[str, object]] | None = None,
    **changes: object,
) -> Series:
    """Return a series; `tilt_deg` slants the direction of travel towards the columns."""
    offsets = np.arange(slices) * step_mm if offsets_mm is None else np.asarray(offsets_mm)
    along_row, along_column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    travel = np.cross(along_row, along_column) + np.tan(np.radians(tilt_deg)) * along_column
    common = header(
        **{"SeriesInstanceUID": uid, "ImageOrientationPatient": list(orientation), **changes}
    )
    instances = []
    for index, offset in enumerate(offsets):
        of_slice = {
            "SOPInstanceUID": f"{uid}.{index + 1}",
            "InstanceNumber": index + 1,
            "ImagePositionPatient": [float(x) for x in [-128.0, -128.0, 40.0] + offset * travel],
        }
        of_slice = {k: v for k, v in of_slice.items() if k not in changes} | (at or {}).get(
            index, {}
        )
        pixels = None if index in without_pixels else PixelLocation(1024, 524288, 524288)
        content = stored[index] if stored else b"%d" % index
        instances.append(InMemory(Path("nowhere"), _changed(common, of_slice), pixels, content))
    return Series(uid, STUDY_UID, tuple(instances))


def _changed(original: Dataset, changes: Mapping[str, object]) -> Dataset:
    # The elements are shared with the original, not the data set: nobody changes an element.
    made = Dataset()
    made.update(original)
    made.file_meta = getattr(original, "file_meta", FileMetaDataset())
    for keyword, value in changes.items():
        if keyword == "TransferSyntaxUID":
            made.file_meta.TransferSyntaxUID = value
            continue
        tag = Tag(keyword)
        if value is ABSENT:
            made.pop(tag, None)
        elif isinstance(value, bytes):
            vr = dictionary_VR(tag)
            made[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
        else:
            made[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE)
    return made
