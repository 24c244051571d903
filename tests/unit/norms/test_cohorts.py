"""A whole cohort says of each child what the comparison of that child says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fontanelle.errors import Code
from fontanelle.norms.cohorts import compare_cohort
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Comparison, Flag, RegionComparison, Sex
from fontanelle.norms.prematurity import CorrectionRule
from tests.unit.norms.cases import CALIBRATED, MEANS_ML, UNCALIBRATED, XI

MEASURED = replace(
    CALIBRATED,
    measurement_error_percent=dict.fromkeys(XI.region_names, 2.0),
    correction=CorrectionRule(long_until_days=800),
)
children = st.builds(
    Child,
    st.one_of(st.none(), st.integers(540, 920)),
    st.sampled_from([None, *Sex]),
    gestational_age_weeks=st.sampled_from([None, 26, 31, 34, 36, 37, 40]),
)
# Mostly believable; now and then one region is empty, or far out.
believable = st.lists(st.floats(0.87, 1.13), min_size=10, max_size=10)
odd = st.tuples(st.sampled_from([0, 3, 9]), st.sampled_from([None, 0.0, 0.3, 1.9]))
rows = st.tuples(children, believable, odd)
NAMES = {
    "expected": "expected_ml",
    "sd": "sd_ml",
    "low": "low_ml",
    "high": "high_ml",
    "z": "z",
    "z_low": "z_low",
    "z_high": "z_high",
    "centile": "centile",
    "centile_low": "centile_low",
    "centile_high": "centile_high",
    "pooled_z": "pooled_z",
    "pooled_centile": "pooled_centile",
}


def lines_of(found: Comparison) -> tuple[RegionComparison, ...]:
    assert found.total is not None
    return (*found.regions, found.total)


def nan(value: float | None) -> float:
    return np.nan if value is None else value


@given(
    st.lists(rows, min_size=1, max_size=6), st.sampled_from([UNCALIBRATED, CALIBRATED, MEASURED])
)
@settings(max_examples=40, deadline=None)
def test_every_child_of_a_cohort_gets_what_it_gets_alone(cohort, conditions) -> None:
    means = np.array([MEANS_ML[name] for name in XI.region_names])
    volumes = np.array([means * scale for _, scale, _ in cohort])
    for row, (_, _, (place, scale)) in enumerate(cohort):
        if scale is not None:
            volumes[row, place] = means[place] * scale
    of_all = compare_cohort(volumes, [child for child, _, _ in cohort], XI, conditions)

    for row, (child, _, _) in enumerate(cohort):
        volumes_ml = dict(zip(XI.region_names, volumes[row].tolist(), strict=True))
        alone = compare(volumes_ml, child, XI, conditions)
        lines = lines_of(alone)
        for name, attribute in NAMES.items():
            one = [nan(getattr(line, attribute)) for line in lines]
            np.testing.assert_allclose(of_all.numbers[name][row], one, rtol=1e-12, atol=1e-12)
        assert of_all.flags[row].tolist() == [line.flag for line in lines]
        assert [list(codes) for codes in of_all.line_codes[row]] == [
            list(dict.fromkeys(reason.code for reason in line.reasons)) for line in lines
        ]
        np.testing.assert_allclose(
            of_all.pair_z[row], [nan(pair.z) for pair in alone.asymmetry], atol=1e-12
        )
        np.testing.assert_allclose(
            of_all.index[row], [nan(pair.index) for pair in alone.asymmetry], atol=1e-12
        )
        assert of_all.pair_flags[row].tolist() == [pair.flag for pair in alone.asymmetry]
        np.testing.assert_allclose(
            of_all.birth_age_z[row], [nan(line.chronological_z) for line in lines], atol=1e-12
        )
        np.testing.assert_equal(of_all.corrected_age_days[row], nan(alone.corrected_age_days))
        many = alone.multiplicity
        np.testing.assert_equal(
            of_all.below_5th_centile[row], np.nan if many is None else many.below_5th_centile
        )
        np.testing.assert_equal(
            of_all.share_with_as_many[row], np.nan if many is None else many.share_percent
        )
        told = {reason.code for line in lines for reason in line.reasons}
        assert told <= set(of_all.codes[row]) <= {reason.code for reason in alone.reasons}


def test_a_cohort_names_its_reference_tier_and_site() -> None:
    found = compare_cohort(np.empty((0, 10)), [], XI, UNCALIBRATED)

    assert (found.reference_id, found.reference_version) == ("xi2025", XI.version)
    assert (found.tier, found.site_status) == ("derived", "none")
    assert found.flags.shape == (0, 11)


def test_a_cohort_of_children_who_may_not_be_compared_has_no_number() -> None:
    volumes = np.array([list(MEANS_ML.values())])

    found = compare_cohort(volumes, [Child(2000, Sex.MALE)], XI, CALIBRATED)

    assert np.isnan(found.numbers["z"]).all()
    assert set(found.flags.ravel()) == {Flag.NOT_COMPARED}
    assert found.codes == ((Code.AGE_OUT_OF_RANGE,),)


@pytest.mark.parametrize(
    ("volumes", "conditions", "said"),
    [
        (np.ones((2, 10)), UNCALIBRATED, "shape"),
        (np.ones((1, 9)), UNCALIBRATED, "shape"),
        (np.full((1, 10), np.nan), UNCALIBRATED, "finite"),
        (np.full((1, 10), -1.0), UNCALIBRATED, "negative"),
        (np.ones((1, 10)), replace(UNCALIBRATED, protocol="lobes"), "protocol"),
    ],
)
def test_a_cohort_that_cannot_be_compared_is_the_callers_mistake(volumes, conditions, said) -> None:
    with pytest.raises(ValueError, match=said):
        compare_cohort(volumes, [Child(700, Sex.MALE)], XI, conditions)
