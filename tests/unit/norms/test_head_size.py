"""Head size: the chart's own figures, and means that are shown and never scored."""

import csv
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code, Reason
from fontanelle.norms.comparison import Sex
from fontanelle.norms.head_charts import (
    cdc_2000,
    chart_from_rows,
    mean_cephalic_index,
    mean_intracranial_ml,
)
from fontanelle.norms.head_size import Measured, Source, head_size
from fontanelle.norms.lms import Lms
from fontanelle.norms.statistics import centile

Example = tuple[Sex, int, float, float, float, float, float, float]
# Worked examples: sex, age in days, cm, L, M, S, z, centile.
EXAMPLES: list[Example] = [
    (Sex.MALE, 723, 47.0, 1.314069, 48.630679, 0.029053, -1.1480, 12.5479),
    (Sex.FEMALE, 560, 44.0, 1.066213, 46.589855, 0.028552, -1.9433, 2.5993),
    (Sex.MALE, 548, 50.5, 0.518801, 47.767374, 0.027870, 2.0252, 97.8576),
    (Sex.FEMALE, 913, 46.0, 2.088154, 48.141858, 0.030587, -1.4194, 7.7893),
]
CENTILES = {3: -1.880794, 5: -1.644854, 10: -1.281552, 25: -0.674490, 50: 0.0, 75: 0.674490,
            90: 1.281552, 95: 1.644854, 97: 1.880794}  # fmt: skip
UNSEEN = Reason(Code.HEAD_NOT_IN_VIEW, "The vault is cut.")


def measured(**changes: object) -> Measured:
    return Measured(intracranial_ml=1030.0, cephalic_index=80.0, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_worked_examples(example: Example) -> None:
    sex, age, cm, power, median, variation, z, of_100 = example
    lms = cdc_2000().at(age, sex)
    assert lms is not None

    assert (lms.power, lms.median, lms.variation) == pytest.approx(
        (power, median, variation), abs=1e-6
    )
    assert lms.z(cm) == pytest.approx(z, abs=1e-4)
    assert centile(lms.z(cm)) == pytest.approx(of_100, abs=1e-4)


def test_every_printed_centile_comes_out_of_its_row() -> None:
    table = files("fontanelle.norms.references") / "cdc2000_head_circumference.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))

    for row in rows:
        lms = Lms(float(row["L"]), float(row["M"]), float(row["S"]))
        for of_100, z in CENTILES.items():
            assert lms.value(z) == pytest.approx(float(row[f"P{of_100}"]), abs=2e-6)
    assert len(rows) * len(CENTILES) == 684


@given(
    age=st.integers(0, 1095),
    sex=st.sampled_from(Sex),
    first=st.floats(30, 55),
    more=st.floats(0.01, 5),
)
def test_a_larger_head_has_a_larger_z_and_the_z_gives_the_head_back(
    age: int, sex: Sex, first: float, more: float
) -> None:
    lms = cdc_2000().at(age, sex)
    assert lms is not None

    assert lms.z(first + more) > lms.z(first)
    assert lms.value(lms.z(first)) == pytest.approx(first, rel=1e-9)


def test_a_distribution_without_power_is_logarithmic() -> None:
    assert Lms(0.0, 48.0, 0.03).value(1.0) == pytest.approx(Lms(1e-6, 48.0, 0.03).value(1.0))


@pytest.mark.parametrize(
    ("age", "sex"), [(1096, Sex.MALE), (-1, Sex.MALE), (None, Sex.MALE), (723, None)]
)
def test_outside_the_chart_there_is_a_circumference_and_no_z(
    age: int | None, sex: Sex | None
) -> None:
    found = head_size(measured(given_cm=47.0), age, sex).circumference

    assert (found.cm, found.z, found.expected_cm) == (47.0, None, None)
    assert [reason.code for reason in found.reasons] == [Code.HEAD_NOT_COVERED]


def test_a_tape_wins_over_the_scan_and_has_no_stated_error() -> None:
    both = measured(given_cm=47.0, measured_cm=49.0, error_cm=0.5)

    found = head_size(both, 723, Sex.MALE).circumference

    assert (found.cm, found.source, found.error_cm) == (47.0, Source.GIVEN, None)
    assert found.z_low == found.z == found.z_high


def test_the_error_of_the_scan_widens_z_and_not_the_range() -> None:
    found = head_size(measured(measured_cm=47.0, error_cm=0.5), 723, Sex.MALE).circumference

    lms = cdc_2000().at(723, Sex.MALE)
    assert lms is not None and found.z is not None
    assert found.z_low == pytest.approx(lms.z(47.0 - 1.959964 * 0.5), abs=1e-6)
    assert found.z_high == pytest.approx(lms.z(47.0 + 1.959964 * 0.5), abs=1e-6)
    # 0.5 cm are 0.35 SD of a child of two.
    assert (found.z_high - found.z_low) / 2 / 1.959964 == pytest.approx(0.35, abs=0.02)
    ends = (lms.value(-1.959964), lms.value(1.959964))
    assert (found.low_cm, found.high_cm) == pytest.approx(ends, abs=1e-4)


def test_what_was_not_measured_says_why() -> None:
    found = head_size(measured(not_measured=UNSEEN), 723, Sex.MALE).circumference

    assert (found.cm, found.source, found.reasons) == (None, None, (UNSEEN,))


def test_volume_and_form_are_shown_beside_the_means_of_their_age_and_sex() -> None:
    found = head_size(measured(), 731, Sex.MALE)

    # The tables at 2.0 years; 731 days are 0.5 day more.
    assert found.intracranial_ml.mean == pytest.approx(1071.71, abs=0.3)
    assert found.cephalic_index.mean == pytest.approx(81.5, abs=0.05)
    assert found.intracranial_ml.percent_of_mean == pytest.approx(100 * 1030 / 1071.71, abs=0.05)
    assert not hasattr(found.intracranial_ml, "z")


def test_the_mean_curves_end_at_birth_and_ten_years() -> None:
    assert mean_intracranial_ml(0, Sex.FEMALE) == 333.93
    assert mean_intracranial_ml(3652.5, Sex.FEMALE) == 1209.62
    for age in (-1, 3654, None):
        assert mean_intracranial_ml(age, Sex.FEMALE) is None
        assert mean_cephalic_index(age, Sex.FEMALE) is None
    assert head_size(measured(), 4000, Sex.MALE).intracranial_ml.reasons


def test_another_chart_is_named_and_used() -> None:
    chart = chart_from_rows(
        "WHO", [(Sex.MALE, 913.0, Lms(1, 48.93, 0.03)), (Sex.MALE, 548.0, Lms(1, 47.37, 0.03))]
    )

    found = head_size(measured(given_cm=47.37), 548, Sex.MALE, chart).circumference

    assert (found.chart, found.z) == ("WHO", 0.0)
    assert chart.at(700, Sex.FEMALE) is None


@pytest.mark.parametrize(
    "rows",
    [
        [(Sex.MALE, 548.0, Lms(1, 47, 0.03)), (Sex.MALE, 548.0, Lms(1, 47, 0.03))],
        [(Sex.MALE, 548.0, Lms(1, 0, 0.03))],
        [(Sex.MALE, 548.0, Lms(1, 47, -0.03))],
    ],
)
def test_a_chart_with_an_age_twice_or_no_distribution_is_none(
    rows: list[tuple[Sex, float, Lms]],
) -> None:
    with pytest.raises(ValueError, match="WHO has"):
        chart_from_rows("WHO", rows)
