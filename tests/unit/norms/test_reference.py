"""References are data: sealed, checked as a whole, and refused with every problem named."""

import json
import math

import numpy as np
import pytest

from fontanelle.errors import Code, Refused
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import (
    Child,
    Conditions,
    Flag,
    ProtocolMatch,
    Sex,
    SiteStatus,
    Tier,
)
from fontanelle.norms.document import Status
from fontanelle.norms.reference import load, shipped, shipped_ids
from tests.unit.norms.cases import XI, XI_TEXT, document, sealed

# Xi et al. 2025, section 3.4: mean and SD in mL, in the text of the article.
PUBLISHED_ML = {
    "left_frontal": (204.51, 19.61),
    "right_frontal": (200.64, 19.15),
    "left_parietal": (79.42, 7.65),
    "right_parietal": (81.52, 7.91),
    "left_occipital": (52.82, 5.33),
    "right_occipital": (53.76, 5.21),
    "left_temporal": (94.08, 9.27),
    "right_temporal": (91.92, 9.07),
    "cerebellum": (127.97, 11.85),
    "brainstem": (15.47, 1.50),
}


def refusal(text: str) -> tuple[Code, str]:
    with pytest.raises(Refused) as caught:
        load(text)
    return caught.value.reason.code, caught.value.reason.sentence


def test_the_shipped_reference_is_the_sealed_one() -> None:
    assert shipped_ids() == ("xi2025",)
    assert shipped("xi2025") == XI
    assert XI.version == ("sha256:6cae3d58afbb5398af1635c137ba6a9b45c3b0928e8d2631ae2306b9ff12abc7")


def test_the_shipped_reference_holds_the_published_means_and_sds() -> None:
    found = {norm.name: (norm.mean.value, norm.sd.value) for norm in XI.regions}

    assert found == PUBLISHED_ML
    assert list(found) == list(PUBLISHED_ML)
    assert {norm.mean.status for norm in XI.regions} == {Status.PUBLISHED}


def test_residual_sex_and_age_add_up_to_the_published_sd() -> None:
    # 826 boys of 1,487 children; age SD 0.28 years (section 3.3 of the article).
    p = 826 / 1487
    for norm in XI.regions:
        of_sex = norm.sex_effect.value**2 * p * (1 - p)
        of_age = norm.age_slope.value**2 * 0.28**2
        sd_ml = math.sqrt(norm.residual_sd.value**2 + of_sex + of_age)
        assert sd_ml == pytest.approx(norm.sd.value, abs=1e-3)


def test_the_totals_sd_follows_from_the_correlations_not_from_independence() -> None:
    sd_ml = np.array([norm.residual_sd.value for norm in XI.regions])

    correlated = math.sqrt(sd_ml @ np.array(XI.correlations.central) @ sd_ml)

    assert correlated == pytest.approx(XI.total.residual_sd.value, abs=0.05)
    assert np.linalg.norm(sd_ml) == pytest.approx(29.9, abs=0.05)


def test_every_number_says_how_it_is_known_and_what_nobody_knows_stays_unknown() -> None:
    frontal = XI.regions[0]

    assert (frontal.sex_effect.status, frontal.sex_effect.se) == (Status.DERIVED, 2.609)
    assert frontal.sex_effect.range == (12.271, 22.496)
    assert frontal.sex_effect.source
    unknown = {fact.name: fact.value for fact in frontal.facts if fact.status is Status.UNKNOWN}
    assert unknown == dict.fromkeys(
        ("male_mean", "female_mean", "published_sex_coefficient", "published_age_coefficient")
    )
    population = {fact.name: fact for fact in XI.population.facts}
    assert population["gestational_age"].status is Status.UNKNOWN
    assert population["country"].value == "China"
    assert XI.tiers == (Tier.DERIVED, Tier.POOLED)
    assert (XI.label_protocol, XI.package_digest) == ("xi2025-matched", None)
    assert XI.calibration.prior_sd.value == 6.0
    assert len(XI.contradictions) == 8


