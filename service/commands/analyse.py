"""`fontanelle analyse`: a folder, archive or NIfTI file in; a folder of results out."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fontanelle.clock import SystemClock
from service.cli import REFUSED
from service.output import output_folder

if TYPE_CHECKING:
    from fontanelle.norms.values import Reference
    from worker.pipeline import Outcome, Tools
    from worker.terms import Terms

DEFAULT_REFERENCE = "xi2025"


@click.command("analyse")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the results; made where it is missing.",
)
@click.option("--package", help="A package by name or folder; the shipped one unless said.")
@click.option(
    "--reference",
    default=DEFAULT_REFERENCE,
    show_default=True,
    metavar="NAME|FILE",
    help="A reference of the product, a file (JSON or CSV), or one that was imported here.",
)
@click.option(
    "--age-days",
    type=click.IntRange(min=0),
    help="Age at the scan in days, where the header has none.",
)
@click.option("--sex", type=click.Choice(["M", "F"]), help="Sex, where the header has none.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysis object, and no table.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    path: Path,
    out: Path,
    package: str | None,
    reference: str,
    age_days: int | None,
    sex: str | None,
    as_json: bool,
) -> None:
    """Measure the series in PATH: a folder, a tar or zip of one, or a NIfTI file.

    Of a whole study one series is chosen. Writes segmentation.dcm, report.dcm, report.json,
    labels.nii.gz and overlay.png to --out; a NIfTI file gives no DICOM. What an earlier run left of
    these in --out is removed before the work begins.
    """
    from service import terminal

    click.echo(terminal.NOTICE, err=as_json)
    with output_folder(out, reading=path) as folder:
        outcome = measure(path, package, reference, age_days, sex)
        written = folder.write(outcome.files) if outcome.files else []
    if as_json:
        click.echo(outcome.report_json, nl=False)
    else:
        show(outcome, written)
    ctx.exit(exit_code(outcome))


def measure(
    path: Path, package: str | None, reference: str, age_days: int | None, sex: str | None
) -> "Outcome":
    """Run the pipeline with a word on stderr before and after."""
    from worker.pipeline import analyse_path

    with progress("measuring"):
        tools = _tools(package, reference)
        return analyse_path(
            path,
            tools,
            age_days=age_days,
            sex=sex,
            clock=SystemClock(),
            terms=_terms(tools.reference),
        )


def _terms(reference: "Reference") -> "Terms":
    """Return the usual terms; a site's own reference says by itself how well the site is known."""
    from fontanelle.records.references import own_site
    from worker.terms import USUAL_TERMS

    return USUAL_TERMS.at(own_site(reference))


def _tools(package: str | None, reference: str) -> "Tools":
    """Load package, reference and engine; nothing here is kept between runs."""
    from fontanelle.imaging.attributes import keep_values_out_of_logs
    from models.package import find, load
    from service.commands.norms.files import reference_named
    from worker.inference.opening import open_engine
    from worker.pipeline import Tools

    keep_values_out_of_logs()
    found = reference_named(reference)
    loaded = load(find(package))
    return Tools(loaded, found, open_engine(loaded))


def show(outcome: "Outcome", written: list[Path]) -> None:
    """Print what became of each series, the result and where its files are."""
    from service import terminal

    for decision in outcome.decisions:
        if not decision.chosen:
            why = "; ".join(f"{r.code}: {r.sentence}" for r in decision.reasons)
            click.echo(f"not taken: series {decision.series_instance_uid}: {why}")
    terminal.show(json.loads(outcome.report_json), coloured=sys.stdout.isatty())
    terminal.show_files(written)


def exit_code(outcome: "Outcome") -> int:
    """Return 0 where there are volumes, with or without z; else as for a refused input."""
    return REFUSED if outcome.result.volumes is None else 0


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show that work is going on: a spinner on a terminal, one line elsewhere."""
    if not sys.stderr.isatty():
        click.echo(f"{what} ...", err=True)
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} ..."):
        yield
