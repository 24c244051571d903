"""`fontanelle models export`: checkpoints become a package."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from models.export import Said

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
    "--measured",
    type=_FILE,
    help="JSON of its evaluation: measurement_error (region to percent), metrics.",
)
@click.option(
    "--match",
    type=click.Choice(["same", "matched", "approximate"]),
    default="approximate",
    show_default=True,
    help="How its regions relate to the reference's, as its evaluation showed.",
)
@click.option("--qualified", is_flag=True, help="Its evaluation reached the accuracy asked.")
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
    measured: Path | None,
    match: str,
    qualified: bool,
    replace: bool,
) -> None:
    """Make a package of CHECKPOINT: fold, export, prove parity, sign. Needs the extra `train`."""
    from fontanelle.norms.comparison import ProtocolMatch
    from models.export import Said, export_package

    said = Said(
        name=name,
        version=version_,
        model_card=card.read_text(encoding="utf-8"),
        known_limits=limits,
        protocol_match=ProtocolMatch(match),
        qualified=qualified,
    )
    made = export_package(checkpoint, localiser, out, _with(said, measured), replace=replace)
    for file, parity in made.items():
        click.echo(
            f"{file}: largest logit difference to torch {parity.logits:.1e}; "
            f"classes {parity.classes}"
        )


def _with(said: "Said", measured: Path | None) -> "Said":
    """Add what an evaluation found."""
    from dataclasses import replace

    if measured is None:
        return said
    found = _read(measured)
    return replace(
        said,
        measurement_error_percent=found.get("measurement_error", {}),
        metrics=found.get("metrics", {}),
    )


def _read(measured: Path) -> dict[str, Any]:
    """Read the evaluation's findings.

    Raises
    ------
    Refused
        If the file holds something else.
    """
    from fontanelle.errors import Code, Refused

    try:
        found = json.loads(measured.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(Code.INPUT_UNREADABLE, f"{measured.name} is no JSON.") from error
    known = {"measurement_error", "metrics"}
    if not isinstance(found, dict) or not all(isinstance(part, dict) for part in found.values()):
        raise Refused(Code.INPUT_UNREADABLE, f"{measured.name} must hold tables.")
    if set(found) - known:
        other = ", ".join(sorted(set(found) - known))
        raise Refused(Code.INPUT_UNREADABLE, f"{measured.name} holds what is not known: {other}.")
    return found
