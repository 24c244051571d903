"""What an evaluation says: tables, and what was asked beside what was reached. Nothing is softened.

Markdown for people, JSON of the same for machines.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from models.evaluation.metrics import Estimate

Cell = str | float | int | None

SCHEMA: Final = "fontanelle.accuracy/2"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated.

    Attributes
    ----------
    heading, facts
        For people.
    networks
        File of the package to its SHA-256: whose figures these are.
    quick
        Whether few cases were tried, which proves nothing.
    """

    heading: str
    facts: tuple[str, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure asked for, and the one reached.

    Attributes
    ----------
    name
        What is judged.
    asked, reached
        In words with numbers.
    holds
        None where the figure was not measured.
    figure
        What was reached, as a number; None where it is none.
    """

    name: str
    asked: str
    reached: str
    holds: bool | None
    figure: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of numbers and words under their headings."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the evaluation.

    Attributes
    ----------
    name
        As `--only` takes it.
    title
        For people.
    says
        What was done, and what it does not prove.
    tables, gates
        Its findings.
    values
        Numbers that others go on with, by name; for example the package's measured error.
    """

    name: str
    title: str
    says: str
    tables: tuple[Table, ...]
    gates: tuple[Gate, ...] = ()
    values: dict[str, dict[str, float]] = field(default_factory=dict)


def at_most(name: str, limit: float, reached: float, unit: str = " %", where: str = "") -> Gate:
    """Return the gate of a figure that must not exceed a limit."""
    said = f"{number(reached)}{unit}" + (f" ({where})" if where else "")
    holds = None if math.isnan(reached) else reached <= limit
    return Gate(name, f"at most {limit:g}{unit}", said, holds, reached)


def at_least(name: str, limit: float, reached: float, unit: str = "", where: str = "") -> Gate:
    """Return the gate of a figure that must reach a limit."""
    said = f"{number(reached)}{unit}" + (f" ({where})" if where else "")
    holds = None if math.isnan(reached) else reached >= limit
    return Gate(name, f"at least {limit:g}{unit}", said, holds, reached)


def worst_at_most(name: str, limit: float, values: dict[str, float], unit: str = " %") -> Gate:
    """Return the gate of the largest of several figures, naming whose it is."""
    worst = max(values, key=lambda each: values[each])
    return at_most(name, limit, values[worst], unit, where=worst)


def between(name: str, low: float, high: float, reached: float, where: str = "") -> Gate:
    """Return the gate of a figure that must lie between two limits."""
    said = number(reached) + (f" ({where})" if where else "")
    holds = None if math.isnan(reached) else low <= reached <= high
    return Gate(name, f"{low:g} to {high:g}", said, holds, reached)


def not_measured(name: str, asked: str, why: str) -> Gate:
    """Return a gate that nothing is known of."""
    return Gate(name, asked, f"not measured: {why}", None)


def number(value: float) -> str:
    """Write a number with three digits that count, as a reader compares them."""
    if math.isnan(value):
        return "–"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}"


def signed(value: float) -> str:
    """Write a number with its sign."""
    return "–" if math.isnan(value) else f"{value:+.1f}"


def interval(estimate: Estimate) -> str:
    """Write an estimate with its interval."""
    said = number(estimate.value)
    if math.isnan(estimate.low):
        return f"{said} (one person: no interval)"
    return f"{said} ({number(estimate.low)} to {number(estimate.high)})"


def as_markdown(subject: Subject, sections: Sequence[Section]) -> str:
    """Return the whole report: gates first, then each section."""
    lines = [f"# {subject.heading}", "", *subject.facts, "", "## Asked and reached", ""]
    lines += _table(
        ("section", "what", "asked", "reached", "holds"),
        [
            (section.name, gate.name, gate.asked, gate.reached, _holds(gate))
            for section in sections
            for gate in section.gates
        ],
    )
    for section in sections:
        lines += ["", f"## {section.title}", "", section.says]
        for table in section.tables:
            lines += ["", f"**{table.title}**", "", *_table(table.heads, table.rows)]
    return "\n".join(lines) + "\n"


def as_json(subject: Subject, sections: Sequence[Section]) -> str:
    """Return the same as JSON; what is no number is null."""
    document = {
        "schema": SCHEMA,
        "heading": subject.heading,
        "facts": list(subject.facts),
        "networks": dict(subject.networks),
        "quick": subject.quick,
        "sections": [_section(section) for section in sections],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _section(section: Section) -> dict[str, object]:
    return {
        "name": section.name,
        "title": section.title,
        "says": section.says,
        "gates": [_gate(gate) for gate in section.gates],
        "tables": [
            {
                "title": table.title,
                "rows": [
                    dict(zip(table.heads, map(_plain, row), strict=True)) for row in table.rows
                ],
            }
            for table in section.tables
        ],
        "values": {
            name: {key: _plain(value) for key, value in values.items()}
            for name, values in section.values.items()
        },
    }


def _gate(gate: Gate) -> dict[str, Cell]:
    return {
        "what": gate.name,
        "asked": gate.asked,
        "reached": gate.reached,
        "figure": _plain(gate.figure),
        "holds": gate.holds,
    }


def _plain(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _holds(gate: Gate) -> str:
    return "?" if gate.holds is None else "yes" if gate.holds else "**no**"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows]


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    return number(cell) if isinstance(cell, float) else str(cell)
