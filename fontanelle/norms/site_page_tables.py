"""The article's five tables on a site's page, as HTML, rounded for people."""

from collections.abc import Iterable, Sequence
from html import escape
from math import isnan

from fontanelle.norms.cohort import Cohort
from fontanelle.norms.cohort_description import Ages, Balance, BySex, Description
from fontanelle.norms.fitting import Estimate, Fit, RegionFit
from fontanelle.norms.values import Reference

Row = Sequence[str]


def table(caption: str, header: Row, rows: Iterable[Row], note: str = "") -> str:
    """Return a table whose first column names the row; all texts are escaped here."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr><th>{escape(first)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    below = f"<p class='note'>{escape(note)}</p>" if note else ""
    return (
        f"<section><h2>{escape(caption)}</h2><div class='wide'><table><thead><tr>{head}</tr>"
        f"</thead><tbody>{body}</tbody></table></div>{below}</section>"
    )


def cleaning(cohort: Cohort) -> str:
    """Say what was read and what was left out."""
    return table(
        "What was read",
        ("", "children"),
        (
            ("rows in the table", str(cohort.rows_read)),
            ("born before 37 weeks, left out", str(cohort.left_out_preterm)),
            ("used", str(cohort.n)),
            ("of these without a gestational age, counted as term", str(cohort.weeks_unknown)),
        ),
        "Checked in every row: columns, numbers, units, ages, sexes, sizes, left against right, "
        "children and volumes that occur twice, one package and one protocol. A table with any "
        "problem is refused whole. No child was left out for being far from the others.",
    )


def children(description: Description) -> str:
    """Table 1: who the children are."""
    who = (
        ("boys", description.boys),
        ("girls", description.girls),
        ("together", description.together),
    )
    return table(
        "Table 1. Children",
        ("", "n", "%", "mean age, years", "SD", "median", "youngest", "oldest"),
        [_ages(name, ages, description.together.n) for name, ages in who],
    )


def balance(found: Balance, beside: Reference) -> str:
    """Table 1, below: whether the children are balanced."""
    rows = [
        ("boys and girls differ in age (Welch)", p_value(found.age_by_sex_p)),
        ("boys and girls differ in age (Mann and Whitney)", p_value(found.age_by_sex_rank_p)),
        ("not as many boys as girls (binomial)", p_value(found.sexes_p)),
        ("ages not spread evenly (Kolmogorov and Smirnov)", p_value(found.uniform_age_p)),
    ]
    if found.share_beside_p is not None:
        rows.append((f"another share of boys than {beside.id}", p_value(found.share_beside_p)))
    if found.age_beside_p is not None:
        rows.append((f"another mean age than {beside.id}", p_value(found.age_beside_p)))
    return table(
        "Balance",
        ("", "p"),
        rows,
        "An uneven cohort biases nothing, as the regression knows age and sex; but where there are "
        "few children, its expected values are less certain.",
    )


def by_sex(regions: Iterable[BySex], fitted: Fit) -> str:
    """Table 2: volumes of boys and of girls."""
    pooled = {region.name: region for region in (*fitted.regions, fitted.total)}
    return table(
        "Table 2. Volumes by sex, mL",
        ("region", "boys", "girls", "all", "p", "d", "normal: boys p", "girls p"),
        [
            (
                words(each.region),
                plus_minus(each.boys_mean_ml, each.boys_sd_ml),
                plus_minus(each.girls_mean_ml, each.girls_sd_ml),
                plus_minus(pooled[each.region].mean_ml, pooled[each.region].sd_ml),
                p_value(each.p),
                f"{each.d:.2f}",
                p_value(each.shapiro_boys_p),
                p_value(each.shapiro_girls_p),
            )
            for each in regions
        ],
        "Mean ± SD. p: Welch's t, without regard to age. d: boys minus girls in pooled SDs (Cohen)."
        " Normal: Shapiro and Wilk; a small p speaks against a normal distribution.",
    )


def sex_effects(fitted: Fit) -> str:
    """Table 3: boys minus girls, at the same age."""
    return table(
        "Table 3. Effect of sex: boys minus girls at the same age, mL",
        ("region", "mL", "% of mean", "SE", "95 % interval", "95 % by bootstrap", "t", "p"),
        [_effect(region, region.sex) for region in (*fitted.regions, fitted.total)],
        "Multiple regression of volume on sex and age. Articles that code boys 1 and girls 2 "
        "print these with the opposite sign.",
    )


def age_effects(fitted: Fit) -> str:
    """Table 4: growth a year, for the same sex."""
    header = ("region", "mL a year", "% of mean", "SE", "95 % interval", "95 % by bootstrap")
    return table(
        "Table 4. Effect of age: growth a year for the same sex, mL",
        (*header, "t", "p", "Spearman rho", "p"),
        [
            (
                *_effect(region, region.age),
                f"{region.spearman.rho:.2f}",
                p_value(region.spearman.p),
            )
            for region in (*fitted.regions, fitted.total)
        ],
        "Spearman: rank correlation of volume with age, both sexes together.",
    )


def sides(fitted: Fit) -> str:
    """Table 5: left against right."""
    return table(
        "Table 5. Left and right of the same children, mL",
        (
            *("pair", "left", "right", "left - right", "95 % interval", "t", "p", "Wilcoxon p"),
            *("d z", "d av", "r", "index, %"),
        ),
        [
            (
                pair.pair,
                plus_minus(pair.left_mean_ml, pair.left_sd_ml),
                plus_minus(pair.right_mean_ml, pair.right_sd_ml),
                f"{pair.difference_ml:.2f}",
                f"{pair.low_ml:.2f} to {pair.high_ml:.2f}",
                f"{pair.t:.2f}",
                p_value(pair.p),
                p_value(pair.wilcoxon_p),
                f"{pair.d_z:.2f}",
                f"{pair.d_av:.2f}",
                f"{pair.correlation:.3f}",
                plus_minus(pair.index_mean, pair.index_sd),
            )
            for pair in fitted.pairs
        ],
        "Paired t test, and Wilcoxon's signed ranks. d z: mean difference in SDs of the "
        "differences; d av: in SDs of the volumes. r: left with right. Index: 200 (L - R) / "
        "(L + R), mean ± SD.",
    )


def words(name: str) -> str:
    """Return a region's name as people write it."""
    return name.replace("_", " ")


def plus_minus(mean: float, sd: float) -> str:
    """Return mean and SD."""
    return f"{mean:.2f} ± {sd:.2f}"


def p_value(p: float) -> str:
    """Return p as articles print it."""
    if isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _ages(name: str, ages: Ages, of: int) -> Row:
    years = (ages.mean, ages.sd, ages.median, ages.youngest, ages.oldest)
    return (name, str(ages.n), f"{100 * ages.n / of:.1f}", *(f"{each:.2f}" for each in years))


def _effect(region: RegionFit, estimate: Estimate) -> Row:
    return (
        words(region.name),
        f"{estimate.value:.2f}",
        f"{100.0 * estimate.value / region.mean_ml:.1f}",
        f"{estimate.se:.2f}",
        f"{estimate.low:.2f} to {estimate.high:.2f}",
        f"{estimate.bootstrap_low:.2f} to {estimate.bootstrap_high:.2f}",
        f"{estimate.t:.2f}",
        p_value(estimate.p),
    )
