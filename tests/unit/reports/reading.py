"""Ways back from a rendered segmentation to a label array: one of ours, by frame position."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag


def written(target: Dataset) -> bytes:
    """Return the bytes of an object as a file."""
    file = BytesIO()
    dcmwrite(file, target, enforce_file_format=True)
    return file.getvalue()


def reread(target: Dataset) -> Dataset:
    """Write an object and read it back."""
    return dcmread(BytesIO(written(target)))


def in_file(source: Dataset, character_set: object, patient: str) -> Dataset:
    """Write a slice in a character set and read it back, as it comes from a folder."""
    del source.SpecificCharacterSet
    if character_set is not None:
        source.SpecificCharacterSet = character_set
    source.PatientName = patient
    source.StudyDescription = source.ReferringPhysicianName = source.InstitutionName = ""
    file = BytesIO()
    dcmwrite(file, source, enforce_file_format=True)
    return dcmread(BytesIO(file.getvalue()))


def put_raw(source: Dataset, keyword: str, value: bytes) -> None:
    """Put a value into a header as it lies in a file: nobody has converted or judged it."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    source[tag] = RawDataElement(Tag(tag), dictionary_VR(tag), len(value), value, 0, False, True)


def frames(target: Dataset) -> NDArray[np.uint8]:
    """Return the frames (frame, row, column), unpacked after PS3.5, 8.1.1."""
    count, rows, columns = int(target.NumberOfFrames), target.Rows, target.Columns
    bits = np.unpackbits(np.frombuffer(target.PixelData, np.uint8), bitorder="little")
    return bits[: count * rows * columns].reshape(count, rows, columns)


def by_position(target: Dataset, sources: Sequence[Dataset]) -> NDArray[np.uint8]:
    """Return the label array that a reader rebuilds who looks at frame positions alone."""
    place = {_key(source.ImagePositionPatient): k for k, source in enumerate(sources)}
    codes = np.zeros((len(sources), target.Rows, target.Columns), np.uint8)
    items = target.PerFrameFunctionalGroupsSequence
    for item, frame in zip(items, frames(target), strict=True):
        plane = place[_key(item.PlanePositionSequence[0].ImagePositionPatient)]
        segment = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert not codes[plane][frame > 0].any(), "two segments overlap"
        codes[plane][frame > 0] = segment
    return codes


def centroid_lps_mm(target: Dataset, label: str) -> NDArray[np.float64]:
    """Return the centre of the segment with this label, from headers and pixels alone."""
    number = next(s.SegmentNumber for s in target.SegmentSequence if s.SegmentLabel == label)
    shared = target.SharedFunctionalGroupsSequence[0]
    orientation = np.asarray(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.asarray(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    points = []
    items = target.PerFrameFunctionalGroupsSequence
    for item, frame in zip(items, frames(target), strict=True):
        if item.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        corner = np.asarray(item.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        points.append(
            corner
            + columns[:, None] * orientation[:3] * spacing[1]
            + rows[:, None] * orientation[3:] * spacing[0]
        )
    return np.concatenate(points).mean(axis=0)


def _key(position: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in position)
