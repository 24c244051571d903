"""From a checked document to values: no check, no computation, every number with its provenance."""

from collections.abc import Mapping

from fontanelle.norms.comparison import Sex, Tier
from fontanelle.norms.document import (
    AnyReferenceDocument,
    AnyRegionDocument,
    AsymmetryDocument,
    FactDocument,
    LinearReferenceDocument,
    LinearRegionDocument,
    LmsRegionDocument,
    MaybeNumber,
    MeanSdRegionDocument,
    ModelKind,
    NumberDocument,
    UnknownDocument,
)
from fontanelle.norms.lms import Lms, LmsRow
from fontanelle.norms.values import (
    AsymmetryNorm,
    CalibrationPrior,
    Citation,
    Correlations,
    Entry,
    Fact,
    LmsNorm,
    MeanSdNorm,
    Norm,
    Num,
    Population,
    Reference,
    RegionNorm,
    Total,
    Validity,
)

SOURCED = (NumberDocument, UnknownDocument, FactDocument)
STATED_OF_A_REGION = (
    "male_mean",
    "female_mean",
    "male_sd",
    "female_sd",
    "published_sex_coefficient",
    "published_age_coefficient",
    "r_squared",
)


def reference_of(document: AnyReferenceDocument, digest: str) -> Reference:
    """Return the values of a document whose digest was checked."""
    protocol = document.protocol
    return Reference(
        id=document.id,
        version=f"sha256:{digest}",
        revision=document.revision,
        title=document.title,
        citation=Citation(**document.citation.model_dump()),
        label_protocol=protocol.label_protocol,
        package_digest=protocol.package_digest,
        protocol_facts=_facts(protocol.__pydantic_extra__),
        population=_population(document),
        validity=_validity(document),
        kind=ModelKind(document.model.kind),
        regions=tuple(_region(region) for region in document.regions),
        total=_total(document),
        asymmetry=tuple(_asymmetry(norm) for norm in document.asymmetry),
        correlations=_correlations(document),
        calibration=CalibrationPrior(
            _num(document.calibration.prior_sd),
            document.calibration.n_min_offset,
            document.calibration.n_min_regression,
        ),
        tiers=tuple(tier for tier in Tier if tier in document.tiers.available),
        unknown=document.unknown,
        contradictions=tuple(
            f"{entry.about}: (a) {entry.a}; (b) {entry.b}; used: {entry.used}"
            for entry in document.contradictions
        ),
        entry=None if document.entry is None else Entry(**document.entry.model_dump()),
    )


def _population(document: AnyReferenceDocument) -> Population:
    population = document.population
    return Population(
        n=_num(population.n),
        male_share=_known(population.male_share),
        age_mean=_known(population.age_mean),
        age_sd=_known(population.age_sd),
        age_sex_correlation=_known(population.age_sex_correlation),
        facts=_facts(population.__pydantic_extra__),
    )


def _validity(document: AnyReferenceDocument) -> Validity:
    validity = document.validity
    return Validity(
        age_days_min=validity.age_days_min,
        age_days_max=validity.age_days_max,
        edge_note_days=validity.edge_note_days,
        days_per_year=validity.days_per_year,
        sexes=validity.sexes,
        modality=validity.modality,
        contrast=validity.contrast,
        slice_thickness_max_mm=validity.slice_thickness_max_mm,
    )


def _region(region: AnyRegionDocument) -> Norm:
    facts = _facts({name: getattr(region, name, None) for name in STATED_OF_A_REGION})
    share = None if region.share_of_total is None else _num(region.share_of_total)
    match region:
        case LmsRegionDocument():
            return LmsNorm(
                name=region.name,
                label=region.label,
                laterality=region.laterality,
                male=_rows(region, Sex.MALE),
                female=_rows(region, Sex.FEMALE),
                unit=region.lms.unit,
                status=region.lms.status,
                source=region.lms.source,
                share_of_total=share,
                facts=facts,
            )
        case MeanSdRegionDocument():
            return MeanSdNorm(
                name=region.name,
                label=region.label,
                laterality=region.laterality,
                mean=_num(region.mean),
                sd=_num(region.sd),
                share_of_total=share,
                facts=facts,
            )
        case LinearRegionDocument():
            return RegionNorm(
                name=region.name,
                label=region.label,
                laterality=region.laterality,
                mean=_num(region.mean),
                sd=_num(region.sd),
                sex_effect=_num(region.sex_effect),
                age_slope=_num(region.age_slope),
                residual_sd=_num(region.residual_sd),
                share_of_total=share,
                facts=facts,
            )


def _rows(region: LmsRegionDocument, sex: Sex) -> tuple[LmsRow, ...]:
    return tuple(
        LmsRow(row.age_days, Lms(row.L, row.M, row.S)) for row in region.lms.rows if row.sex is sex
    )


def _total(document: AnyReferenceDocument) -> Total | None:
    total = document.total if isinstance(document, LinearReferenceDocument) else None
    if total is None:
        return None
    return Total(
        _num(total.mean), _num(total.sex_effect), _num(total.age_slope), _num(total.residual_sd)
    )


def _correlations(document: AnyReferenceDocument) -> Correlations | None:
    correlations = document.correlations
    if correlations is None:
        return None
    return Correlations(
        status=correlations.status,
        source=correlations.source,
        central=correlations.central,
        weak=correlations.weak,
        strong=correlations.strong,
    )


def _asymmetry(norm: AsymmetryDocument) -> AsymmetryNorm:
    return AsymmetryNorm(
        pair=norm.pair,
        left=f"left_{norm.pair}",
        right=f"right_{norm.pair}",
        mean=_num(norm.mean),
        sd=_num(norm.sd),
    )


def _num(number: NumberDocument) -> Num:
    return Num(
        value=number.value,
        unit=number.unit,
        status=number.status,
        source=number.source,
        range=number.range,
        se=number.se,
        definition=number.definition,
    )


def _known(number: MaybeNumber) -> Num | None:
    return _num(number) if isinstance(number, NumberDocument) else None


def _facts(stated: Mapping[str, object] | None) -> tuple[Fact, ...]:
    return tuple(
        Fact(name, sourced.value, sourced.unit, sourced.status, sourced.source)
        for name, sourced in (stated or {}).items()
        if isinstance(sourced, SOURCED)
    )
