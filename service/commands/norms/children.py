"""Whom `norms fit` and `calibrate` are made of: a table, or results that readers marked normal.

Both go the same way: the results become a table as a hospital would write it, which is read and
cleaned by the same rules.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from fontanelle.norms.cohort import Cohort
    from fontanelle.norms.cohort_rows import Rules
    from fontanelle.norms.mistakes import Mistake
    from fontanelle.records.normals import NormalChild, Normals

FIRST_ROW: Final = 2
"""The header is row 1."""
_SAME_ROWS: Final = re.compile(r"^rows ([0-9]+(?:, [0-9]+)*) ")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the children are.

    Attributes
    ----------
    table
        A file; None for the results of this installation.
    package
        Whose results are wanted, by name or digest; None where there is one only.
    """

    table: Path | None
    package: str | None = None


def source_of(table: Path | None, what: str, *, from_analyses: bool, package: str | None) -> Source:
    """Return where the children are, of what the command line says.

    Parameters
    ----------
    what
        How the command calls its table.
    """
    if (table is None) is not from_analyses:
        raise click.UsageError(f"either {what} or --from-analyses")
    if package is not None and not (from_analyses and package):
        raise click.UsageError("--package names a package, and belongs to --from-analyses")
    return Source(table, package)


def children_of(source: Source, rules: "Rules") -> "Cohort":
    """Read the children; print which results are left out, and every problem there is.

    Raises
    ------
    Refused
        With all that is wrong; nothing is computed.
    """
    from fontanelle.norms.cohort import read
    from service.commands.norms.files import text_of

    if source.table is not None:
        with listing():
            return read(text_of(source.table), rules)
    return _cleaned(_normals(source.package, rules), rules)


@contextmanager
def listing(results: "Sequence[NormalChild]" = ()) -> Iterator[None]:
    """Print what is wrong line by line, where it is more than one thing.

    Parameters
    ----------
    results
        Which the rows of the table are; empty where it is a person's own table.
    """
    from fontanelle.norms.mistakes import Malformed
    from service.commands.norms.files import naming_all_mistakes

    with naming_all_mistakes("written"):
        try:
            yield
        except Malformed as error:
            mistakes = [_of_result(each, results) for each in error.mistakes]
            raise Malformed(error.reason.code, error.opening, mistakes) from error


def _normals(package: str | None, rules: "Rules") -> "Normals":
    from fontanelle.records.normals import normals
    from service.commands.norms.files import records

    with records() as session:
        return normals(session, (rules.age_days_min, rules.age_days_max), package)


def _cleaned(found: "Normals", rules: "Rules") -> "Cohort":
    from fontanelle.norms.cohort import read

    used = found.children
    for each in found.left_out:
        click.echo(f"left out: analysis {each.analysis_id}: {each.why}")
    marked, limited = len(used) + len(found.left_out), sum(child.is_limited for child in used)
    click.echo(
        f"{marked} results are marked normal, and {len(used)} are used; {limited} of these are "
        "limited."
    )
    with listing(used):
        return read(table_of(used), rules)


def table_of(children: "Sequence[NormalChild]") -> str:
    """Return children as a hospital's own table, each named by the number of its analysis."""
    from fontanelle.norms.cohort_rows import INTRACRANIAL, REQUIRED, WEEKS

    # A package may have other regions than are wanted: they are named as in any table.
    regions = tuple(children[0].volumes_ml)
    has_intracranial = all(child.intracranial_ml is not None for child in children)
    optional = (WEEKS, INTRACRANIAL) if has_intracranial else (WEEKS,)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow((*REQUIRED, *optional, *regions))
    for child in children:
        cells = (
            child.analysis_id,
            child.age_days,
            child.sex,
            child.protocol,
            child.package_sha256,
            "" if child.gestational_age_weeks is None else child.gestational_age_weeks,
            *((child.intracranial_ml,) if has_intracranial else ()),
            *(child.volumes_ml[region] for region in regions),
        )
        rows.writerow(cells)
    return text.getvalue()


def _of_result(mistake: "Mistake", results: "Sequence[NormalChild]") -> "Mistake":
    """Name the analysis where a table names a row."""
    from fontanelle.norms.mistakes import Mistake

    if not results:
        return mistake

    def analysis(row: int | str) -> str:
        return str(results[int(row) - FIRST_ROW].analysis_id)

    if mistake.row is not None:
        return Mistake(
            "", f"analysis {analysis(mistake.row)}: {Mistake(mistake.where, mistake.what)}"
        )
    same = _SAME_ROWS.match(mistake.what)
    if same is None:
        return mistake
    which = ", ".join(analysis(row) for row in same[1].split(", "))
    return Mistake("", f"analyses {which} {mistake.what[same.end() :]}")
