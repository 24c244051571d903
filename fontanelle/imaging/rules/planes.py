"""Admission rules of geometry: where the slices lie. The same for a series and a NIfTI file."""

from collections.abc import Callable

import numpy as np

from fontanelle.errors import Code, Refused
from fontanelle.imaging.geometry import DUPLICATE_MM
from fontanelle.imaging.rules.rule import (
    ACCEPTED,
    LIMITED,
    REJECTED,
    Outcome,
    Rule,
    accepted,
    limited,
    of_instances,
    rejected,
    rule,
)
from fontanelle.imaging.rules.stack import MISSING_RATIO, Stack, missing_slices
from fontanelle.imaging.series import (
    ORIENTATION_TOLERANCE,
    SPACING_TOLERANCE,
    Series,
    grid_of,
    matrix,
    orientation,
    pixel_spacing_mm,
    positions,
    sorted_instances,
)

# Limits without another source are proposals, tried on one real tilted series, one real phantom and
# synthetic stacks.
EXTENT_MM = 80.0
"""A shorter stack cannot hold the brain of a child of a year or more."""
FIELD_MM = 100.0
"""A narrower field cannot hold a head: a two-year-old's is some 130 mm broad."""
LARGEST_FIELD_MM = 700.0
"""No scanner reconstructs a wider one: larger numbers are a mistake of the header."""
LONGEST_MM = 2000.0
"""No table travels further in one series."""
SLICES = 16
"""Fewer slices show a region of the brain in two or three planes only."""
SPACING_MM = (0.2, 1.2)
"""Pixel spacing of head CT: 512 over 100 mm, 256 over 300 mm."""
POSSIBLE_SPACING_MM = (0.1, 3.0)
"""Beyond, the field is no head's or the unit is not mm."""
SQUARE_TOLERANCE = 0.01
"""Share by which the distances of rows and of columns may differ."""
MISSING_SLICES = 1
"""More than so many missing slices cannot be bridged."""
UNEVEN_RATIO = 1.1
"""Longest step over the median one, or the median one over the shortest."""
THICK_MM = 2.5
"""Thicker slices blur the borders of regions beyond what a comparison bears."""
THIN_MM = 1.25
"""Up to here slices are as thin as the protocol asks."""
OVERLAP_RATIO = (0.5, 2.0)
"""Slice thickness over the width that the slice stands for: below are gaps, above overlap."""
RATIO_TOLERANCE = 0.01
"""Of the above: 1.25 mm slices every 0.625 mm are a common protocol and not beyond it."""
TILT_DEG = 0.5
"""From here on a tilt is worth a remark."""
STEEP_TILT_DEG = 30.0
"""Beyond the reach of any gantry."""
OBLIQUE_DEG = 45.0
"""Planes further from axial were not acquired as head CT is."""

_PLANES = ("not_ct", "enhanced", "localizer")
_PLACED = (
    "geometry_missing",
    "matrix_mixed",
    "orientation_mixed",
    "spacing_mixed",
    "position_duplicate",
)
_STACKED = (*_PLACED, "single", "position_irregular")


@rule(
    Code.GEOMETRY_MISSING,
    reads="ImagePositionPatient, ImageOrientationPatient, PixelSpacing, Rows, Columns",
    decides="Complete and finite in every instance; orientation two perpendicular unit vectors.",
    verdicts=(REJECTED,),
    needs=_PLANES,
)
def _geometry_missing(series: Series) -> Outcome | None:
    return _refusal(Code.GEOMETRY_MISSING, series, positions, orientation, pixel_spacing_mm, matrix)


@rule(
    Code.MATRIX_MIXED,
    reads="Rows, Columns",
    decides="The same in all instances.",
    verdicts=(REJECTED,),
    needs=("geometry_missing",),
)
def _matrix_mixed(series: Series) -> Outcome | None:
    return _refusal(Code.MATRIX_MIXED, series, matrix)


