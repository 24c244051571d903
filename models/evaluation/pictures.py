"""Pictures of a case: three planes with the labels' outlines, truth above what was found."""

import re
from io import BytesIO
from pathlib import Path

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.regions import RegionSet
from fontanelle.reports.overlay import render_overlay
from models.evaluation.bench import Bench

_TITLE_PX = 34
_INK, _PAPER = (235, 238, 242), (12, 14, 18)


def draw(bench: Bench, title: str, image: Image, truth: LabelArray, found: LabelArray) -> None:
    """Draw truth above found into the evaluation's folder, if there is one."""
    if bench.pictures is not None:
        sheets = {f"{title}: truth": truth, f"{title}: found": found}
        write(bench.pictures, title, image, sheets, bench.package.region_set)


def write(
    folder: Path, title: str, image: Image, sheets: dict[str, LabelArray], region_set: RegionSet
) -> Path:
    """Write one PNG of several label arrays over the same image, one above the other.

    Parameters
    ----------
    folder
        Made where it is missing.
    title
        Becomes the file's name.
    image
        HU.
    sheets
        Caption to labels on the image's planes. Those without any label are left out.
    region_set
        Names and colours.
    """
    parts = [
        _captioned(caption, render_overlay(image, labels, region_set))
        for caption, labels in sheets.items()
        if labels.codes.any()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.png"
    unfinished = path.with_suffix(".unfinished")
    _stacked(parts).save(unfinished, "PNG", compress_level=4)
    unfinished.replace(path)
    return path


def _captioned(caption: str, png: bytes) -> Picture.Image:
    picture = Picture.open(BytesIO(png)).convert("RGB")
    sheet = Picture.new("RGB", (picture.width, picture.height + _TITLE_PX), _PAPER)
    sheet.paste(picture, (0, _TITLE_PX))
    font = ImageFont.load_default(20)
    ImageDraw.Draw(sheet).text((16, 8), caption, fill=_INK, font=font)
    return sheet


def _stacked(parts: list[Picture.Image]) -> Picture.Image:
    width, height = max(part.width for part in parts), sum(part.height for part in parts)
    sheet = Picture.new("RGB", (width, height), _PAPER)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet
