"""`fontanelle norms fit` and `calibrate`: what a hospital makes of its own normal children."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fontanelle.errors import Code, Refused
from service.commands.norms.children import children_of, listing, source_of

if TYPE_CHECKING:
    from fontanelle.norms.calibration import Calibration, RegionCheck
    from fontanelle.norms.cohort import Cohort
    from fontanelle.norms.fitting import Fit
    from fontanelle.norms.fitting_recheck import Recheck
    from fontanelle.norms.values import Reference

_FILE = click.Path(path_type=Path)
_beside = click.option(
    "--reference",
    "beside",
    default="xi2025",
    show_default=True,
    metavar="NAME|FILE",
    help="Whose regions, label protocol and ages are wanted.",
)
_by = click.option("--by", required=True, help="Who answers for the children being normal.")
_from_analyses = click.option(
    "--from-analyses",
    is_flag=True,
    help="No table: the accepted results here that readers marked as of a normal head.",
)
_package = click.option(
    "--package", metavar="NAME|DIGEST", help="Whose results, where several are."
)


@click.command("fit")
@click.argument("cohort", type=_FILE, required=False)
@click.option("--name", required=True, help="Of the new reference: small letters, digits, hyphens.")
@click.option("--title", default="", help="For people; made of the name unless given.")
@click.option("--out", required=True, type=_FILE, help="Folder for NAME.json and NAME.html.")
@_from_analyses
@_package
@_beside
@_by
def fit_command(
    *,
    cohort: Path | None,
    from_analyses: bool,
    package: str | None,
    name: str,
    title: str,
    out: Path,
    beside: str,
    by: str,
) -> None:
    """Make a reference of status local from COHORT, a CSV of this hospital's normal children.

    Columns: child, age_days, sex (M, F), gestational_age_weeks (may be missing), protocol,
    package_sha256, intracranial_ml (may be missing), and one a region in mL. It writes the
    reference, ready for `norms import`, and a page with its tables and plots. With --from-analyses
    the children are those whose results a reader accepted here and called normal: of each child the
    earliest.
    """
    from fontanelle.clock import SystemClock
    from fontanelle.norms.cohort import LEAST_PER_SEX, rules_of
    from fontanelle.norms.fitting import fit
    from fontanelle.norms.fitting_document import document_of
    from fontanelle.norms.fitting_recheck import recheck
    from fontanelle.norms.reference import load
    from fontanelle.norms.site_page import Heading, site_page
    from service.commands.norms.files import write_texts

    source = source_of(cohort, "COHORT", from_analyses=from_analyses, package=package)
    like = _linear(beside)
    least = like.calibration.n_min_regression
    children = children_of(source, rules_of(like, least=least, least_per_sex=LEAST_PER_SEX))
    fitted, made_at = fit(children, like), SystemClock().now()
    title = title or f"Regional volumes of normal children: {name}"
    document = document_of(fitted, children, like, name=name, title=title, made_at=made_at)
    again = recheck(children, fitted, like.validity.days_per_year)
    heading = Heading(name, title, load(document).version, made_at, by)
    page = site_page(heading, children, fitted, like, again)
    write_texts({out / f"{name}.html": page, out / f"{name}.json": document})
    click.echo("\n".join(_fitted_lines(fitted, children, again)))
    click.echo(f"Written: {out / f'{name}.json'}, {out / f'{name}.html'}")


@click.command("calibrate")
@click.option("--normals", type=_FILE, help="CSV of normal children, as for `fit`.")
@click.option("--out", required=True, type=_FILE, help="File for the calibration.")
@_from_analyses
@_package
@_beside
@_by
def calibrate_command(
    *,
    normals: Path | None,
    from_analyses: bool,
    package: str | None,
    out: Path,
    beside: str,
    by: str,
) -> None:
    """Measure how far this site lies from a reference, on its own normal children.

    The calibration holds for the package and the label protocol of the table (or of the results
    that readers marked normal), and is ready for `norms import`.
    """
    from fontanelle.clock import SystemClock
    from fontanelle.norms.calibration import calibrate, checks, serialise, status_of
    from fontanelle.norms.cohort import rules_of
    from service.commands.norms.files import write_text

    source = source_of(normals, "--normals", from_analyses=from_analyses, package=package)
    reference = _linear(beside)
    prior = reference.calibration
    children = children_of(source, rules_of(reference, least=prior.n_min_offset))
    with listing():
        calibration = calibrate(children, reference, made_at=SystemClock().now(), by=by)
    write_text(out, serialise(calibration))
    click.echo("\n".join(_calibrated_lines(calibration, checks(children, reference))))
    click.echo(f"Site status: {status_of(calibration.n, reference)}. Written: {out}")
    if calibration.n >= prior.n_min_regression:
        click.echo(
            f"With {calibration.n} children a regression of your own is better: norms fit "
            f"{normals or '--from-analyses'}"
        )


def _linear(name: str) -> "Reference":
    """Return a reference by name or from a file; refuse one that is no regression."""
    from service.commands.norms.files import reference_named

    reference = reference_named(name)
    if not reference.linear_regions:
        raise Refused(
            Code.CALIBRATION_REFUSED, f"The reference {reference.id} is no regression on age, sex."
        )
    return reference


def _fitted_lines(fitted: "Fit", children: "Cohort", again: "Recheck | None") -> list[str]:
    from service.terminal import Table

    header = ("region", "mean mL", "boys - girls", "mL a year", "residual SD", "explained %")
    rows = tuple(
        (
            region.name.replace("_", " "),
            f"{region.mean_ml:.2f}",
            f"{region.sex.value:.2f} ({region.sex.low:.2f} to {region.sex.high:.2f})",
            f"{region.age.value:.2f} ({region.age.low:.2f} to {region.age.high:.2f})",
            f"{region.residual_sd_ml:.2f}",
            f"{100.0 * region.r_squared:.1f}",
        )
        for region in (*fitted.regions, fitted.total)
    )
    second = (
        "Not computed a second time: the extra cohorts (statsmodels) is not installed."
        if again is None
        else f"Computed a second time by statsmodels {again.version}: largest difference "
        f"{again.largest_difference:.0e} of a figure."
    )
    return [
        f"{children.n} children of {children.rows_read} rows, "
        f"{children.left_out_preterm} born before 37 weeks left out.",
        *Table(header, rows, remarks=False).lines(),
        second,
    ]


def _calibrated_lines(calibration: "Calibration", measured: "tuple[RegionCheck, ...]") -> list[str]:
    from service.terminal import Table

    header = ("region", "offset mL", "SE", "% of mean", "SD ratio")
    rows = tuple(
        (
            check.region.replace("_", " "),
            f"{check.estimate.offset_ml:+.2f}",
            f"{check.estimate.se_ml:.2f}",
            f"{check.offset_percent:+.1f}",
            f"{check.sd_ratio:.3f}",
        )
        for check in measured
    )
    return [
        f"{calibration.n} normal children, protocol {calibration.protocol}.",
        *Table(header, rows, remarks=False).lines(),
    ]
