"""A table of children to be compared: taken whole, or refused with all that is wrong."""

import csv
import io

import numpy as np
import pytest

from fontanelle.errors import Code
from fontanelle.norms.cohort_table import read_cohort
from fontanelle.norms.cohorts import compare_cohort
from fontanelle.norms.comparison import Child, Sex
from fontanelle.norms.mistakes import Malformed
from fontanelle.norms.units import volume_mistakes
from fontanelle.reports.cohort_csv import COLUMNS, cohort_csv
from tests.unit.norms.cases import BOYS_VOLUMES_ML, MEANS_ML, UNCALIBRATED, XI

HEADER = ["child", "age_days", "sex", "gestational_age_weeks", *XI.region_names]


def row(child: str, age: str = "723", sex: str = "M", weeks: str = "", **changes: str) -> list[str]:
    volumes = {name: str(ml) for name, ml in BOYS_VOLUMES_ML.items()} | changes
    return [child, age, sex, weeks, *volumes.values()]


def text(*rows: list[str], header: list[str] | None = None) -> str:
    return "\n".join(",".join(cells) for cells in (header or HEADER, *rows)) + "\n"


def mistakes(table: str) -> list[str]:
    with pytest.raises(Malformed) as refused:
        read_cohort(table, XI)
    assert refused.value.reason.code is Code.COHORT_INVALID
    return [str(mistake) for mistake in refused.value.mistakes]


def test_a_table_is_read_as_it_stands() -> None:
    table = read_cohort(text(row("a"), row("b", "", "", "32", brainstem="14.8")), XI)

    assert table.names == ("a", "b")
    assert table.children == (
        Child(723, Sex.MALE),
        Child(None, None, gestational_age_weeks=32),
    )
    assert table.volumes_ml[1].tolist() == [*list(BOYS_VOLUMES_ML.values())[:-1], 14.8]


def test_the_columns_may_stand_in_any_order() -> None:
    turned = [list(reversed(cells)) for cells in (row("a"),)]

    table = read_cohort(text(*turned, header=list(reversed(HEADER))), XI)

    assert table.volumes_ml[0].tolist() == list(BOYS_VOLUMES_ML.values())


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (row(""), "row 2: child is empty."),
        (row("a", "-3"), "row 2: age_days is -3, which is impossible: 0 to 50000 days."),
        (row("a", "2.5"), "row 2: age_days is '2.5'; whole days are wanted."),
        (row("a", "99999"), "row 2: age_days is 99999, which is impossible: 0 to 50000 days."),
        (row("a", sex="O"), "row 2: sex is 'O'; M, F or nothing is wanted."),
        (
            row("a", weeks="18"),
            "row 2: gestational_age_weeks is 18, which is impossible: 20 to 45 completed weeks.",
        ),
        (
            row("a", cerebellum="-1"),
            "row 2: cerebellum is '-1'; a volume in mL is wanted, with a decimal point.",
        ),
        (
            row("a", cerebellum="NaN"),
            "row 2: cerebellum is 'NaN'; a volume in mL is wanted, with a decimal point.",
        ),
        (row("a", cerebellum="9999"), "row 2: cerebellum is larger than a head."),
        (
            row("a", cerebellum="121400"),
            "row 2: cerebellum seems to be in mm3; mL are wanted, and nothing is converted.",
        ),
        (
            row("a", cerebellum="0.1214"),
            "row 2: cerebellum seems to be in litres; mL are wanted, and nothing is converted.",
        ),
    ],
)
def test_a_cell_that_is_wrong_is_named_with_its_row(cells, said) -> None:
    assert mistakes(text(cells)) == [said]


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "mm3"), (0.001, "litres")])
def test_a_table_in_another_unit_is_refused_with_one_sentence_a_row(factor, unit) -> None:
    other = {name: f"{factor * ml:.6f}" for name, ml in BOYS_VOLUMES_ML.items()}

    assert mistakes(text(row("a", **other))) == [
        f"row 2: the volumes seem to be in {unit}; mL are wanted, and nothing is converted."
    ]


