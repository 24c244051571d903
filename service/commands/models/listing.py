"""`fontanelle models list|show|verify`: which packages there are, what they say, whether intact."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from models.package import Package


@click.command("list")
def list_command() -> None:
    """Print the name, version and protocol of each shipped package."""
    from models.package import find, load, shipped_names

    for name in shipped_names():
        package = load(find(name))
        click.echo(f"{name}  {package.version}  {package.protocol} ({package.protocol_match})")


@click.command("show")
@click.argument("package", required=False)
def show_command(package: str | None) -> None:
    """Print what PACKAGE (a name or a folder; the shipped one unless said) declares."""
    from models.package import find, load

    click.echo("\n".join(_description(load(find(package)))))


@click.command("verify")
@click.argument("package", required=False)
def verify_command(package: str | None) -> None:
    """Compare every file of PACKAGE with its digest; exit code 4 where one differs."""
    from models.package import find, load

    found = load(find(package))
    click.echo(f"{found.name} {found.version}: every file matches its digest")


def _description(package: "Package") -> list[str]:
    youngest, oldest = package.intended_age_days
    size_mb = sum(f.stat().st_size for f in Path(package.folder).iterdir() if f.is_file()) / 1e6
    regions = ", ".join(region.name for region in package.region_set.regions)
    return [
        f"name           {package.name}",
        f"version        {package.version}",
        f"sha256         {package.sha256}",
        f"steps          {_steps(package)}",
        f"qualified      {_qualified(package)}",
        f"protocol       {package.protocol}",
        f"protocol match {package.protocol_match}",
        f"intended ages  {youngest} to {oldest} days",
        f"region set     {package.region_set.name}: {regions}",
        f"preprocessing  {package.preprocessing.name}, {package.preprocessing.spacing_mm:g} mm",
        f"size           {size_mb:.1f} MB",
        f"folder         {package.folder}",
        *_metrics(package.metrics),
    ]


def _steps(package: "Package") -> str:
    if package.localiser is None:
        return f"1: network at {package.preprocessing.spacing_mm:g} mm"
    return (
        f"2: localiser at {package.localiser.spacing_mm:g} mm, then network at "
        f"{package.preprocessing.spacing_mm:g} mm of an upright head"
    )


def _qualified(package: "Package") -> str:
    return "yes" if package.qualified else "no: its z-scores are provisional, without flags"


def _metrics(metrics: Mapping[str, object]) -> Iterator[str]:
    """Yield a line for each figure of the evaluation, the first one headed."""
    lines = list(_figures(metrics)) or ["none"]
    for head, line in zip(["metrics", *[""] * len(lines)], lines, strict=False):
        yield f"{head:<15}{line}"


def _figures(table: Mapping[str, object], *, within: str = "") -> Iterator[str]:
    for name, value in table.items():
        words = f"{within}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _figures(value, within=f"{words}, ")
        else:
            yield f"{words}: {value}"
