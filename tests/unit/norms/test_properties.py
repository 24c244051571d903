"""What holds for every volume, age and sex."""

from dataclasses import replace
from math import isclose
from re import fullmatch

from hypothesis import given
from hypothesis import strategies as st

from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Comparison, Sex
from tests.unit.norms.cases import CALIBRATED, MEANS_ML, UNCALIBRATED, XI, region

ages_days = st.integers(548, 913)
sexes = st.sampled_from(Sex)
children = st.builds(Child, ages_days, sexes)
conditions = st.sampled_from([UNCALIBRATED, CALIBRATED])
names = st.sampled_from(XI.region_names)
# Two sides of a pair stay within a factor of 1.3 of each other, and all within 5 SD.
scales = st.floats(0.95, 1.05)
volumes = st.fixed_dictionaries(
    {name: scales.map(lambda scale, ml=ml: scale * ml) for name, ml in MEANS_ML.items()}
)


def mirrored(name: str) -> str:
    side, _, pair = name.partition("_")
    return {"left": f"right_{pair}", "right": f"left_{pair}"}.get(side, name)


@given(st.floats(-4.9, 4.9), st.sampled_from(["cerebellum", "brainstem"]), children, conditions)
def test_the_volume_of_a_z_has_that_z(z, name, child, conditions) -> None:
    norm = next(norm for norm in XI.regions if norm.name == name)
    expected_ml = region(compare(MEANS_ML, child, XI, conditions), name).expected_ml
    volume_ml = expected_ml + z * norm.residual_sd.value

    found = region(compare(MEANS_ML | {name: volume_ml}, child, XI, conditions), name)

    assert isclose(found.z, z, abs_tol=1e-9)


@given(volumes, children, conditions)
def test_intervals_hold_what_they_are_of(volumes_ml, child, conditions) -> None:
    for entry in compare(volumes_ml, child, XI, conditions).regions:
        assert entry.z_low < entry.z < entry.z_high
        assert entry.low_ml < entry.expected_ml < entry.high_ml
        assert isclose(entry.z - entry.z_low, entry.z_high - entry.z, rel_tol=1e-9)


@given(st.floats(1e-3, 1.0), names, children, conditions)
def test_more_volume_is_a_higher_z_and_a_higher_centile(more_ml, name, child, conditions) -> None:
    larger = MEANS_ML | {name: MEANS_ML[name] + more_ml}

    before = region(compare(MEANS_ML, child, XI, conditions), name)
    after = region(compare(larger, child, XI, conditions), name)

    assert after.z > before.z
    assert after.pooled_z > before.pooled_z
    assert 0 < before.centile < after.centile < 100


@given(volumes, children)
def test_an_unknown_offset_of_the_site_only_widens(volumes_ml, child) -> None:
    unknown = compare(volumes_ml, child, XI, UNCALIBRATED).regions
    known = compare(volumes_ml, child, XI, CALIBRATED).regions

    for wide, narrow in zip(unknown, known, strict=True):
        assert (wide.z, wide.centile, wide.expected_ml) == (
            narrow.z,
            narrow.centile,
            narrow.expected_ml,
        )
        assert wide.z_low < narrow.z_low
        assert wide.z_high > narrow.z_high
        assert wide.low_ml < narrow.low_ml
        assert wide.high_ml > narrow.high_ml


@given(volumes, ages_days, st.integers(1, 300), sexes)
def test_the_same_volume_is_less_in_an_older_child_and_in_a_boy(
    volumes_ml, age_days, more_days, sex
) -> None:
    def z_of(age_days: int, sex: Sex) -> list[float]:
        comparison = compare(volumes_ml, Child(age_days, sex), XI, UNCALIBRATED)
        return [entry.z for entry in comparison.regions]

    older_days = min(age_days + more_days, 913)
    assert all(
        older <= younger
        for older, younger in zip(z_of(older_days, sex), z_of(age_days, sex), strict=True)
    )
    assert all(
        boy < girl
        for boy, girl in zip(z_of(age_days, Sex.MALE), z_of(age_days, Sex.FEMALE), strict=True)
    )


@given(volumes, children, conditions)
def test_mirrored_volumes_have_the_mirrored_asymmetry(volumes_ml, child, conditions) -> None:
    flipped = {mirrored(name): volume_ml for name, volume_ml in volumes_ml.items()}

    pairs = compare(volumes_ml, child, XI, conditions).asymmetry
    turned = compare(flipped, child, XI, conditions).asymmetry

    assert [pair.index for pair in pairs] == [-pair.index for pair in turned]
    assert all(
        (pair.index > 0) == (volumes_ml[f"left_{pair.pair}"] > volumes_ml[f"right_{pair.pair}"])
        for pair in pairs
    )


