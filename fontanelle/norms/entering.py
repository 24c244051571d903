"""The tables of Xi et al. 2025 as a person types them in: template, reading, a second pair of eyes.

Tables 2 to 5 exist as pictures only. The template has one row a number; comma-separated, UTF-8:

    table, row, quantity, unit    as in the template; neither changed nor left out
    value                         as printed, with its decimals; `<0.001` where p is printed so;
                                  empty where the article does not print it

Table 2 has means and SDs by sex, Tables 3 and 4 the regressions on sex (1 male, 2 female) and on
age in years, Table 5 the paired tests of left against right.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from fontanelle.errors import Code
from fontanelle.norms.mistakes import Malformed, Mistake

COLUMNS = ("table", "row", "quantity", "unit", "value")
LARGEST = Decimal(100_000)

Place = tuple[str, str, str]
"""Table, row and quantity."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of each row of a table: whether it has to be there, and what it is."""

    name: str
    unit: str
    is_needed: bool


REGRESSION = (
    Quantity("se", "", False),
    Quantity("t", "1", False),
    Quantity("p", "1", False),
    Quantity("r_squared", "1", False),
)
BY_SEX = tuple(
    Quantity(f"{sex}_{what}", "mL", True) for sex in ("male", "female") for what in ("mean", "sd")
)
TABLES: Mapping[str, tuple[Quantity, ...]] = {
    "2": BY_SEX,
    "3": (Quantity("coefficient", "mL", True), *REGRESSION),
    "4": (Quantity("coefficient", "mL/year", True), *REGRESSION),
    "5": (
        Quantity("mean_difference", "mL", False),
        Quantity("effect_size", "1", False),
        Quantity("t", "1", False),
        Quantity("p", "1", False),
    ),
}
OF_PAIRS = "5"
ONE_OF = {"3": ("se", "t"), "4": ("se", "t"), "5": ("effect_size", "t")}
"""Of these at least one has to be there: either follows from the other."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A number as it was typed.

    Attributes
    ----------
    value
        In the unit of its row.
    half
        Half a unit of its last digit: what rounding may have hidden.
    is_bound
        Whether it was printed as `<value`.
    row
        Line of the file, the header being 1.
    """

    value: float
    half: float
    is_bound: bool
    row: int


@dataclass(frozen=True, slots=True)
class Tables:
    """All that was typed in, by place; what the article does not print is absent."""

    typed: Mapping[Place, Typed]

    def get(self, table: str, row: str, quantity: str) -> Typed | None:
        """Return a number, or None where there is none."""
        return self.typed.get((table, row, quantity))

    def need(self, table: str, row: str, quantity: str) -> Typed:
        """Return a number that `read` has made sure of."""
        return self.typed[table, row, quantity]


def places(regions: Iterable[str], pairs: Iterable[str]) -> Iterator[tuple[Place, Quantity]]:
    """Yield every number that is asked for, in the order of the template."""
    names, of_pairs = tuple(regions), tuple(pairs)
    for table, quantities in TABLES.items():
        for row in of_pairs if table == OF_PAIRS else names:
            for quantity in quantities:
                yield (table, row, quantity.name), _with_unit(table, quantity)


