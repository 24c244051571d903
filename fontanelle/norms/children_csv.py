"""A table of children as CSV: its cells by column, or every reason why they cannot be told apart.

One row a child, comma-separated, UTF-8, the columns in any order; cells are stripped, and rows
without any text left out. Which columns there are, and what a cell may hold, is the business of
`cohort` (normal children, of whom something is made) and `cohort_table` (children to be compared).
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

from fontanelle.norms.mistakes import Malformed, Mistake

Row = dict[str, str]
Record = tuple[int, list[str]]
"""Number in the table, the header being 1, and cells."""
Refusal = Callable[[list[Mistake]], Malformed]
"""What a table with these mistakes is refused with."""


def records_of(text: str, refusal: Refusal) -> list[Record]:
    """Return the records of a table that hold anything.

    Raises
    ------
    Malformed
        The text is no CSV.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        # A quoted cell may hold line breaks: the number is that of the record, as a sheet shows it.
        return [
            (at, [cell.strip() for cell in cells])
            for at, cells in enumerate(reader, start=1)
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise refusal([Mistake("", f"it is no CSV: {error}.")]) from error


def rows_of(
    records: Sequence[Record], wrong_in_header: Iterator[str], refusal: Refusal
) -> list[tuple[int, Row]]:
    """Return row numbers and cells by column.

    Raises
    ------
    Malformed
        Something is wrong with the header, or rows are longer or shorter than it is.
    """
    (at_header, header), *body = records
    mistakes = [Mistake("", sentence, row=at_header) for sentence in wrong_in_header]
    mistakes += [
        Mistake("", f"{len(cells)} cells where the header has {len(header)}.", row=at)
        for at, cells in body
        if len(cells) != len(header)
    ]
    if mistakes:
        raise refusal(mistakes)
    return [(at, dict(zip(header, cells, strict=True))) for at, cells in body]


def wrong_columns(
    header: Sequence[str], wanted: Collection[str], optional: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for every column that is not known, repeated or missing."""
    for name, count in Counter(header).items():
        if name not in {*wanted, *optional}:
            yield f"the column '{name}' is not known."
        elif count > 1:
            yield f"the column {name} occurs {count} times."
    for name in wanted:
        if name not in header:
            yield f"the column {name} is missing."
