"""`fontanelle models pseudo-label`: labels for a site's own CT, carried over by registration."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fontanelle.imaging.geometry import Image
    from models.training.registration import Carried

_NIFTI = click.Path(path_type=Path)


@click.command("pseudo-label")
@click.argument("series", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=_NIFTI, help="Labels: .nii.gz or .nii.")
@click.option("--image", type=_NIFTI, help="The CT on the labels' grid, for `train`.")
@click.option("--protocol", default="xi2025-matched", show_default=True, help="Label protocol.")
@click.option(
    "--template", "names", multiple=True, help="A shipped label map to lay over; may come again."
)
@click.option(
    "--spacing-mm",
    type=click.FloatRange(1.0, 4.0),
    default=2.0,
    show_default=True,
    help="Voxel of the registration; finer is slower.",
)
def command(
    *,
    series: Path,
    out: Path,
    image: Path | None,
    protocol: str,
    names: tuple[str, ...],
    spacing_mm: float,
) -> None:
    """Label the head CT in SERIES (as `analyse` takes it) by registration of painted heads.

    The labels have the codes of a segmentation; a file beside them says what they are: agreement
    with a registration, no truth. Uneven slices come out on an even grid.
    """
    from fontanelle.imaging.nifti import write_labels
    from models.training.labelling import protocol_called, region_set
    from models.training.paired import write_image
    from models.training.registration import TEMPLATES, carried_labels, require_templates, template
    from service.commands.analyse import progress
    from service.commands.models.labels_out import nifti_target, unfinished, volumes_table

    for target in (out, image):
        if target is not None:
            nifti_target(target)
    painted_by = protocol_called(protocol)
    require_templates(names)
    with progress("registering"):
        scan = _image(series)
        templates = (template(name, painted_by) for name in names or TEMPLATES)
        carried = carried_labels(scan, templates, spacing_mm=spacing_mm)
    with unfinished(out) as path:
        write_labels(path, carried.labels)
    with unfinished(_note_of(out)) as path:
        path.write_text(_note(carried, protocol), encoding="utf-8")
    if image is not None:
        with unfinished(image) as path:
            write_image(path, scan)
    click.echo("\n".join(volumes_table(carried.labels, region_set())))
    click.echo(_note(carried, protocol), nl=False)


def _image(series: Path) -> "Image":
    """Read a CT on an even grid; what `analyse` would reject is refused."""
    from fontanelle.errors import Refused
    from fontanelle.imaging.attributes import keep_values_out_of_logs
    from fontanelle.imaging.files import opened
    from fontanelle.imaging.geometry import Image
    from fontanelle.imaging.resample import regular
    from worker.reading import NoScan, Question, read_scan

    keep_values_out_of_logs()
    with opened(series) as files:
        scan = read_scan(files, Question(valid_age_days=(0, 36525)))
    if isinstance(scan, NoScan):
        first = scan.reasons[0]
        raise Refused(first.code, first.sentence)
    return Image(*regular(scan.image))


def _note_of(out: Path) -> Path:
    suffix = ".nii.gz" if out.name.lower().endswith(".nii.gz") else ".nii"
    return out.with_name(out.name[: -len(suffix)] + ".README.md")


def _note(carried: "Carried", protocol: str) -> str:
    fits = "\n".join(
        f"- {fit.sentence}{'' if fit.is_good else ' (does not fit: no vote)'}"
        for fit in carried.fits
    )
    return (
        f"These labels (protocol {protocol}) were carried over by registration of painted heads: "
        "agreement with them is agreement with a registration, not with the truth. Nobody has "
        "corrected them.\n\n"
        f"{fits}\n- templates agree with the outcome in {100 * carried.agreement:.0f} % of it\n"
    )
