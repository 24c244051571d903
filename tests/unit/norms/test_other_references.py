"""Another organ, modality or model is another file: no code knows of it."""

import math
from typing import Any

import pytest
from scipy import stats

from fontanelle.errors import Code
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import (
    Child,
    Comparison,
    Conditions,
    Flag,
    ProtocolMatch,
    Sex,
    SiteStatus,
)
from fontanelle.norms.document import ModelKind
from fontanelle.norms.mistakes import Malformed
from fontanelle.norms.reference import load
from fontanelle.norms.units import volume_mistakes
from fontanelle.norms.values import LmsNorm, MeanSdNorm, Reference
from tests.unit.norms import others
from tests.unit.norms.cases import region

VOLUMES_ML = {"liver": 550.0, "left_kidney": 80.0, "right_kidney": 76.0}


def compared(reference: Reference, status: SiteStatus = SiteStatus.PROVISIONAL) -> Comparison:
    conditions = Conditions("abdomen", ProtocolMatch.SAME, status, package_sha256="ab" * 32)
    return compare(VOLUMES_ML, Child(1900, Sex.FEMALE), reference, conditions)


def test_a_reference_of_means_and_sds_compares_abdominal_organs() -> None:
    reference = load(others.text_of(others.mean_sd()))

    found = compared(reference)

    assert reference.kind is ModelKind.MEAN_SD
    assert all(isinstance(norm, MeanSdNorm) for norm in reference.regions)
    assert (reference.total, reference.correlations) == (None, None)
    liver = region(found, "liver")
    assert liver.expected_ml == 500.0
    assert liver.z == pytest.approx((550 - 500) / 50)
    assert region(found, "left_kidney").z == pytest.approx(0.0)
    # 200 x 4 / 156 = 5.1282 %
    assert found.asymmetry[0].z == pytest.approx((5.1282 - 3.0) / 4.0, abs=1e-4)


CORRELATIONS = {
    "order": ["liver", "left_kidney", "right_kidney"],
    "of": "deviations from the means",
    "status": "local",
    "source": others.INVENTED,
    "central": [[1.0, 0.3, 0.2], [0.3, 1.0, 0.8], [0.2, 0.8, 1.0]],
}


def test_the_sum_of_means_scatters_as_the_correlations_say() -> None:
    reference = load(others.text_of(others.mean_sd() | {"correlations": CORRELATIONS}))

    total = compared(reference).total

    # Liver 500 ± 50, kidneys 80 ± 8 and 76 ± 7.6; 64 children.
    variance = 50**2 + 8**2 + 7.6**2 + 2 * (0.3 * 50 * 8 + 0.2 * 50 * 7.6 + 0.8 * 8 * 7.6)
    z = (550 + 80 + 76 - 656) / math.sqrt(variance)
    assert total is not None and total.expected_ml == 656.0
    assert total.z == pytest.approx(z)
    # Crawford and Howell, 63 degrees of freedom.
    assert total.centile == pytest.approx(100 * stats.t(63).cdf(z / math.sqrt(65 / 64)))


@pytest.mark.parametrize("make", [others.mean_sd, others.lms])
def test_there_is_no_sum_without_correlations_nor_of_medians(make: Any) -> None:
    members = make()
    if make is others.lms:
        members["correlations"] = CORRELATIONS

    assert compared(load(others.text_of(members))).total is None


def test_a_reference_of_lms_rows_compares_abdominal_organs() -> None:
    reference = load(others.text_of(others.lms()))

    found = compared(reference)

    assert reference.kind is ModelKind.LMS
    assert all(isinstance(norm, LmsNorm) for norm in reference.regions)
    # Half way between 1,800 and 2,000 days the median is 500 x 1.025; L = -0.5, S = 0.1.
    median = 500 * 1.025
    assert region(found, "liver").z == pytest.approx(((550 / median) ** -0.5 - 1) / (-0.5 * 0.1))


def test_volumes_of_girls_alone_are_looked_at_beside_their_own_rows() -> None:
    members = others.lms()
    members["validity"]["sexes"] = ["F"]
    for each in members["regions"]:
        each["lms"]["rows"] = [row for row in each["lms"]["rows"] if row["sex"] == "F"]
    reference = load(others.text_of(members))

    assert list(volume_mistakes(VOLUMES_ML, reference)) == []
    assert "mm3" in next(volume_mistakes(VOLUMES_ML | {"liver": 5e5}, reference))


@pytest.mark.parametrize("make", [others.mean_sd, others.lms])
def test_nobody_is_flagged_before_the_site_is_known_whatever_the_model(make: Any) -> None:
    members = make()
    members["tiers"] = {"available": ["derived"], "order": ["derived"]}
    for each in members["regions"]:
        if "lms" in each:
            each["lms"]["status"] = "derived"
        else:
            each["mean"]["status"] = each["sd"]["status"] = "derived"
    reference = load(others.text_of(members))

    found = compared(reference, SiteStatus.NONE)

    assert {each.flag for each in found.regions} == {Flag.UNCALIBRATED}
    assert math.isfinite(found.regions[0].z or math.nan)


def put(where: str, value: object) -> Any:
    *path, last = where.split(".")

    def change(members: Any) -> None:
        for key in path:
            members = members[int(key) if key.isdigit() else key]
        members[last] = value

    return change


WRONG = [
    (others.mean_sd, put("regions.0.sd.value", 0.0), "liver.sd is not above 0"),
    (others.mean_sd, put("regions.0.sex_effect", 1.0), "regions.0.sex_effect: Extra inputs"),
    (others.mean_sd, put("regions.0.sd.status", "derived"), "coefficients that are not local"),
    (others.mean_sd, put("regions.1.laterality", "right"), "laterality of its regions"),
    (others.mean_sd, put("protocol.package_digest", None), "a local reference belongs to one"),
    (others.mean_sd, put("protocol.package_digest", "ab"), "protocol.package_digest"),
    (others.mean_sd, put("population.a b", others.number(1, "")), "population.a b"),
    (others.mean_sd, put("tiers.available", ["calibrated"]), "a site's calibration makes"),
    (others.lms, put("tiers.available", ["local", "pooled"]), "no pooled tier"),
    (others.lms, put("regions.0.lms.rows.1.age_days", 1800), "ages of M do not ascend"),
    (others.lms, put("regions.0.lms.rows.2.age_days", 2100), "rows of M do not cover"),
    (others.lms, put("regions.0.lms.rows.0.S", 0.0), "regions.0.lms.rows.0.S"),
    (others.lms, put("regions.0.lms.unit", "mm3"), "regions.0.lms.unit"),
    (others.lms, put("validity.sexes", ["M"]), "rows of F, which validity does not name"),
]


@pytest.mark.parametrize(("make", "change", "words"), WRONG)
def test_what_makes_no_sense_in_its_model_is_refused(make: Any, change: Any, words: str) -> None:
    members = make()
    change(members)

    with pytest.raises(Malformed) as caught:
        load(others.text_of(members))

    assert caught.value.reason.code is Code.REFERENCE_INVALID
    assert words in caught.value.reason.sentence


def test_a_regression_needs_the_centre_of_its_population() -> None:
    from tests.unit.norms.cases import document, sealed

    members = document()
    for name in ("male_share", "age_mean", "age_sd"):
        members["population"][name] = {
            "value": None,
            "unit": "1",
            "status": "unknown",
            "source": "not stated",
        }

    with pytest.raises(Malformed) as caught:
        load(sealed(members))

    wrong = [each.where for each in caught.value.mistakes]
    assert wrong == ["population.male_share", "population.age_mean", "population.age_sd"]
