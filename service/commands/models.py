"""`fontanelle models`: which packages there are, what they say of themselves, whether intact."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from models.package import Package


@click.group("models")
def command() -> None:
    """List, show, verify, train, export and evaluate packages."""


@command.command("list")
def list_packages() -> None:
    """Print the name, version and protocol of each shipped package."""
    from models.package import find, load, shipped_names

    for name in shipped_names():
        package = load(find(name))
        click.echo(f"{name}  {package.version}  {package.protocol} ({package.protocol_match})")


@command.command("show")
@click.argument("package", required=False)
def show_package(package: str | None) -> None:
    """Print what PACKAGE (a name or a folder; the shipped one unless said) declares."""
    from models.package import find, load

    click.echo("\n".join(_description(load(find(package)))))


@command.command("verify")
@click.argument("package", required=False)
def verify_package(package: str | None) -> None:
    """Compare every file of PACKAGE with its digest; exit code 4 where one differs."""
    from models.package import find, load

    found = load(find(package))
    click.echo(f"{found.name} {found.version}: every file matches its digest")


@command.command("train")
@click.argument("config")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--device", default="cpu", show_default=True, help="As torch names it: cpu, cuda.")
def train_package(config: str, out: Path, device: str) -> None:
    """Train by CONFIG (a shipped configuration or a TOML file); goes on from its checkpoint.

    Writes checkpoint.pt and log.jsonl to --out. Needs the extra `train`.
    """
    import torch

    from models.training.train import Run, config_text, train

    text = config_text(config)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, on = out / "checkpoint.pt", torch.device(device)
    run = Run.resume(checkpoint, on, text) if checkpoint.exists() else Run.fresh(text, on)
    click.echo(f"iteration {run.iteration} of {run.config.iterations}", err=True)
    train(run, out)


@command.command("export")
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The package's folder.")
@click.option("--name", required=True, help="The package's name.")
@click.option("--version", "version_", required=True, help="The package's version.")
@click.option(
    "--card",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="Markdown file that becomes the model card.",
)
@click.option(
    "--limit", "limits", multiple=True, help="What its evaluation found wrong; may come again."
)
def export_checkpoint(
    *,
    checkpoint: Path,
    out: Path,
    name: str,
    version_: str,
    card: Path,
    limits: tuple[str, ...],
) -> None:
    """Make a package of CHECKPOINT: fold, export, prove parity, sign. Needs the extra `train`."""
    from models.export import export_package

    text = card.read_text(encoding="utf-8")
    parity = export_package(
        checkpoint, out, name=name, version=version_, model_card=text, known_limits=limits
    )
    click.echo(f"largest logit difference to torch {parity.logits:.1e}; classes {parity.classes}")


@command.command("evaluate")
@click.argument("package", required=False)
@click.option("--engine", default="auto", show_default=True, help="Engine to evaluate on.")
def evaluate_package(package: str | None, engine: str) -> None:
    """Print volume errors and Dice of PACKAGE on the held-out heads, as Markdown."""
    from models.evaluation import as_markdown, evaluate, responses, responses_as_markdown
    from models.package import find, load
    from worker.inference.opening import open_engine

    loaded = load(find(package))
    segment = open_engine(loaded, engine).segment
    click.echo(as_markdown(evaluate(loaded, segment)))
    click.echo(responses_as_markdown(responses(loaded, segment)), nl=False)


def _description(package: "Package") -> list[str]:
    youngest, oldest = package.intended_age_days
    size_mb = sum(f.stat().st_size for f in Path(package.folder).iterdir() if f.is_file()) / 1e6
    regions = ", ".join(region.name for region in package.region_set.regions)
    return [
        f"name           {package.name}",
        f"version        {package.version}",
        f"sha256         {package.sha256}",
        f"protocol       {package.protocol} ({package.protocol_match})",
        f"intended ages  {youngest} to {oldest} days",
        f"region set     {package.region_set.name}: {regions}",
        f"preprocessing  {package.preprocessing.name}, {package.preprocessing.spacing_mm:g} mm",
        f"size           {size_mb:.1f} MB",
        f"folder         {package.folder}",
    ]
