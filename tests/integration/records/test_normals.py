"""The site's normal children: which results count, which are left out and why, and no mixture."""

import pytest
from sqlalchemy import update

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import Verdict
from fontanelle.norms.comparison import Sex
from fontanelle.records import normals, reviews
from fontanelle.records.database import Records
from fontanelle.records.normals import Normals
from fontanelle.records.tables import AnalysisRow
from tests.integration.records.builders import OTHER_TOOLS, TOOLS, arrive
from tests.integration.records.normal_children import mark, marked, measured
from tests.unit.norms.simulated import Rows, rows

CHILDREN = rows(4, 3)


def found(records: Records, package: str | None = None) -> Normals:
    with records.begin() as session:
        return normals.normals(session, (548, 913), package)


def used(records: Records, package: str | None = None) -> list[int]:
    return [child.analysis_id for child in found(records, package).children]


def of_package(records: Records, *analysis_ids: int, sha256: str) -> None:
    """Say that results are of another package."""
    with records.begin() as session:
        session.execute(
            update(AnalysisRow)
            .where(AnalysisRow.id.in_(analysis_ids))
            .values(package_sha256=sha256, package_name="newer")
        )


def children_of(package_sha256: str) -> Rows:
    return [{**child, "package_sha256": package_sha256} for child in CHILDREN]


def test_an_accepted_result_of_a_normal_head_is_used_with_all_that_a_table_needs(
    records: Records,
) -> None:
    (analysis,) = marked(records, CHILDREN[:1])

    (child,) = found(records).children

    said = CHILDREN[0]
    assert child.analysis_id == analysis
    assert (child.age_days, child.sex) == (int(said["age_days"]), Sex(said["sex"]))
    assert child.gestational_age_weeks == 39 and not child.is_limited
    assert (child.package_sha256, child.protocol) == (said["package_sha256"], said["protocol"])
    assert child.volumes_ml["left_frontal"] == float(said["left_frontal"])
    assert len(child.volumes_ml) == 10
    assert child.intracranial_ml == pytest.approx(1.05 * sum(child.volumes_ml.values()))


def test_what_nobody_called_normal_is_not_used(records: Records) -> None:
    measured(records, 1, CHILDREN[0])
    mark(records, measured(records, 2, CHILDREN[1]), normal=None)
    mark(records, measured(records, 3, CHILDREN[2]), normal=False)
    mark(records, measured(records, 4, CHILDREN[3]), verdict=Verdict.REJECTED)

    with pytest.raises(Refused, match=r"^cohort.none_marked: No accepted result is marked"):
        found(records)


@pytest.mark.parametrize(
    ("normal", "verdict"), [(None, Verdict.ACCEPTED), (False, Verdict.ACCEPTED), (True, "rejected")]
)
def test_the_latest_word_counts(records: Records, normal: bool | None, verdict: str) -> None:
    first, second = marked(records, CHILDREN[:2])

    mark(records, first, normal=normal, verdict=Verdict(verdict))
    assert used(records) == [second]
    mark(records, first)

    assert used(records) == [first, second]


def test_a_word_is_kept_with_the_mark(records: Records) -> None:
    (analysis,) = marked(records, CHILDREN[:1])
    mark(records, analysis, normal=None)

    with records.begin() as session:
        assert [word.normal for word in reviews.of(session, analysis)] == [None, True]


def test_a_withheld_result_is_not_used_and_a_limited_one_is(records: Records) -> None:
    withheld = measured(records, 1, CHILDREN[0], fitness="withheld")
    limited = measured(records, 2, CHILDREN[1], fitness="limited")
    mark(records, withheld, limited)

    (child,) = found(records).children

    assert child.analysis_id == limited and child.is_limited


def test_a_superseded_result_is_not_used(records: Records) -> None:
    first, second = marked(records, CHILDREN[:2])
    with records.begin() as session:
        session.execute(
            update(AnalysisRow).where(AnalysisRow.id == first).values(state="superseded")
        )

    assert used(records) == [second]


