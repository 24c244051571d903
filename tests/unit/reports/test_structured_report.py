"""The structured report: every number with its provenance, every missing one with its reason."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from io import BytesIO

import highdicom
import pytest
from pydicom import Dataset

from fontanelle.errors import Code, Reason
from fontanelle.norms.comparison import Flag, SiteStatus
from fontanelle.reports import wording
from fontanelle.reports.result import Fitness, Result
from fontanelle.reports.segmentation import render_segmentation
from fontanelle.reports.structured_report import render_structured_report
from tests.unit.reports.builders import (
    REGIONS,
    UNKNOWN_AGE,
    Case,
    case,
    comparison,
    head_of,
    judged,
    preterm,
)
from tests.unit.reports.reading import reread, written

# DICOM and SNOMED codes as the standard's dictionary has them.
VOLUME, Z_SCORE, CENTILE, NORMALITY = "118565006", "121416", "121415", "121402"
UNDETERMINED, COMMENT = "371934000", "121106"


@cache
def usual() -> Dataset:
    """Return the report of the usual case: building one takes half a second."""
    return rendered(case())


def rendered(of: Case) -> Dataset:
    seg = render_segmentation(of.result, of.labels, of.sources)
    return reread(render_structured_report(of.result, seg, of.sources))


def without(of: Case, **changes: object) -> Case:
    return replace(of, result=replace(of.result, **changes))


def withheld(of: Case) -> Dataset:
    misplaced = Reason(Code.QUALITY_PLACE, "The cerebellum lies 62 mm from its place.")
    result: Result = replace(
        of.result,
        fitness=Fitness.WITHHELD,
        volumes=None,
        comparison=None,
        reasons=(misplaced,),
    )
    return reread(render_structured_report(result, None, of.sources))


def items(node: Dataset) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", ()):
        yield item
        yield from items(item)


def code(item: Dataset, sequence: str = "ConceptNameCodeSequence") -> str:
    concept = item[sequence][0]
    return str(concept.get("CodeValue") or concept.LongCodeValue)


def named(node: Dataset, value: str) -> list[Dataset]:
    return [i for i in items(node) if "ConceptNameCodeSequence" in i and code(i) == value]


def number(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def groups(report: Dataset) -> list[Dataset]:
    return named(report, "125007")


def said(report: Dataset) -> str:
    comments = [i for i in report.ContentSequence if code(i) == COMMENT]
    return "\n".join(comment.TextValue for comment in comments)


def test_each_region_has_a_group_with_its_volume_side_and_segment() -> None:
    of = case()

    report = usual()

    for region, group, measured in zip(
        REGIONS, groups(report), of.result.volumes.regions, strict=False
    ):
        assert named(group, "112039")[0].TextValue == region.name
        assert code(named(group, "363698007")[0], "ConceptCodeSequence") == (
            region.property_type.value
        )
        sides = [code(i, "ConceptCodeSequence") for i in named(group, "272741003")]
        assert sides == {"left": ["7771000"], "right": ["24028007"], None: []}[region.laterality]
        segment = named(group, "121191")[0].ReferencedSOPSequence[0]
        assert segment.ReferencedSegmentNumber == region.code
        assert number(named(group, VOLUME)[0]) == round(measured.compartment_ml, 3)
        assert number(named(group, "parenchyma")[0]) == round(measured.parenchyma_ml, 3)
        assert number(named(group, "csf")[0]) == round(measured.csf_ml, 3)


def test_seg_and_report_track_the_same_finding() -> None:
    of = case()
    seg = render_segmentation(of.result, of.labels, of.sources)

    report = reread(render_structured_report(of.result, seg, of.sources))

    tracked = [str(named(group, "112040")[0].UID) for group in groups(report)]
    assert tracked[: len(REGIONS)] == [
        str(s.TrackingUID) for s in seg.SegmentSequence[: len(REGIONS)]
    ]
    referenced = {
        str(i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for i in named(report, "121191")
    }
    assert referenced == {seg.SOPInstanceUID}


def test_what_the_reference_says_stands_under_the_volume() -> None:
    volume = named(groups(usual())[0], VOLUME)[0]

    # The builder's first comparison: z -0.46414, centile 32.1284, 100.2262 mL, 80.5 to 130.25 mL.
    assert number(named(volume, Z_SCORE)[0]) == -0.4641
    assert number(named(volume, CENTILE)[0]) == 32.1284
    assert number(named(volume, "373098007")[0]) == 100.226
    assert number(named(volume, "385524004")[0]) == 80.5
    assert number(named(volume, "371933006")[0]) == 130.25
    assert number(named(volume, "z_low")[0]) == -1.9
    assert "xi2025" in named(volume, "121406")[0].TextValue
    assert named(volume, "121421")[0].RelationshipType == "INFERRED FROM"


def test_nobody_is_called_normal_before_the_site_is_calibrated() -> None:
    report = usual()

    assert {code(i, "ConceptCodeSequence") for i in named(report, NORMALITY)} == {UNDETERMINED}


@pytest.mark.parametrize(
    ("flag", "normality"),
    [(Flag.NOT_FLAGGED, "17621005"), (Flag.LOW, "371880002"), (Flag.HIGH, "371879000")],
)
def test_a_flag_is_said_in_the_standards_words(flag: Flag, normality: str) -> None:
    of = case()
    compared = comparison()
    regions = tuple(replace(region, flag=flag) for region in compared.regions)
    calibrated = replace(compared, regions=regions, site_status=SiteStatus.QUALIFIED)

    report = rendered(without(of, comparison=calibrated))

    volume = named(groups(report)[0], VOLUME)[0]
    assert code(named(volume, NORMALITY)[0], "ConceptCodeSequence") == normality


@pytest.mark.parametrize("compared", [comparison(compared=False), None])
def test_without_a_z_there_is_no_number_but_a_reason(compared) -> None:
    of = case()

    report = rendered(
        without(
            of,
            fitness=Fitness.LIMITED,
            comparison=compared,
            reasons=(UNKNOWN_AGE,),
            head=head_of(age_days=None),
        )
    )

    for value in (Z_SCORE, CENTILE, NORMALITY, "373098007", "385524004"):
        assert named(report, value) == []
    for group in groups(report)[: len(REGIONS)]:
        why = named(group, "no_comparison")
        assert [code(i, "ConceptCodeSequence") for i in why] == ["comparison.age_unknown"]
        assert UNKNOWN_AGE.sentence in named(group, COMMENT)[0].TextValue
        assert number(named(group, VOLUME)[0]) > 0


def test_totals_are_the_sums_of_the_phantom() -> None:
    of = case()
    volumes = of.result.volumes

    totals = groups(usual())[-1]

    total = sum(region.compartment_ml for region in volumes.regions)
    assert number(named(totals, VOLUME)[0]) == pytest.approx(total, abs=0.0005)
    assert number(named(totals, "ventricles")[0]) == round(volumes.ventricles_ml, 3)
    assert number(named(totals, "intracranial")[0]) == pytest.approx(
        total + volumes.ventricles_ml, abs=0.0005
    )


def test_a_withheld_result_says_why_and_holds_no_number() -> None:
    report = withheld(case())

    measurements = named(report, "126010")[0]
    assert [item for item in items(measurements) if item.ValueType == "NUM"] == []
    assert named(report, "121191") == []
    assert "A region lies where it cannot lie. [quality.region_place]" in said(report)
    limits = [code(i, "ConceptCodeSequence") for i in named(measurements, "limitation")]
    assert limits == ["quality.region_place"]


def test_the_first_word_is_that_this_is_no_medical_device() -> None:
    for report in (usual(), withheld(case())):
        assert said(report).startswith("Research software, not a medical device;")
        assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")


def test_remarks_are_said_like_reasons() -> None:
    of = case()
    remark = Reason(Code.RESAMPLED_LABELS, "The NIfTI labels lie on a regular grid.")

    report = rendered(without(of, remarks=(remark,)))

    assert "The NIfTI labels lie on a regular grid. [imaging.resampled_labels]" in said(report)
    limits = {code(i, "ConceptCodeSequence") for i in named(report, "limitation")}
    assert "imaging.resampled_labels" not in limits


def test_no_number_leaves_without_its_provenance() -> None:
    of = case()
    result = of.result

    text = said(usual())

    for fact in (
        result.package.sha256,
        "xi2025-matched (approximate)",
        "CPUExecutionProvider, fp32, on Test CPU",
        result.comparison.reference_version,
        "tier derived, site status none",
        "23 slices of 48 x 48",
        "perpendicular step 6.000 mm, tilt 0.0 degrees",
        "Check brain_whole: pass.",
        "provisional",
        *(reason.sentence for reason in result.reasons),
    ):
        assert fact in text, fact


def test_rendered_twice_it_is_the_same_file() -> None:
    def file() -> bytes:
        of = case()
        seg = render_segmentation(of.result, of.labels, of.sources)
        return written(render_structured_report(of.result, seg, of.sources))

    assert file() == file()


def test_rendered_at_is_the_only_time_beside_the_studys_own() -> None:
    report = usual()

    times = {
        str(element.value)
        for element in report.iterall()
        if element.VR in ("DA", "TM", "DT") and element.value
    }

    study = {"20250102", "101500", "20230110"}
    assert times - study == {"20261121", "040506.789000", "20261121040506.789000+0000"}


def test_highdicom_reads_ten_groups_and_their_volumes() -> None:
    of = case()
    file = BytesIO(written(usual()))

    report = highdicom.sr.srread(file)

    found = report.content.get_volumetric_roi_measurement_groups()
    assert len(found) == len(REGIONS)
    assert found[0].get_measurements()[0].value == round(
        of.result.volumes.regions[0].compartment_ml, 3
    )


def test_a_report_has_a_segmentation_exactly_where_it_has_numbers() -> None:
    of = case()

    with pytest.raises(ValueError, match="exactly where it has numbers"):
        render_structured_report(of.result, None, of.sources)


def test_the_head_has_a_group_with_its_circumference_chart_and_source() -> None:
    group = next(g for g in groups(usual()) if named(g, "112039")[0].TextValue == "head")
    circumference = named(group, "head_circumf")[0]

    # 47.0 cm of a boy of 723 days: z -1.1480, centile 12.5479, median 48.63 cm.
    assert number(circumference) == 47.0
    assert number(named(circumference, Z_SCORE)[0]) == -1.148
    assert number(named(circumference, CENTILE)[0]) == 12.5479
    assert number(named(circumference, "population_p50")[0]) == 48.63
    assert named(circumference, "121406")[0].TextValue == "CDC 2000"
    assert "measured on the scan, SD 0.5 cm" in named(circumference, "121405")[0].TextValue
    assert number(named(group, "cephalic_index")[0]) == 82.5


def test_a_circumference_that_cannot_be_measured_has_its_reason_instead() -> None:
    of = without(case(), head=head_of(measured_cm=None))

    group = next(g for g in groups(rendered(of)) if named(g, "112039")[0].TextValue == "head")

    assert not named(group, "head_circumf")
    assert "head_size.not_in_view" in {
        code(i, "ConceptCodeSequence") for i in named(group, "limitation")
    }


def test_the_sum_and_the_asymmetries_stand_beside_their_populations() -> None:
    report = usual()

    total = named(groups(report)[-1], VOLUME)[0]
    # The builder's eleventh comparison: 100.2262 + 10 mL, SD 12.75 mL.
    assert number(named(total, "373098007")[0]) == 110.226
    assert number(named(total, "121414")[0]) == 12.75
    frontal = named(report, "asym_frontal")[0]
    assert number(named(frontal, "373098007")[0]) == 1.9104
    assert number(named(frontal, "121414")[0]) == 2.931


def test_the_sites_calibration_is_named_beside_the_reference() -> None:
    usual_words = wording.statements(case().result)
    words = wording.statements(without(case(), calibration_version="sha256:11").result)

    (named_there,) = set(words) - set(usual_words)
    assert named_there == "Calibration of this site: sha256:11."
    assert words[words.index(named_there) - 1].startswith("Reference xi2025, sha256:")


def test_both_ages_low_regions_and_earlier_scans_are_said_in_words() -> None:
    of = case()

    report = rendered(without(of, comparison=preterm(judged(low=8))))

    assert "Age 723 days since birth, 667 days corrected for preterm birth" in said(report)
    assert "8 of 10 regions are below the 5th centile; 16.1 % of typical children" in said(report)
    assert "one finding, a small head" in said(report)
    assert "Earlier scans of this child: 1" in said(report)
    volume = named(groups(report)[0], VOLUME)[0]
    assert number(named(volume, "z_since_birth")[0]) == -0.6512
    assert "667 days, corrected" in named(volume, "121405")[0].TextValue
