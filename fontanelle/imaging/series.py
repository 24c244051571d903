"""The series of a study as headers: what belongs together, in which order, on which grid.

Pixel data are located, not read. No name, description or InstanceNumber decides anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fontanelle.errors import Code, Refused
from fontanelle.imaging.attributes import decimals, first_text, unsigned
from fontanelle.imaging.geometry import DUPLICATE_MM, Grid, stack, stacking_order
from fontanelle.imaging.instance import Instance, read_instance

ORIENTATION_TOLERANCE = 1e-3
"""Direction cosines that differ by less are the same orientation."""
SPACING_TOLERANCE = 1e-3
"""Share by which the pixel spacing may vary within a series."""
UNIT_TOLERANCE = 1e-2
"""Direction cosines may miss unit length and right angle by this much: rounding in the header."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Instances that share SeriesInstanceUID and StudyInstanceUID, in the order of their files."""

    series_instance_uid: str
    study_instance_uid: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All series that came together, sorted by UID."""

    series: tuple[Series, ...]

    @property
    def study_instance_uids(self) -> frozenset[str]:
        """Studies that the series say they belong to."""
        return frozenset(series.study_instance_uid for series in self.series) - {""}

    def patients(self, keyword: str) -> frozenset[frozenset[str]]:
        """Return what each series says under an attribute of the patient, where it says it."""
        stated = (
            frozenset(first_text(instance.header, keyword) for instance in series.instances)
            for series in self.series
        )
        return frozenset(values - {""} for values in stated) - {frozenset()}


def read_study(files: Iterable[Path]) -> Study:
    """Read headers and group them; files that are not DICOM, and DICOMDIR, are passed over.

    Raises
    ------
    Refused
        EMPTY where a file is empty or cut within its header: a lost slice must not vanish.
        INPUT_UNREADABLE where the system does not give a file. INPUT_NO_DICOM where no file is
        DICOM. INPUT_SEVERAL_STUDIES where they belong to more than one study or patient: whose
        head is meant is not ours to choose.
    """
    instances: list[Instance] = []
    unreadable = 0
    for path in files:
        try:
            instance = read_instance(path)
        except Refused as refused:
            if refused.reason.code is not Code.EMPTY:
                raise
            unreadable += 1
            continue
        if instance is not None:
            instances.append(instance)
    if unreadable:
        raise Refused(
            Code.EMPTY,
            f"{unreadable} of {unreadable + len(instances)} files are empty or end within their "
            "header: the series may have lost slices. Send them again.",
        )
    if not instances:
        raise Refused(Code.INPUT_NO_DICOM, "None of the files is a DICOM instance.")
    study = Study(_grouped(instances))
    _require_one_study(study)
    return study


def sorted_instances(series: Series) -> tuple[Instance, ...]:
    """Return one instance for each slice, in the order of the slices of `grid_of` and `decode`.

    Raises
    ------
    Refused
        GEOMETRY_MISSING, ORIENTATION_MIXED; POSITION_DUPLICATE where two instances share a
        position and differ (a copy of the same pixels is dropped).
    """
    placed = positions(series)
    direction = orientation(series)
    normal = np.cross(direction[:3], direction[3:])
    kept: list[int] = []
    for index in stacking_order(placed, direction):
        if kept and (np.subtract(placed[index], placed[kept[-1]]) @ normal) < DUPLICATE_MM:
            _require_copy(series.instances[kept[-1]], series.instances[index])
        else:
            kept.append(index)
    return tuple(series.instances[index] for index in kept)


def grid_of(series: Series) -> Grid:
    """Return where the voxels of `sorted_instances` lie.

    Raises
    ------
    Refused
        As `sorted_instances` and `geometry.stack`; MATRIX_MIXED, SPACING_INPLANE.
    """
    ordered = Series(
        series.series_instance_uid, series.study_instance_uid, sorted_instances(series)
    )
    return stack(
        positions(ordered), orientation(ordered), pixel_spacing_mm(ordered), matrix(ordered)
    )


def positions(series: Series) -> list[tuple[float, ...]]:
    """Return ImagePositionPatient of each instance, LPS mm."""
    return _numbers(series.instances, "ImagePositionPatient", 3)


def orientation(series: Series) -> tuple[float, ...]:
    """Return ImageOrientationPatient of all instances as two unit vectors, six numbers."""
    cosines = np.asarray(_numbers(series.instances, "ImageOrientationPatient", 6))
    stray = float(np.ptp(cosines, axis=0).max())
    if stray > ORIENTATION_TOLERANCE:
        raise Refused(
            Code.ORIENTATION_MIXED,
            f"Direction cosines of the {len(cosines)} slices differ by up to {stray:.3f}.",
        )
    along_row, along_column = cosines[0, :3], cosines[0, 3:]
    lengths = np.linalg.norm(cosines[0].reshape(2, 3), axis=1)
    if max(abs(lengths - 1).max(), abs(along_row @ along_column)) > UNIT_TOLERANCE:
        raise Refused(
            Code.GEOMETRY_MISSING, "ImageOrientationPatient is not two perpendicular unit vectors."
        )
    return tuple(np.concatenate((along_row / lengths[0], along_column / lengths[1])).tolist())


def pixel_spacing_mm(series: Series) -> tuple[float, ...]:
    """Return PixelSpacing of all instances: distance of rows, then of columns."""
    spacings = np.asarray(_numbers(series.instances, "PixelSpacing", 2))
    if spacings.min() <= 0:
        raise Refused(Code.GEOMETRY_MISSING, "PixelSpacing is not positive.")
    if (np.ptp(spacings, axis=0) > SPACING_TOLERANCE * spacings[0]).any():
        raise Refused(
            Code.SPACING_INPLANE,
            f"PixelSpacing varies between {spacings.min():.4f} and {spacings.max():.4f} mm.",
        )
    return tuple(spacings[0].tolist())


def matrix(series: Series) -> tuple[int, int]:
    """Return Rows and Columns of all instances."""
    sizes = {(unsigned(i.header, "Rows"), unsigned(i.header, "Columns")) for i in series.instances}
    if len(sizes) > 1:
        raise Refused(Code.MATRIX_MIXED, f"The slices have {len(sizes)} different matrix sizes.")
    rows, columns = sizes.pop()
    if not (rows and columns):
        raise Refused(Code.GEOMETRY_MISSING, "Rows or Columns is missing.")
    return rows, columns


def _require_one_study(study: Study) -> None:
    count = len(study.study_instance_uids)
    if count > 1:
        raise Refused(
            Code.INPUT_SEVERAL_STUDIES, f"The files belong to {count} studies. Give one at a time."
        )
    # Names are not compared: a scanner and a workstation write the same one differently. What is
    # mixed within one series is for admission to say.
    count = max(len(study.patients(keyword)) for keyword in ("PatientID", "PatientBirthDate"))
    if count > 1:
        raise Refused(
            Code.INPUT_SEVERAL_STUDIES,
            f"The series of the study name {count} different patients. Give one at a time.",
        )


def _numbers(instances: Sequence[Instance], keyword: str, count: int) -> list[tuple[float, ...]]:
    values = [decimals(instance.header, keyword) for instance in instances]
    missing = sum(len(value) != count for value in values)
    if missing:
        raise Refused(
            Code.GEOMETRY_MISSING,
            f"{keyword} is missing or not {count} numbers in {missing} of {len(values)} instances.",
        )
    return values


def _require_copy(first: Instance, second: Instance) -> None:
    same_scale = all(
        decimals(first.header, keyword) == decimals(second.header, keyword)
        for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    if not same_scale or first.stored_bytes() != second.stored_bytes():
        raise Refused(
            Code.POSITION_DUPLICATE, "Two instances share a position and show different pixels."
        )


def _grouped(instances: Iterable[Instance]) -> tuple[Series, ...]:
    groups: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in instances:
        header = instance.header
        key = (first_text(header, "StudyInstanceUID"), first_text(header, "SeriesInstanceUID"))
        groups[key].append(instance)
    return tuple(
        Series(series_uid, study_uid, tuple(groups[study_uid, series_uid]))
        for study_uid, series_uid in sorted(groups)
    )
