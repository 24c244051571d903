"""A reference as a table: CSV that a person can read and edit, without loss in either direction.

One row a number, with its provenance; comma-separated, UTF-8, the columns in any order:

    where        path of the number, such as `regions.left_frontal.mean`
    value        of the number, or of anything else that is no number with provenance
    status       published, derived, local or unknown; it makes the row one of a number
    unit         text; it and all below are empty where there is no status
    source       text
    low, high    range; may be empty
    se           standard error; may be empty
    definition   may be empty
    sex, age_days, L, M, S    of references of kind `lms` only: one row of such a table each, with
                              `where` the path of its rows, such as `regions.liver.lms.rows`

Regions stand in the path by name and asymmetries by pair, in the order of their first rows; other
lists by number from 1, a list of plain values in one cell as JSON. Other cells than those of text
hold JSON, or as it stands a text that is no JSON. A table without rows of `digest` is sealed when
it is read.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fontanelle.errors import Code
from fontanelle.norms.mistakes import Malformed, Mistake
from fontanelle.norms.reference import JsonValue, Members, load, members_of, sealed
from fontanelle.norms.values import Reference

TEXTS = ("unit", "status", "source")
NUMBER = ("value", *TEXTS)
MAYBE = ("se", "definition")
COLUMNS = ("where", *NUMBER, "low", "high", *MAYBE)
LMS_COLUMNS = ("sex", "age_days", "L", "M", "S")
NAMED_BY = {"regions": "name", "asymmetry": "pair"}
ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a table holds: the members, and in which row each path stands (the header is 1)."""

    members: Members
    rows: Mapping[str, int]

    def row_of(self, where: str) -> int | None:
        """Return the row of a place, of the first inside it, or of the nearest that encloses it."""
        parts = self._named(where.split("."))
        while parts:
            path = ".".join(parts)
            inside = (row for name, row in self.rows.items() if name.startswith(f"{path}."))
            if (found := self.rows.get(path, next(inside, None))) is not None:
                return found
            parts = parts[:-1]
        return None

    def _named(self, parts: list[str]) -> list[str]:
        """Return a path as the table writes it, where the document counts from 0."""
        listed: Any = self.members
        named = []
        for depth, part in enumerate(parts):
            if isinstance(listed, list) and part.isdigit() and int(part) < len(listed):
                listed = listed[int(part)]
                key = NAMED_BY.get(parts[0]) if depth == 1 else None
                named.append(str(listed[key]) if key else str(int(part) + 1))
            else:
                listed = listed.get(part) if isinstance(listed, dict) else None
                named.append(part)
        return named


def read(text: str) -> tuple[Reference, str]:
    """Read a reference from JSON or CSV; return it and the text of its JSON.

    Raises
    ------
    Malformed
        As `load` does; of a table each mistake names its row.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in {"{", "["}:
        return load(text), text
    sheet = from_csv(text)
    written = (
        json.dumps(sheet.members, indent=1, ensure_ascii=False) + "\n"
        if "digest" in sheet.members
        else sealed(sheet.members)
    )
    try:
        return load(written), written
    except Malformed as error:
        found = [
            Mistake(each.where, each.what, sheet.row_of(each.where)) for each in error.mistakes
        ]
        raise Malformed(error.reason.code, "The table is no reference.", found) from error


def to_csv(text: str) -> str:
    """Return the table of a reference's JSON."""
    rows = list(_rows((), members_of(text)))
    is_lms = any("sex" in row for row in rows)
    written = io.StringIO()
    writer = csv.DictWriter(
        written,
        (*COLUMNS, *LMS_COLUMNS) if is_lms else COLUMNS,
        restval="",
        lineterminator="\r\n",  # RFC 4180; and a writer quotes what its line ends are made of
    )
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def from_csv(text: str) -> Sheet:
    """Return what a table holds; whether it is a reference is not asked here.

    Raises
    ------
    Malformed
        `reference.invalid`: unknown, missing or repeated columns, paths that stand twice or that
        contradict each other, cells too many; all of them.
    """
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        _refuse(_header(header))
        numbered = [(lines.line_num, cells) for cells in lines if any(cells)]
    except csv.Error as error:
        raise _malformed([Mistake("", f"{error}.", lines.line_num)]) from error
    mistakes: list[Mistake] = []
    tree: dict[str, Any] = {}
    rows: dict[str, int] = {}
    for number, cells in numbered:
        try:
            where, value = _cell_values(header, cells)
            _put(tree, where, value, is_more=where in rows and where.endswith(f".{ROWS}"))
        except ValueError as error:
            mistakes.append(Mistake("", f"{error}.", number))
        else:
            rows.setdefault(where, number)
    _refuse(mistakes)
    return Sheet(_listed(tree), rows)


def _refuse(mistakes: list[Mistake]) -> None:
    if mistakes:
        raise _malformed(mistakes)


def _malformed(mistakes: list[Mistake]) -> Malformed:
    return Malformed(Code.REFERENCE_INVALID, "The table cannot be read.", mistakes)


