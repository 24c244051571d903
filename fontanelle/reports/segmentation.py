"""A label array as a DICOM segmentation (BINARY) on the source's own planes.

highdicom writes the object for a toy matrix with one frame a plane; every plane's functional
groups are then repeated for the segments that it shows, as encoded bytes, and the pixels are
packed by numpy. The object is the one that highdicom alone would write, in half the time: item
by item, 1000 frames cost more than all the rest (1.7 s against 0.8 s, measured).
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from struct import pack

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from fontanelle.imaging.attributes import decimals
from fontanelle.imaging.geometry import Geometry, Grid, LabelArray
from fontanelle.imaging.regions import Region
from fontanelle.reports.coding import CATEGORY, concept, laterality
from fontanelle.reports.result import Result
from fontanelle.reports.source import body_part, carry_over, stand_ins, thickness_mm
from fontanelle.reports.stamp import (
    MANUFACTURER,
    MODEL,
    Device,
    algorithm,
    contribution,
    dimension_uid,
    instance_uid,
    product_version,
    series_uid,
    stamp,
    tracking_uid,
)
from fontanelle.reports.withholding import redacted

SERIES_NUMBER = 9101
SERIES_DESCRIPTION = "Fontanelle brain regions"
CONTENT_LABEL = "BRAIN_REGIONS"
TOY = 8
"""Rows and columns of the matrix that highdicom sees; a frame of it is 8 whole bytes."""
PACKED_FRAMES = 8
"""Frames packed at a time: 8 of them end on a whole byte whatever the matrix."""
PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
FRAME_CONTENT = Tag("FrameContentSequence")
SEGMENT = Tag("SegmentIdentificationSequence")
ITEM = b"\xfe\xff\x00\xe0"
"""Tag of a sequence item, little endian (PS3.5, 7.5)."""


def render_segmentation(
    result: Result, labels: LabelArray, sources: Sequence[Dataset], device: Device | None = None
) -> Dataset:
    """Render the label array as a DICOM segmentation object.

    Parameters
    ----------
    result
        Not withheld: a withheld result sends no labels.
    labels
        Codes of `result.region_set` on the source planes; CSF codes are drawn as their region.
    sources
        Slices in the order of the label array, pixel data not needed.
    device
        The installation that renders.

    Returns
    -------
    A data set with file meta information, ready for `dcmwrite(..., enforce_file_format=True)`.
    The functional groups of its frames are held encoded until somebody reads them.

    Raises
    ------
    ValueError
        The result is withheld, labels and sources disagree, two slices share a UID, or no voxel
        is labelled: an empty segmentation is a failure.
    """
    device = device or Device()
    if redacted(result).volumes is None:
        raise ValueError("a result without volumes sends no labels")
    codes = result.region_set.compartment_table[labels.codes]
    if codes.shape[0] != len(sources):
        raise ValueError(f"{codes.shape[0]} planes of labels for {len(sources)} slices")
    present = _presence(codes)[:, [segment.code for segment in result.region_set.segments]]
    if not present.any():
        raise ValueError("a segmentation without a labelled voxel is not rendered")
    target = _plain(_skeleton(result, np.any(present, axis=1), labels.grid, sources, device))
    _set_dimensions(target, result)
    items = _items_by_plane(target, sources)
    carry_over(sources[0], target)
    if part := body_part(sources[0]):
        target.BodyPartExamined = part
    _measure(target, items, labels.grid, sources)
    # Segment by segment, and within each in highdicom's order of the planes.
    frames = [
        (segment.code, plane)
        for column, segment in enumerate(result.region_set.segments)
        for plane in items
        if present[plane, column]
    ]
    _repeat_items(target, items, frames)
    target.Rows, target.Columns = codes.shape[1:]
    target.PixelData = _packed(codes, frames)
    target["PixelData"].VR = "OB"
    stamp(target, result, device)
    # The encoded groups are explicit, little endian and ASCII: they may be written as they are.
    target.set_original_encoding(False, True, target._character_set)
    return target


Frame = tuple[int, int]
"""Segment number and plane index of one frame."""


def _presence(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which code occurs in which plane, shape (planes, 256)."""
    present = np.zeros((len(codes), 256), dtype=bool)
    for plane, row in zip(codes, present, strict=True):
        row[:] = np.bincount(plane.ravel(), minlength=256) > 0
    return present


def _skeleton(
    result: Result,
    shown: NDArray[np.bool_] | np.bool_,
    grid: Grid,
    sources: Sequence[Dataset],
    device: Device,
) -> Segmentation:
    toy = np.zeros((len(sources), TOY, TOY), dtype=np.uint8)
    toy[shown] = result.region_set.segments[0].code
    return Segmentation(
        source_images=stand_ins(sources, TOY, TOY, _width_mm(grid, sources[0], 0)),
        pixel_array=toy,
        segmentation_type="BINARY",
        segment_descriptions=[
            _description(result, region) for region in result.region_set.segments
        ],
        series_instance_uid=series_uid("segmentation", result),
        series_number=SERIES_NUMBER,
        sop_instance_uid=instance_uid("segmentation", result),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=product_version(),
        device_serial_number=device.serial_number,
        content_label=CONTENT_LABEL,
        content_description="Brain regions; research use only",
        series_description=SERIES_DESCRIPTION,
        contributing_equipment=[contribution(result)],
    )


