"""`fontanelle demo`: a synthetic toddler's head, or a series of your own, measured."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from service.commands.analyse import DEFAULT_REFERENCE, exit_code, measure, show
from service.output import output_folder


@click.command("demo")
@click.option(
    "--series",
    type=click.Path(path_type=Path),
    help="Measure this instead: a folder, archive or NIfTI file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the results.",
)
@click.pass_context
def command(ctx: click.Context, series: Path | None, out: Path) -> None:
    """Write a synthetic head as a DICOM series and measure it, or measure a series of yours.

    What is printed is measured from the written files, by the same steps as `analyse`.
    """
    from service import terminal

    click.echo(terminal.NOTICE)
    with output_folder(out, reading=series) as folder, _input(series) as path:
        outcome = measure(path, None, DEFAULT_REFERENCE, None, None)
        written = folder.write(outcome.files) if outcome.files else []
    show(outcome, written)
    ctx.exit(exit_code(outcome))


@contextmanager
def _input(series: Path | None) -> Iterator[Path]:
    if series is not None:
        yield series
        return
    with tempfile.TemporaryDirectory(prefix="fontanelle-demo-") as folder:
        click.echo("writing a synthetic toddler's head ...", err=True)
        write_phantom(Path(folder))
        yield Path(folder)


def write_phantom(folder: Path) -> None:
    """Write the plain phantom: a boy of two, 224 slices of 0.625 mm."""
    from models.phantom.head import Recipe, make
    from models.phantom.scan import Field, View, grid
    from models.phantom.series import Header, write_series

    write_series(folder, make(Recipe()), grid(View.AXIAL, Field()), Header())
