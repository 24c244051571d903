"""A result as a Comprehensive 3D SR, TID 1500: preliminary and unverified until it is reviewed."""

from collections.abc import Sequence

from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes

from fontanelle.reports import coding, wording
from fontanelle.reports.items import Group
from fontanelle.reports.measurement_groups import measured_groups, withheld_group
from fontanelle.reports.result import Result
from fontanelle.reports.source import carry_over, stand_ins
from fontanelle.reports.stamp import (
    MANUFACTURER,
    MODEL,
    Device,
    contribution,
    instance_uid,
    series_uid,
    stamp,
)
from fontanelle.reports.withholding import redacted
from fontanelle.uids import derived_uid

SERIES_NUMBER = 9102
SERIES_DESCRIPTION = "Fontanelle brain volumes"


def render_structured_report(
    result: Result,
    segmentation: Dataset | None,
    sources: Sequence[Dataset],
    device: Device | None = None,
) -> Dataset:
    """Render a result as a structured report.

    Parameters
    ----------
    result
        Succeeded; where it is withheld the report says why and holds no number.
    segmentation
        The object rendered from the same result; None where the result is withheld.
    sources
        Slices in slice order. One of them, the middle one, stands in the image library: all of
        them would cost twenty times the rest of the report.
    device
        The installation that renders.

    Raises
    ------
    ValueError
        Numbers without a segmentation, or a segmentation of a withheld result.
    """
    device = device or Device()
    result = redacted(result)
    if (result.volumes is None) != (segmentation is None):
        raise ValueError("a report has a segmentation exactly where it has numbers")
    middle = sources[len(sources) // 2]
    image = _library_image(middle, result)
    target = _plain(_document(result, segmentation, image, device))
    carry_over(middle, target)
    target.SeriesDescription = SERIES_DESCRIPTION
    stamp(target, result, device)
    return target


def _document(
    result: Result, segmentation: Dataset | None, image: Dataset, device: Device
) -> Comprehensive3DSR:
    return Comprehensive3DSR(
        evidence=[image] if segmentation is None else [image, _reference(segmentation)],
        content=_report(result, segmentation, image, device)[0],
        series_instance_uid=series_uid("report", result),
        series_number=SERIES_NUMBER,
        sop_instance_uid=instance_uid("report", result),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        contributing_equipment=[contribution(result)],
        coding_schemes=[coding.OWN_SCHEME_ITEM],
    )


def _report(
    result: Result, segmentation: Dataset | None, image: Dataset, device: Device
) -> MeasurementReport:
    report = MeasurementReport(
        observation_context=_observer(device),
        procedure_reported=coding.HEAD_CT,
        imaging_measurements=_groups(result, segmentation),
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[image],
    )
    content = report[0].ContentSequence
    library = next(
        index for index, item in enumerate(content) if item.name == codes.DCM.ImageLibrary
    )
    # TID 1500 has no row for words and is extensible: they stand before all that is measured.
    for offset, text in enumerate(wording.statements(result)):
        content.insert(library + offset, _comment(text))
    return report


def _groups(result: Result, segmentation: Dataset | None) -> list[Group]:
    if segmentation is None or result.volumes is None:
        return [withheld_group(result)]
    return measured_groups(result, result.volumes, segmentation)


def _observer(device: Device) -> ObservationContext:
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=derived_uid("device", device.name, device.serial_number),
                name=device.name,
                manufacturer_name=MANUFACTURER,
                model_name=MODEL,
                serial_number=device.serial_number,
            ),
        )
    )


def _comment(text: str) -> TextContentItem:
    return TextContentItem(
        name=coding.COMMENT, value=text, relationship_type=RelationshipTypeValues.CONTAINS
    )


def _library_image(source: Dataset, result: Result) -> Dataset:
    step_mm = 1.0 if result.scan is None else result.scan.slice_step_mm[1]
    return stand_ins([source], source.Rows, source.Columns, step_mm)[0]


def _reference(segmentation: Dataset) -> Dataset:
    # highdicom copies its evidence deeply: pixel data and frames would cost a second.
    reference = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        reference[keyword] = segmentation[keyword]
    return reference


def _plain(document: Comprehensive3DSR) -> Dataset:
    target = Dataset()
    target.update(document)
    target.file_meta = document.file_meta
    target.preamble = document.preamble
    return target
