"""`fontanelle norms import` and `export`: references and calibrations into the records, and out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fontanelle.records.importing import Taken


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--by", default="", metavar="NAME", help="Who brings it in.")
@click.option("--dry-run", is_flag=True, help="Check everything, keep nothing.")
def import_command(file: Path, by: str, *, dry_run: bool) -> None:
    """Bring the reference (JSON or CSV) or the calibration (JSON) in FILE into the records.

    All that is wrong with it is listed, and then nothing is taken. What is in never changes. A
    calibration, and a newer revision of the reference that is served, count from the next analysis.
    """
    from service.commands.norms.files import naming_all_mistakes, text_of

    text = text_of(file)
    with naming_all_mistakes():
        taken = _take(text, by or "the command line", dry_run=dry_run)
    done = "would be imported" if dry_run else "imported"
    state = done if taken.is_new else "is here already"
    click.echo(f"{taken.kind} {taken.name}, {taken.version}: {state}")


def _take(text: str, by: str, *, dry_run: bool) -> "Taken":
    from fontanelle.records import importing
    from service.commands.norms.files import has_records, records

    if dry_run and not has_records():
        return importing.checked(text)
    with records(make=not dry_run) as session:
        return importing.take(session, text, by=by, dry_run=dry_run)


@click.command("export")
@click.argument("reference")
@click.option("--format", "form", type=click.Choice(("json", "csv")), default="json")
@click.option("--out", type=click.Path(path_type=Path), help="A file; else it is printed.")
def export_command(reference: str, form: str, out: Path | None) -> None:
    """Write REFERENCE (a name, or sha256: and a digest) as JSON or CSV.

    Both can be imported again, and give the same version.
    """
    from fontanelle.norms.table import to_csv
    from fontanelle.records.references import among
    from service.commands.norms.files import known, write_text

    document = among(known(), reference).document
    text = to_csv(document) if form == "csv" else document
    if out is None:
        click.echo(text, nl=False)
        return
    write_text(out, text)
    click.echo(f"wrote {out}")
