"""A hospital's table of children: read whole, or refused with all that is wrong with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fontanelle.errors import Code
from fontanelle.norms.cohort import read, rules_of
from fontanelle.norms.mistakes import Malformed
from tests.unit.norms.cases import XI
from tests.unit.norms.simulated import changed, rows, text

RULES = rules_of(XI, least=20, least_per_sex=3)


def problems(table: str, rules=RULES) -> list[str]:
    with pytest.raises(Malformed) as refusal:
        read(table, rules)
    assert refusal.value.reason.code is Code.COHORT_INVALID
    return [str(mistake) for mistake in refusal.value.mistakes]


def test_a_table_is_read_as_it_stands() -> None:
    table = rows(30, 1)

    cohort = read(text(table), RULES)

    assert cohort.n == 30
    assert cohort.volumes_ml.shape == (30, 10)
    assert cohort.volumes_ml[4, 9] == float(table[4]["brainstem"])
    assert [str(days) for days in cohort.age_days] == [row["age_days"] for row in table]
    assert cohort.protocol == "xi2025-matched"


def test_the_order_of_columns_and_a_byte_order_mark_do_not_matter() -> None:
    table = rows(30, 1)
    turned = [dict(reversed(row.items())) for row in table]

    one, other = read(text(table), RULES), read("\ufeff" + text(turned), RULES)

    np.testing.assert_array_equal(one.volumes_ml, other.volumes_ml)


def test_children_born_before_37_weeks_are_left_out_and_counted() -> None:
    table = rows(30, 1)
    table[3]["gestational_age_weeks"] = "36.9"
    table[4]["gestational_age_weeks"] = "37"
    table[5]["gestational_age_weeks"] = ""

    cohort = read(text(table), RULES)

    assert (cohort.n, cohort.rows_read, cohort.left_out_preterm) == (29, 30, 1)
    assert cohort.weeks_unknown == 1


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("left_frontal", "-204.5", "left_frontal is -204.5: negative."),
        ("left_frontal", "0", "left_frontal is 0: the region was not found."),
        ("left_frontal", "NaN", "left_frontal is NaN, no finite number."),
        ("left_frontal", "inf", "left_frontal is inf, no finite number."),
        ("left_frontal", "1_0", "no number with a decimal point"),
        ("left_frontal", "", "no number with a decimal point"),
        ("left_frontal", "204500", "seems to be in mm3; mL are wanted, none converted."),
        ("left_frontal", "0.2045", "seems to be in litres; mL are wanted, none converted."),
        ("cerebellum", "700", "times the reference's mean: not to be believed."),
        ("left_frontal", "120.0", "no normal head, or no good segmentation."),
        ("age_days", "547", "age_days is 547, outside 548 to 913 days."),
        ("age_days", "914", "age_days is 914, outside 548 to 913 days."),
        ("age_days", "1.98", "whole days are wanted"),
        ("age_days", "-600", "whole days are wanted"),
        ("sex", "1", "sex is '1'; M or F is wanted."),
        ("sex", "m", "sex is 'm'; M or F is wanted."),
        ("gestational_age_weeks", "280", "outside 20 to 45 weeks."),
        ("child", "", "child is empty."),
        ("package_sha256", "abc", "no SHA-256"),
        ("protocol", "assemblynet", "protocol is 'assemblynet', not xi2025-matched."),
    ],
)
def test_a_bad_cell_is_named_with_its_row(column, cell, said) -> None:
    found = problems(changed(rows(30, 1), lambda table: table[6].update({column: cell})))

    assert any(each.startswith("row 8: ") and said in each for each in found)


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "mm3"), (0.001, "litres")])
def test_a_row_in_another_unit_is_refused_and_not_converted(factor, unit) -> None:
    def rescale(table) -> None:
        for name in XI.region_names:
            table[0][name] = str(float(table[0][name]) * factor)

    assert problems(changed(rows(30, 1), rescale)) == [
        f"row 2: all volumes seem to be in {unit}; mL are wanted, and nothing is converted."
    ]


def test_all_problems_are_listed_at_once() -> None:
    def spoil(table) -> None:
        table[0]["sex"] = "2"
        table[1]["age_days"] = "24"
        table[9]["child"] = table[2]["child"]
        for name in XI.region_names:
            table[9][name] = table[2][name]
        table[5]["package_sha256"] = "b" * 64

    assert problems(changed(rows(30, 1), spoil)) == [
        "row 2: sex is '2'; M or F is wanted.",
        "row 3: age_days is 24, outside 548 to 913 days.",
        "rows 4, 11 are of the same child.",
        "rows 4, 11 hold the same volumes.",
        "package_sha256 differs between rows (2 of them): one is wanted.",
    ]


def test_unknown_missing_and_repeated_columns_are_errors() -> None:
    table = text(rows(30, 1)).replace("left_frontal", "frontal_left", 1)
    table = table.replace("gestational_age_weeks", "sex", 1)

    assert problems(table) == [
        "row 1: the column sex occurs 2 times.",
        "row 1: the column 'frontal_left' is not known.",
        "row 1: the column left_frontal is missing.",
    ]


def test_rows_are_counted_as_a_sheet_shows_them_empty_ones_included() -> None:
    table = text(rows(30, 1)).replace("left_frontal", "frontal_left", 1)

    assert problems("\n\n" + table)[0] == "row 3: the column 'frontal_left' is not known."


def test_a_row_with_too_few_cells_is_named() -> None:
    lines = text(rows(30, 1)).splitlines()
    lines[4] = lines[4].rpartition(",")[0]

    assert problems("\n".join(lines)) == ["row 5: 15 cells where the header has 16."]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "it is empty."),
        ("child;age_days;sex", "separated by semicolons"),
        ('child,"age', "it is no CSV"),
    ],
)
def test_what_is_no_table_is_refused(table, said) -> None:
    assert said in problems(table)[0]


def test_too_few_children_and_one_sex_only_are_refused() -> None:
    table = rows(60, 1)

    assert problems(text(table[:19])) == ["19 children born at term; at least 20 are wanted."]
    boys = [row for row in table if row["sex"] == "M"]
    assert problems(text(boys)) == ["all children are of one sex; both are wanted."]
    girls = [row for row in table if row["sex"] == "F"]
    assert problems(text(boys + girls[:2])) == [
        f"{len(boys)} boys and 2 girls; at least 3 of each are wanted."
    ]


@pytest.mark.parametrize(
    "head_ml",
    [
        lambda _: 1100.0,
        lambda child: 1150.0 if child["sex"] == "M" else 1050.0,
        lambda child: 900.0 + 0.3 * int(child["age_days"]),
    ],
    ids=["one number", "a mean of each sex", "a chart"],
)
def test_an_intracranial_volume_that_nobody_measured_is_refused(head_ml) -> None:
    def fill(table) -> None:
        for child in table:
            child["intracranial_ml"] = f"{head_ml(child):.0f}"

    (found,) = problems(changed(rows(30, 1), fill))

    assert found.startswith("intracranial_ml is the same in all rows, or follows from age and sex")


def test_measured_intracranial_volumes_are_read() -> None:
    def fill(table) -> None:
        for child in table:
            volumes = sum(float(child[name]) for name in XI.region_names)
            child["intracranial_ml"] = f"{1.05 * volumes:.1f}"

    cohort = read(changed(rows(30, 1), fill), RULES)

    assert cohort.intracranial_ml is not None and cohort.intracranial_ml.std() > 50


def test_no_child_is_named_in_what_is_refused() -> None:
    def spoil(table) -> None:
        for row in table:
            row.update(child="Smith", age_days="0", sex="?", left_frontal="x")

    assert not any("Smith" in each for each in problems(changed(rows(30, 1), spoil)))


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_no_text_is_taken_for_a_table_or_breaks_the_reading(table) -> None:
    assert problems(table)


@given(st.sampled_from(sorted(rows(1, 1)[0])), st.text(max_size=12))
@settings(max_examples=150)
def test_any_cell_is_either_read_or_refused(column, cell) -> None:
    table = rows(20, 3)
    table[2][column] = '"' + cell.replace('"', '""') + '"'

    try:
        cohort = read(text(table), rules_of(XI, least=1))
    except Malformed:
        return
    assert np.isfinite(cohort.volumes_ml).all() and (cohort.volumes_ml > 0).all()
    assert cohort.n >= 19
