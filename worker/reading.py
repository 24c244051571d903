"""From a path to one scan: files, study, selection, voxels; or the reasons why there is none."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fontanelle.errors import Reason, Refused
from fontanelle.imaging import nifti
from fontanelle.imaging.admission import Admission, admit_image_geometry, admit_voxels
from fontanelle.imaging.attributes import name
from fontanelle.imaging.decoding import decode
from fontanelle.imaging.files import is_nifti
from fontanelle.imaging.geometry import Image
from fontanelle.imaging.instance import Instance
from fontanelle.imaging.patient import NOBODY, Patient, patient_of, with_given
from fontanelle.imaging.rules.rule import Verdict
from fontanelle.imaging.rules.stack import Stack, stack_of
from fontanelle.imaging.selection import Decision, Selection, select
from fontanelle.imaging.series import Series, read_study, sorted_instances
from fontanelle.reports.earlier import NO_HISTORY, History
from fontanelle.reports.result import Identity, ScanFacts
from worker.terms import USUAL_TERMS, Terms


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked beside the files.

    Attributes
    ----------
    valid_age_days
        Ages that the reference can compare: they decide whether a stated age is exact enough.
    age_days, sex
        What the caller says of the child; None leaves the header's.
    gestational_age_weeks, head_circumference_cm
        At birth, and by tape, where the order said so.
    series_revision
        How often the series has grown since it was first complete.
    decisions
        On all series of the study, where they were made before; empty where they are made here.
    history
        What is known of the same child's earlier scans.
    terms
        On which this site compares.
    """

    valid_age_days: tuple[int, int]
    age_days: int | None = None
    sex: str | None = None
    gestational_age_weeks: int | None = None
    head_circumference_cm: float | None = None
    series_revision: int = 1
    decisions: tuple[Decision, ...] = ()
    history: History = NO_HISTORY
    terms: Terms = USUAL_TERMS

    def patient(self, series: Series | None) -> Patient:
        """Return who was scanned, by the header and by what the caller says."""
        stated = NOBODY if series is None else patient_of(series, self.valid_age_days)
        return with_given(
            stated,
            age_days=self.age_days,
            sex=self.sex,
            gestational_age_weeks=self.gestational_age_weeks,
            head_circumference_cm=self.head_circumference_cm,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One series ready to be measured.

    Attributes
    ----------
    stack
        Where the slices lie, and how thick they are.
    instances
        Sources in slice order; empty for a NIfTI file.
    decisions
        One per series of the study.
    sha256
        Digest of voxels and geometry: the same UIDs with other pixels are another input.
    file_axes
        How the NIfTI labels count their axes: as the file that came in.
    history
        What is known of the same child's earlier scans.
    terms
        On which this site compares.
    """

    image: Image
    patient: Patient
    identity: Identity
    admission: Admission
    stack: Stack
    instances: tuple[Instance, ...]
    decisions: tuple[Decision, ...]
    sha256: str
    file_axes: nifti.FileAxes = nifti.COLUMN_ROW_SLICE
    history: History = NO_HISTORY
    terms: Terms = USUAL_TERMS

    @property
    def facts(self) -> ScanFacts:
        """Geometry, for the report."""
        return _facts(self.stack)


@dataclass(frozen=True, slots=True)
class NoScan:
    """Why nothing at a path may be measured."""

    patient: Patient
    identity: Identity
    reasons: tuple[Reason, ...]
    decisions: tuple[Decision, ...] = ()


def read_scan(files: list[Path], question: Question) -> Scan | NoScan:
    """Read, select and decode.

    Raises
    ------
    Refused
        If the files are no series at all, or its pixels cannot be read.
    """
    if len(files) == 1 and is_nifti(files[0]):
        return _nifti_scan(files[0], question)
    study = read_study(files)
    selection = select(study.series)
    if selection.chosen is None or selection.admission is None:
        return _none_chosen(study.series, selection, question)
    decisions = question.decisions or selection.decisions
    return _dicom_scan(selection.chosen, selection.admission, decisions, question)


def no_scan(reason: Reason, question: Question) -> NoScan:
    """Say why files that are no series at all give no scan."""
    identity = Identity(None, None, question.series_revision, None)
    return NoScan(question.patient(None), identity, (reason,), question.decisions)


def _nifti_scan(path: Path, question: Question) -> Scan | NoScan:
    read = nifti.read(path)
    image = read.image
    patient = question.patient(None)
    identity = Identity(None, None, 1, None)
    admission = admit_image_geometry(image.grid) | admit_voxels(image)
    if admission.decision is Verdict.REJECTED:
        return NoScan(patient, identity, admission.reasons)
    return Scan(
        image=image,
        patient=patient,
        identity=identity,
        admission=admission,
        stack=Stack(image.grid),
        instances=(),
        decisions=(),
        sha256=_digest(image),
        file_axes=read.axes,
        terms=question.terms,
    )


def _dicom_scan(
    series: Series, by_headers: Admission, decisions: tuple[Decision, ...], question: Question
) -> Scan | NoScan:
    patient = question.patient(series)
    identity = _identity(series, question)
    try:
        image = decode(series)
    except Refused as refusal:
        return NoScan(patient, identity, (refusal.reason,), decisions)
    admission = by_headers | admit_voxels(image)
    if admission.decision is Verdict.REJECTED:
        return NoScan(patient, identity, admission.reasons, decisions)
    return Scan(
        image=image,
        patient=patient,
        identity=identity,
        admission=admission,
        stack=stack_of(series),
        instances=sorted_instances(series),
        decisions=decisions,
        sha256=_digest(image),
        history=question.history,
        terms=question.terms,
    )


def _none_chosen(
    candidates: tuple[Series, ...], selection: Selection, question: Question
) -> NoScan:
    """Say why no series was taken: its own reasons where there was only one."""
    first, decisions = candidates[0], selection.decisions
    alone = decisions[0].reasons if len(decisions) == 1 else ()
    reasons = alone or ((selection.reason,) if selection.reason else ())
    patient = question.patient(first)
    return NoScan(patient, _identity(first, question), reasons, question.decisions or decisions)


def _identity(series: Series, question: Question) -> Identity:
    header = series.instances[0].header
    return Identity(
        study_instance_uid=series.study_instance_uid,
        series_instance_uid=series.series_instance_uid,
        series_revision=question.series_revision,
        accession_number=name(header, "AccessionNumber") or None,
    )


def _digest(image: Image) -> str:
    """Return the digest of voxels and places: another spacing is another input."""
    digest = hashlib.sha256(np.ascontiguousarray(image.hu).data)
    digest.update(repr(image.grid.shape).encode())
    for index in range(image.grid.shape[0]):
        digest.update(image.grid.plane_affine(index).tobytes())
    return digest.hexdigest()


def _facts(stack: Stack) -> ScanFacts:
    slices, rows, columns = stack.grid.shape
    return ScanFacts(
        slices=slices,
        rows=rows,
        columns=columns,
        pixel_spacing_mm=stack.spacing_mm,
        slice_step_mm=(float(stack.steps_mm.min()), float(stack.steps_mm.max())),
        tilt_deg=stack.tilt_deg,
    )
