"""Small Part 10 files to send."""

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom.dsutils import split_dataset

CANARY = "CANARY^ZEBEDEE"
"""A patient's name that must be found nowhere but in data sets."""


def part10(
    path: Path,
    *,
    sop_class: str = CTImageStorage,
    syntax: str = ExplicitVRLittleEndian,
    uid: str | None = None,
    pixel_bytes: int = 512,
) -> Path:
    """Write an instance; its UID is made of the file's name unless said."""
    dataset = Dataset()
    dataset.SOPClassUID = UID(sop_class)
    dataset.SOPInstanceUID = UID(uid or f"1.2.826.0.1.{int.from_bytes(path.stem.encode())}")
    dataset.PatientName = CANARY
    dataset.StudyInstanceUID = "1.2.826.0.1.3"
    dataset.SeriesInstanceUID = "1.2.826.0.1.4"
    if pixel_bytes:
        content = bytes(index % 251 for index in range(pixel_bytes))
        is_encapsulated = UID(syntax).is_encapsulated
        dataset.PixelData = encapsulate([content, content]) if is_encapsulated else content
        dataset["PixelData"].VR = "OB" if is_encapsulated else "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.save_as(path, enforce_file_format=True)
    return path


def jpeg(path: Path) -> Path:
    """Write an instance with two fragments of pixel data that nobody decodes."""
    return part10(path, syntax=JPEGLosslessSV1)


def dataset_bytes(path: Path) -> bytes:
    """Return the data set's bytes, by pynetdicom's own reader."""
    return path.read_bytes()[split_dataset(path)[1] :]
