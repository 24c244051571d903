"""The measured part of a structured report: one group a region, the asymmetries, the totals.

Nested form of TID 1411 and TID 310-312: what a reference says of a volume stands under it.
"""

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementsAndQualitativeEvaluations,
    MeasurementStatisticalProperties,
    NormalRangeProperties,
    NumContentItem,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr.coding import CodedConcept
from pydicom import Dataset

from fontanelle.imaging.regions import Region
from fontanelle.imaging.volumes import RegionVolumes, Volumes
from fontanelle.norms.comparison import AsymmetryComparison, Comparison, RegionComparison
from fontanelle.reports import coding, wording
from fontanelle.reports.head_groups import head_group
from fontanelle.reports.items import Group, comment, number, numbers, reasons, text, tracking
from fontanelle.reports.result import Result
from fontanelle.reports.rounding import ML_DECIMALS, PERCENT_DECIMALS, Z_DECIMALS
from fontanelle.reports.stamp import MANUFACTURER, algorithm_parameters


def measured_groups(result: Result, volumes: Volumes, segmentation: Dataset) -> list[Group]:
    """Return the groups of a result with volumes: regions, asymmetries, totals.

    Parameters
    ----------
    result
        Compared or not: where there is no z there is a reason, and no number.
    volumes
        Those of the result.
    segmentation
        The object whose segments are the regions; pixel data not needed.
    """
    compared = {} if result.comparison is None else {c.region: c for c in result.comparison.regions}
    regions = [
        _region(result, volumes, region, compared.get(region.region), segmentation)
        for region in volumes.regions
    ]
    pairs = [] if result.comparison is None else [_asymmetries(result, result.comparison)]
    head = None if result.head is None else head_group(result, result.head)
    return [*regions, *pairs, *([] if head is None else [head]), _totals(result, volumes)]


