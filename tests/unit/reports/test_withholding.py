"""A withheld result says that it is withheld, and under which codes; no measured number."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code, Reason
from fontanelle.imaging.quality import Grade, QualityCheck
from fontanelle.reports.analysis_object import to_json
from fontanelle.reports.result import Fitness, State
from fontanelle.reports.structured_report import render_structured_report
from fontanelle.reports.withholding import redacted
from tests.unit.reports.builders import MEASURED, THICK, case, withheld
from tests.unit.reports.reading import reread, written

DIGIT = re.compile(r"\d")
OF_QUALITY = [code for code in Code if code.value.startswith("quality.")]


@pytest.fixture(scope="module")
def report_json() -> str:
    return to_json(withheld())


@pytest.fixture(scope="module")
def report_dcm() -> bytes:
    return written(render_structured_report(withheld(), None, case().sources))


def test_report_json_has_no_volume_no_value_and_no_number_in_a_sentence_of_a_check(
    report_json: str,
) -> None:
    found = json.loads(report_json)

    assert "mL" not in report_json
    assert found["measurements"] == [] and found["summary"]["total_ml"] is None
    assert {check["value"] for check in found["quality"]} == {None}
    for check in found["quality"]:
        assert not DIGIT.search(check["sentence"]), check["check"]
    for number in MEASURED:
        assert number not in _words(found), number


def test_report_json_still_names_each_check_its_grade_and_its_code(report_json: str) -> None:
    quality = json.loads(report_json)["quality"]

    assert [(check["check"], check["grade"], check["reasons"]) for check in quality] == [
        ("brain_whole", "fail", ["quality.brain_cut"]),
        ("total_plausible", "fail", ["quality.total"]),
        ("sides_alike", "pass", []),
        ("regions_in_place", "remark", []),
    ]
    assert quality[1]["sentence"] == "The total volume is implausible."


def test_report_json_says_why_a_value_is_null(report_json: str) -> None:
    unknown = {entry["path"]: entry["sentence"] for entry in json.loads(report_json)["unknown"]}

    assert "withheld" in unknown["quality[0].value"]


def test_report_dcm_has_no_volume_and_no_number_of_a_check(report_dcm: bytes) -> None:
    report = reread(render_structured_report(withheld(), None, case().sources))

    texts = [str(e.value) for e in report.iterall() if e.VR in ("UT", "LO", "ST", "DS", "LT")]
    assert b"mL" not in report_dcm
    for number in MEASURED:
        assert not [text for text in texts if number in text], number
    for text in texts:
        assert not (text.startswith("Check ") and DIGIT.search(text)), text


def test_what_limits_the_scan_is_said_with_its_numbers() -> None:
    result = redacted(withheld())

    assert THICK in result.reasons
    assert [reason.code for reason in result.reasons] == [r.code for r in withheld().reasons]


def test_any_other_result_leaves_as_it_is() -> None:
    measured = case().result
    rejected = replace(withheld(), state=State.REJECTED, fitness=None)

    for result in (measured, replace(measured, fitness=Fitness.LIMITED), rejected):
        assert redacted(result) is result


@given(
    sentence=st.text(),
    value=st.none() | st.floats(allow_nan=False),
    grade=st.sampled_from(Grade),
    code=st.none() | st.sampled_from(OF_QUALITY),
)
def test_whatever_a_check_says_its_words_and_its_value_stay_here(
    sentence: str, value: float | None, grade: Grade, code: Code | None
) -> None:
    reason = None if code is None else Reason(code, sentence)
    result = replace(WITHHELD, quality=(QualityCheck("any", grade, value, sentence, reason),))

    (check,) = redacted(result).quality

    assert (check.check, check.grade, check.value) == ("any", grade, None)
    assert not DIGIT.search(check.sentence)
    assert check.reason is None or (check.reason.code, check.reason.sentence) == (
        code,
        code and code.meaning,
    )


WITHHELD = withheld()


def _words(found: object) -> str:
    """Return all sentences, but no digest, UID or time, in which any digits may meet."""
    if isinstance(found, dict):
        return "\n".join(_words(inner) for inner in found.values())
    if isinstance(found, list):
        return "\n".join(_words(inner) for inner in found)
    return str(found) if isinstance(found, str) and " " in found else ""
