"""What a command that labels writes: whole files or none, and the volumes in them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from fontanelle.errors import Code, Refused
from fontanelle.imaging.files import is_nifti
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.regions import RegionSet
from fontanelle.imaging.volumes import measure
from service.terminal import Table


def nifti_target(path: Path) -> None:
    """Refuse, before any work, a name that is no NIfTI file's."""
    if not is_nifti(path):
        raise click.BadParameter("must end in .nii.gz or .nii", param_hint="--out")
    if not path.parent.is_dir():
        raise Refused(Code.OUTPUT_UNWRITABLE, "The folder of --out is not there.")


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Give a name to write to beside `path`, and move what was written there to its place."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as folder:
            partial = Path(folder) / path.name
            yield partial
            partial.replace(path)
    except OSError as error:
        raise Refused(
            Code.OUTPUT_UNWRITABLE, f"The output cannot be written ({type(error).__name__})."
        ) from error


def volumes_table(labels: LabelArray, region_set: RegionSet) -> list[str]:
    """Return aligned lines: compartment, parenchyma and CSF of each region, mL."""
    volumes = measure(labels, region_set)
    rows = [
        (
            region_set[row.region].label,
            *(f"{ml:.1f}" for ml in (row.compartment_ml, row.parenchyma_ml, row.csf_ml)),
        )
        for row in volumes.regions
    ]
    rows.append((region_set.ventricles.label, f"{volumes.ventricles_ml:.1f}", "-", "-"))
    rows.append(("Intracranial", f"{volumes.intracranial_ml:.1f}", "-", "-"))
    return Table(("region", "mL", "tissue", "CSF"), tuple(rows), remarks=False).lines()
