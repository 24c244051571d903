"""References: loaded from JSON, sealed by a digest, refused where they make no sense.

A reference is data. Another region set, organ or modality needs another file, and no code.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import ValidationError

from fontanelle.errors import Code, Refused
from fontanelle.norms.coherence import problems
from fontanelle.norms.comparison import Tier
from fontanelle.norms.document import (
    AsymmetryDocument,
    FactDocument,
    NumberDocument,
    ReferenceDocument,
    RegionDocument,
    UnknownDocument,
)
from fontanelle.norms.values import (
    AsymmetryNorm,
    CalibrationPrior,
    Citation,
    Correlations,
    Fact,
    Num,
    Population,
    Reference,
    RegionNorm,
    Total,
    Validity,
)

__all__ = ["Reference", "digest_of", "load", "shipped", "shipped_ids"]

JsonValue = dict[str, "JsonValue"] | list["JsonValue"] | str | int | float | bool | None
SOURCED = (NumberDocument, UnknownDocument, FactDocument)


def shipped_ids() -> tuple[str, ...]:
    """Return the names of the references that come with the product."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def shipped(reference_id: str) -> Reference:
    """Load a reference that comes with the product.

    Raises
    ------
    Refused
        `reference.unknown`; or as `load` does, where the installed file was altered.
    """
    return load(shipped_document(reference_id))


def shipped_document(reference_id: str) -> str:
    """Return the text of a reference that comes with the product.

    Raises
    ------
    Refused
        `reference.unknown`.
    """
    if reference_id not in shipped_ids():
        known = ", ".join(shipped_ids())
        raise Refused(
            Code.REFERENCE_UNKNOWN, f"No reference of this name is installed; there are: {known}."
        )
    return (_folder() / f"{reference_id}.json").read_text(encoding="utf-8")


def load(text: str) -> Reference:
    """Read a reference from the text of its JSON file.

    Raises
    ------
    Refused
        `reference.invalid` if the text is no reference, holds unknown members, or contradicts
        itself (all problems are named); `reference.digest_mismatch` if it was altered.
    """
    members = _members(text)
    document = _document(members)
    digest = digest_of(members)
    if digest != document.digest.value:
        raise Refused(
            Code.REFERENCE_DIGEST,
            f"The reference says that its digest is {document.digest.value[:12]}…, "
            f"but its numbers give {digest[:12]}….",
        )
    if found := problems(document):
        raise Refused(
            Code.REFERENCE_INVALID, "The reference contradicts itself: " + " ".join(found)
        )
    return _reference(document, digest)


def digest_of(members: dict[str, JsonValue]) -> str:
    """Return the SHA-256 of a parsed reference, hexadecimal, over all but its member `digest`."""
    sealed = {key: value for key, value in members.items() if key != "digest"}
    return hashlib.sha256(_canonical(sealed)).hexdigest()


def _canonical(members: dict[str, JsonValue]) -> bytes:
    return json.dumps(
        members, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _folder() -> Traversable:
    return files("fontanelle.norms") / "references"


def _members(text: str) -> dict[str, JsonValue]:
    try:
        members = json.loads(text, object_pairs_hook=_once)
        _canonical(members)  # refuses NaN, infinities and halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        raise Refused(
            Code.REFERENCE_INVALID, "The reference is no JSON that can be sealed by a digest."
        ) from error
    if not isinstance(members, dict):
        raise Refused(Code.REFERENCE_INVALID, "The reference is no JSON object.")
    return members


def _once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    # json keeps the last of two equal names in silence; a reader of the file may see the first.
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _document(members: dict[str, JsonValue]) -> ReferenceDocument:
    try:
        # From the canonical text: what was sealed is what is read.
        return ReferenceDocument.model_validate_json(_canonical(members))
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise Refused(Code.REFERENCE_INVALID, f"The reference is malformed. {found}") from error


def _reference(document: ReferenceDocument, digest: str) -> Reference:
    correlations, protocol = document.correlations, document.protocol
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
        regions=tuple(_region(region) for region in document.regions),
        total=_total(document),
        asymmetry=tuple(_asymmetry(norm) for norm in document.asymmetry),
        correlations=Correlations(
            status=correlations.status,
            source=correlations.source,
            central=correlations.central,
            weak=correlations.weak,
            strong=correlations.strong,
        ),
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
    )


def _population(document: ReferenceDocument) -> Population:
    population = document.population
    return Population(
        n=_num(population.n),
        male_share=_num(population.male_share),
        age_mean=_num(population.age_mean),
        age_sd=_num(population.age_sd),
        facts=_facts(population.__pydantic_extra__),
    )


def _validity(document: ReferenceDocument) -> Validity:
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


def _region(region: RegionDocument) -> RegionNorm:
    return RegionNorm(
        name=region.name,
        mean=_num(region.mean),
        sd=_num(region.sd),
        sex_effect=_num(region.sex_effect),
        age_slope=_num(region.age_slope),
        residual_sd=_num(region.residual_sd),
        share_of_total=_num(region.share_of_total),
        facts=_facts(
            {
                "male_mean": region.male_mean,
                "female_mean": region.female_mean,
                "published_sex_coefficient": region.published_sex_coefficient,
                "published_age_coefficient": region.published_age_coefficient,
            }
        ),
    )


def _total(document: ReferenceDocument) -> Total:
    total = document.total
    return Total(
        _num(total.mean), _num(total.sex_effect), _num(total.age_slope), _num(total.residual_sd)
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


def _facts(stated: Mapping[str, object] | None) -> tuple[Fact, ...]:
    return tuple(
        Fact(name, sourced.value, sourced.unit, sourced.status, sourced.source)
        for name, sourced in (stated or {}).items()
        if isinstance(sourced, SOURCED)
    )