@pytest.mark.parametrize("name", ["xi2024", "", "../xi2025", "xi2025.json", "README"])
def test_a_reference_that_is_not_shipped_is_unknown(name) -> None:
    with pytest.raises(Refused) as caught:
        shipped(name)

    assert caught.value.reason.code is Code.REFERENCE_UNKNOWN
    assert "xi2025" in caught.value.reason.sentence


def test_a_changed_number_is_noticed_by_the_digest() -> None:
    code, sentence = refusal(XI_TEXT.replace('"value": 204.51,', '"value": 204.52,', 1))

    assert code is Code.REFERENCE_DIGEST
    assert "6cae3d58afbb" in sentence


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members["regions"][0]["mean"].update(source="elsewhere"),
        lambda members: members["correlations"]["central"][0].__setitem__(1, 0.936),
        lambda members: members["unknown"].pop(),
        lambda members: members["digest"].update(value="0" * 64),
        # 6 and 6.0 are equal numbers and different texts; the digest is over the text.
        lambda members: members["calibration"]["prior_sd"].update(value=6),
    ],
)
def test_any_change_is_noticed_by_the_digest(change) -> None:
    assert refusal(json.dumps(document(change)))[0] is Code.REFERENCE_DIGEST


def test_white_space_and_the_order_of_members_are_no_change() -> None:
    members = dict(reversed(list(document().items())))

    assert load(json.dumps(members, indent=4)) == XI


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"xi2025"',
        "{}",
        "[" * 100_000,
        XI_TEXT.replace("204.51", "NaN", 1),
        XI_TEXT.replace("204.51", "1e999", 1),
        XI_TEXT.replace("204.51", '"204.51"', 1),
        XI_TEXT.replace('"revision": 1', '"revision": true', 1),
        XI_TEXT.replace('"xi2025"', r'"\ud800"', 1),
        XI_TEXT.replace('"revision": 1', '"revision": 1, "revision": 1', 1),
        XI_TEXT.replace("fontanelle.reference/1", "fontanelle.reference/2", 1),
    ],
)
def test_what_is_no_reference_is_refused_as_invalid(text) -> None:
    assert refusal(text)[0] is Code.REFERENCE_INVALID


def put(*path_and_value):
    """Return a change that puts a value at a path into the document."""
    *path, last, value = path_and_value

    def change(members) -> None:
        for key in path:
            members = members[key]
        members[last] = value

    return change


def matrix(*changes: tuple[int, int, float]):
    def change(members) -> None:
        for row, column, value in changes:
            members["correlations"]["central"][row][column] = value

    return change


