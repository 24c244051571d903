"""Small instances as bytes, encoded by pydicom: not by the code under test."""

from io import BytesIO

from pydicom import Dataset, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

CT = "1.2.840.10008.5.1.4.1.1.2"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
NATIVE = (IMPLICIT, EXPLICIT, BIG)
UID, STUDY, SERIES = "2.25.11", "2.25.12", "2.25.13"
SIDE = 8


def instance(uid: str = UID, **changes: object) -> Dataset:
    """Return a CT instance of 8 x 8 pixels with a sequence before them; None takes one away."""
    made = Dataset()
    made.SOPClassUID = CT
    made.SOPInstanceUID = uid
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, SERIES
    made.Modality, made.StudyDate = "CT", "20260102"
    made.PatientName, made.PatientID = "Doe^Jane", "4711"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "one"
    inner = Dataset()
    inner.ConceptCodeSequence = Sequence([code, code])
    made.ProcedureCodeSequence = Sequence([inner])
    made.Rows = made.Columns = SIDE
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = 15, 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = bytes(range(2 * SIDE * SIDE))
    made["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def report(uid: str = UID) -> Dataset:
    """Return a structured report: no pixels."""
    made = instance(uid, SOPClassUID=BASIC_TEXT_SR, PixelData=None)
    made.ValueType = "CONTAINER"
    return made


def compressed(uid: str = UID) -> Dataset:
    """Return an instance with two fragments of something."""
    made = instance(uid, PixelData=encapsulate([b"12345678", b"1234"]))
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made


def encoded(made: Dataset, transfer_syntax: str = EXPLICIT, *, undefined: bool = False) -> bytes:
    """Return a data set as it is sent; with sequences of undefined length if asked for."""
    if undefined:
        _without_lengths(made)
    written = BytesIO()
    dcmwrite(
        written,
        made,
        implicit_vr=transfer_syntax == IMPLICIT,
        little_endian=transfer_syntax != BIG,
    )
    return written.getvalue()


def _without_lengths(made: Dataset) -> None:
    for element in made:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _without_lengths(item)
