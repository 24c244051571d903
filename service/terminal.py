"""A result for a person at a terminal: a table there, plain aligned lines in a pipe."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from fontanelle.reports import notice

Report = Mapping[str, Any]
"""The analysis object, as `report.json` holds it and the API answers it."""
NOTICE: Final = notice.NOTICE
_NONE: Final = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text; the first column and, where `remarks`, the last hold words, else numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: bool

    @property
    def words(self) -> tuple[int, ...]:
        """Columns that are aligned to the left."""
        return (0, len(self.header) - 1) if self.remarks else (0,)

    def lines(self) -> list[str]:
        """Return aligned lines without tabs or rules."""
        widths = [
            max(len(row[i]) for row in (self.header, *self.rows)) for i in range(len(self.header))
        ]
        return [self._line(row, widths) for row in (self.header, *self.rows)]

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = [
            cell.ljust(width) if i in self.words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()


def show(report: Report, *, coloured: bool) -> None:
    """Print a result: what was found, what it was compared with, and every reservation.

    Parameters
    ----------
    report
        The analysis object; a withheld one holds no numbers.
    coloured
        A terminal: draw the table with rules and bold type.
    """
    table = table_of(report)
    if table is not None and coloured:
        _draw(table)
    elif table is not None:
        click.echo("\n".join(table.lines()))
    click.echo("\n".join(summary_of(report)))


def show_files(written: Iterable[Path]) -> None:
    """Print where the files are, one a line."""
    for path in written:
        click.echo(f"wrote {path}")


def table_of(report: Report) -> Table | None:
    """Return the table of regions; None where there are no volumes."""
    if not report["measurements"]:
        return None
    package = report["package"]
    provisional = package["protocol_match"] == "approximate" or not package["qualified"]
    z = "prov. z" if provisional else "z"
    return Table(
        ("region", "mL", "tissue", "expected", "95 % range", z, "centile", "remark"),
        tuple(_row(measured) for measured in report["measurements"]),
        remarks=True,
    )


def _row(measured: Report) -> tuple[str, ...]:
    low_ml, high_ml = measured["low_ml"], measured["high_ml"]
    return (
        measured["label"],
        _number(measured["volume_ml"], ".1f"),
        _number(measured["parenchyma_ml"], ".1f"),
        _number(measured["expected_ml"], ".1f"),
        _NONE if low_ml is None else f"{low_ml:.1f}-{high_ml:.1f}",
        _number(measured["z"], "+.2f"),
        _centile(measured["centile"]),
        _remark(measured),
    )


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _centile(value: float | None) -> str:
    # No child is at 0 or 100: rounding must not say so.
    if value is not None and not 0.1 <= value <= 99.9:
        return "<0.1" if value < 50 else ">99.9"
    return _number(value, ".1f")


def _remark(measured: Report) -> str:
    flag, reasons = measured["flag"], measured["reasons"]
    if flag == "not_compared" and reasons:
        return str(reasons[0])
    return str(flag).replace("_", " ")


def summary_of(report: Report) -> list[str]:
    """Return the lines below the table: sums, provenance, reservations."""
    state = report["fitness"] or report["state"]
    lines = [f"{state}: " + _STATES[state]]
    if report["measurements"]:
        summary = report["summary"]
        lines += [
            f"regions {summary['total_ml']:.1f} mL, ventricles {summary['ventricles_ml']:.1f} mL, "
            f"intracranial {summary['intracranial_ml']:.1f} mL"
        ]
    lines += [_patient(report["patient"]), *_provenance(report)]
    checks = [c for c in report["quality"] if c["grade"] != "pass"]
    lines += [f"check {c['check']}: {c['grade']}: {c['sentence']}" for c in checks]
    lines += [_reason(reason) for reason in (*report["reasons"], *report["remarks"])]
    if timings := report["timings_s"]:
        lines += ["seconds: " + ", ".join(f"{k} {v:.1f}" for k, v in timings.items())]
    return lines


_STATES: Final = {
    "full": "volumes and their comparison.",
    "limited": "volumes; the comparison is missing or reserved, for the reasons below.",
    "withheld": "the measurement failed its checks; no numbers are given.",
    "rejected": "this cannot be measured.",
    "succeeded": "measured.",
}


def _patient(patient: Report) -> str:
    age, sex = patient["age_days"], patient["sex"]
    source = (patient["age_source"] or "").replace("_", " ")
    aged = "age unknown" if age is None else f"age {age} days ({source})"
    return f"{aged}, sex {sex or 'unknown'}"


def _provenance(report: Report) -> list[str]:
    package, engine, reference = report["package"], report["engine"], report["reference"]
    lines = [
        f"package {package['name']} {package['version']}, protocol {package['protocol']} "
        f"({package['protocol_match']}), sha256 {package['sha256'][:12]}"
    ]
    if engine is not None:
        lines += [
            f"engine {engine['provider']}, {engine['precision']}, {engine['device']}, "
            f"{engine['seconds']:.1f} s"
        ]
    if reference is not None:
        lines += [
            f"reference {reference['id']} ({reference['version'][:19]}), "
            f"tier {reference['tier']}, site {reference['site_status']}"
        ]
    return lines


def _reason(reason: Report) -> str:
    return f"{reason['code']}: {reason['sentence']}"


def _draw(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn

    drawn = Drawn(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for i, title in enumerate(table.header):
        drawn.add_column(title, justify="left" if i in table.words else "right", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*row)
    console = Console()
    # A narrow terminal may wrap a line; no number may be cut.
    widest = max(len(line) for line in table.lines()) + len(table.header) + 1
    console.width = max(console.width, widest)
    console.print(drawn)