@rule(
    Code.ORIENTATION_MIXED,
    reads="ImageOrientationPatient",
    decides=f"The same within {ORIENTATION_TOLERANCE:g} in all instances.",
    verdicts=(REJECTED,),
    needs=("geometry_missing",),
)
def _orientation_mixed(series: Series) -> Outcome | None:
    return _refusal(Code.ORIENTATION_MIXED, series, orientation)


@rule(
    Code.SPACING_INPLANE,
    reads="PixelSpacing",
    decides=f"The same within {SPACING_TOLERANCE:.1%} in all instances.",
    verdicts=(REJECTED,),
    needs=("geometry_missing",),
)
def _spacing_mixed(series: Series) -> Outcome | None:
    return _refusal(Code.SPACING_INPLANE, series, pixel_spacing_mm)


@rule(
    Code.POSITION_DUPLICATE,
    reads="ImagePositionPatient along the normal, pixels of those that coincide",
    decides=f"No two within {DUPLICATE_MM} mm; copies of the same pixels are left out.",
    verdicts=(ACCEPTED, REJECTED),
    needs=("geometry_missing", "orientation_mixed"),
)
def _position_duplicate(series: Series) -> Outcome | None:
    refusal = _refusal(Code.POSITION_DUPLICATE, series, sorted_instances)
    if refusal:
        return refusal
    copies = len(series.instances) - len(sorted_instances(series))
    return (
        accepted(f"{of_instances(copies, series)} are copies and were left out.")
        if copies
        else None
    )


@rule(
    Code.COVERAGE,
    reads="number of instances",
    decides="More than one slice.",
    verdicts=(REJECTED,),
    needs=_PLACED,
)
def _single(series: Series) -> Outcome | None:
    return _refusal(Code.COVERAGE, series, grid_of)


@rule(
    Code.POSITION_IRREGULAR,
    reads="ImagePositionPatient",
    decides="On one straight line, which may be tilted against the normal.",
    verdicts=(REJECTED,),
    needs=_PLACED,
)
def _position_irregular(series: Series) -> Outcome | None:
    return _refusal(Code.POSITION_IRREGULAR, series, grid_of)


def _refusal(code: Code, series: Series, *readers: Callable[[Series], object]) -> Outcome | None:
    """Return what the reading of a series refuses under this code."""
    for reader in readers:
        try:
            reader(series)
        except Refused as refused:
            if refused.reason.code is code:
                return rejected(refused.reason.sentence)
    return None


@rule(
    Code.COVERAGE,
    reads="extent along the normal, width of the field, number of slices",
    decides=f"At least {EXTENT_MM:.0f} mm of slices and a field of {FIELD_MM:.0f} mm, else "
    f"rejected; fewer than {SLICES} slices limit.",
    verdicts=(LIMITED, REJECTED),
    needs=_STACKED,
)
def _coverage(stack: Stack) -> Outcome | None:
    slices, rows, columns = stack.grid.shape
    field_mm = min(rows * stack.spacing_mm[0], columns * stack.spacing_mm[1])
    if stack.extent_mm < EXTENT_MM:
        return rejected(
            f"{slices} slices cover {stack.extent_mm:.0f} mm; a head needs {EXTENT_MM:.0f} mm."
        )
    if field_mm < FIELD_MM:
        return rejected(f"The field is {field_mm:.0f} mm wide; a head needs {FIELD_MM:.0f} mm.")
    if slices < SLICES:
        return limited(f"There are {slices} slices; a comparison needs {SLICES}.")
    return None


