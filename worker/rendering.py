"""From a result to the files that leave: all of them, or only what a withheld one may say."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset

from fontanelle.imaging import nifti
from fontanelle.imaging.geometry import Geometry, LabelArray
from fontanelle.imaging.selection import Decision
from fontanelle.reports.analysis_object import RenderedObject, to_json
from fontanelle.reports.overlay import render_overlay
from fontanelle.reports.result import Fitness, Result
from fontanelle.reports.segmentation import render_segmentation
from fontanelle.reports.structured_report import render_structured_report
from worker.reading import Scan


@dataclass(frozen=True, slots=True)
class Rendered:
    """One file: its kind, its content, and its UID where it is DICOM."""

    kind: str
    content: bytes
    sop_instance_uid: str | None = None


def render(result: Result, scan: Scan, labels: LabelArray) -> dict[str, Rendered]:
    """Render what may leave, by file name.

    A withheld result sends no segmentation, no labels, no picture and no numbers.
    """
    if result.fitness is Fitness.WITHHELD:
        return _report(result, scan, None)
    return _measured(result, scan, labels)


def with_report(
    result: Result, rendered: Mapping[str, Rendered], decisions: Sequence[Decision]
) -> dict[str, Rendered]:
    """Return the files and `report.json`, which names all the others."""
    objects = [
        RenderedObject(file.kind, file.sop_instance_uid, name) for name, file in rendered.items()
    ]
    report = to_json(result, objects, decisions).encode()
    return {**rendered, "report.json": Rendered("report", report)}


def _measured(result: Result, scan: Scan, labels: LabelArray) -> dict[str, Rendered]:
    """Render labels as people and viewers know them: CSF folded into its region."""
    compartments = LabelArray(result.region_set.compartment_table[labels.codes], labels.grid)
    segmentation = (
        render_segmentation(result, compartments, _sources(scan)) if scan.instances else None
    )
    files = (
        {} if segmentation is None else {"segmentation.dcm": _dicom("segmentation", segmentation)}
    )
    return (
        files
        | _report(result, scan, segmentation)
        | {
            "labels.nii.gz": Rendered("labels", _nifti(compartments, scan.file_axes)),
            "overlay.png": Rendered(
                "overlay", render_overlay(scan.image, compartments, result.region_set)
            ),
        }
    )


def _report(result: Result, scan: Scan, segmentation: Dataset | None) -> dict[str, Rendered]:
    if not scan.instances:
        return {}
    report = render_structured_report(result, segmentation, _sources(scan))
    return {"report.dcm": _dicom("structured_report", report)}


def _sources(scan: Scan) -> list[Dataset]:
    return [instance.header for instance in scan.instances]


def _dicom(kind: str, dataset: Dataset) -> Rendered:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return Rendered(kind, content.getvalue(), str(dataset.SOPInstanceUID))


def _nifti(labels: LabelArray, axes: nifti.FileAxes) -> bytes:
    regular = labels if isinstance(labels.grid, Geometry) else nifti.resampled_labels(labels)
    with tempfile.TemporaryDirectory(prefix="fontanelle-") as folder:
        path = Path(folder) / "labels.nii.gz"
        nifti.write_labels(path, regular, axes)
        return path.read_bytes()