PROBLEMS = [
    (put("comment", "x"), "comment"),
    (put("regions", 3, "colour", "x"), "regions.3.colour"),
    (put("regions", 3, "mean", "confidence", 1), "regions.3.mean.confidence"),
    (put("validity", "extrapolate", True), "validity.extrapolate"),
    (put("validity", "inclusive", False), "validity.inclusive"),
    (put("model", "kind", "cubic"), "model.kind"),
    (put("model", "kind", "lms"), "regions.3.lms: Field required"),
    (put("regions", 0, "mean", "value", None), "regions.0.mean.value"),
    (put("regions", 0, "mean", "status", "unknown"), "regions.0.mean.status"),
    (put("regions", 0, "male_mean", "status", "published"), "regions.0.male_mean"),
    (put("regions", 0, "mean", "value", -1.0), "left_frontal.mean is not above 0"),
    (put("regions", 0, "mean", "unit", "mm3"), "left_frontal.mean is not in mL"),
    (put("regions", 0, "sd", "value", 0.0), "left_frontal.sd is not above 0"),
    (put("regions", 0, "residual_sd", "value", 20.0), "left_frontal.residual_sd lies outside"),
    (put("regions", 0, "sex_effect", "se", None), "left_frontal.sex_effect has no standard error"),
    (put("regions", 0, "age_slope", "se", -1.0), "regions.0.age_slope.se"),
    (put("regions", 0, "age_slope", "unit", "mL/month"), "left_frontal.age_slope is not in"),
    (put("regions", 1, "name", "left_frontal"), "share a name"),
    (put("regions", 1, "label", 1), "share a label"),
    (put("population", "male_share", "value", 55.5), "population.male_share is no share"),
    (put("population", "age_mean", "unit", "months"), "population.age_mean is not in years"),
    (put("population", "n", "value", 0), "population.n is not above 0"),
    (put("validity", "age_days_max", 500), "from 548 to 500 days"),
    (put("validity", "sexes", []), "no sex"),
    (put("correlations", "order", ["cerebellum"]), "order of the regions"),
    (put("correlations", "central", [[1.0]]), "correlations.central is not 10 x 10"),
    (matrix((0, 1, 0.5)), "correlations.central is not symmetric"),
    (matrix((0, 0, 1.1)), "diagonal other than 1"),
    (matrix((0, 1, -0.9), (1, 0, -0.9)), "correlations.central is not positive definite"),
    (put("asymmetry", 0, "pair", "insular"), "asymmetry insular has no left"),
    (put("asymmetry", 1, "pair", "frontal"), "two asymmetries share a pair"),
    (put("asymmetry", 0, "sd", "value", 0.0), "asymmetry.frontal.sd is not above 0"),
    (put("tiers", "available", ["pooled"]), "needs one of the tiers"),
    (put("tiers", "available", ["published"]), "coefficients that are not published"),
    (put("calibration", "prior_sd", "unit", "mL"), "calibration.prior_sd is not in %"),
]


@pytest.mark.parametrize(("change", "words"), PROBLEMS)
def test_a_sealed_reference_that_makes_no_sense_is_refused_and_says_where(change, words) -> None:
    code, sentence = refusal(sealed(document(change)))

    assert code is Code.REFERENCE_INVALID
    assert words in sentence


def test_all_problems_are_named_at_once() -> None:
    def change(members) -> None:
        put("regions", 0, "mean", "unit", "mm3")(members)
        put("regions", 9, "sd", "value", -1.0)(members)

    _, sentence = refusal(sealed(document(change)))

    assert "left_frontal.mean" in sentence
    assert "brainstem.sd" in sentence


def two_regions(members) -> None:
    """Make the reference one of two lungs, five to six years old."""
    for region, name in zip(members["regions"][:2], ("left_lung", "right_lung"), strict=True):
        region["name"] = name
    members.update(id="lungs", regions=members["regions"][:2])
    members["protocol"]["label_protocol"] = "lungs"
    members["validity"].update(age_days_min=1826, age_days_max=2191)
    members["population"]["age_mean"].update(value=5.5)
    del members["total"]
    members["asymmetry"] = members["asymmetry"][:1]
    members["asymmetry"][0]["pair"] = "lung"
    correlations = members["correlations"]
    correlations.update(order=["left_lung", "right_lung"], central=[[1.0, 0.9], [0.9, 1.0]])
    del correlations["weak"], correlations["strong"]


def test_another_organs_reference_needs_no_new_code() -> None:
    lungs = load(sealed(document(two_regions)))
    conditions = Conditions("lungs", ProtocolMatch.SAME, SiteStatus.NONE)

    comparison = compare(
        {"left_lung": 204.51, "right_lung": 200.64}, Child(2008, Sex.FEMALE), lungs, conditions
    )

    # By hand: 2008 d = 5.4976 y; 204.51 - 0.555481 x 17.383 - 0.0024 x 20.451 = 194.805
    assert comparison.regions[0].expected_ml == pytest.approx(194.805, abs=1e-3)
    assert comparison.regions[0].flag is Flag.UNCALIBRATED
    # By hand: 200 x 3.87 / 405.15
    assert comparison.asymmetry[0].index == pytest.approx(1.9104, abs=1e-4)
    assert comparison.reference_version != XI.version
