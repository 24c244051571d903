"""The same child twice: what changed, what was to be expected, and when nothing may be said."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code
from fontanelle.norms.serial import ChangeFlag, Visit, VisitRegion, compare_with_earlier

NAMES = tuple(f"region_{k}" for k in range(10))
ERRORS = dict.fromkeys(NAMES, 1.5)


def visit(volume_ml: float = 80.0, expected_ml: float | None = 82.0, **changes: object) -> Visit:
    fields: dict[str, object] = {
        "analysis_id": 7,
        "digest": "ab" * 32,
        "study_date": date(2025, 1, 2),
        "age_days": 723,
        "corrected_age_days": None,
        "birth_date": "2023-01-10",
        "sex": "M",
        "package_sha256": "ef" * 32,
        "protocol": "xi2025-matched",
        "reference_version": "sha256:cd",
        "tier": "derived",
        "site_status": "none",
        "regions": {name: VisitRegion(volume_ml, expected_ml) for name in NAMES},
    }
    fields.update(changes)
    return Visit(**fields)  # type: ignore[arg-type]


def then(volume_ml: float = 76.0, expected_ml: float | None = 78.0, **changes: object) -> Visit:
    return visit(
        volume_ml, expected_ml, **({"study_date": date(2024, 7, 6), "age_days": 543} | changes)
    )


def test_a_change_stands_beside_its_error_and_the_expected_growth() -> None:
    found = compare_with_earlier(visit(), then(), ERRORS)

    change = found.regions[0]
    assert (found.days, found.reasons) == (180, ())
    assert change.change_ml == pytest.approx(4.0)
    assert change.change_percent == pytest.approx(100 * 4 / 76)
    assert change.growth_ml == pytest.approx(4.0)
    # SD of a difference: 1.5 % of each volume, independent.
    assert change.error_ml == pytest.approx(0.015 * (80**2 + 76**2) ** 0.5)
    # Ten regions, two-sided 5 % together (Sidak): 2.800 standard errors.
    assert change.limit_ml == pytest.approx(2.800 * change.error_ml, rel=1e-3)
    assert change.flag is ChangeFlag.LARGER if change.limit_ml < 4.0 else ChangeFlag.WITHIN_ERROR


@pytest.mark.parametrize(
    ("now_ml", "flag"),
    [(70.0, ChangeFlag.SMALLER), (76.5, ChangeFlag.WITHIN_ERROR), (82.0, ChangeFlag.LARGER)],
)
def test_only_beyond_the_repeatability_is_a_change_called(now_ml: float, flag: ChangeFlag) -> None:
    found = compare_with_earlier(visit(now_ml), then(), ERRORS)

    assert {change.flag for change in found.regions} == {flag}


def test_without_a_measured_repeatability_no_change_is_called_however_large() -> None:
    found = compare_with_earlier(visit(40.0), then(), {})

    assert {change.flag for change in found.regions} == {ChangeFlag.NOT_CALLED}
    assert {change.limit_ml for change in found.regions} == {None}
    assert [reason.code for reason in found.reasons] == [Code.SERIAL_REPEATABILITY]
    assert found.regions[0].change_ml == pytest.approx(-36.0)


def test_a_region_whose_error_was_not_measured_is_the_only_one_not_called() -> None:
    errors = dict.fromkeys(NAMES[1:], 1.5)

    found = compare_with_earlier(visit(60.0), then(), errors)

    assert found.regions[0].flag is ChangeFlag.NOT_CALLED
    assert {change.flag for change in found.regions[1:]} == {ChangeFlag.SMALLER}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"package_sha256": "aa" * 32}, Code.SERIAL_PACKAGE),
        ({"protocol": "anatomical"}, Code.SERIAL_PROTOCOL),
        ({"reference_version": "sha256:ef"}, Code.SERIAL_REFERENCE),
        ({"birth_date": "2023-01-11"}, Code.SERIAL_CHILD),
        ({"sex": "F"}, Code.SERIAL_CHILD),
        ({"is_patient_in_doubt": True}, Code.SERIAL_CHILD),
        ({"regions": {}}, Code.SERIAL_NO_VOLUME),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_reason(
    changes: dict[str, object], code: Code
) -> None:
    for now, earlier in ((visit(), then(**changes)), (visit(**changes), then())):
        found = compare_with_earlier(now, earlier, ERRORS)

        assert found.regions == ()
        assert [reason.code for reason in found.reasons] == [code]


def test_what_is_not_known_of_one_visit_does_not_make_another_child() -> None:
    assert compare_with_earlier(visit(), then(birth_date=None, sex=None), ERRORS).regions


def test_a_repetition_of_the_same_day_is_named_and_no_change_is_called() -> None:
    same = then(40.0, 82.0, study_date=date(2025, 1, 2), age_days=723)

    found = compare_with_earlier(visit(), same, ERRORS)

    assert found.days == 0
    assert {change.flag for change in found.regions} == {ChangeFlag.NOT_CALLED}
    assert {change.growth_ml for change in found.regions} == {0.0}
    assert Code.SERIAL_SAME_DAY in {reason.code for reason in found.reasons}


@pytest.mark.parametrize(
    "changes",
    [
        {"site_status": "provisional", "tier": "calibrated"},
        {"calibration": "sha256:11"},
        {"corrected_age_days": 500},
        {"expected_ml": None},
    ],
)
def test_growth_is_not_known_where_the_expectations_are_not_of_one_kind(
    changes: dict[str, object],
) -> None:
    found = compare_with_earlier(visit(), then(**changes), ERRORS)  # type: ignore[arg-type]

    assert {change.growth_ml for change in found.regions} == {None}
    assert Code.SERIAL_GROWTH in {reason.code for reason in found.reasons}
    assert found.regions[0].flag is not ChangeFlag.NOT_CALLED


def test_a_region_without_an_expectation_keeps_the_growth_of_the_others() -> None:
    regions = dict(visit().regions) | {NAMES[0]: VisitRegion(80.0, None)}

    found = compare_with_earlier(visit(regions=regions), then(), ERRORS)

    assert [change.growth_ml is None for change in found.regions] == [True] + [False] * 9


def test_without_dates_the_ages_tell_the_days_between() -> None:
    found = compare_with_earlier(visit(study_date=None), then(), ERRORS)
    unknown = compare_with_earlier(visit(study_date=None, age_days=None), then(), ERRORS)

    assert (found.days, unknown.days) == (180, None)


@given(now=st.floats(1, 500), earlier=st.floats(1, 500), error=st.floats(0.1, 5))
def test_the_other_way_round_is_the_opposite(now: float, earlier: float, error: float) -> None:
    errors = dict.fromkeys(NAMES, error)
    there = compare_with_earlier(visit(now), visit(earlier, study_date=date(2024, 1, 1)), errors)
    back = compare_with_earlier(
        visit(earlier), replace(visit(now), study_date=date(2024, 1, 1)), errors
    )

    opposite = {
        ChangeFlag.SMALLER: ChangeFlag.LARGER,
        ChangeFlag.LARGER: ChangeFlag.SMALLER,
        ChangeFlag.WITHIN_ERROR: ChangeFlag.WITHIN_ERROR,
    }
    assert there.regions[0].change_ml == pytest.approx(-back.regions[0].change_ml)
    assert there.regions[0].flag is opposite[back.regions[0].flag]


def test_of_unchanged_children_one_in_twenty_has_any_change_called() -> None:
    rng, called = np.random.default_rng(3), 0
    for _ in range(1500):
        first, second = (
            {name: VisitRegion(80 * (1 + 0.015 * e), 82.0) for name, e in zip(NAMES, draw)}  # noqa: B905
            for draw in rng.standard_normal((2, 10))
        )
        found = compare_with_earlier(visit(regions=second), then(regions=first), ERRORS)
        called += any(each.flag is not ChangeFlag.WITHIN_ERROR for each in found.regions)

    # Binomial: 4 standard errors of 5 % over 1,500 children are 2.3 points.
    assert called / 1500 == pytest.approx(0.05, abs=0.023)
