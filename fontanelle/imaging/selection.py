"""Which series of a study is measured, and why each of the others is not.

By headers alone: the voxels of the chosen one are judged later, and a choice that they reject gets
no second. Descriptions decide nothing, but for a hint of a sharp kernel where no kernel is written.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from fontanelle.errors import Code, Reason
from fontanelle.imaging.admission import Admission, Verdict, admit_headers
from fontanelle.imaging.kernels import Sharpness, sharpness
from fontanelle.imaging.rules.stack import Stack, stack_of
from fontanelle.imaging.series import Series

THICKNESS_MM = (0.5, 1.25)
"""Slices in this band are equally good: the reference's are 0.625 mm, and networks see 1 mm."""
ENOUGH_MM = 130.0
"""A stack this long holds the brain of a child whole; more of the neck is no merit."""
COVERAGE_STEP_MM = 10.0
"""Lengths are compared in such steps: a slice more is no reason to take a sharper kernel."""
THICKNESS_STEP_MM = 0.05
"""Thicknesses are compared in such steps."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one series; `reasons` is empty for the chosen one only."""

    series_instance_uid: str
    chosen: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The series to be measured and the decision on each, in the order of their UIDs.

    Attributes
    ----------
    chosen
        None where no series can be measured: an answer, no error.
    admission
        Of the chosen series.
    decisions
        One for each series.
    reason
        Why none was chosen; None where one was.
    """

    chosen: Series | None
    admission: Admission | None
    decisions: tuple[Decision, ...]
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A series that may be measured, and what it is compared by."""

    series: Series
    admission: Admission
    stack: Stack
    sharpness: Sharpness

    def has(self, code: Code) -> bool:
        """Tell whether admission found something under this code."""
        return any(finding.reason.code is code for finding in self.admission.findings)

    @property
    def thickness_mm(self) -> float:
        """Thickness of the slices, or their distance where that is larger or all that is known."""
        steps_mm = float(np.median(self.stack.steps_mm))
        thickness_mm = self.stack.thickness_mm
        return steps_mm if thickness_mm is None else max(steps_mm, float(thickness_mm.max()))


@dataclass(frozen=True, slots=True)
class Respect:
    """One respect in which candidates differ.

    Attributes
    ----------
    penalty
        Smaller is better.
    says
        How the chosen series is better than the other, as the end of a sentence.
    """

    penalty: Callable[[Candidate], float]
    says: Callable[[Candidate, Candidate], str]


RESPECTS: tuple[Respect, ...] = (
    Respect(lambda c: c.has(Code.OBLIQUE_PLANE), lambda _best, _other: "has axial planes"),
    Respect(lambda c: c.has(Code.CONTRAST), lambda _best, _other: "has no contrast medium"),
    Respect(
        lambda c: c.has(Code.SLICES_MISSING) or c.has(Code.POSITION_DUPLICATE),
        lambda _best, _other: "has all its slices once",
    ),
    Respect(
        lambda c: -(min(c.stack.extent_mm, ENOUGH_MM) // COVERAGE_STEP_MM),
        lambda best, other: (
            f"covers more of the head: {best.stack.extent_mm:.0f} mm, "
            f"here {other.stack.extent_mm:.0f} mm"
        ),
    ),
    Respect(lambda c: c.sharpness, lambda _best, _other: "was reconstructed with a softer kernel"),
    Respect(lambda c: c.has(Code.UNEVEN), lambda _best, _other: "has even slice distances"),
    Respect(
        lambda c: _off_band(c.thickness_mm),
        lambda best, other: (
            f"has slices of {best.thickness_mm:.2f} mm, here {other.thickness_mm:.2f} mm"
        ),
    ),
    Respect(
        lambda c: c.has(Code.SLICE_OVERLAP),
        lambda _best, _other: "has slices as thick as they are apart",
    ),
    Respect(lambda c: c.has(Code.LOSSY), lambda _best, _other: "was not compressed with loss"),
    Respect(lambda c: c.has(Code.RESCALE_ASSUMED), lambda _best, _other: "has its rescale values"),
    Respect(lambda c: c.has(Code.SPACING_INPLANE), lambda _best, _other: "has usual square pixels"),
    Respect(lambda c: c.has(Code.DERIVED), lambda _best, _other: "is an original"),
    Respect(
        lambda c: -c.stack.extent_mm,
        lambda best, other: (
            f"is longer: {best.stack.extent_mm:.1f} mm, here {other.stack.extent_mm:.1f} mm"
        ),
    ),
    Respect(
        lambda c: -c.stack.grid.shape[0],
        lambda best, other: (
            f"has more slices: {best.stack.grid.shape[0]}, here {other.stack.grid.shape[0]}"
        ),
    ),
)
"""In the order of their weight: a later one counts only where all earlier ones are equal."""


def select(study: Iterable[Series]) -> Selection:
    """Choose the series of a study that is measured.

    Parameters
    ----------
    study
        Its series, in any order: the same choice comes out.

    Returns
    -------
    Selection
        With a reason for each series that was not taken: its rejection, or in which respect the
        chosen one is better (`selection.better_series`).
    """
    admitted = sorted(
        ((series, admit_headers(series)) for series in study),
        key=lambda pair: (pair[0].series_instance_uid, pair[0].study_instance_uid),
    )
    candidates = [
        Candidate(series, admission, stack_of(series), sharpness(series))
        for series, admission in admitted
        if admission.decision is not Verdict.REJECTED
    ]
    # Two series that differ in no respect: the order of their UIDs decides, which min() keeps.
    best = min(candidates, key=_penalties, default=None)
    by_series = {id(candidate.series): candidate for candidate in candidates}
    decisions = tuple(
        Decision(
            series.series_instance_uid,
            best is not None and series is best.series,
            _reasons(by_series.get(id(series)), admission, best),
        )
        for series, admission in admitted
    )
    if best is None:
        return Selection(None, None, decisions, _none_of(len(admitted)))
    return Selection(best.series, best.admission, decisions)


def _reasons(
    candidate: Candidate | None, admission: Admission, best: Candidate | None
) -> tuple[Reason, ...]:
    if candidate is None or best is None:
        return admission.reasons
    if candidate is best:
        return ()
    return (Reason(Code.SELECTION_BETTER, f"Another series {_advantage(best, candidate)}."),)


def _advantage(best: Candidate, other: Candidate) -> str:
    for respect in RESPECTS:
        if respect.penalty(best) < respect.penalty(other):
            return respect.says(best, other)
    return "is as good and comes first by its UID"


def _penalties(candidate: Candidate) -> tuple[float, ...]:
    return tuple(respect.penalty(candidate) for respect in RESPECTS)


def _off_band(thickness_mm: float) -> float:
    """Return how far a thickness is from the band, in steps; too thin is only noisy."""
    below_mm, above_mm = THICKNESS_MM[0] - thickness_mm, thickness_mm - THICKNESS_MM[1]
    return max(round(below_mm / THICKNESS_STEP_MM), round(above_mm / THICKNESS_STEP_MM), 0)


def _none_of(count: int) -> Reason:
    return Reason(Code.SELECTION_NONE, f"None of the {count} series can be measured.")
