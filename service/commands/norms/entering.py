"""`fontanelle norms enter`: the tables of an article, as a person types them in."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from fontanelle.norms.entering import Tables
    from fontanelle.norms.values import Reference

ARTICLES: Final = {"xi2025-tables": "xi2025"}
"""What can be entered, and the reference that holds what the article's text publishes."""


@click.command("enter")
@click.argument("article", type=click.Choice(tuple(ARTICLES)))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--template", is_flag=True, help="Write the empty template to FILE.")
@click.option("--by", metavar="NAME", help="Who typed FILE in.")
@click.option("--against", type=click.Path(path_type=Path), help="What a second person typed in.")
@click.option("--against-by", metavar="NAME", help="Who that was.")
@click.option("--out", type=click.Path(path_type=Path), help="A file; else into the records.")
@click.option("--dry-run", is_flag=True, help="Check everything, make nothing.")
def enter_command(
    article: str,
    file: Path,
    *,
    template: bool,
    by: str | None,
    against: Path | None,
    against_by: str | None,
    out: Path | None,
    dry_run: bool,
) -> None:
    """Make a reference of the ARTICLE's tables, which a person typed into FILE.

    The tables are checked against all that the article's text publishes, and against each other;
    everything that does not fit is listed, and then nothing is made. With --against every number
    is compared with a second person's.
    """
    from fontanelle.norms.reference import shipped

    reference = shipped(ARTICLES[article])
    if template:
        _write_template(reference, file)
        return
    if not (by or "").strip():
        raise click.UsageError("Say who typed the tables in: --by NAME.")
    if (against is None) != (against_by is None):
        raise click.UsageError("--against and --against-by belong together.")
    from service.commands.norms.files import naming_all_mistakes

    with naming_all_mistakes():
        tables = _read(file, reference)
        if against is not None:
            _compare(tables, _read(against, reference))
        made = _made(tables, article, by or "", against_by)
        if not dry_run:
            _keep(made, by or "", out)
    if dry_run:
        click.echo("The tables fit the article and each other; nothing was made.")


def _write_template(reference: "Reference", file: Path) -> None:
    from fontanelle.norms.entering import template
    from service.commands.norms.files import write_text

    pairs = (norm.pair for norm in reference.asymmetry)
    write_text(file, template(reference.region_names, pairs))
    click.echo(f"wrote {file}")


def _read(file: Path, reference: "Reference") -> "Tables":
    from fontanelle.norms.entering import read
    from service.commands.norms.files import text_of

    pairs = (norm.pair for norm in reference.asymmetry)
    return read(text_of(file), reference.region_names, pairs)


def _compare(tables: "Tables", other: "Tables") -> None:
    from fontanelle.norms.entering import differences, refusal

    if found := differences(tables, other):
        raise refusal(found)


def _made(tables: "Tables", article: str, by: str, checked_by: str | None) -> str:
    from fontanelle.clock import SystemClock
    from fontanelle.norms.entered_reference import entered
    from fontanelle.norms.reference import shipped_document

    document = shipped_document(ARTICLES[article])
    now = SystemClock().now()
    return entered(tables, document, by=by.strip(), at=now, checked_by=checked_by)


def _keep(made: str, by: str, out: Path | None) -> None:
    from fontanelle.norms.reference import load
    from service.commands.norms.files import records, write_text

    reference = load(made)
    if out is not None:
        write_text(out, made)
        click.echo(f"wrote {out}: {reference.id}, {reference.version}")
        return
    with records(make=True) as session:
        from fontanelle.records.importing import take

        take(session, made, by=by)
    click.echo(f"imported {reference.id}, {reference.version}")
