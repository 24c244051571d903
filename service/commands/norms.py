"""`fontanelle norms`: which references there are, and what each holds."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fontanelle.norms.values import Reference


@click.group("norms")
def command() -> None:
    """List and show references."""


@command.command("list")
def list_references() -> None:
    """Print the name and title of each reference."""
    from fontanelle.norms.reference import shipped, shipped_ids

    for reference_id in shipped_ids():
        click.echo(f"{reference_id}  {shipped(reference_id).title}")


@command.command("show")
@click.argument("reference_id")
def show_reference(reference_id: str) -> None:
    """Print what REFERENCE_ID says, region by region."""
    from fontanelle.norms.reference import shipped

    click.echo("\n".join(_description(shipped(reference_id))))


def _description(reference: "Reference") -> list[str]:
    from service.terminal import Table

    ages = reference.validity
    header = ("region", "mean mL", "SD", "residual SD", "boys - girls", "mL a year")
    rows = tuple(
        (
            region.name.replace("_", " "),
            *(
                f"{number.value:.2f}"
                for number in (
                    region.mean,
                    region.sd,
                    region.residual_sd,
                    region.sex_effect,
                    region.age_slope,
                )
            ),
        )
        for region in reference.regions
    )
    return [
        f"id        {reference.id}, {reference.version}",
        f"title     {reference.title}",
        f"protocol  {reference.label_protocol}",
        f"ages      {ages.age_days_min} to {ages.age_days_max} days",
        f"scans     {ages.modality}, slices of at most {ages.slice_thickness_max_mm:g} mm",
        f"tiers     {', '.join(reference.tiers)}",
        "",
        *Table(header, rows, remarks=False).lines(),
        "",
        *(f"not known: {sentence}" for sentence in reference.unknown),
        *(f"disagrees: {sentence}" for sentence in reference.contradictions),
    ]
