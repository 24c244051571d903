"""`fontanelle models export`: checkpoints become a package."""

from pathlib import Path

import click

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("export")
@click.argument("checkpoint", type=_FILE)
@click.option("--localiser", type=_FILE, help="Checkpoint of the coarse step; one step without.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The package's folder.")
@click.option("--name", required=True, help="The package's name.")
@click.option("--version", "version_", required=True, help="The package's version.")
@click.option("--card", required=True, type=_FILE, help="Markdown file: the model card.")
@click.option(
    "--limit", "limits", multiple=True, help="What its evaluation found wrong; may come again."
)
@click.option(
    "--evaluation",
    "evaluations",
    multiple=True,
    type=_FILE,
    help="accuracy.json of `models evaluate --out`, of these networks; may come again. "
    "All that is asked must be reached in it for the package to be qualified.",
)
@click.option(
    "--match",
    type=click.Choice(["same", "matched", "approximate"]),
    default="approximate",
    show_default=True,
    help="How its regions relate to the reference's, as its evaluation showed.",
)
@click.option(
    "--levelled-as",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A package of these networks: its classes of CSF are levelled as there, and no heads are "
    "drawn for it. So an evaluation made elsewhere stays one of the same networks.",
)
@click.option("--replace", is_flag=True, help="Take the place of a package that is there.")
def command(
    *,
    checkpoint: Path,
    localiser: Path | None,
    out: Path,
    name: str,
    version_: str,
    card: Path,
    limits: tuple[str, ...],
    evaluations: tuple[Path, ...],
    match: str,
    levelled_as: Path | None,
    replace: bool,
) -> None:
    """Make a package of CHECKPOINT: fold, export, prove parity, sign. Needs the extra `train`."""
    from fontanelle.norms.comparison import ProtocolMatch
    from models.export import Said, export_package, read_evaluation, read_levelled

    said = Said(
        name=name,
        version=version_,
        model_card=card.read_text(encoding="utf-8"),
        known_limits=limits,
        protocol_match=ProtocolMatch(match),
        evaluation=read_evaluation(evaluations) if evaluations else None,
        levelled=None if levelled_as is None else read_levelled(levelled_as),
    )
    made = export_package(checkpoint, localiser, out, said, replace=replace)
    for file, parity in made.items():
        click.echo(
            f"{file}: largest logit difference to torch {parity.logits:.1e}; "
            f"classes {parity.classes}"
        )
