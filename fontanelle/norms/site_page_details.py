"""What a site's page says beyond the article's tables: what the regression leaves, and beside what.

Residuals and their correlations, skewness, intracranial volume, another reference's numbers.
"""

from collections.abc import Iterable

from fontanelle.norms.fitting import Fit, RegionFit
from fontanelle.norms.fitting_intracranial import IntracranialFit
from fontanelle.norms.fitting_lms import LmsFit
from fontanelle.norms.site_page_tables import Row, p_value, table, words
from fontanelle.norms.values import Reference


def residuals(fitted: Fit) -> str:
    """Say what the regression leaves, and whether it may be believed."""
    return table(
        "What the regression leaves",
        (
            *("region", "residual SD, mL", "95 % interval", "by bootstrap", "% of mean"),
            "explained, %",
            *("normal p", "even spread p", "curve p", "slope by sex p"),
            *("farthest, SD", "beyond 3", "largest Cook"),
        ),
        [_judged(region) for region in (*fitted.regions, fitted.total)],
        "Normal: Shapiro and Wilk of the residuals. Even spread: Breusch and Pagan. Curve: age "
        "squared. Slope by sex: sex times age. One p in twenty falls below 0.05 by chance. "
        "Farthest: residual beside the regression of all other children. Largest Cook: above 1 a "
        "single child decides the regression. "
        f"Largest leverage {fitted.total.diagnostics.largest_leverage:.3f}, mean "
        f"{fitted.total.diagnostics.mean_leverage:.3f}.",
    )


def correlations(fitted: Fit) -> str:
    """Print the correlations of the residuals."""
    names = [words(region.name) for region in fitted.regions]
    return table(
        "Correlations of the residuals",
        ("", *(str(at) for at in range(1, len(names) + 1))),
        [
            (f"{at} {name}", *(f"{each:.2f}" for each in row))
            for at, (name, row) in enumerate(zip(names, fitted.correlations, strict=True), start=1)
        ],
        "After sex and age. The limit of a flag and the SD of the sum follow from them.",
    )


def skewed(names: Iterable[str], found: Iterable[LmsFit]) -> str:
    """Print L, M and S."""
    return table(
        "Skewness: L, M and S",
        ("region", "L", "95 % interval", "M, mL", "S", "L = 1 would do: p"),
        [
            (
                words(name),
                f"{lms.power:.2f}",
                f"{lms.power_low:.2f} to {lms.power_high:.2f}",
                f"{lms.median_ml:.2f}",
                f"{lms.variation:.4f}",
                p_value(lms.normal_p),
            )
            for name, lms in zip(names, found, strict=True)
        ],
        "L = 1: volumes scatter normally, and the regression above says all. L is one for all ages "
        "and both sexes, M that of the average child. The reference file holds the regression.",
    )


def intracranial(found: Iterable[IntracranialFit]) -> str:
    """Print what intracranial volume explains besides."""
    return table(
        "With intracranial volume",
        ("region", "mL for each mL", "95 % interval", "residual SD, mL", "without it, mL"),
        [
            (
                words(each.name),
                f"{each.slope:.4f}",
                f"{each.low:.4f} to {each.high:.4f}",
                f"{each.residual_sd_ml:.2f}",
                f"{each.residual_sd_without_ml:.2f}",
            )
            for each in found
        ],
        "For reading only: the reference file does not hold it.",
    )


def beside(fitted: Fit, other: Reference) -> str:
    """Print means and effects beside those of another reference."""
    return table(
        f"Beside {other.id}",
        (
            *("region", "mean, mL", "there", "difference, %", "residual SD, mL", "there"),
            *("boys - girls, mL", "there", "mL a year", "there"),
        ),
        [
            (
                words(region.name),
                f"{region.mean_ml:.2f}",
                f"{norm.mean.value:.2f}",
                f"{100.0 * (region.mean_ml / norm.mean.value - 1.0):+.1f}",
                f"{region.residual_sd_ml:.2f}",
                f"{norm.residual_sd.value:.2f}",
                f"{region.sex.value:.2f}",
                f"{norm.sex_effect.value:.2f}",
                f"{region.age.value:.2f}",
                f"{norm.age_slope.value:.2f}",
            )
            for region, norm in zip(fitted.regions, other.linear_regions, strict=True)
        ],
        "Means are pooled: another share of boys or another mean age moves them too. A mean more "
        "than 8 % away speaks of another label protocol.",
    )


def _judged(region: RegionFit) -> Row:
    judged = region.diagnostics
    return (
        words(region.name),
        f"{region.residual_sd_ml:.2f}",
        "{:.2f} to {:.2f}".format(*region.residual_sd_interval_ml),
        "{:.2f} to {:.2f}".format(*region.residual_sd_bootstrap_ml),
        f"{100.0 * region.residual_sd_ml / region.mean_ml:.1f}",
        f"{100.0 * region.r_squared:.1f}",
        p_value(judged.shapiro_p),
        p_value(judged.breusch_pagan_p),
        p_value(judged.curve_p),
        p_value(judged.interaction_p),
        f"{judged.largest_residual:+.2f}",
        str(judged.far_residuals),
        f"{judged.largest_cook:.3f}",
    )