def withheld_group(result: Result) -> Group:
    """Return the one group of a withheld result: why there are no numbers."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(result, "withheld"),
        finding_type=coding.BRAIN,
        finding_sites=[FindingSite(coding.BRAIN)],
        qualitative_evaluations=[
            QualitativeEvaluation(coding.QUALITY, coding.QUALITY_NOT_MET),
            *reasons(coding.LIMITATION, result.reasons),
        ],
    )


def _region(
    result: Result,
    volumes: Volumes,
    measured: RegionVolumes,
    compared: RegionComparison | None,
    segmentation: Dataset,
) -> Group:
    region = result.region_set[measured.region]
    missing = result.reasons if compared is None else compared.reasons
    has_z = compared is not None and compared.z is not None
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(result, region.name),
        referenced_segment=_segment(region, segmentation),
        finding_type=coding.concept(region.property_type),
        finding_category=coding.CATEGORY,
        finding_sites=[_site(region)],
        method=coding.SUM_OF_VOXELS,
        measurements=[
            _compartment(result, measured, compared),
            *_parts(result, measured, volumes.total_ml),
        ],
        qualitative_evaluations=reasons(
            coding.LIMITATION if has_z else coding.NO_COMPARISON, missing
        ),
    )
    comment(group, missing)
    return group


def _compartment(
    result: Result, measured: RegionVolumes, compared: RegionComparison | None
) -> Measurement:
    measurement = _volume(
        result, coding.VOLUME, measured.compartment_ml, _properties(result, compared)
    )
    if compared is not None and result.comparison is not None and compared.z is not None:
        citation = text(coding.EQUATION, wording.equation(result.comparison), "INFERRED FROM")
        measurement[0].ContentSequence.append(citation)
    return measurement


def _parts(result: Result, measured: RegionVolumes, total_ml: float) -> list[Measurement]:
    share = 100 * measured.compartment_ml / total_ml if total_ml else None
    parts = [
        _volume(result, coding.PARENCHYMA, measured.parenchyma_ml),
        _volume(result, coding.REGION_CSF, measured.csf_ml),
    ]
    if share is not None:
        parts.append(Measurement(coding.SHARE, round(share, PERCENT_DECIMALS), coding.PERCENT))
    return parts


def _volume(
    result: Result,
    name: CodedConcept,
    volume_ml: float,
    properties: MeasurementProperties | None = None,
    derivation: CodedConcept | None = None,
) -> Measurement:
    # The algorithm belongs to the measurement: at the group it draws thirty findings of a checker.
    return Measurement(
        name=name,
        value=round(volume_ml, ML_DECIMALS),
        unit=coding.MILLILITRE,
        method=coding.SUM_OF_VOXELS,
        derivation=derivation,
        algorithm_id=_algorithm(result),
        properties=properties,
    )


def _properties(result: Result, compared: RegionComparison | None) -> MeasurementProperties | None:
    comparison = result.comparison
    if compared is None or comparison is None or compared.z is None:
        return None
    return MeasurementProperties(
        normality=coding.NORMALITY[compared.flag],
        measurement_statistical_properties=_population(result, compared, comparison),
        normal_range_properties=_range(compared, comparison),
    )


def _population(
    result: Result, compared: RegionComparison, comparison: Comparison
) -> MeasurementStatisticalProperties:
    properties = MeasurementStatisticalProperties(
        values=_statistics(compared),
        description=wording.population(result),
        authority=wording.authority(comparison),
    )
    # highdicom capitalises this meaning too.
    properties[-2].ConceptNameCodeSequence[0].CodeMeaning = "Population description"
    return properties


def _statistics(compared: RegionComparison) -> list[NumContentItem]:
    said = (
        (coding.POPULATION_MEAN, compared.expected_ml, coding.MILLILITRE, ML_DECIMALS),
        (coding.POPULATION_SD, compared.sd_ml, coding.MILLILITRE, ML_DECIMALS),
        (coding.Z_SCORE, compared.z, coding.NO_UNITS, Z_DECIMALS),
        (coding.Z_LOW, compared.z_low, coding.NO_UNITS, Z_DECIMALS),
        (coding.Z_HIGH, compared.z_high, coding.NO_UNITS, Z_DECIMALS),
        (coding.CENTILE, compared.centile, coding.PERCENT, PERCENT_DECIMALS),
        (coding.CENTILE_LOW, compared.centile_low, coding.PERCENT, PERCENT_DECIMALS),
        (coding.CENTILE_HIGH, compared.centile_high, coding.PERCENT, PERCENT_DECIMALS),
        (coding.CHRONOLOGICAL_Z, compared.chronological_z, coding.NO_UNITS, Z_DECIMALS),
        (coding.POOLED_Z, compared.pooled_z, coding.NO_UNITS, Z_DECIMALS),
        (coding.POOLED_CENTILE, compared.pooled_centile, coding.PERCENT, PERCENT_DECIMALS),
    )
    return numbers(said)


def _range(compared: RegionComparison, comparison: Comparison) -> NormalRangeProperties | None:
    if compared.low_ml is None or compared.high_ml is None:
        return None
    return NormalRangeProperties(
        values=[
            number(coding.RANGE_LOW, round(compared.low_ml, ML_DECIMALS), coding.MILLILITRE),
            number(coding.RANGE_HIGH, round(compared.high_ml, ML_DECIMALS), coding.MILLILITRE),
        ],
        description=wording.RANGE,
        authority=wording.authority(comparison),
    )


def _asymmetries(result: Result, comparison: Comparison) -> Group:
    why = tuple(dict.fromkeys(r for pair in comparison.asymmetry for r in pair.reasons))
    has_z = any(pair.z is not None for pair in comparison.asymmetry)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(result, "asymmetry"),
        finding_type=coding.BRAIN,
        finding_sites=[FindingSite(coding.BRAIN)],
        measurements=[
            _asymmetry(pair, pair.index) for pair in comparison.asymmetry if pair.index is not None
        ],
        qualitative_evaluations=reasons(coding.LIMITATION if has_z else coding.NO_COMPARISON, why),
    )
    comment(group, why)
    return group


def _asymmetry(pair: AsymmetryComparison, index: float) -> Measurement:
    properties, percent = None, (coding.PERCENT, PERCENT_DECIMALS)
    if pair.z is not None:
        properties = MeasurementProperties(
            normality=coding.NORMALITY[pair.flag],
            measurement_statistical_properties=MeasurementStatisticalProperties(
                values=numbers(
                    (
                        (coding.POPULATION_MEAN, pair.population_mean, *percent),
                        (coding.POPULATION_SD, pair.population_sd, *percent),
                        (coding.Z_SCORE, pair.z, coding.NO_UNITS, Z_DECIMALS),
                    )
                ),
            ),
        )
    return Measurement(
        name=coding.asymmetry(pair.pair),
        value=round(index, PERCENT_DECIMALS),
        unit=coding.PERCENT,
        properties=properties,
    )


def _totals(result: Result, volumes: Volumes) -> Group:
    comparison = result.comparison
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(result, "totals"),
        finding_type=coding.BRAIN,
        finding_sites=[FindingSite(coding.BRAIN)],
        method=coding.SUM_OF_VOXELS,
        measurements=[
            _volume(
                result,
                coding.VOLUME,
                volumes.total_ml,
                _properties(result, None if comparison is None else comparison.total),
                derivation=coding.TOTAL,
            ),
            _volume(result, coding.VENTRICLES, volumes.ventricles_ml),
            _volume(result, coding.INTRACRANIAL, volumes.intracranial_ml),
        ],
    )


def _segment(region: Region, segmentation: Dataset) -> ReferencedSegment:
    source = SourceSeriesForSegmentation(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID)
    # highdicom capitalises the meaning; checkers know the standard's alone.
    source.ConceptNameCodeSequence[0].CodeMeaning = "Source series for segmentation"
    return ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=region.code,
        source_series=source,
    )


def _site(region: Region) -> FindingSite:
    return FindingSite(coding.concept(region.property_type), laterality=coding.laterality(region))


def _algorithm(result: Result) -> AlgorithmIdentification:
    package = result.package
    return AlgorithmIdentification(
        name=package.name,
        version=package.version,
        parameters=[f"{name}={value}" for name, value in algorithm_parameters(package).items()],
        family=None,
        manufacturer=MANUFACTURER,
    )
