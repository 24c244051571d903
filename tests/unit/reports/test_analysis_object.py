"""The analysis object: the contract's keys, nothing unknown left unexplained, nothing rounded."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fontanelle.errors import Code, Reason
from fontanelle.imaging.patient import NOBODY
from fontanelle.imaging.quality import Grade, QualityCheck
from fontanelle.imaging.selection import Decision
from fontanelle.imaging.volumes import Volumes
from fontanelle.reports.analysis_object import (
    RenderedObject,
    analysis_object,
    to_json,
)
from fontanelle.reports.result import Fitness, Identity, Result, State
from tests.unit.reports.builders import (
    UNKNOWN_AGE,
    case,
    comparison,
    head_of,
    judged,
    preterm,
)

# The keys of the design's analysis object (docs: HTTP), in its order.
CONTRACT = [
    "id", "state", "fitness", "patient", "study_instance_uid", "series_instance_uid",
    "series_revision", "accession_number", "package", "engine", "reference", "measurements",
    "asymmetry", "summary", "quality", "reasons", "objects", "deliveries", "timings_s",
]  # fmt: skip
MEASUREMENT = [
    "region", "volume_ml", "parenchyma_ml", "csf_ml", "expected_ml", "low_ml", "high_ml", "z",
    "z_low", "z_high", "centile", "share_percent", "pooled", "flag", "reasons",
]  # fmt: skip
SUMMARY = [
    "total_ml", "intracranial_ml", "ventricles_ml", "head_circumference_cm",
    "corrected_age_days", "regions_below_5th_centile", "share_of_children_with_as_many",
    "regions_compared", "flag_limit", "is_small_head",
]  # fmt: skip


def full() -> Result:
    return case().result


def no_z() -> Result:
    return replace(full(), fitness=Fitness.LIMITED, comparison=comparison(compared=False))


def no_comparison() -> Result:
    return replace(full(), fitness=Fitness.LIMITED, comparison=None, reasons=(UNKNOWN_AGE,))


def withheld() -> Result:
    misplaced = Reason(Code.QUALITY_PLACE, "A region lies 62 mm from its place.")
    return replace(
        full(),
        fitness=Fitness.WITHHELD,
        volumes=None,
        comparison=None,
        reasons=(misplaced,),
        head=None,
        earlier=(),
    )


def rejected() -> Result:
    localizer = Reason(Code.LOCALIZER, "The series has 2 images.")
    return replace(
        withheld(),
        state=State.REJECTED,
        fitness=None,
        engine=None,
        scan=None,
        quality=(),
        reasons=(localizer,),
    )


def from_nifti() -> Result:
    check = QualityCheck("place", Grade.PASS, None, "All regions lie in their places.")
    return replace(no_z(), patient=NOBODY, identity=Identity(None, None, 1, None), quality=(check,))


def of_a_qualified_site() -> Result:
    return replace(full(), comparison=judged())


def born_preterm() -> Result:
    return replace(full(), comparison=preterm())


def taped() -> Result:
    return replace(full(), head=head_of(given_cm=47.5))


def with_a_hidden_vault() -> Result:
    return replace(full(), head=head_of(measured_cm=None))


def of_no_known_age() -> Result:
    return replace(no_z(), head=head_of(age_days=None))


ALL = (
    full, no_z, no_comparison, withheld, rejected, from_nifti, of_a_qualified_site, born_preterm,
    taped, with_a_hidden_vault, of_no_known_age,
)  # fmt: skip


def test_the_keys_are_the_contracts_in_its_order() -> None:
    found = json.loads(to_json(full()))

    assert [key for key in found if key in CONTRACT] == CONTRACT
    first = found["measurements"][0]
    assert [key for key in first if key in MEASUREMENT] == MEASUREMENT
    assert (first["region"], first["label"]) == ("left_frontal", "Left frontal lobe")
    assert list(found["summary"]) == SUMMARY
    assert found["id"] is None and found["deliveries"] == []


@pytest.mark.parametrize("result", ALL)
def test_every_null_has_a_reason_beside_it(result) -> None:
    found = json.loads(to_json(result(), [RenderedObject("overlay", None, "overlay.png")]))
    said = {entry["path"] for entry in found["unknown"]}

    for path, beside in _nulls(found):
        assert path in said or beside, f"{path} is null and nobody says why"
    assert all(entry["sentence"] for entry in found["unknown"])
    assert not [e for e in found["unknown"] if "did not say" in e["sentence"]]


def test_numbers_keep_their_meaning() -> None:
    first = json.loads(to_json(full()))["measurements"][0]

    # From the builder's comparison: z -0.46414, centile 32.1284, pooled z -0.00052.
    assert (first["z"], first["centile"], first["pooled"]["z"]) == (-0.4641, 32.1284, -0.0005)
    assert first["expected_ml"] == 100.226


def test_shares_add_up_to_a_hundred_and_parts_to_their_region() -> None:
    found = json.loads(to_json(full()))

    shares = sum(region["share_percent"] for region in found["measurements"])
    assert shares == pytest.approx(100.0, abs=0.001)
    for region in found["measurements"]:
        parts = region["parenchyma_ml"] + region["csf_ml"]
        assert parts == pytest.approx(region["volume_ml"], abs=0.0011)


def test_where_there_is_no_z_every_region_says_why() -> None:
    for result in (no_z(), no_comparison()):
        for region in json.loads(to_json(result))["measurements"]:
            assert region["z"] is None and region["expected_ml"] is None
            assert region["volume_ml"] > 0
            assert region["flag"] == "not_compared"
            assert region["reasons"] == ["comparison.age_unknown"]


@pytest.mark.parametrize("result", [withheld, rejected])
def test_a_withheld_or_rejected_result_has_no_numbers(result) -> None:
    found = json.loads(to_json(result()))

    assert found["measurements"] == [] and found["asymmetry"] == []
    assert set(found["summary"].values()) == {None}
    assert found["reasons"]


def test_a_date_of_birth_that_is_not_said_may_have_been_a_placeholder_or_malformed() -> None:
    placeholder = Reason(Code.AGE_PLACEHOLDER, "The birth date is a placeholder.")
    patient = replace(full().patient, birth_date=None, age_days=None, reasons=(placeholder,))

    found = json.loads(to_json(replace(full(), patient=patient)))

    said = {entry["path"]: entry["sentence"] for entry in found["unknown"]}["patient.birth_date"]
    assert "placeholder" in said and "malformed" in said


def test_objects_and_decisions_are_listed() -> None:
    found = analysis_object(
        full(),
        [RenderedObject("segmentation", "1.2.3", "segmentation.dcm")],
        [Decision("1.2.4", False, (Reason(Code.LOCALIZER, "It has 2 images."),))],
    )

    assert found["objects"] == [
        {"kind": "segmentation", "sop_instance_uid": "1.2.3", "href": "segmentation.dcm"}
    ]
    assert found["series"] == [
        {
            "series_instance_uid": "1.2.4",
            "selected": False,
            "reasons": [{"code": "admission.localizer", "sentence": "It has 2 images."}],
        }
    ]


def test_the_same_result_is_the_same_text() -> None:
    assert to_json(full()) == to_json(full())


def test_a_number_that_is_none_is_a_mistake_and_no_json() -> None:
    broken = replace(full(), volumes=Volumes((), float("nan"), 1.0))

    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(broken)


def _nulls(value: object, path: str = "", beside: bool = False) -> Iterator[tuple[str, bool]]:
    if value is None:
        yield path, beside
    elif isinstance(value, dict):
        codes = [each for each in value.get("reasons", ()) if isinstance(each, str)]
        reasons = beside or bool(codes)
        for key, inner in value.items():
            yield from _nulls(inner, f"{path}.{key}".lstrip("."), reasons)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _nulls(inner, f"{path}[{number}]", beside)


def test_the_sum_of_all_regions_is_a_line_of_its_own() -> None:
    found = json.loads(to_json(full()))

    assert found["total"]["volume_ml"] == found["summary"]["total_ml"]
    assert found["total"]["sd_ml"] == 12.75
    assert found["total"]["flag"] == "uncalibrated"


def test_how_many_regions_are_low_is_said_only_where_somebody_is_called_low() -> None:
    assert json.loads(to_json(full()))["summary"]["regions_below_5th_centile"] is None

    found = json.loads(to_json(of_a_qualified_site()))["summary"]

    assert (found["regions_below_5th_centile"], found["regions_compared"]) == (1, 10)
    assert found["share_of_children_with_as_many"] == 16.1
    assert (found["flag_limit"], found["is_small_head"]) == (2.54, False)


def test_both_ages_of_a_child_born_preterm_are_there() -> None:
    found = json.loads(to_json(born_preterm()))

    assert (found["patient"]["age_days"], found["summary"]["corrected_age_days"]) == (723, 667)
    beside = {each["region"]: each for each in found["at_chronological_age"]}
    assert beside["cerebellum"] == {
        "region": "cerebellum",
        "expected_ml": 103.5,
        "z": -0.6512,
        "centile": 25.7,
    }
    assert json.loads(to_json(full()))["at_chronological_age"] == []


def test_a_circumference_names_its_chart_its_source_and_its_error() -> None:
    measured = json.loads(to_json(full()))
    given = json.loads(to_json(taped()))

    # README of the charts: 47.0 cm of a boy of 723 days is z -1.1480, centile 12.5479.
    found = measured["head_size"]["circumference"]
    assert (found["chart"], found["source"], found["error_cm"]) == ("CDC 2000", "measured", 0.5)
    assert (found["z"], found["centile"]) == (-1.148, 12.5479)
    assert found["z_low"] < found["z"] < found["z_high"]
    assert measured["summary"]["head_circumference_cm"] == 47.0
    taken = given["head_size"]["circumference"]
    assert (taken["cm"], taken["source"], taken["error_cm"]) == (47.5, "given", None)
    assert taken["z_low"] == taken["z"] == taken["z_high"]


def test_intracranial_volume_stands_beside_a_mean_and_has_no_z() -> None:
    found = json.loads(to_json(full()))["head_size"]["intracranial"]

    # 1.979 years: the curve has 1069.44 mL at 1.9 and 1071.71 mL at 2.0 years or near.
    assert found["ml"] == 1030.4 and 1060 < found["mean_ml"] < 1075
    assert found["percent_of_mean"] == pytest.approx(100 * 1030.4 / found["mean_ml"], abs=1e-3)
    assert "z" not in found


def test_an_earlier_scan_says_what_changed_and_that_nothing_is_called() -> None:
    (earlier,) = json.loads(to_json(full()))["earlier"]

    assert (earlier["days"], earlier["study_date"]) == (180, "2024-07-06")
    change = next(each for each in earlier["changes"] if each["region"] == "left_frontal")
    # From the builder: 80 mL now, 76 mL then; expected grew by 180 / 40 mL.
    assert (change["change_ml"], change["growth_ml"]) == (4.0, 4.5)
    assert (change["flag"], change["limit_ml"]) == ("not_called", None)
    assert change["reasons"] == ["serial.repeatability_unknown"]
