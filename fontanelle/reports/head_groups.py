"""The head's size in a structured report: one group, the circumference beside its chart."""

from highdicom.sr import (
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementsAndQualitativeEvaluations,
    MeasurementStatisticalProperties,
    NormalRangeProperties,
)

from fontanelle.norms.head_size import Circumference, HeadSize
from fontanelle.reports import coding, sentences
from fontanelle.reports.items import Group, comment, numbers, reasons, tracking
from fontanelle.reports.result import Result
from fontanelle.reports.rounding import CM_DECIMALS, PERCENT_DECIMALS, Z_DECIMALS


def head_group(result: Result, head: HeadSize) -> Group | None:
    """Return circumference and cephalic index; None where neither is known."""
    measurements = [*_circumference(head.circumference)]
    if head.cephalic_index.value is not None:
        index = round(head.cephalic_index.value, PERCENT_DECIMALS)
        measurements.append(Measurement(coding.CEPHALIC_INDEX, index, coding.PERCENT))
    if not measurements:
        return None
    why = tuple(dict.fromkeys((*head.circumference.reasons, *head.cephalic_index.reasons)))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(result, "head"),
        finding_type=coding.HEAD,
        finding_sites=[FindingSite(coding.HEAD)],
        measurements=measurements,
        qualitative_evaluations=reasons(coding.LIMITATION, why),
    )
    comment(group, why)
    return group


def _circumference(found: Circumference) -> list[Measurement]:
    if found.cm is None:
        return []
    return [
        Measurement(
            name=coding.CIRCUMFERENCE,
            value=round(found.cm, CM_DECIMALS),
            unit=coding.CENTIMETRE,
            properties=_properties(found),
        )
    ]


def _properties(found: Circumference) -> MeasurementProperties | None:
    if found.z is None:
        return None
    source = sentences.CIRCUMFERENCE_SOURCES[found.source or "measured"]
    if found.error_cm is not None:
        source += f", SD {found.error_cm:g} cm"
    population = MeasurementStatisticalProperties(
        values=numbers(
            (
                (coding.POPULATION_MEDIAN, found.expected_cm, coding.CENTIMETRE, CM_DECIMALS),
                (coding.Z_SCORE, found.z, coding.NO_UNITS, Z_DECIMALS),
                (coding.Z_LOW, found.z_low, coding.NO_UNITS, Z_DECIMALS),
                (coding.Z_HIGH, found.z_high, coding.NO_UNITS, Z_DECIMALS),
                (coding.CENTILE, found.centile, coding.PERCENT, PERCENT_DECIMALS),
            )
        ),
        description=f"Head circumference {source}.",
        authority=found.chart,
    )
    # highdicom capitalises this meaning.
    population[-2].ConceptNameCodeSequence[0].CodeMeaning = "Population description"
    return MeasurementProperties(
        measurement_statistical_properties=population,
        normal_range_properties=NormalRangeProperties(
            values=numbers(
                (
                    (coding.RANGE_LOW, found.low_cm, coding.CENTIMETRE, CM_DECIMALS),
                    (coding.RANGE_HIGH, found.high_cm, coding.CENTIMETRE, CM_DECIMALS),
                )
            ),
            description=sentences.CIRCUMFERENCE_RANGE,
            authority=found.chart,
        ),
    )
