"""Numbers for people: as exact as they mean, alike on the page and at the terminal."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import terminal
from service.web import rounding


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "<0.1"), (0.0999, "<0.1"), (0.1, "0.1"), (32.1284, "32.1")]
    + [(99.9, "99.9"), (99.95, ">99.9"), (100.0, ">99.9")],
)
def test_no_child_is_at_the_centile_0_or_100(value: float | None, said: str) -> None:
    assert rounding.centile(value) == said


@given(st.floats(0, 100))
def test_the_page_rounds_a_centile_as_the_terminal_does(value: float) -> None:
    assert rounding.centile(value) == terminal._centile(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (-0.46414, "−0.46"), (1.006, "+1.01"), (-0.001, "+0.00"), (0.0, "+0.00")],
)
def test_a_z_carries_its_sign_and_two_decimals(value: float | None, said: str) -> None:
    assert rounding.z(value) == said


def test_a_volume_has_one_decimal_and_a_range_two_ends() -> None:
    assert rounding.ml(204.4637) == "204.5"
    assert rounding.ml(-0.01) == "0.0"
    assert rounding.ml_range(80.5, 130.25) == "80.5 to 130.2"
    assert rounding.ml_range(None, 130.25) == rounding.z_range(None, None) == "–"


def test_an_age_is_said_in_days_and_in_months() -> None:
    # 723 / (365.25 / 12) = 23.75
    assert rounding.age(723) == "723 days (23.8 months)"
    assert rounding.age(None) == "age unknown"


def test_a_step_is_one_number_or_the_smallest_and_the_largest() -> None:
    assert rounding.mm((0.625, 0.625)) == "0.625 mm"
    assert rounding.mm((5.0, 7.0)) == "5 to 7 mm"


def test_a_moment_carries_its_zone() -> None:
    at = datetime(2026, 11, 21, 4, 5, 6, tzinfo=UTC)

    assert rounding.moment(at) == rounding.moment(at.isoformat())
    assert rounding.moment(at).endswith(at.astimezone().strftime("%Z"))
    assert rounding.moment(None) == "–"


@pytest.mark.parametrize(
    ("text", "said"), [("20250102", "2025-01-02"), ("", "–"), (None, "–"), ("2025??02", "2025??02")]
)
def test_a_dicom_date_is_written_as_people_do(text: str | None, said: str) -> None:
    assert rounding.dicom_date(text) == said
