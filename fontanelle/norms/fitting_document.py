"""A hospital's regression as a reference file of status local, ready for `norms import`."""

from datetime import datetime

from fontanelle.norms.cohort import Cohort
from fontanelle.norms.document import SCHEMA
from fontanelle.norms.fitting import Fit, RegionFit
from fontanelle.norms.fitting_pairs import PairFit
from fontanelle.norms.reference import JsonValue, load, sealed
from fontanelle.norms.values import Norm, Num, Reference

LOCAL = "local"
DECIMALS = 6
Members = dict[str, JsonValue]


def document_of(
    fitted: Fit, cohort: Cohort, like: Reference, *, name: str, title: str, made_at: datetime
) -> str:
    """Return the text of the reference's file.

    Parameters
    ----------
    like
        The reference whose protocol, regions and rules for scans are kept; none of its numbers.
    name
        Of the new reference: small letters, digits, hyphens.

    Raises
    ------
    Malformed
        If `load` does not take what was made of this name.
    """
    source = (
        f"{cohort.n} normal children of this site, table sha256 {cohort.digest}, {made_at:%Y-%m-%d}"
    )
    text = sealed(
        {
            "schema": SCHEMA,
            "id": name,
            "revision": 1,
            "title": title,
            "citation": {"text": source, "doi": "", "pmcid": "", "licence": ""},
            "population": _population(fitted, cohort, source),
            "protocol": {
                "label_protocol": cohort.protocol,
                "package_digest": cohort.package_sha256,
            },
            "validity": _validity(cohort, like),
            "model": {
                "kind": "linear",
                "equation": "expected = mean + sex_effect*(s - male_share) + age_slope*(age_days/"
                f"{like.validity.days_per_year:g} - age_mean); s = 1 for M, 0 for F; "
                "z = (volume - expected)/residual_sd",
                "coefficient_se_rule": "least squares, n - 3 degrees of freedom",
            },
            "regions": [
                _region(region, norm, fitted, source)
                for region, norm in zip(fitted.regions, like.regions, strict=True)
            ],
            "total": {"name": "total", **_line(fitted.total, source)},
            "asymmetry": [_pair(pair, source) for pair in fitted.pairs],
            "correlations": {
                "order": list(cohort.regions),
                "of": "residuals, after age and sex",
                "status": LOCAL,
                "source": source,
                "central": [[float(each) for each in row] for row in fitted.correlations],
            },
            "calibration": {
                "prior_sd": _kept(like.calibration.prior_sd),
                "n_min_offset": like.calibration.n_min_offset,
                "n_min_regression": like.calibration.n_min_regression,
            },
            "tiers": {
                "available": [LOCAL, "pooled"],
                "order": ["local", "calibrated", "published", "derived", "pooled"],
            },
        }
    )
    load(text)
    return text


def _population(fitted: Fit, cohort: Cohort, source: str) -> Members:
    return {
        "n": _number(cohort.n, "children", source),
        "males": _number(int(cohort.is_boy.sum()), "children", source),
        "left_out_preterm": _number(cohort.left_out_preterm, "children", source),
        "gestational_age_unknown": _number(cohort.weeks_unknown, "children", source),
        # In full: with n they hold (X'X)^-1, so that intervals are those of the regression.
        "male_share": _number(fitted.male_share, "1", source, decimals=15),
        "age_mean": _number(fitted.age_mean_years, "years", source, decimals=15),
        "age_sd": {
            **_number(fitted.age_sd_years, "years", source, decimals=15),
            "definition": "n in the denominator",
        },
        "age_sex_correlation": _number(fitted.age_sex_correlation, "1", source, decimals=15),
    }


def _validity(cohort: Cohort, like: Reference) -> Members:
    validity = like.validity
    return {
        # Nothing is extrapolated: the ages are those that were seen.
        "age_days_min": int(cohort.age_days.min()),
        "age_days_max": int(cohort.age_days.max()),
        "inclusive": True,
        "edge_note_days": validity.edge_note_days,
        "days_per_year": validity.days_per_year,
        "sexes": [str(sex) for sex in validity.sexes],
        "modality": validity.modality,
        "contrast": validity.contrast,
        "slice_thickness_max_mm": validity.slice_thickness_max_mm,
        "extrapolate": False,
    }


def _region(region: RegionFit, norm: Norm, fitted: Fit, source: str) -> Members:
    share = 100.0 * region.mean_ml / fitted.total.mean_ml
    return {
        "name": region.name,
        "label": norm.label,
        "laterality": norm.laterality,
        "sd": _number(region.sd_ml, "mL", source),
        "share_of_total": _number(share, "%", source),
        "r_squared": _number(region.r_squared, "1", source),
        **_line(region, source),
    }


def _line(region: RegionFit, source: str) -> Members:
    sex, age = region.sex, region.age
    return {
        "mean": _number(region.mean_ml, "mL", source),
        "sex_effect": {
            **_number(sex.value, "mL", source, se=sex.se, limits=(sex.low, sex.high)),
            "definition": "male minus female",
        },
        "age_slope": _number(age.value, "mL/year", source, se=age.se, limits=(age.low, age.high)),
        "residual_sd": _number(
            region.residual_sd_ml, "mL", source, limits=region.residual_sd_interval_ml
        ),
    }


def _pair(pair: PairFit, source: str) -> Members:
    return {
        "pair": pair.pair,
        "mean": _number(pair.index_mean, "%", source),
        "sd": _number(pair.index_sd, "%", source),
    }


def _kept(number: Num) -> Members:
    """Return a number of the other reference as it is, with its own provenance."""
    return {
        "value": number.value,
        "unit": number.unit,
        "status": str(number.status),
        "source": number.source,
        **({} if number.range is None else {"range": list(number.range)}),
    }


def _number(
    value: float,
    unit: str,
    source: str,
    *,
    se: float | None = None,
    limits: tuple[float, float] | None = None,
    decimals: int = DECIMALS,
) -> Members:
    number: Members = {
        "value": round(value, decimals),
        "unit": unit,
        "status": LOCAL,
        "source": source,
    }
    if limits is not None:
        number["range"] = [round(limit, decimals) for limit in limits]
    if se is not None:
        number["se"] = round(se, decimals)
    return number
