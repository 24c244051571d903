"""A site's own reference as one HTML page: the article's tables and plots, made of its children.

Self-contained: no script, no font, no picture from elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime
from html import escape

import numpy as np

from fontanelle.norms import fitting_lms, site_page_details, site_page_tables
from fontanelle.norms.cohort import Cohort
from fontanelle.norms.cohort_description import describe
from fontanelle.norms.fitting import BOOTSTRAPS, Fit, design_of
from fontanelle.norms.fitting_intracranial import with_intracranial
from fontanelle.norms.fitting_lms import fit_lms
from fontanelle.norms.fitting_recheck import Recheck
from fontanelle.norms.site_page_charts import scatter
from fontanelle.norms.values import Reference

STYLE = """
:root { --boys: #1f5fa8; --girls: #b8460e; --ink: #1c2126; --faint: #d7dbdf; }
body { font: 15px/1.45 "DejaVu Sans", "Segoe UI", Arial, sans-serif; color: var(--ink);
       max-width: 1160px; margin: 0 auto; padding: 24px; background: #fff; }
h1 { font-size: 25px; margin: 0 0 6px; } h2 { font-size: 17px; margin: 30px 0 8px; }
p { margin: 6px 0; max-width: 85ch; } .note { font-size: 13px; color: #4b545c; }
.warning { border-left: 4px solid #a15c00; padding: 4px 0 4px 12px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 9px; text-align: right; white-space: nowrap;
         border-bottom: 1px solid var(--faint); }
thead th { font-weight: 600; border-bottom: 2px solid #8a939b; vertical-align: bottom;
           white-space: normal; }
th:first-child { text-align: left; padding-left: 0; }
tbody th { font-weight: 400; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 14px; }
svg { width: 100%; height: auto; font: 12px "DejaVu Sans", Arial, sans-serif; fill: var(--ink); }
svg .title { font-size: 14px; font-weight: 600; } svg .label { fill: #4b545c; }
svg .grid { stroke: var(--faint); fill: none; } svg .axis { stroke: #8a939b; fill: none; }
svg polyline { fill: none; stroke-width: 2; }
svg polyline.limit { stroke-width: 1; stroke-dasharray: 5 4; }
svg polyline.boys { stroke: var(--boys); } svg polyline.girls { stroke: var(--girls); }
svg circle.boys { fill: var(--boys); fill-opacity: .55; }
svg path.girls { stroke: var(--girls); stroke-width: 1.3; fill: none; stroke-opacity: .8; }
.key span { margin-right: 20px; white-space: nowrap; }
.boys-key { color: var(--boys); } .girls-key { color: var(--girls); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; margin: 12px 0; }
dt { color: #4b545c; } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { padding: 0; font-size: 11px; } section, svg { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Heading:
    """What the page says of itself; `version` is that of the reference file beside it."""

    name: str
    title: str
    version: str
    made_at: datetime
    by: str


def site_page(
    heading: Heading, cohort: Cohort, fitted: Fit, like: Reference, again: Recheck | None
) -> str:
    """Return the page.

    Parameters
    ----------
    like
        The reference that the children are shown beside.
    again
        What a second program found; None where it is not installed.
    """
    described = describe(cohort, like)
    sections = [
        _opening(heading, cohort, fitted),
        site_page_tables.cleaning(cohort),
        site_page_tables.children(described),
        site_page_tables.balance(described.balance, like),
        site_page_tables.by_sex(described.regions, fitted),
        site_page_tables.sex_effects(fitted),
        site_page_tables.age_effects(fitted),
        site_page_tables.sides(fitted),
        _plots(cohort, fitted, like),
        site_page_details.residuals(fitted),
        site_page_details.correlations(fitted),
        *_optional(cohort, like),
        site_page_details.beside(fitted, like),
        _closing(again),
    ]
    title = escape(heading.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def _opening(heading: Heading, cohort: Cohort, fitted: Fit) -> str:
    low, high = cohort.age_days.min(), cohort.age_days.max()
    said = (
        ("reference", f"{heading.name}, {heading.version}"),
        ("children", f"{fitted.n}, {low} to {high} days old"),
        ("label protocol", cohort.protocol),
        ("package", cohort.package_sha256),
        ("table", f"sha256 {cohort.digest}"),
        ("made", f"{heading.made_at:%Y-%m-%d %H:%M %Z}, by {heading.by}"),
    )
    listed = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in said)
    return (
        f"<header><h1>{escape(heading.title)}</h1>"
        "<p class='warning'>Research software, not a medical device. These are volumes of children "
        "whom this hospital took for normal, measured by one package. They hold for this package, "
        "these ages and this hospital, and nowhere else.</p>"
        f"<dl>{listed}</dl></header>"
    )


def _plots(cohort: Cohort, fitted: Fit, like: Reference) -> str:
    age_years = cohort.age_days / like.validity.days_per_year
    lines = [
        *zip(fitted.regions, cohort.volumes_ml.T, strict=True),
        (fitted.total, cohort.volumes_ml.sum(axis=1)),
    ]
    drawn = "".join(
        scatter(region, volume_ml, age_years, cohort.is_boy, fitted) for region, volume_ml in lines
    )
    return (
        "<section><h2>Volume against age</h2><p class='key'>"
        "<span class='boys-key'>● boys</span><span class='girls-key'>× girls</span>"
        "<span>— expected</span><span>- - 95 % of typical children between</span></p>"
        f"<div class='plots'>{drawn}</div></section>"
    )


def _optional(cohort: Cohort, like: Reference) -> list[str]:
    """Return what needs many children, or a column that not every table has."""
    is_boy = cohort.is_boy.astype(np.float64)
    design = design_of(is_boy, cohort.age_days / like.validity.days_per_year)
    found = [_skewed(cohort, design)]
    if cohort.intracranial_ml is not None:
        wider = with_intracranial(cohort.regions, design, cohort.volumes_ml, cohort.intracranial_ml)
        found.append(site_page_details.intracranial(wider))
    return found


def _skewed(cohort: Cohort, design: np.ndarray) -> str:
    if cohort.n < fitting_lms.LEAST:
        return (
            "<section><h2>Skewness: L, M and S</h2><p>Not estimated: it takes "
            f"{fitting_lms.LEAST} children to tell a skewed distribution from a normal one, and "
            f"these are {cohort.n}.</p></section>"
        )
    fits = [fit_lms(design, volume_ml) for volume_ml in cohort.volumes_ml.T]
    return site_page_details.skewed(cohort.regions, fits)


def _closing(again: Recheck | None) -> str:
    checked = (
        "The regressions were not computed a second time: the extra <code>cohorts</code> "
        "(statsmodels) is not installed."
        if again is None
        else f"Computed a second time by statsmodels {escape(again.version)}: {again.figures} "
        f"figures, the largest difference {again.largest_difference:.0e} of a figure."
    )
    return (
        "<section><h2>How it was computed</h2><p>Least squares, volume on sex and age, each region "
        "by itself; intervals and tests by Student's t with n - 3 degrees of freedom. Bootstrap: "
        f"{BOOTSTRAPS:,} draws of children, percentiles, always the same draws; of 100 children "
        f"its intervals hold the truth in 91 to 93 % and not in 95 %. {checked}</p>"
        "<p>A z from this reference says how far a volume lies from these children. It does not "
        "say that a child is healthy or ill.</p></section>"
    )
