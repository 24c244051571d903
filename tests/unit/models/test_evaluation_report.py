"""The report: what was asked stands beside what was reached, and nothing unknown counts as held."""

import json

from models.evaluation.report import (
    Gate,
    Section,
    Subject,
    Table,
    as_json,
    as_markdown,
    at_least,
    at_most,
    between,
    not_measured,
    number,
)

NAN = float("nan")
SUBJECT = Subject("Accuracy", ("A fact.",), {"model.onnx": "0a"}, quick=True)


def section(*gates: Gate) -> Section:
    table = Table("Volumes", ("region", "error"), (("left_frontal", 1.234), ("brainstem", NAN)))
    return Section("accuracy", "Held-out heads", "Three people.", (table,), gates)


def test_a_gate_holds_at_its_limit_and_not_beyond() -> None:
    assert at_most("error", 2.5, 2.5).holds is True
    assert at_most("error", 2.5, 2.51).holds is False
    assert at_least("Dice", 0.94, 0.94).holds is True
    assert at_least("Dice", 0.94, 0.9399).holds is False
    assert [between("slope", 0.95, 1.05, value).holds for value in (0.94, 1.0, 1.06)] == [
        False,
        True,
        False,
    ]


def test_what_was_not_measured_never_holds() -> None:
    assert at_most("error", 2.5, NAN).holds is None
    assert between("slope", 0.95, 1.05, NAN).holds is None
    text = as_markdown(
        Subject("Accuracy"), [section(not_measured("series", "1.5 %", "none given"))]
    )
    assert "| accuracy | series | 1.5 % | not measured: none given | ? |" in text


def test_a_missed_gate_is_printed_with_the_figure_asked() -> None:
    text = as_markdown(
        Subject("Accuracy"), [section(at_most("error", 2.5, 8.0, where="brainstem"))]
    )
    assert "| accuracy | error | at most 2.5 % | 8.00 % (brainstem) | **no** |" in text


def test_a_figure_that_just_misses_is_not_rounded_into_holding() -> None:
    # Three digits would print 0.940 as reached; the verdict is on the number itself.
    assert at_least("Dice", 0.94, 0.93996).holds is False


def test_json_says_the_same_and_has_null_for_what_is_no_number() -> None:
    made = json.loads(as_json(SUBJECT, [section(at_most("error", 2.5, 8.0))]))
    assert made["networks"] == {"model.onnx": "0a"}
    assert made["quick"] is True
    (told,) = made["sections"]
    assert told["gates"] == [
        {
            "what": "error",
            "asked": "at most 2.5 %",
            "reached": "8.00 %",
            "figure": 8.0,
            "holds": False,
        }
    ]
    assert told["tables"][0]["rows"] == [
        {"region": "left_frontal", "error": 1.234},
        {"region": "brainstem", "error": None},
    ]


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(value) for value in (0.98765, 1.2345, 12.345, 1234.5, NAN)] == [
        "0.988",
        "1.23",
        "12.3",
        "1234",
        "–",
    ]
