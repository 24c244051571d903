"""The report of an evaluation as files: whole or as they were."""

from collections.abc import Sequence
from pathlib import Path

from models.evaluation.report import Section, Subject, as_json, as_markdown


def write_report(folder: Path, subject: Subject, sections: Sequence[Section]) -> None:
    """Write accuracy.md and accuracy.json under temporary names, then put them in their places."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "accuracy.md": as_markdown(subject, sections),
        "accuracy.json": as_json(subject, sections),
    }
    for name, text in texts.items():
        unfinished = folder / f".{name}.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / name)
