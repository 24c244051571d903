"""Admission: may this be measured? The tables of rules, applied stage by stage.

Headers before anything is decoded, voxels after, the age against what a package is meant for. What
the head in the field looks like (no brain, a cut field) is judged elsewhere, by its voxels.
"""

from dataclasses import dataclass

from fontanelle.errors import Code
from fontanelle.imaging.geometry import Grid, Image
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.rules.identity import IDENTITY_RULES
from fontanelle.imaging.rules.pixels import PIXEL_RULES, VOXEL_RULES
from fontanelle.imaging.rules.planes import STACK_RULES, STACKING_RULES
from fontanelle.imaging.rules.rule import (
    LIMITED,
    Admission,
    Finding,
    Outcome,
    Rule,
    Verdict,
    limited,
    rule,
    walk,
)
from fontanelle.imaging.rules.stack import Stack, stack_of
from fontanelle.imaging.series import Series

__all__ = [
    "AGE_RULES",
    "HEADER_RULES",
    "STACK_RULES",
    "VOXEL_RULES",
    "Admission",
    "Finding",
    "Verdict",
    "admit_age",
    "admit_headers",
    "admit_image_geometry",
    "admit_voxels",
    "as_markdown",
]


@dataclass(frozen=True, slots=True)
class AgeQuestion:
    """A patient, and the ages in days that a package is meant for, both ends included."""

    patient: Patient
    intended_age_days: tuple[int, int]


@rule(
    Code.OUTSIDE_INTENDED_USE,
    reads="PatientBirthDate, PatientAge, AcquisitionDate, or what was given",
    decides="All ages that the header allows lie inside those that the package is meant for, and "
    "nothing speaks against the age.",
    verdicts=(LIMITED,),
)
def _intended_age(question: AgeQuestion) -> Outcome | None:
    lowest, highest = question.intended_age_days
    meant = f"the package is meant for {lowest} to {highest} days"
    span = question.patient.age_span_days
    if span is None or question.patient.age_reasons:
        return limited(f"The age is not known reliably; {meant}.")
    if lowest <= span[0] and span[1] <= highest:
        return None
    said = f"{span[0]}" if span[0] == span[1] else f"{span[0]} to {span[1]}"
    return limited(f"The age is {said} days; {meant}.")


HEADER_RULES: tuple[Rule[Series], ...] = IDENTITY_RULES + PIXEL_RULES + STACKING_RULES
"""Judged from headers, before the geometry (`STACK_RULES`)."""
AGE_RULES: tuple[Rule[AgeQuestion], ...] = (_intended_age,)
"""Judged against the package."""


def admit_headers(series: Series) -> Admission:
    """Judge a series by its headers; nothing is decoded.

    Pixel data are read in one case only: instances that share a position are compared.
    """
    admission = walk(HEADER_RULES, series)
    if admission.unjudged.intersection(STACK_RULES[0].needs):
        return admission
    return admission | walk(STACK_RULES, stack_of(series), admission.unjudged)


def admit_image_geometry(grid: Grid) -> Admission:
    """Judge an image that came without headers by its grid; its steps stand for its thickness."""
    return walk(STACK_RULES, Stack(grid))


def admit_voxels(image: Image) -> Admission:
    """Judge decoded voxels: whether they are the Hounsfield units of a head."""
    return walk(VOXEL_RULES, image)


def admit_age(patient: Patient, intended_age_days: tuple[int, int]) -> Admission:
    """Judge the age against the ages in days that a package is meant for, both ends included."""
    return walk(AGE_RULES, AgeQuestion(patient, intended_age_days))


def as_markdown() -> str:
    """Return the table of all rules, in the order in which they are judged."""
    rows: list[Rule[Series] | Rule[Stack] | Rule[Image] | Rule[AgeQuestion]] = [
        *HEADER_RULES,
        *STACK_RULES,
        *VOXEL_RULES,
        *AGE_RULES,
    ]
    lines = ["| Rule | Code | Reads | Decides | Says | Needs |", "|---|---|---|---|---|---|"]
    for each in rows:
        says = ", ".join(each.verdicts)
        needs = ", ".join(each.needs)
        cells = (each.name, f"`{each.code}`", each.reads, each.decides, says, needs)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