def template(regions: Iterable[str], pairs: Iterable[str]) -> str:
    """Return the template, without values."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*place, quantity.unit, "") for place, quantity in places(regions, pairs))
    return written.getvalue()


def read(text: str, regions: Iterable[str], pairs: Iterable[str]) -> Tables:
    """Read a filled template.

    Raises
    ------
    Malformed
        `reference.tables`: rows or columns that are unknown, missing or twice there, other units,
        values that are no numbers; all of them.
    """
    wanted = dict(places(regions, pairs))
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = next(lines, [])
        if found := list(_header(header)):
            raise refusal(found)
        numbered = [(lines.line_num, cells) for cells in lines if any(cells)]
    except csv.Error as error:
        raise refusal([Mistake("", f"{error}.", lines.line_num)]) from error
    mistakes: list[Mistake] = []
    typed: dict[Place, Typed] = {}
    seen: dict[Place, int] = {}
    for number, cells in numbered:
        try:
            place, value = _line(dict(zip(header, cells, strict=False)), number, wanted, seen)
        except ValueError as error:
            mistakes.append(Mistake("", f"{error}.", number))
        else:
            if value is not None:
                typed[place] = value
    mistakes += _missing(wanted, seen, typed, spoilt=bool(mistakes))
    if mistakes:
        raise refusal(mistakes)
    return Tables(typed)


def differences(one: Tables, other: Tables) -> list[Mistake]:
    """Return the numbers that two persons typed differently; the row is that of the first."""
    found = []
    for place in sorted({*one.typed, *other.typed}):
        first, second = one.typed.get(place), other.typed.get(place)
        if _shown(first) != _shown(second):
            table, row, quantity = place
            found.append(
                Mistake(
                    f"Table {table}, {row}, {quantity}",
                    f"{_shown(first)} here, {_shown(second)} in the other entry.",
                    first.row if first else None,
                )
            )
    return found


def refusal(mistakes: Iterable[Mistake]) -> Malformed:
    """Return the refusal of tables, with all that is wrong."""
    return Malformed(Code.TABLES_INVALID, "The tables as typed in are not taken.", mistakes)


def _with_unit(table: str, quantity: Quantity) -> Quantity:
    """Return a quantity with its unit: a standard error has that of its coefficient."""
    unit = quantity.unit or TABLES[table][0].unit
    return Quantity(quantity.name, unit, quantity.is_needed)


def _header(header: list[str]) -> Iterator[Mistake]:
    for name in header:
        if name not in COLUMNS:
            yield Mistake("", f"unknown column {name!r}.", 1)
    for name in COLUMNS:
        if header.count(name) != 1:
            what = "missing" if name not in header else "repeated"
            yield Mistake("", f"{what} column {name!r}.", 1)


def _line(
    cells: Mapping[str, str], number: int, wanted: Mapping[Place, Quantity], seen: dict[Place, int]
) -> tuple[Place, Typed | None]:
    place = (cells.get("table", ""), cells.get("row", ""), cells.get("quantity", ""))
    name = f"table {place[0]}, {place[1]}, {place[2]}"
    if place not in wanted:
        raise ValueError(f"{name} is no row of the template")
    if place in seen:
        raise ValueError(f"{name} stands twice")
    seen[place] = number
    if cells.get("unit", "") != wanted[place].unit:
        raise ValueError(f"{name} is in {wanted[place].unit}, not in {cells.get('unit', '')!r}")
    text = cells.get("value", "").strip()
    return place, _typed(text, number, name, is_p=place[2] == "p") if text else None


def _typed(text: str, number: int, name: str, *, is_p: bool) -> Typed:
    is_bound = text.startswith("<")
    if is_bound and not is_p:
        raise ValueError(f"{name} has a bound, {text!r}; only p may")
    try:
        value = Decimal(text.removeprefix("<").strip())
    except InvalidOperation:
        raise ValueError(f"{name} is no number: {text!r}") from None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or abs(value) > LARGEST:
        raise ValueError(f"{name} is no number of such a table: {text!r}")
    return Typed(float(value), 0.5 * 10.0**exponent, is_bound, number)


def _missing(
    wanted: Mapping[Place, Quantity],
    seen: dict[Place, int],
    typed: Mapping[Place, Typed],
    *,
    spoilt: bool,
) -> Iterator[Mistake]:
    for place, quantity in wanted.items():
        table, row, name = place
        where = f"Table {table}, {row}"
        either = ONE_OF.get(table, ())
        if place not in seen and not spoilt:
            yield Mistake(f"{where}, {name}", "the row is missing.")
        elif quantity.is_needed and place in seen and place not in typed and not spoilt:
            yield Mistake(f"{where}, {name}", "has no value.", seen[place])
        elif either and name == either[0] and not any((table, row, n) in typed for n in either):
            yield Mistake(where, f"needs {' or '.join(either)}.", seen.get(place))


def _shown(typed: Typed | None) -> str:
    if typed is None:
        return "nothing"
    return f"<{typed.value:g}" if typed.is_bound else f"{typed.value:g}"
