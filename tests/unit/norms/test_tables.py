"""CSV and JSON say the same: exact in both directions, and every mistake has its row."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code
from fontanelle.norms import schema
from fontanelle.norms.mistakes import Malformed
from fontanelle.norms.reference import load
from fontanelle.norms.table import from_csv, read, to_csv
from tests.unit.norms import others
from tests.unit.norms.cases import XI, XI_TEXT


@pytest.mark.parametrize(
    "text", [XI_TEXT, others.text_of(others.mean_sd()), others.text_of(others.lms())]
)
def test_a_reference_survives_the_way_through_csv_to_the_last_digit(text: str) -> None:
    reference, written = read(to_csv(text))

    assert written and json.loads(written) == json.loads(text)
    assert reference == load(text)
    assert to_csv(written) == to_csv(text)


def test_json_is_taken_as_it_stands() -> None:
    assert read(XI_TEXT) == (XI, XI_TEXT)
    assert read("\ufeff" + XI_TEXT)[0] == XI


def test_a_table_without_its_digest_is_sealed_when_it_is_read() -> None:
    table = to_csv(XI_TEXT)
    rows = [row for row in table.splitlines() if not row.startswith("digest.")]

    reference, written = read("\n".join(rows))

    assert reference.version == XI.version
    assert load(written) == XI


def test_a_table_can_be_edited_in_a_spreadsheet_that_reorders_columns_and_ends_lines_its_way() -> (
    None
):
    import csv
    import io

    rows = list(csv.DictReader(io.StringIO(to_csv(XI_TEXT))))
    columns = list(reversed(rows[0]))
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)

    assert read("\ufeff" + written.getvalue() + "\r\n" + "," * 8 + "\r\n")[0] == XI


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
numbers = st.one_of(
    st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False)
)
sources = st.fixed_dictionaries(
    {"value": st.one_of(numbers, texts, st.none()), "unit": texts, "source": texts},
    optional={
        "se": st.one_of(numbers, st.none()),
        "definition": st.one_of(texts, st.none()),
        "range": st.one_of(st.none(), st.tuples(numbers, numbers).map(list)),
    },
).map(lambda each: each | {"status": "derived"})
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda k: k != "rows")
leaves = st.one_of(numbers, texts, st.booleans(), st.none(), st.lists(texts, max_size=3))
branches = st.dictionaries(keys, st.one_of(leaves, sources), max_size=4)
named = st.lists(keys, unique=True, min_size=1, max_size=3)
whole = st.fixed_dictionaries(
    {
        "population": branches,
        "contradictions": st.lists(branches.filter(bool), max_size=3),
        "central": st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=3),
        "regions": named.flatmap(
            lambda names: st.tuples(
                *(
                    st.dictionaries(keys.filter(lambda k: k != "name"), sources, min_size=1).map(
                        lambda each, name=name: {"name": name, **each}
                    )
                    for name in names
                )
            ).map(list)
        ),
    }
)


@given(whole)
def test_anything_that_a_reference_may_hold_survives_the_table(members: dict[str, Any]) -> None:
    found = from_csv(to_csv(json.dumps(members))).members

    # Through text: 6 and 6.0 are equal numbers, and different references.
    assert json.dumps(found, sort_keys=True) == json.dumps(members, sort_keys=True)


def changed(old: str, new: str) -> str:
    table = to_csv(XI_TEXT)
    assert old in table
    return table.replace(old, new, 1)


def row_with(where: str) -> int:
    rows = to_csv(XI_TEXT).splitlines()
    return next(n for n, row in enumerate(rows, start=1) if row.startswith(f"{where},"))


WRONG = [
    (changed("where,value", "where,worth"), "unknown column 'worth'", 1),
    (changed("where,value", "where,worth"), "missing column 'value'", 1),
    (changed("status,source", "status,status"), "column 'status' stands twice", 1),
    (changed("definition\r\n", "definition,note\r\n"), "unknown column 'note'", 1),
    (changed("revision,1", "id,1"), "id stands twice", row_with("revision")),
    (changed("revision,1", "id.more,1"), "inside what has a value", row_with("revision")),
    (changed("revision,1", ".revision,1"), "no path in where", row_with("revision")),
    (changed("revision,1", "revision,"), "no value", row_with("revision")),
    (changed("revision,1,", "revision,1,1,"), "more cells than columns", row_with("revision")),
    (changed("left_frontal.mean,204.51,", "left_frontal.mean,x,"), "valid number", "left_frontal"),
    (changed("left_frontal.mean,204.51,", "left_frontal.mean,NaN,"), "", None),
    (changed(",published,", ",rumoured,"), "status", None),
    (changed("cerebellum.sd,11.85,", "cerebellum.sd,-1.0,"), "is not above 0", "cerebellum.sd"),
    (changed('"[1.0, ', '"[2.0, '), "diagonal other than 1", "correlations.central"),
    ("", "missing column", 1),
    ("where\n", "missing column", 1),
    ('where,"', "unexpected end of data", 1),
]


@pytest.mark.parametrize(("table", "words", "row"), WRONG)
def test_every_mistake_of_a_table_names_its_row(table: str, words: str, row: object) -> None:
    with pytest.raises(Malformed) as caught:
        read(table)

    error = caught.value
    assert error.reason.code in {Code.REFERENCE_INVALID, Code.REFERENCE_DIGEST}
    assert words in error.reason.sentence
    if isinstance(row, int):
        assert row in [each.row for each in error.mistakes if words in each.what]
    if isinstance(row, str):
        rows = to_csv(XI_TEXT).splitlines()
        said = [rows[each.row - 1] for each in error.mistakes if each.row and words in each.what]
        assert any(row in line for line in said)


def test_all_mistakes_of_a_table_are_named_at_once() -> None:
    table = changed("left_frontal.mean,204.51,", "left_frontal.mean,-1.0,").replace(
        "brainstem.sd,1.5,", "brainstem.sd,0.0,"
    )

    with pytest.raises(Malformed) as caught:
        read(table)

    rows = [each.row for each in caught.value.mistakes]
    assert row_with("regions.left_frontal.mean") in rows
    assert row_with("regions.brainstem.sd") in rows
    # The digest was wrong, too; and the total's mean is no longer the sum.
    assert row_with("digest.value") in rows and row_with("total.mean") in rows


def test_the_published_schema_is_that_of_the_models() -> None:
    assert schema.published() == schema.made(), (
        "write fontanelle.norms.schema.made() to fontanelle/norms/reference.schema.json"
    )


def test_the_schema_knows_every_kind_of_model_and_nothing_else() -> None:
    said = json.loads(schema.published())

    kinds = {
        definition["properties"]["kind"]["const"]
        for name, definition in said["$defs"].items()
        if name.endswith("ModelDocument")
    }
    assert kinds == {"linear", "mean_sd", "lms"}
    closed = {
        name: definition.get("additionalProperties") for name, definition in said["$defs"].items()
    }
    assert all(each is not None for name, each in closed.items() if name.endswith("Document"))
