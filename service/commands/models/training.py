"""`fontanelle models train`: a network learns from synthesised heads."""

from pathlib import Path

import click


@click.command("train")
@click.argument("config")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--device", default="cpu", show_default=True, help="As torch names it: cpu, cuda.")
@click.option(
    "--init",
    help="Start a new run from these weights: a package (name or folder) or a checkpoint (.pt).",
)
@click.option("--fold", type=click.IntRange(0, 4), help="Leave this fifth of the heads out.")
@click.option(
    "--pseudo-labels",
    "pairs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of real scans with labels (see `pseudo-label`) to learn from as well.",
)
def command(
    *,
    config: str,
    out: Path,
    device: str,
    init: str | None,
    fold: int | None,
    pairs: Path | None,
) -> None:
    """Train by CONFIG (a shipped configuration or a TOML file); goes on from its checkpoint.

    Writes checkpoint.pt and log.jsonl to --out. Needs the extra `train`.
    """
    import torch

    from models.training.train import Run, config_text, train
    from models.training.warm_start import start_from

    text = config_text(config, fold)
    checkpoint, on = out / "checkpoint.pt", torch.device(device)
    if checkpoint.exists():
        run = Run.resume(checkpoint, on, text)
    else:
        run = Run.fresh(text, on)
        if init is not None:
            start_from(run.network, run.averaged, init)
    out.mkdir(parents=True, exist_ok=True)
    click.echo(f"iteration {run.iteration} of {run.config.iterations}", err=True)
    train(run, out, pairs=pairs)
