"""`fontanelle models label`: a label protocol on a label map of anybody's."""

from pathlib import Path

import click


@click.command("label")
@click.argument("regions", type=click.Path(path_type=Path))
@click.argument("tissues", type=click.Path(path_type=Path))
@click.option("--protocol", required=True, help="Name of the label protocol.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Labels: .nii.gz or .nii."
)
def command(regions: Path, tissues: Path, protocol: str, out: Path) -> None:
    """Label the head in REGIONS and TISSUES, two NIfTI files, as a protocol says.

    Their numbering is that of models/training/label_maps/README.md. Writes the codes that a
    segmentation has, regions and their CSF, and prints the volumes.
    """
    from fontanelle.imaging.nifti import write_labels
    from models.training.labelling import apply, protocol_called, read_label_map, region_set
    from service.commands.models.labels_out import nifti_target, unfinished, volumes_table

    nifti_target(out)
    label_map = read_label_map(regions, tissues)
    labels = apply(protocol_called(protocol), label_map)
    with unfinished(out) as path:
        write_labels(path, labels, label_map.file_axes)
    click.echo("\n".join(volumes_table(labels, region_set())))
