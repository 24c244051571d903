"""`fontanelle models evaluate`: how far a package is from the truth, asked beside reached."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from fontanelle.imaging.geometry import Image, LabelArray
    from models.evaluation.bench import Measure
    from models.evaluation.real import RealImage
    from models.evaluation.report import Subject
    from models.package import Package
    from worker.pipeline import Tools

SECTIONS: Final = (
    "accuracy", "conditions", "planted", "repeat", "mirror", "real", "atlas", "loop",
)  # fmt: skip
REFERENCE: Final = "xi2025"
TEMPLATES: Final = ("toddler_24mo", "head_03", "head_07")
"""Heads that are laid over a real scan; none of them is held out."""


@click.command("evaluate")
@click.argument("package", required=False)
@click.option("--quick", is_flag=True, help="One head and few cases: shows that it works, no more.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(SECTIONS),
    help="This section only; may come again.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for accuracy.md, accuracy.json and pictures; made where it is missing.",
)
@click.option("--engine", default="auto", show_default=True, help="Engine to evaluate on.")
@click.option(
    "--series",
    type=click.Path(path_type=Path, exists=True),
    help="A real series: DICOM folder, archive or NIfTI file.",
)
@click.option(
    "--carried",
    is_flag=True,
    help="Compare the real series with labels carried over by registration as well (minutes).",
)
@click.option(
    "--atlas",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of a CT atlas: one *_hu.nii.gz and one *_regions.nii.gz. Not shipped.",
)
@click.option("--children", type=click.IntRange(min=2), help="How many the closed loop draws: 200.")
def command(
    *,
    package: str | None,
    quick: bool,
    only: tuple[str, ...],
    out: Path | None,
    engine: str,
    series: Path | None,
    carried: bool,
    atlas: Path | None,
    children: int | None,
) -> None:
    """Judge PACKAGE (a name or a folder; the shipped one unless said) by the pipeline that serves.

    Prints Markdown: each figure asked for beside the one reached, then all tables. With --out it
    is written as files too, after every section anew, with pictures of the cases.

    The whole is some 360 scans of held-out heads, 8 to 10 seconds of computing each: half an hour
    on two free cores, more than half of it for the 200 children of the closed loop. --only
    conditions or planted take 4 to 5 minutes, accuracy and repeat 2 to 3, mirror, real and atlas
    less than one. --carried adds minutes.
    """
    from models.evaluation import HELD_OUT
    from models.evaluation.bench import Bench
    from models.evaluation.report import as_markdown
    from models.evaluation.run import Given, evaluated
    from models.evaluation.writing import write_report

    tools = _tools(package, engine)
    bench = Bench(
        package=tools.package,
        reference=tools.reference,
        measure=_measure(tools),
        heads=HELD_OUT[:1] if quick else HELD_OUT,
        quick=quick,
        pictures=None if out is None else out / "pictures",
        say=lambda sentence: click.echo(sentence, err=True),
    )
    given = Given(
        series=None if series is None else _real(series),
        atlas=None if atlas is None else _atlas(atlas, tools.package),
        carry=_carry(tools.package) if carried else None,
        children=children,
    )
    subject = _subject(tools, quick=quick)
    sections = []
    for section in evaluated(bench, given, only):
        sections.append(section)
        if out is not None:
            write_report(out, subject, sections)
    click.echo(as_markdown(subject, sections), nl=False)


def _tools(package: str | None, engine: str) -> "Tools":
    from fontanelle.norms.reference import shipped
    from models.package import find, load
    from worker.inference.opening import open_engine
    from worker.pipeline import Tools

    loaded = load(find(package))
    return Tools(loaded, shipped(REFERENCE), open_engine(loaded, engine))


def _measure(tools: "Tools") -> "Measure":
    """Return the pipeline's way from an image to volumes."""
    from fontanelle.clock import SystemClock
    from worker.pipeline import Stopwatch, measure_image

    return lambda image: measure_image(image, tools, Stopwatch(SystemClock()))


def _real(series: Path) -> "RealImage":
    """Read one real scan as an analysis does.

    Raises
    ------
    Refused
        If there is no scan at the path.
    """
    from fontanelle.errors import Refused
    from fontanelle.imaging.files import opened
    from fontanelle.norms.reference import shipped
    from models.evaluation.real import RealImage
    from worker.reading import NoScan, Question, read_scan

    valid = shipped(REFERENCE).validity
    with opened(series) as files:
        scan = read_scan(files, Question((valid.age_days_min, valid.age_days_max)))
    if isinstance(scan, NoScan):
        raise Refused(scan.reasons[0].code, scan.reasons[0].sentence)
    return RealImage(series.name.split(".")[0], scan.image)


def _atlas(folder: Path, package: "Package") -> "RealImage":
    """Read an atlas: HU, and labels in the numbering of the label maps."""
    from models.evaluation.atlas import read_atlas

    return read_atlas(folder, package)


def _carry(package: "Package") -> "Callable[[Image], LabelArray]":
    """Return the registration of held-in heads to an image."""
    from models.training.protocol import PROTOCOLS
    from models.training.registration import carried_labels, template

    templates = [template(name, PROTOCOLS[package.protocol]) for name in TEMPLATES]
    return lambda image: carried_labels(image, templates).labels


def _subject(tools: "Tools", *, quick: bool) -> "Subject":
    from models.evaluation.report import Subject
    from models.package import file_sha256

    package, engine = tools.package, tools.engine.description
    facts = [
        f"Package {package.name} {package.version} ({package.sha256[:12]}), protocol "
        f"{package.protocol} ({package.protocol_match}); {engine.provider}, {engine.precision}; "
        f"reference {tools.reference.id}.",
        "",
        "Synthetic heads made of label maps: no child was scanned.",
    ]
    if quick:
        facts += ["", "**Quick run: one head, few cases. It proves nothing.**"]
    files = [package.network]
    if package.localiser is not None:
        files.append(package.localiser_network)
    return Subject(
        heading=f"Accuracy of {package.name} {package.version}",
        facts=tuple(facts),
        networks={file.name: file_sha256(file) for file in files},
        quick=quick,
    )