def _header(header: list[str]) -> list[Mistake]:
    known = (*COLUMNS, *LMS_COLUMNS)
    wanted = known if set(LMS_COLUMNS) & set(header) else COLUMNS
    return [
        *(Mistake("", f"unknown column {name!r}.", 1) for name in header if name not in known),
        *(Mistake("", f"missing column {name!r}.", 1) for name in wanted if name not in header),
        *(
            Mistake("", f"column {name!r} stands twice.", 1)
            for name in sorted({name for name in header if header.count(name) > 1})
        ),
    ]


# From members to rows


def _rows(path: tuple[str, ...], value: JsonValue) -> Iterator[dict[str, str]]:
    where = ".".join(path)
    if isinstance(value, dict) and _is_number(value):
        yield {"where": where, **_number_cells(value)}
    elif isinstance(value, dict) and value:
        for key, member in value.items():
            yield from _rows((*path, key), member)
    elif isinstance(value, list) and value and isinstance(value[0], dict | list):
        yield from _items(path, value)
    else:
        yield {"where": where, "value": _cell(value)}


def _items(path: tuple[str, ...], values: Iterable[JsonValue]) -> Iterator[dict[str, str]]:
    key = NAMED_BY.get(path[0]) if len(path) == 1 else None
    for number, value in enumerate(values, start=1):
        if path[-1] == ROWS and isinstance(value, dict):
            yield {"where": ".".join(path), **{name: _cell(value[name]) for name in LMS_COLUMNS}}
        elif key is not None and isinstance(value, dict):
            rest = {name: member for name, member in value.items() if name != key}
            yield from _rows((*path, str(value[key])), rest)
        elif isinstance(value, dict):
            yield from _rows((*path, str(number)), value)
        else:
            yield {"where": ".".join((*path, str(number))), "value": _cell(value)}


def _is_number(value: Mapping[str, JsonValue]) -> bool:
    return set(NUMBER) <= set(value) <= {*NUMBER, *MAYBE, "range"}


def _number_cells(value: Mapping[str, JsonValue]) -> dict[str, str]:
    cells = {name: str(value[name]) for name in TEXTS}
    cells |= {name: _cell(value[name]) for name in ("value", *MAYBE) if name in value}
    if "range" in value:
        span = value["range"]
        low, high = span if isinstance(span, list) else (None, None)
        cells |= {"low": _cell(low), "high": _cell(high)}
    return cells


def _cell(value: JsonValue) -> str:
    """Return JSON, or a text as it stands where it could not be taken for JSON or for nothing."""
    if isinstance(value, str) and value and _value(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


# From rows to members


def _value(cell: str) -> JsonValue:
    try:
        found: JsonValue = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return found


def _cell_values(header: list[str], cells: list[str]) -> tuple[str, JsonValue]:
    if len(cells) > len(header):
        raise ValueError("more cells than columns")
    row = dict(zip(header, cells, strict=False))
    where = row.get("where", "")
    if not all(where.split(".")):
        raise ValueError(f"no path in where: {where!r}")
    filled = {
        name: cell if name in TEXTS else _value(cell)
        for name, cell in row.items()
        if cell and name != "where"
    }
    if set(filled) & set(LMS_COLUMNS):
        if set(filled) != set(LMS_COLUMNS):
            raise ValueError(f"a row of a table of L, M and S needs {', '.join(LMS_COLUMNS)} alone")
        return where, [filled]
    if "value" not in filled:
        raise ValueError("no value; what is not known is null")
    if set(filled) == {"value"}:
        return where, filled["value"]
    return where, _number_of(filled)


def _number_of(filled: Members) -> Members:
    if "status" not in filled:
        raise ValueError("a number with provenance needs a status")
    number = {name: filled.get(name, "") for name in NUMBER}
    number |= {name: filled[name] for name in MAYBE if name in filled}
    span = [filled[name] for name in ("low", "high") if name in filled]
    if len(span) == 1:
        raise ValueError("a range needs low and high")
    if span:
        number["range"] = None if span == [None, None] else span
    return number


def _put(tree: dict[str, Any], where: str, value: JsonValue, *, is_more: bool) -> None:
    *parents, last = where.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict) or _is_number(tree):
            raise ValueError(f"{where} lies inside what has a value of its own")
    if is_more:
        tree[last] += value
    elif last in tree:
        raise ValueError(f"{where} stands twice")
    else:
        tree[last] = value


def _listed(tree: dict[str, Any]) -> Members:
    """Return the tree with lists where its keys are names of regions and pairs, or numbers."""
    members: Members = {}
    for key, value in tree.items():
        named_by = NAMED_BY.get(key)
        if named_by is not None and isinstance(value, dict):
            members[key] = [
                {named_by: name, **_branch(member)} if isinstance(member, dict) else member
                for name, member in value.items()
            ]
        else:
            members[key] = _branches(value)
    return members


def _branches(value: Any) -> JsonValue:  # noqa: ANN401 (any JSON)
    if not isinstance(value, dict) or _is_number(value):
        found: JsonValue = value
        return found
    if value and list(value) == [str(number) for number in range(1, len(value) + 1)]:
        return [_branches(member) for member in value.values()]
    return _branch(value)


def _branch(tree: dict[str, Any]) -> Members:
    return {key: _branches(value) for key, value in tree.items()}