def test_of_each_child_the_earliest_scan_is_used(records: Records) -> None:
    late, early, other, of_another = (
        {**child, "age_days": days}
        for child, days in zip(CHILDREN, ("800", "600", "700", "650"), strict=True)
    )
    same = {"patient_id": "P1", "issuer": "HOSPITAL"}
    second = measured(records, 1, late, **same)
    first = measured(records, 2, early, **same)
    elsewhere = measured(records, 3, other, patient_id="P1", issuer="CLINIC")
    nowhere = measured(records, 4, of_another, patient_id="P1", issuer=None)
    mark(records, second, first, elsewhere, nowhere)

    children = found(records)

    assert [child.analysis_id for child in children.children] == [first, elsewhere, nowhere]
    ((left_out, why),) = ((each.analysis_id, each.why) for each in children.left_out)
    assert left_out == second and f"Analysis {first} is of the same child" in why


def test_a_scan_before_the_ages_wanted_does_not_stand_in_the_way_of_a_later_one(
    records: Records,
) -> None:
    early = measured(records, 1, {**CHILDREN[0], "age_days": "400"}, patient_id="P1")
    late = measured(records, 2, {**CHILDREN[1], "age_days": "700"}, patient_id="P1")
    mark(records, early, late)

    children = found(records)

    assert [child.analysis_id for child in children.children] == [late]
    assert [(each.analysis_id, each.why) for each in children.left_out] == [
        (early, "Its child has 400 days; 548 to 913 are wanted.")
    ]


@pytest.mark.parametrize(
    ("changes", "codes", "study", "why"),
    [
        ({"age_days": ""}, (), {}, "The age is not known."),
        ({"sex": ""}, (), {}, "The sex is neither M nor F."),
        ({"sex": "O"}, (), {}, "The sex is neither M nor F."),
        ({}, (Code.AGE_CONFLICT,), {}, Code.AGE_CONFLICT.meaning),
        ({}, (Code.AGE_PLACEHOLDER,), {}, Code.AGE_PLACEHOLDER.meaning),
        ({}, (), {"patient_id": ""}, "no identifier"),
    ],
)
def test_a_child_of_whom_too_little_is_known_is_left_out_and_named(
    records: Records, changes: dict, codes: tuple, study: dict, why: str
) -> None:
    doubted = measured(records, 1, {**CHILDREN[0], **changes}, reasons=codes, **study)
    sound = measured(records, 2, CHILDREN[1], reasons=(Code.SITE_UNCALIBRATED,))
    mark(records, doubted, sound)

    children = found(records)

    assert [child.analysis_id for child in children.children] == [sound]
    assert [each.analysis_id for each in children.left_out] == [doubted]
    assert why in children.left_out[0].why


def test_a_child_whose_patient_is_in_doubt_is_left_out(records: Records) -> None:
    doubted, sound = marked(records, CHILDREN[:2])
    arrive(records, 900, series=1, study=1, patient_digest="e" * 64)

    children = found(records)

    assert [child.analysis_id for child in children.children] == [sound]
    assert [each.analysis_id for each in children.left_out] == [doubted]
    assert "in doubt" in children.left_out[0].why


def test_two_packages_are_refused_by_both_names_and_one_can_be_chosen(records: Records) -> None:
    old = marked(records, children_of(TOOLS.package_sha256)[:2])
    new = marked(records, children_of(OTHER_TOOLS.package_sha256)[2:], first=3)
    of_package(records, *new, sha256=OTHER_TOOLS.package_sha256)

    with pytest.raises(Refused) as caught:
        found(records)

    assert caught.value.reason.code is Code.COHORT_PACKAGES
    assert "(aaaaaaaaaaaa) and by" in caught.value.reason.sentence
    assert "(cccccccccccc)" in caught.value.reason.sentence
    assert used(records, "cccc") == used(records, "newer") == new
    assert used(records, TOOLS.package_sha256) == old
    assert [each.analysis_id for each in found(records, "newer").left_out] == old
    with pytest.raises(Refused, match="None of 4 accepted results"):
        found(records, "dddd")
