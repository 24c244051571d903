"""`fontanelle norms list` and `show`: which references there are, and what each holds."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fontanelle.norms.values import Norm, Reference
    from fontanelle.records.references import StoredCalibration, StoredReference


@click.command("list")
def list_command() -> None:
    """Print each reference: of the product, and imported."""
    from fontanelle.norms.reference import load
    from service.commands.norms.files import known
    from service.terminal import Table

    rows = tuple(_row(each, load(each.document)) for each in known())
    header = ("reference", "revision", "tier", "ages in days", "origin", "version", "title")
    click.echo("\n".join(Table(header, rows, remarks=True).lines()))


@click.command("show")
@click.argument("reference")
def show_command(reference: str) -> None:
    """Print what REFERENCE says, region by region.

    REFERENCE is a name, or a version: sha256: and the digest.
    """
    from fontanelle.norms.reference import load
    from fontanelle.records.references import among
    from service.commands.norms.files import known

    stored = among(known(), reference)
    lines = [*_description(load(stored.document)), "", *_origin(stored)]
    click.echo("\n".join(lines))


def _row(stored: "StoredReference", reference: "Reference") -> tuple[str, ...]:
    ages = reference.validity
    return (
        reference.id,
        str(reference.revision),
        reference.tiers[0],
        f"{ages.age_days_min}-{ages.age_days_max}",
        stored.origin,
        reference.version[:19],
        reference.title,
    )


def _description(reference: "Reference") -> list[str]:
    from service.terminal import Table

    ages = reference.validity
    header, rows = _regions(reference.regions)
    return [
        f"id        {reference.id}, {reference.version}",
        f"title     {reference.title}",
        f"source    {reference.citation.text}",
        f"protocol  {reference.label_protocol}",
        f"package   {reference.package_digest or 'any of the protocol'}",
        f"children  {reference.population.n.value:g}",
        f"ages      {ages.age_days_min} to {ages.age_days_max} days",
        f"scans     {ages.modality}, slices of at most {ages.slice_thickness_max_mm:g} mm",
        f"model     {reference.kind}",
        f"tiers     {', '.join(reference.tiers)}",
        *_entry(reference),
        "",
        *Table(header, rows, remarks=True).lines(),
        "",
        *(f"not known: {sentence}" for sentence in reference.unknown),
        *(f"disagrees: {sentence}" for sentence in reference.contradictions),
    ]


def _entry(reference: "Reference") -> list[str]:
    entry = reference.entry
    if entry is None:
        return []
    second = "nobody a second time" if entry.checked_by is None else f"again by {entry.checked_by}"
    return [f"entered   by {entry.by}, {entry.at}; {second}"]


def _regions(norms: "tuple[Norm, ...]") -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return header and rows; the last column says how the numbers of the model are known."""
    from fontanelle.norms.values import LmsNorm, MeanSdNorm, RegionNorm

    header: tuple[str, ...] = ()
    numbers: tuple[float | None, ...]
    rows = []
    for norm in norms:
        name = norm.name.replace("_", " ")
        match norm:
            case RegionNorm():
                header = ("mean mL", "SD", "residual SD", "boys - girls", "SE", "mL a year", "SE")
                numbers = (
                    norm.mean.value,
                    norm.sd.value,
                    norm.residual_sd.value,
                    norm.sex_effect.value,
                    norm.sex_effect.se,
                    norm.age_slope.value,
                    norm.age_slope.se,
                )
                status = norm.sex_effect.status
            case MeanSdNorm():
                header = ("mean mL", "SD")
                numbers = (norm.mean.value, norm.sd.value)
                status = norm.mean.status
            case LmsNorm():
                header = ("rows, boys", "rows, girls")
                numbers = (float(len(norm.male)), float(len(norm.female)))
                status = norm.status
        rows.append((name, *(_shown(number) for number in numbers), status.value))
    return ("region", *header, "status"), tuple(rows)


def _shown(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"


def _origin(stored: "StoredReference") -> list[str]:
    if stored.loaded_at is None:
        return ["comes with the product"]
    return [
        f"{stored.origin}, loaded by {stored.loaded_by} on {stored.loaded_at:%Y-%m-%d}",
        *(_calibration(each) for each in _calibrations(stored)),
    ]


def _calibrations(stored: "StoredReference") -> "list[StoredCalibration]":
    from fontanelle.records.references import calibrations
    from service.commands.norms.files import records

    with records() as session:
        return calibrations(session, stored.version)


def _calibration(stored: "StoredCalibration") -> str:
    return (
        f"calibrated with {stored.n} normal children for package {stored.package_sha256[:12]} by "
        f"{stored.made_by} on {stored.made_at:%Y-%m-%d}"
    )