@rule(
    Code.OVERSIZE,
    reads="width of the field, way from the first slice to the last",
    decides=f"A field of at most {LARGEST_FIELD_MM:.0f} mm and a way of {LONGEST_MM:.0f} mm.",
    verdicts=(REJECTED,),
    needs=_STACKED,
)
def _oversize(stack: Stack) -> Outcome | None:
    _, rows, columns = stack.grid.shape
    field_mm = max(rows * stack.spacing_mm[0], columns * stack.spacing_mm[1])
    if field_mm > LARGEST_FIELD_MM:
        return rejected(
            f"The field is {field_mm:.0f} mm wide; scanners reach {LARGEST_FIELD_MM:.0f} mm."
        )
    travel_mm = float(np.linalg.norm(stack.travel_lps_mm))
    if travel_mm > LONGEST_MM:
        return rejected(
            f"The slices lie over {travel_mm:.0f} mm; scanners reach {LONGEST_MM:.0f} mm."
        )
    return None


@rule(
    Code.SPACING_INPLANE,
    reads="distance of rows and of columns",
    decides=f"{SPACING_MM[0]} to {SPACING_MM[1]} mm, equal within {SQUARE_TOLERANCE:.0%}, else "
    f"limited; outside {POSSIBLE_SPACING_MM[0]} to {POSSIBLE_SPACING_MM[1]} mm rejected.",
    verdicts=(LIMITED, REJECTED),
    needs=_STACKED,
)
def _spacing_inplane(stack: Stack) -> Outcome | None:
    row_mm, column_mm = stack.spacing_mm
    smaller_mm, larger_mm = sorted(stack.spacing_mm)
    if not POSSIBLE_SPACING_MM[0] <= smaller_mm <= larger_mm <= POSSIBLE_SPACING_MM[1]:
        return rejected(
            f"Pixels of {row_mm:.3f} x {column_mm:.3f} mm are outside {POSSIBLE_SPACING_MM[0]} to "
            f"{POSSIBLE_SPACING_MM[1]} mm: no head is scanned so."
        )
    if not SPACING_MM[0] <= smaller_mm <= larger_mm <= SPACING_MM[1]:
        return limited(
            f"Pixels of {row_mm:.3f} x {column_mm:.3f} mm are outside {SPACING_MM[0]} to "
            f"{SPACING_MM[1]} mm."
        )
    if abs(row_mm / column_mm - 1) > SQUARE_TOLERANCE:
        return limited(f"Pixels of {row_mm:.3f} x {column_mm:.3f} mm are not square.")
    return None


@rule(
    Code.SLICES_MISSING,
    reads="perpendicular steps between slices",
    decides=f"A step of more than {MISSING_RATIO} times those beside it lacks slices: "
    f"{MISSING_SLICES} limits, more reject.",
    verdicts=(LIMITED, REJECTED),
    needs=_STACKED,
)
def _slices_missing(stack: Stack) -> Outcome | None:
    count = int(missing_slices(stack.steps_mm).sum())
    if count == 0:
        return None
    sentence = (
        f"{count} of {count + stack.grid.shape[0]} slices are missing within the stack "
        f"(a step of {stack.steps_mm.max():.2f} mm)."
    )
    return limited(sentence) if count <= MISSING_SLICES else rejected(sentence)


@rule(
    Code.UNEVEN,
    reads="perpendicular steps between slices",
    decides=f"Within {UNEVEN_RATIO - 1:.0%} of the median step.",
    verdicts=(LIMITED,),
    needs=(*_STACKED, "slices_missing"),
)
def _uneven(stack: Stack) -> Outcome | None:
    steps_mm = stack.steps_mm[missing_slices(stack.steps_mm) == 0]
    if len(steps_mm) == 0:
        return None
    median_mm = float(np.median(steps_mm))
    if max(steps_mm.max() / median_mm, median_mm / steps_mm.min()) <= UNEVEN_RATIO:
        return None
    return limited(
        f"Slices are {steps_mm.min():.2f} to {steps_mm.max():.2f} mm apart; each counts with half "
        "the gap on either side."
    )


