"""A result for a person at a terminal: a table there, plain aligned lines in a pipe."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from fontanelle.errors import Reason
from fontanelle.imaging.quality import Grade
from fontanelle.imaging.volumes import RegionVolumes
from fontanelle.norms.comparison import Flag, ProtocolMatch, RegionComparison
from fontanelle.reports import notice
from fontanelle.reports.result import Result
from fontanelle.reports.withholding import redacted

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


def show(result: Result, *, coloured: bool) -> None:
    """Print a result: what was found, what it was compared with, and every reservation.

    Parameters
    ----------
    result
        Any result; a withheld one shows no numbers.
    coloured
        A terminal: draw the table with rules and bold type.
    """
    result = redacted(result)
    table = table_of(result)
    if table is not None and coloured:
        _draw(table)
    elif table is not None:
        click.echo("\n".join(table.lines()))
    click.echo("\n".join(summary_of(result)))


def show_files(written: Iterable[Path]) -> None:
    """Print where the files are, one a line."""
    for path in written:
        click.echo(f"wrote {path}")


def table_of(result: Result) -> Table | None:
    """Return the table of regions; None where there are no volumes."""
    if result.volumes is None:
        return None
    compared = {c.region: c for c in result.comparison.regions} if result.comparison else {}
    labels = {region.name: region.label for region in result.region_set.regions}
    provisional = result.package.protocol_match is ProtocolMatch.APPROXIMATE
    z = "prov. z" if provisional else "z"
    return Table(
        ("region", "mL", "tissue", "expected", "95 % range", z, "centile", "remark"),
        tuple(_row(labels[v.region], v, compared.get(v.region)) for v in result.volumes.regions),
        remarks=True,
    )


def _row(label: str, measured: RegionVolumes, c: RegionComparison | None) -> tuple[str, ...]:
    volumes = (measured.compartment_ml, measured.parenchyma_ml)
    return (label, *(f"{volume:.1f}" for volume in volumes), *_compared(c))


def _compared(c: RegionComparison | None) -> tuple[str, ...]:
    if c is None:
        return (_NONE,) * 5
    return (
        _number(c.expected_ml, ".1f"),
        _NONE if c.low_ml is None else f"{c.low_ml:.1f}-{c.high_ml:.1f}",
        _number(c.z, "+.2f"),
        _centile(c.centile),
        _remark(c),
    )


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _centile(value: float | None) -> str:
    # No child is at 0 or 100: rounding must not say so.
    if value is not None and not 0.1 <= value <= 99.9:
        return "<0.1" if value < 50 else ">99.9"
    return _number(value, ".1f")


def _remark(compared: RegionComparison) -> str:
    if compared.flag is Flag.NOT_COMPARED and compared.reasons:
        return str(compared.reasons[0].code)
    return compared.flag.replace("_", " ")


def summary_of(result: Result) -> list[str]:
    """Return the lines below the table: sums, provenance, reservations."""
    state = result.fitness or result.state
    lines = [f"{state}: " + _STATES[str(state)]]
    if result.volumes is not None:
        volumes = result.volumes
        lines += [
            f"regions {volumes.total_ml:.1f} mL, ventricles {volumes.ventricles_ml:.1f} mL, "
            f"intracranial {volumes.intracranial_ml:.1f} mL"
        ]
    lines += [_patient(result), *_provenance(result)]
    checks = [c for c in result.quality if c.grade is not Grade.PASS]
    lines += [f"check {c.check}: {c.grade}: {c.sentence}" for c in checks]
    lines += [_reason(reason) for reason in (*result.reasons, *result.remarks)]
    if result.timings_s:
        lines += ["seconds: " + ", ".join(f"{k} {v:.1f}" for k, v in result.timings_s.items())]
    return lines


_STATES: Final = {
    "full": "volumes and their comparison.",
    "limited": "volumes; the comparison is missing or reserved, for the reasons below.",
    "withheld": "the measurement failed its checks; no numbers are given.",
    "rejected": "this cannot be measured.",
    "succeeded": "measured.",
}


def _patient(result: Result) -> str:
    age, sex = result.patient.age_days, result.patient.sex
    source = (result.patient.age_source or "").replace("_", " ")
    aged = "age unknown" if age is None else f"age {age} days ({source})"
    return f"{aged}, sex {sex or 'unknown'}"


def _provenance(result: Result) -> list[str]:
    package = result.package
    lines = [
        f"package {package.name} {package.version}, protocol {package.protocol} "
        f"({package.protocol_match}), sha256 {package.sha256[:12]}"
    ]
    if (engine := result.engine) is not None:
        lines += [
            f"engine {engine.provider}, {engine.precision}, {engine.device}, {engine.seconds:.1f} s"
        ]
    if (compared := result.comparison) is not None:
        lines += [
            f"reference {compared.reference_id} ({compared.reference_version[:19]}), "
            f"tier {compared.tier}, site {compared.site_status}"
        ]
    return lines


def _reason(reason: Reason) -> str:
    return f"{reason.code}: {reason.sentence}"


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
