"""What the source series gives to our objects: the patient, the study, the planes.

highdicom is handed stand-ins that carry geometry and references alone; the patient's and the
study's attributes are copied from the source element by element. A birth date or a sex that
highdicom would refuse is the archive's business, and travels as it is.
"""

import re
from collections.abc import Sequence
from copy import deepcopy

from pydicom import Dataset
from pydicom.config import IGNORE, disable_value_validation
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from fontanelle.imaging.attributes import number, texts
from fontanelle.uids import derived_uid

UTF8 = "ISO_IR 192"
CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")
NOT_KEPT = ("GBK",)
"""Character sets that a reader of objects (dciodvfy of 2022) finds full of errors."""
TEXT_VRS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
"""Representations whose encoding the character set decides."""

REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Type 2 in every object: empty where the source lacks them, never absent."""

OPTIONAL = (
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "PatientBirthTime",
    "EthnicGroup",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyInstanceUID",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianIdentificationSequence",
    "PhysiciansOfRecord",
    "ProcedureCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "AdmissionID",
    "InstitutionName",
)
"""Of the patient, study and patient study modules, with the institution; copied where present."""

PLANE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PositionReferenceIndicator",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
SCANNER = (
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
)


def stand_ins(sources: Sequence[Dataset], rows: int, columns: int, step_mm: float) -> list[Dataset]:
    """Return small copies of the slices that highdicom can refer to; no patient in them.

    Parameters
    ----------
    sources
        Slices in slice order, pixel data not needed.
    rows, columns
        Matrix to be said of each; positions and spacing stay the source's.
    step_mm
        Said as thickness where the source does not say one: highdicom cannot go on without.
    """
    frame_of_reference = _frame_of_reference(sources[0])
    copies = [_picked(source, PLANE) for source in sources]
    for copy, thickness in zip(copies, thickness_mm(sources), strict=True):
        # Elements above are shared with the source, so that only new ones may be set here.
        copy.FrameOfReferenceUID = frame_of_reference
        copy.Modality = "CT"
        copy.Rows, copy.Columns = rows, columns
        copy.SliceThickness = DSfloat(thickness or step_mm, auto_format=True)
    for keyword in REQUIRED:
        setattr(copies[0], keyword, None)
    copies[0].update(_picked(sources[0], SCANNER))
    return copies


def carry_over(source: Dataset, target: Dataset) -> None:
    """Copy the patient's and the study's attributes to an object, in the source's character set.

    UTF-8 is declared instead where the object's own text would not fit: every set holds ASCII.
    The character set may be absent, undecodable or wrongly declared; it is then as absent,
    undecodable or wrong in the object, and no byte of a name changes.
    """
    picked = deepcopy(_picked(source, REQUIRED, OPTIONAL, "SpecificCharacterSet"))
    if picked.get("SpecificCharacterSet") in NOT_KEPT or not _is_ascii(target):
        with disable_value_validation():
            picked.decode()
        picked.SpecificCharacterSet = UTF8
    _drop_unexplained_removal(picked)
    for keyword in (*REQUIRED, *OPTIONAL, "SpecificCharacterSet"):
        if keyword in target:
            delattr(target, keyword)
    target.update(picked)
    for keyword in REQUIRED:
        if keyword not in target:
            setattr(target, keyword, None)


def thickness_mm(sources: Sequence[Dataset]) -> list[float | None]:
    """Return SliceThickness of each slice, None where it is not said as one positive number."""
    said = (number(source, "SliceThickness") for source in sources)
    return [each if each is not None and each > 0 else None for each in said]


def body_part(source: Dataset) -> str | None:
    """Return BodyPartExamined, None where it is not one code string (PS3.5, 6.2)."""
    said = texts(source, "BodyPartExamined")
    return said[0] if len(said) == 1 and CODE_STRING.fullmatch(said[0]) else None


def _picked(source: Dataset, *keywords: str | Sequence[str]) -> Dataset:
    copy = Dataset()
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    names = [name for group in keywords for name in ([group] if isinstance(group, str) else group)]
    # The values are the archive's: a date or a code that pydicom finds odd is copied, not judged.
    with disable_value_validation():
        for name in names:
            if name in source:
                copy[name] = source[name]
    return copy


def _drop_unexplained_removal(picked: Dataset) -> None:
    # PS3.3 C.7.1.1: who says that the identity was removed must say how. Some sources do not,
    # and an object that repeats the one without the other is invalid.
    how = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if any(picked.get(keyword) for keyword in how):
        return
    for keyword in ("PatientIdentityRemoved", *how):
        if keyword in picked:
            delattr(picked, keyword)


def _is_ascii(target: Dataset) -> bool:
    return all(
        str(element.value).isascii() for element in target.iterall() if element.VR in TEXT_VRS
    )


def _frame_of_reference(source: Dataset) -> str:
    # Type 1 in a CT, and still absent or no UID here and there: then all share one of ours.
    said = texts(source, "FrameOfReferenceUID")
    if len(said) == 1 and UID(said[0], IGNORE).is_valid:
        return said[0]
    return derived_uid("frame_of_reference", str(source.SeriesInstanceUID))
