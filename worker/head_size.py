"""The size and form of a head: what is measured on the scan, beside what came with the order."""

from dataclasses import dataclass

from fontanelle.errors import Code, Reason, Refused
from fontanelle.imaging.circumference import (
    OuterCircumference,
    cephalic_index,
    measure_circumference,
)
from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.pose import Pose
from fontanelle.imaging.volumes import Volumes
from fontanelle.norms.comparison import Comparison, Sex
from fontanelle.norms.head_charts import Chart
from fontanelle.norms.head_size import HeadSize, Measured, head_size
from fontanelle.norms.values import LmsNorm, Reference


@dataclass(frozen=True, slots=True)
class HeadChart:
    """A table of head circumferences that the site chose, and the version of its reference."""

    chart: Chart
    version: str


def head_chart_of(reference: Reference) -> HeadChart:
    """Return the table of head circumferences that a reference is.

    Raises
    ------
    Refused
        SETTINGS_INVALID where it is anything else.
    """
    match reference.regions:
        case (LmsNorm(unit="cm") as norm,):
            # The name is printed beside every number: it has to tell versions apart.
            name = f"{reference.id} {reference.version[:19]}"
            return HeadChart(
                Chart(name, {sex: norm.rows(sex) for sex in Sex if norm.rows(sex)}),
                reference.version,
            )
    raise Refused(
        Code.SETTINGS_INVALID,
        f"comparison.head_chart names {reference.id}, which is no table of head circumferences: a "
        "reference of kind lms with one region, in cm, is wanted.",
    )


def size_of(
    image: Image, labels: LabelArray, volumes: Volumes, pose: Pose | None, patient: Patient
) -> Measured:
    """Measure a head's size.

    Parameters
    ----------
    image
        HU on the source planes.
    labels
        Of the same head, on any grid.
    volumes
        Of the same labels.
    pose
        How the head lies; None where the package does not tell.
    patient
        Whose circumference may have come with the order.
    """
    unknown = Reason(Code.HEAD_POSE_UNKNOWN, Code.HEAD_POSE_UNKNOWN.meaning)
    given_cm = patient.head_circumference_cm
    found = measure_circumference(image, pose) if given_cm is None else None
    measured = found if isinstance(found, OuterCircumference) else None
    return Measured(
        intracranial_ml=volumes.intracranial_ml,
        cephalic_index=None if pose is None else cephalic_index(labels, pose),
        given_cm=given_cm,
        measured_cm=None if measured is None else measured.cm,
        error_cm=None if measured is None else measured.error_cm,
        not_measured=found if isinstance(found, Reason) else None,
        not_turned=unknown if pose is None else None,
    )


def beside_children(
    measured: Measured,
    patient: Patient,
    comparison: Comparison,
    chosen: HeadChart | None = None,
) -> HeadSize:
    """Put a head's size beside that of children of the age that was compared.

    Parameters
    ----------
    chosen
        The site's chart of circumferences; None for the one of the product.
    """
    corrected = comparison.corrected_age_days
    # What forbids a comparison of the regions by age or sex forbids this one, too.
    is_usable = not patient.reasons
    sex = Sex(patient.sex) if is_usable and patient.sex in set(Sex) else None
    age_days = patient.age_days if corrected is None else corrected
    chart = None if chosen is None else chosen.chart
    return head_size(measured, age_days if is_usable else None, sex, chart)