@rule(
    Code.SLICE_THICKNESS,
    reads="SliceThickness, perpendicular steps",
    decides=f"Above {THICK_MM} mm limits, above {THIN_MM} mm is a remark.",
    verdicts=(ACCEPTED, LIMITED),
    needs=_STACKED,
)
def _slice_thickness(stack: Stack) -> Outcome | None:
    if len(stack.steps_mm) == 0:
        return None
    thickness_mm = stack.steps_mm if stack.thickness_mm is None else stack.thickness_mm
    thickest_mm = stack.thickest_mm
    thinnest_mm = float(thickness_mm.min())
    of = f"{thinnest_mm:.2f} to " if thinnest_mm < thickest_mm - 0.005 else ""
    if thickest_mm > THICK_MM:
        return limited(f"Slices of {of}{thickest_mm:.2f} mm; a comparison needs {THICK_MM} mm.")
    if thickest_mm > THIN_MM:
        return accepted(f"Slices of {of}{thickest_mm:.2f} mm; {THIN_MM} mm or less is better.")
    return None


@rule(
    Code.SLICE_OVERLAP,
    reads="SliceThickness against half the steps on either side",
    decides=f"A ratio of {OVERLAP_RATIO[0]} to {OVERLAP_RATIO[1]}.",
    verdicts=(LIMITED,),
    needs=_STACKED,
)
def _slice_overlap(stack: Stack) -> Outcome | None:
    if stack.thickness_mm is None:
        return None
    # The slices beside a missing one stand for more than their thickness: that is said elsewhere.
    lacking = missing_slices(stack.steps_mm) > 0
    beside = np.concatenate((lacking, [False])) | np.concatenate(([False], lacking))
    if beside.all():
        return None
    ratios = (stack.thickness_mm / stack.widths_mm)[~beside]
    low, high = OVERLAP_RATIO[0] * (1 - RATIO_TOLERANCE), OVERLAP_RATIO[1] * (1 + RATIO_TOLERANCE)
    if ratios.min() < low:
        return limited(f"Slices fill only {ratios.min():.0%} of their distance: there are gaps.")
    if ratios.max() > high:
        return limited(f"Slices are {ratios.max():.1f} times as thick as their distance.")
    return None


@rule(
    Code.TILT,
    reads="angle between the direction of travel and the normal",
    decides=f"Any is measured as it is; above {STEEP_TILT_DEG:.0f} degrees limits. "
    "GantryDetectorTilt is not read: vendors differ in its sign.",
    verdicts=(ACCEPTED, LIMITED),
    needs=_STACKED,
)
def _tilt(stack: Stack) -> Outcome | None:
    if stack.tilt_deg > STEEP_TILT_DEG:
        return limited(
            f"The stack is tilted by {stack.tilt_deg:.1f} degrees; gantries reach "
            f"{STEEP_TILT_DEG:.0f}."
        )
    if stack.tilt_deg > TILT_DEG:
        return accepted(f"The stack is tilted by {stack.tilt_deg:.1f} degrees: measured as it is.")
    return None


@rule(
    Code.OBLIQUE_PLANE,
    reads="ImageOrientationPatient",
    decides=f"Within {OBLIQUE_DEG:.0f} degrees of axial.",
    verdicts=(LIMITED,),
    needs=_STACKED,
)
def _oblique_plane(stack: Stack) -> Outcome | None:
    from_axial_deg = float(np.degrees(np.arccos(min(abs(float(stack.grid.normal_lps[2])), 1.0))))
    if from_axial_deg <= OBLIQUE_DEG:
        return None
    return limited(f"The planes lie {from_axial_deg:.0f} degrees from axial.")


STACKING_RULES: tuple[Rule[Series], ...] = (
    _geometry_missing,
    _matrix_mixed,
    _orientation_mixed,
    _spacing_mixed,
    _position_duplicate,
    _single,
    _position_irregular,
)
"""Judged in this order; without them there is no stack."""
STACK_RULES: tuple[Rule[Stack], ...] = (
    _coverage,
    _oversize,
    _spacing_inplane,
    _slices_missing,
    _uneven,
    _slice_thickness,
    _slice_overlap,
    _tilt,
    _oblique_plane,
)
"""Judged in this order."""
