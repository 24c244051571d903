"""The comparison, against numbers that were computed elsewhere (see cases.py)."""

import numpy as np
import pytest

from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import (
    Child,
    Conditions,
    ProtocolMatch,
    Sex,
    SiteOffset,
    SiteStatus,
)
from tests.unit.norms.cases import (
    BOY,
    BOY_OF_723_DAYS,
    BOYS_VOLUMES_ML,
    CALIBRATED,
    GIRL,
    GIRL_OF_560_DAYS,
    MEANS_ML,
    UNCALIBRATED,
    XI,
    numbers_of,
    region,
    rows,
    volumes_of,
)


@pytest.mark.parametrize(("child", "table"), [(BOY, BOY_OF_723_DAYS), (GIRL, GIRL_OF_560_DAYS)])
def test_a_child_gets_the_worked_numbers_where_the_sites_offset_is_zero(child, table) -> None:
    comparison = compare(volumes_of(table), child, XI, CALIBRATED)

    for name, expected in rows(table):
        assert numbers_of(region(comparison, name)) == pytest.approx(expected[1:], abs=1e-4), name


@pytest.mark.parametrize(
    ("child", "table", "expected"),
    [
        (BOY, BOY_OF_723_DAYS, [(2.7261, 0.2783), (-17.1130, -3.6231), (1.4652, 1.1811)]),
        (GIRL, GIRL_OF_560_DAYS, [(2.2606, 0.1195), (-2.8337, -0.0560), (-2.4691, -0.2580)]),
    ],
)
def test_a_child_gets_the_worked_asymmetries(child, table, expected) -> None:
    pairs = compare(volumes_of(table), child, XI, UNCALIBRATED).asymmetry

    assert [pair.pair for pair in pairs] == ["frontal", "parietal", "occipital", "temporal"]
    found = [number for pair in pairs[:3] for number in (pair.index, pair.z)]
    assert found == pytest.approx(np.ravel(expected), abs=1e-4)


# Volumes equal to the published means. Region: sex, days, expected, z (and its 95 % range).
@pytest.mark.parametrize(
    ("sex", "age_days", "frontal", "cerebellum", "brainstem"),
    [
        ("M", 548, (202.4276, 169.5760, 235.2791, 0.1251, 54.9772), 0.1314, 0.1231),
        ("M", 913, (222.8646, 189.9902, 255.7390, -1.1025, 13.5120), -1.1580, -1.0856),
        ("F", 548, (185.0446, 152.1489, 217.9403, 1.1692, 87.8845), 1.2281, 1.1513),
        ("F", 913, (205.4816, 172.5631, 238.4001, -0.0584, 47.6730), -0.0613, -0.0574),
    ],
)
def test_the_first_and_the_last_day_of_the_reference_are_compared(
    sex, age_days, frontal, cerebellum, brainstem
) -> None:
    comparison = compare(MEANS_ML, Child(age_days, Sex(sex)), XI, CALIBRATED)

    left = region(comparison, "left_frontal")
    found = (left.expected_ml, left.low_ml, left.high_ml, left.z, left.centile)
    assert found == pytest.approx(frontal, abs=1e-4)
    assert region(comparison, "cerebellum").z == pytest.approx(cerebellum, abs=1e-4)
    assert region(comparison, "brainstem").z == pytest.approx(brainstem, abs=1e-4)


@pytest.mark.parametrize(
    ("child", "table", "total_ml"),
    [(BOY, BOY_OF_723_DAYS, 1039.9202), (GIRL, GIRL_OF_560_DAYS, 910.0201)],
)
def test_the_expected_regions_add_up_to_the_expected_total(child, table, total_ml) -> None:
    comparison = compare(volumes_of(table), child, XI, CALIBRATED)

    # Ten regions of 1e-4 each.
    assert sum(entry.expected_ml for entry in comparison.regions) == pytest.approx(
        total_ml, abs=1e-3
    )


# By hand, from the file's numbers. Left frontal, boy of 723 days (s - p = 0.444519,
# age - mean = -0.000534 y): se^2 = 16.648^2 / 1487 + (0.444519 x 2.609)^2 + (0.000534 x 3.130)^2
# + (0.06 x 204.51)^2 = 0.18639 + 1.34501 + 0.00000 + 150.56762 = 152.09902;
# z -+ 1.959964 x 12.33284 / 16.648; 212.22616 -+ 1.959964 x sqrt(277.15590 + 152.09902).
# Brainstem, girl of 560 days (-0.555481, -0.446804 y): se^2 = 0.00110 + 0.01197 + 0.01121
# + 0.86156 = 0.88584; 14.04834 -+ 1.959964 x sqrt(1.63584 + 0.88584).
@pytest.mark.parametrize(
    ("child", "table", "name", "z", "prediction_ml"),
    [
        (BOY, BOY_OF_723_DAYS, "left_frontal", (-1.9160, 0.9879), (171.6187, 252.8336)),
        (GIRL, GIRL_OF_560_DAYS, "brainstem", (-2.1838, 0.7008), (10.9360, 17.1607)),
    ],
)
def test_before_calibration_every_interval_holds_the_sites_unknown_offset(
    child, table, name, z, prediction_ml
) -> None:
    found = region(compare(volumes_of(table), child, XI, UNCALIBRATED), name)

    assert (found.z_low, found.z_high) == pytest.approx(z, abs=2e-4)
    assert (found.low_ml, found.high_ml) == pytest.approx(prediction_ml, abs=1e-3)


def test_before_calibration_z_and_centile_are_those_of_an_offset_of_zero() -> None:
    shown = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED)
    known = compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED)

    assert [entry.z for entry in shown.regions] == [entry.z for entry in known.regions]
    assert [entry.centile for entry in shown.regions] == [entry.centile for entry in known.regions]


# Twenty normal heads, offsets shrunken by the prior; closed form and grid posterior agree.
@pytest.mark.parametrize(
    ("offset", "z"),
    [
        (SiteOffset("left_frontal", 5.5859, 3.5623), -0.7996),
        (SiteOffset("left_parietal", -2.9272, 1.3914), -1.4586),
        (SiteOffset("cerebellum", 2.3075, 2.1306), -1.3819),
        (SiteOffset("brainstem", 0.3197, 0.2733), -1.1520),
    ],
)
def test_a_calibrated_sites_offset_is_taken_off_before_z(offset, z) -> None:
    others = (entry for entry in CALIBRATED.offsets if entry.region != offset.region)
    site = Conditions(
        "xi2025-matched",
        ProtocolMatch.MATCHED,
        SiteStatus.PROVISIONAL,
        offsets=(offset, *others),
    )

    found = region(compare(BOYS_VOLUMES_ML, BOY, XI, site), offset.region)

    assert found.z == pytest.approx(z, abs=1e-4)
    half_width = (found.z_high - found.z_low) / 2
    known = region(compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED), offset.region)
    residual_sd_ml = next(n.residual_sd.value for n in XI.regions if n.name == offset.region)
    added = half_width**2 - ((known.z_high - known.z_low) / 2) ** 2
    assert np.sqrt(added) == pytest.approx(1.959964 * offset.se_ml / residual_sd_ml, rel=1e-6)