def test_all_mistakes_are_told_not_only_the_first() -> None:
    said = mistakes(text(row("a", "x"), row("b", sex="Q", brainstem="1e9"), row("c", "-1")))

    # The last child has the volumes of the first, too.
    assert [each.split(":")[0] for each in said] == ["row 2", "row 3", "row 3", "row 4", "row 4"]


def test_a_child_or_its_volumes_stand_there_once() -> None:
    table = text(row("a"), row("a", brainstem="15"), row("c"))

    assert mistakes(table) == [
        "row 3: the child of row 2 again.",
        "row 4: the volumes of row 2 again.",
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ([*HEADER, "weight"], "the column 'weight' is not known."),
        ([*HEADER, "sex"], "the column sex occurs 2 times."),
        (HEADER[1:], "the column child is missing."),
        (HEADER[:-1], "the column brainstem is missing."),
        (["a;b"], "cells are separated by commas, not by semicolons or tabulators."),
    ],
)
def test_columns_that_are_unknown_missing_or_twice_are_mistakes(header, said) -> None:
    assert mistakes(text(["1"] * len(header), header=header)) == [f"row 1: {said}"]


@pytest.mark.parametrize("table", ["", "\n\n", text()])
def test_a_table_without_a_child_is_refused(table) -> None:
    assert mistakes(table) == ["it holds no child."]


def test_rows_of_another_length_and_what_is_no_csv_are_refused() -> None:
    assert mistakes(text(["a", "723"])) == ["row 2: 2 cells where the header has 14."]
    assert "no CSV" in mistakes('a,"b\n')[0]


def test_the_answer_has_a_row_for_every_line_with_what_it_comes_from() -> None:
    table = read_cohort(text(row("a"), row("b", "2000", brainstem="14.8")), XI)
    found = compare_cohort(table.volumes_ml, table.children, XI, UNCALIBRATED)

    answer = list(csv.DictReader(io.StringIO(cohort_csv(table.names, table.children, found))))

    assert len(answer) == 2 * (10 + 1 + 4)
    assert tuple(answer[0]) == COLUMNS
    assert {each["reference_version"] for each in answer} == {XI.version}
    assert {(each["tier"], each["site_status"]) for each in answer} == {("derived", "none")}
    # The worked example.
    assert (answer[0]["name"], answer[0]["z"], answer[0]["expected"]) == (
        "left_frontal",
        "-0.4641",
        "212.226",
    )
    assert (answer[10]["kind"], answer[10]["z"]) == ("sum", "-0.7884")
    assert (answer[12]["kind"], answer[12]["name"], answer[12]["z"]) == (
        "asymmetry",
        "parietal",
        "-3.6231",
    )
    of_b = answer[15:]
    assert {each["z"] for each in of_b} == {""}
    assert {each["flag"] for each in of_b} == {"not_compared"}
    assert {each["reasons"] for each in of_b} == {"comparison.age_out_of_range"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"insula": 9.0}, "insula is no region of xi2025"),
        ({"brainstem": None}, "brainstem is missing"),
        ({"brainstem": float("nan")}, "brainstem is no volume"),
        ({"brainstem": -1.0}, "brainstem is no volume"),
        ({"brainstem": 6000.0}, "brainstem seems to be in mm3; mL are wanted, and nothing is"),
        ({"brainstem": 5.0}, None),
        ({"brainstem": 0.0}, None),
    ],
)
def test_volumes_that_somebody_states_are_looked_at_first(changes, said) -> None:
    stated = {name: ml for name, ml in (MEANS_ML | changes).items() if ml is not None}

    found = list(volume_mistakes(stated, XI))

    assert [each[: len(said)] for each in found] == [said] if said else found == []


def test_the_columns_of_regions_are_those_of_the_reference() -> None:
    table = read_cohort(text(row("a")), XI)

    assert table.volumes_ml.shape == (1, len(XI.regions))
    assert np.isfinite(table.volumes_ml).all()