def _description(result: Result, region: Region) -> SegmentDescription:
    item = SegmentDescription(
        segment_number=region.code,
        segment_label=region.label,
        segmented_property_category=CATEGORY,
        segmented_property_type=concept(region.property_type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm(result.package),
        tracking_uid=tracking_uid(result, region.name),
        tracking_id=region.name,
        display_color=CIELabColor.from_rgb(*region.rgb),
    )
    side = laterality(region)
    if side is not None:
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [side]
    return item


def _width_mm(grid: Grid, source: Dataset, plane: int) -> float:
    """Return what a plane stands for along the normal: perpendicular, half-gap by half-gap."""
    row_mm, column_mm = decimals(source, "PixelSpacing")
    return round(float(grid.plane_voxel_mm3[plane]) / (row_mm * column_mm), 4)


def _plain(skeleton: Segmentation) -> Dataset:
    # highdicom's object keeps a table of its toy frames; the data set alone goes on.
    target = Dataset()
    target.update(skeleton)
    target.file_meta = skeleton.file_meta
    target.preamble = skeleton.preamble
    return target


def _set_dimensions(target: Dataset, result: Result) -> None:
    uid = dimension_uid(result)
    for item in (*target.DimensionOrganizationSequence, *target.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _items_by_plane(target: Dataset, sources: Sequence[Dataset]) -> dict[int, Dataset]:
    """Return each plane's functional groups, in highdicom's order, which is not the slices'."""
    planes = {str(source.SOPInstanceUID): plane for plane, source in enumerate(sources)}
    # One of two slices under one UID would take the other's frames.
    if len(planes) != len(sources):
        raise ValueError(f"{len(sources)} slices have {len(planes)} UIDs")
    items = {}
    for item in target.PerFrameFunctionalGroupsSequence:
        source = item.DerivationImageSequence[0].SourceImageSequence[0]
        items[planes[source.ReferencedSOPInstanceUID]] = item
    return items


def _measure(
    target: Dataset, items: dict[int, Dataset], grid: Grid, sources: Sequence[Dataset]
) -> None:
    shared = target.SharedFunctionalGroupsSequence[0]
    if isinstance(grid, Geometry):
        # highdicom leaves this out of sheared stacks, and viewers have stumbled over its absence.
        shared.PixelMeasuresSequence[0].SpacingBetweenSlices = _width_mm(grid, sources[0], 0)
    thickness = thickness_mm(sources)
    if len(set(thickness)) == 1:
        return
    # highdicom says the first slice's thickness for all: 4 mm for slices of 7 mm (measured).
    common = shared.PixelMeasuresSequence[0]
    del shared.PixelMeasuresSequence
    for plane, item in items.items():
        own = deepcopy(common)
        own.SliceThickness = thickness[plane] or _width_mm(grid, sources[plane], plane)
        item.PixelMeasuresSequence = [own]


def _repeat_items(target: Dataset, items: dict[int, Dataset], frames: list[Frame]) -> None:
    """Replace one item a plane by one item a frame, encoded."""
    encoded = b"".join(_encoded_items(items, frames))
    target[PER_FRAME] = RawDataElement(
        PER_FRAME, "SQ", len(encoded), encoded, 0, is_implicit_VR=False, is_little_endian=True
    )
    target.NumberOfFrames = len(frames)


def _encoded_items(items: dict[int, Dataset], frames: list[Frame]) -> Iterator[bytes]:
    # In tag order: what comes before the frame's content belongs to the plane, and so does
    # what comes between the content and the segment's number, which is last.
    before = {plane: _encoded(item[:FRAME_CONTENT]) for plane, item in items.items()}
    between = {plane: _encoded(item[FRAME_CONTENT + 1 : SEGMENT]) for plane, item in items.items()}
    position = {
        plane: item.FrameContentSequence[0].DimensionIndexValues[1] for plane, item in items.items()
    }
    last = {segment: _encoded(_segment(segment)) for segment in {frame[0] for frame in frames}}
    # The two indices are the last eight bytes of the frame's content, whatever they are.
    content = _encoded(_frame_content(0, 0))[:-8]
    for segment, plane in frames:
        index = pack("<LL", segment, position[plane])
        item = before[plane] + content + index + between[plane] + last[segment]
        yield ITEM + pack("<L", len(item)) + item


def _segment(number: int) -> Dataset:
    identification, item = Dataset(), Dataset()
    identification.ReferencedSegmentNumber = number
    item.SegmentIdentificationSequence = [identification]
    return item


def _frame_content(segment: int, position: int) -> Dataset:
    content, item = Dataset(), Dataset()
    content.DimensionIndexValues = [segment, position]
    item.FrameContentSequence = [content]
    return item


def _encoded(part: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, part)
    return buffer.getvalue()


def _packed(codes: NDArray[np.uint8], frames: list[Frame]) -> bytes:
    """Pack the frames one bit a pixel, first pixel in the lowest bit (PS3.5, 8.1.1)."""
    parts = []
    for start in range(0, len(frames), PACKED_FRAMES):
        masks = [
            codes[plane] == segment for segment, plane in frames[start : start + PACKED_FRAMES]
        ]
        parts.append(np.packbits(np.stack(masks).ravel(), bitorder="little").tobytes())
    packed = b"".join(parts)
    return packed + b"\0" * (len(packed) % 2)
