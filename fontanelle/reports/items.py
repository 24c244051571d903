"""The small items that groups of a structured report are made of."""

from collections.abc import Sequence

from highdicom.sr import (
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr.coding import CodedConcept

from fontanelle.errors import Reason
from fontanelle.reports import coding, wording
from fontanelle.reports.result import Result
from fontanelle.reports.stamp import tracking_uid

Group = VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations
Statistic = tuple[CodedConcept, float | None, CodedConcept, int]
"""Name, value, unit, decimals."""


def tracking(result: Result, name: str) -> TrackingIdentifier:
    """Return what names a group within a result."""
    return TrackingIdentifier(uid=tracking_uid(result, name), identifier=name)


def reasons(name: CodedConcept, found: Sequence[Reason]) -> list[QualitativeEvaluation]:
    """Return reasons by their codes."""
    return [QualitativeEvaluation(name, coding.reason_code(reason.code)) for reason in found]


def comment(group: Group, found: Sequence[Reason]) -> None:
    """Add reasons by their sentences."""
    for reason in found:
        item = text(coding.COMMENT, wording.sentence(reason), "CONTAINS")
        group[0].ContentSequence.append(item)


def text(name: CodedConcept, value: str, relationship: str) -> TextContentItem:
    """Return a text."""
    return TextContentItem(
        name=name, value=value, relationship_type=RelationshipTypeValues(relationship)
    )


def number(name: CodedConcept, value: float, unit: CodedConcept) -> NumContentItem:
    """Return a number that stands under a measurement."""
    return NumContentItem(
        name=name, value=value, unit=unit, relationship_type=RelationshipTypeValues.HAS_PROPERTIES
    )


def numbers(said: Sequence[Statistic]) -> list[NumContentItem]:
    """Return the numbers that there are."""
    return [
        number(name, round(value, decimals), unit)
        for name, value, unit, decimals in said
        if value is not None
    ]