@given(volumes, children, st.floats(0.5, 2.0))
def test_the_asymmetry_index_does_not_know_the_heads_size(volumes_ml, child, scale) -> None:
    scaled = {name: scale * volume_ml for name, volume_ml in volumes_ml.items()}

    def indices(of: dict[str, float]) -> list[float]:
        return [pair.index for pair in compare(of, child, XI, UNCALIBRATED).asymmetry]

    for one, other in zip(indices(volumes_ml), indices(scaled), strict=True):
        assert isclose(one, other, abs_tol=1e-9)


@given(volumes, children, conditions)
def test_the_order_of_regions_changes_nothing(volumes_ml, child, conditions) -> None:
    turned = dict(reversed(list(volumes_ml.items())))

    assert compare(turned, child, XI, conditions) == compare(volumes_ml, child, XI, conditions)


@given(
    st.dictionaries(names, st.floats(0, 1e6)),
    st.one_of(st.none(), st.integers(-10, 40_000)),
    st.one_of(st.none(), sexes),
    conditions,
)
def test_a_region_has_all_its_numbers_or_none_and_a_reason(changes, age_days, sex, base) -> None:
    comparison = compare(MEANS_ML | changes, Child(age_days, sex), XI, base)

    assert len(comparison.regions) == len(XI.regions)
    assert_numbers_or_reasons(comparison)


def assert_numbers_or_reasons(comparison: Comparison) -> None:
    told = set(comparison.reasons)
    for entry in comparison.regions:
        values = [entry.expected_ml, entry.low_ml, entry.high_ml, entry.z, entry.z_low]
        values += [entry.z_high, entry.centile, entry.pooled_z, entry.pooled_centile]
        absent = [value is None for value in values]
        assert all(absent) or not any(absent)
        assert (entry.flag == "not_compared") == all(absent)
        assert entry.reasons or not all(absent)
        assert told >= set(entry.reasons)
    for pair in comparison.asymmetry:
        assert (pair.flag == "not_compared") == (pair.z is None)
        assert pair.reasons or pair.z is not None
        assert told >= set(pair.reasons)


@given(volumes, children)
def test_a_reference_of_more_children_knows_more_exactly(volumes_ml, child) -> None:
    n = replace(XI.population.n, value=10.0)
    small = replace(XI, population=replace(XI.population, n=n))

    wide = compare(volumes_ml, child, small, CALIBRATED).regions
    narrow = compare(volumes_ml, child, XI, CALIBRATED).regions

    for of_few, of_many in zip(wide, narrow, strict=True):
        assert of_few.z_high - of_few.z_low > of_many.z_high - of_many.z_low


@given(volumes, children, conditions, st.floats(0.5, 2.0))
def test_the_pooled_tier_has_no_voice_in_another_tiers_numbers(
    volumes_ml, child, base, scale
) -> None:
    # As if somebody had mixed the pooled SDs up: only what is called pooled may change.
    regions = tuple(
        replace(norm, sd=replace(norm.sd, value=scale * norm.sd.value))
        for norm in XI.linear_regions
    )

    mixed = compare(volumes_ml, child, replace(XI, regions=regions), base)
    before = compare(volumes_ml, child, XI, base)

    for one, other in zip(mixed.regions, before.regions, strict=True):
        assert replace(one, pooled_z=None, pooled_centile=None) == replace(
            other, pooled_z=None, pooled_centile=None
        )
    assert mixed.tier is before.tier


@given(
    st.dictionaries(names, st.floats(0, 1e6), max_size=2),
    st.one_of(st.none(), st.integers(-10, 40_000)),
    st.one_of(st.none(), sexes),
    conditions,
)
def test_no_comparison_is_without_its_references_digest_tier_and_status(
    changes, age_days, sex, base
) -> None:
    found = compare(MEANS_ML | changes, Child(age_days, sex), XI, base)

    assert (found.reference_id, found.reference_version) == ("xi2025", XI.version)
    assert fullmatch("sha256:[0-9a-f]{64}", found.reference_version)
    assert found.tier in {"derived", "calibrated"}
    assert found.site_status is base.site_status
