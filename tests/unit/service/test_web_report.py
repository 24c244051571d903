"""The report page of real analysis objects: left is left, nothing hidden, nothing invented."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from fontanelle.errors import Code, Reason
from fontanelle.norms.comparison import Flag, RegionComparison
from fontanelle.norms.serial import compare_with_earlier
from fontanelle.reports import sentences, wording
from fontanelle.reports.analysis_object import to_json
from fontanelle.reports.notice import NOTICE
from fontanelle.reports.result import Fitness, Result, State
from service.web import rounding
from service.web.rendering import render_report_page
from service.web.report_view import view_of
from tests.unit.reports.builders import (
    MEASURED,
    case,
    comparison,
    earlier_of,
    head_of,
    judged,
    preterm,
    visit,
    withheld,
)

OUTSIDE = Reason(Code.OUTSIDE_INTENDED_USE, "Meant for 548 to 913 days of age; the child has 300.")


@pytest.fixture(scope="module")
def limited() -> Result:
    return case(fitness=Fitness.LIMITED).result


def rejected() -> Result:
    return replace(
        case().result,
        state=State.REJECTED,
        fitness=None,
        volumes=None,
        comparison=None,
        engine=None,
        scan=None,
        quality=(),
        reasons=(Reason(Code.LOCALIZER, "The series is a localizer."),),
    )


def object_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_json(result))
    return found


class Tables(HTMLParser):
    """Collects the rows of all tables, and the text of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def cells(self) -> list[list[str]]:
        return [[cell.strip() for cell in row] for row in self.rows]

    def said(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def page_of(result: Result, overlay: bytes | None = None) -> Tables:
    return Tables(render_report_page(object_of(result), overlay))


def test_each_region_stands_beside_its_own_numbers(limited: Result) -> None:
    rows = {row[0]: row for row in page_of(limited).cells() if len(row) == 9}

    for measured in object_of(limited)["measurements"]:
        row = rows[measured["label"]]
        share = rounding.percent(measured["share_percent"])
        assert row[1] == f"{rounding.ml(measured['volume_ml'])}{share} %"
        assert row[2] == rounding.ml(measured["parenchyma_ml"])
        assert row[6].startswith(rounding.z(measured["z"]))
    # The head of the builders is larger on the left: mirrored, this would not hold.
    assert float(rows["Left frontal lobe"][2]) > float(rows["Right frontal lobe"][2])
    assert len(rows) == 1 + 10


def test_the_page_says_first_what_it_is_and_that_nobody_has_reviewed_it(limited: Result) -> None:
    said = page_of(limited).said()

    for sentence in (NOTICE, "PRELIMINARY", sentences.UNREVIEWED, sentences.PROVISIONAL):
        assert sentence in said
        assert said.index(sentence) < said.index("Left frontal lobe")
    for sentence in (sentences.COMPARTMENT, sentences.CAUTION):
        assert sentence in said


def test_sentences_are_the_structured_reports_own(limited: Result) -> None:
    assert set(wording.statements(limited)) >= {
        sentences.CAUTION,
        sentences.UNREVIEWED,
        sentences.PROVISIONAL,
        sentences.COMPARTMENT,
    }


def test_outside_the_intended_use_comes_before_every_other_banner(limited: Result) -> None:
    result = replace(limited, reasons=(*limited.reasons, OUTSIDE))

    first = view_of(object_of(result), patient_in_doubt=True).banners[0]

    assert (first.code, first.text) == (Code.OUTSIDE_INTENDED_USE, OUTSIDE.sentence)


def test_a_patient_in_doubt_is_said_before_any_number(limited: Result) -> None:
    banners = view_of(object_of(limited), patient_in_doubt=True).banners

    assert banners[0].code == Code.PATIENT_CORRECTION


def test_every_reason_stands_with_its_code_once(limited: Result) -> None:
    said = page_of(limited).said()

    for reason in limited.reasons:
        assert said.count(reason.sentence) == 1
        assert reason.code in said


def test_a_withheld_page_holds_no_number_of_the_result() -> None:
    page = page_of(withheld())

    assert sentences.WITHHELD in page.said()
    for measured in MEASURED:
        assert measured not in page.said()
    for number in withheld().volumes.by_region_ml.values():  # type: ignore[union-attr]
        assert rounding.ml(number) not in page.said()
    assert "svg" not in {tag for tag, _ in page.tags}


def test_a_rejected_page_says_why_and_shows_no_table_of_regions() -> None:
    page = page_of(rejected())

    assert "Not measured" in page.said()
    assert "The series is a localizer. admission.localizer" in page.said()
    assert not [row for row in page.rows if len(row) == 9]
    assert "PRELIMINARY" not in page.said()


def test_what_was_not_compared_has_words_instead_of_numbers(limited: Result) -> None:
    odd = RegionComparison(
        "cerebellum", Flag.NOT_COMPARED, (Reason(Code.IMPLAUSIBLE, "Far too small."),)
    )
    found = comparison()
    regions = tuple(odd if each.region == "cerebellum" else each for each in found.regions)
    page = page_of(replace(limited, comparison=replace(found, regions=regions)))

    row = next(row for row in page.cells() if row[0] == "Cerebellum")
    assert row[4:8] == ["–"] * 4
    assert row[8].startswith("not compared: the comparison is too far out")


def test_without_a_comparison_no_z_strip_and_no_provisional_z() -> None:
    page = page_of(case(comparison=comparison(compared=False)).result)

    assert "svg" not in {tag for tag, _ in page.tags}
    assert sentences.PROVISIONAL not in page.said()
    assert "not compared: the age is not known" in page.said()


def test_the_page_is_one_file_that_needs_nothing_else(limited: Result) -> None:
    page = page_of(limited, overlay=b"\x89PNG picture")

    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "form", "iframe"}
    sources = [attributes["src"] for tag, attributes in page.tags if "src" in attributes]
    assert len(sources) == 1 and (sources[0] or "").startswith("data:image/png;base64,")
    assert not [
        attributes
        for _, attributes in page.tags
        if "href" in attributes and not (attributes["href"] or "").startswith("#")
    ]


def test_the_picture_has_words_for_who_does_not_see_it_and_names_its_convention(
    limited: Result,
) -> None:
    page = page_of(limited, overlay=b"\x89PNG picture")

    image = next(attributes for tag, attributes in page.tags if tag == "img")
    assert "Axial, coronal and sagittal" in (image["alt"] or "")
    assert "the patient's right is on the left of the axial and the coronal plane" in page.said()
    assert dict(page.tags)["html"] == {"lang": "en"}


def test_text_of_a_person_or_a_header_is_never_markup(limited: Result) -> None:
    found = object_of(limited)
    found["patient"]["id"] = "<script>alert(1)</script>"
    found["review"] = {"verdict": "rejected", "person": "<b>", "comment": "<img src=x>", "at": None}
    found["reviews"] = [found["review"]]

    tags = Tables(render_report_page(found)).tags

    assert not [tag for tag, _ in tags if tag in {"script", "img"}]


def test_a_rejection_by_a_reader_tells_not_to_use_the_numbers(limited: Result) -> None:
    found = object_of(limited)
    found["review"] = {
        "verdict": "rejected",
        "person": "Dr Ada",
        "comment": "The cerebellum is cut.",
        "at": "2026-11-21T04:05:06+00:00",
    }

    said = Tables(render_report_page(found)).said()

    assert "REJECTED by a reader" in said and "Do not use the numbers." in said
    assert "“The cerebellum is cut.”" in said and "PRELIMINARY" not in said


def test_the_loss_that_a_range_cannot_see_is_said_in_percent(limited: Result) -> None:
    # Of the builders: expected 100.2262 to 109.2262 mL, lower end 80.5 mL: 19.7 and 26.3 %.
    assert "20 to 26 % smaller than expected" in page_of(limited).said()


def test_how_often_a_healthy_child_is_outside_somewhere_is_said(limited: Result) -> None:
    # 1 - 0.95 ** 10 = 0.401 for independent regions, and fewer where they go together.
    assert "Of 100 healthy children up to 40" in page_of(limited).said()


def test_provenance_names_package_engine_reference_and_scan(limited: Result) -> None:
    said = page_of(limited).said()

    for fact in ("resunet-toddler 1.0.0", "ef" * 32, "CPUExecutionProvider, fp32, on Test CPU"):
        assert fact in said
    assert "xi2025, sha256:" + "cd" * 32 in said
    assert "derived, none" in said and "23 slices of 48 x 48, pixels 4 mm, step 6 mm" in said


def row_of(page: Tables, label: str, width: int = 7) -> list[str]:
    return next(row for row in page.cells() if len(row) == width and row[0].startswith(label))


def test_the_asymmetry_furthest_from_usual_is_the_first_line_of_the_whole_head(
    limited: Result,
) -> None:
    found = comparison()
    odd = replace(found.asymmetry[1], index=-17.113, z=-3.6231)
    pairs = (found.asymmetry[0], odd, *found.asymmetry[2:])

    page = page_of(replace(limited, comparison=replace(found, asymmetry=pairs)))

    row = row_of(page, "Asymmetry")
    assert row[0] == "Asymmetry, most in the parietal pair"
    assert (row[1], row[4]) == ("−17.1 %", "−3.62")
    # Its sign is disputed by the article itself: never 'reversed'.
    assert row[6].startswith("left smaller than right") and "reversed" not in page.said()
    assert page.said().index("Asymmetry, most") < page.said().index("Left frontal lobe")


def test_the_head_is_shown_beside_its_chart_and_volume_beside_a_mean_without_a_z(
    limited: Result,
) -> None:
    page = page_of(limited)

    circumference = row_of(page, "Head circumference")
    assert circumference[1:3] == ["47.0 cm", "48.6"]
    assert circumference[4].startswith("−1.15−1.83 to −0.46")
    assert circumference[6] == "measured on the scan, SD 0.5 cm; chart CDC 2000"
    assert row_of(page, "Intracranial volume")[1:5] == ["1030.4 mL", "1069.3", "–", "–"]


def test_a_circumference_that_is_not_known_has_words_instead(limited: Result) -> None:
    row = row_of(page_of(replace(limited, head=head_of(measured_cm=None))), "Head circumference")

    assert row[1:6] == ["–"] * 5
    assert row[6] == "the outer surface of the vault is not wholly in view"


def test_many_low_regions_are_told_as_one_finding(limited: Result) -> None:
    said = page_of(replace(limited, comparison=judged(low=8))).said()

    assert "8 of 10 regions are below the 5th centile" in said
    assert "one finding, a small head" in said
    assert "small head" not in page_of(limited).said()


def test_both_ages_and_both_z_of_a_preterm_child_are_shown(limited: Result) -> None:
    patient = replace(limited.patient, gestational_age_weeks=32)
    page = page_of(replace(limited, comparison=preterm(), patient=patient))

    assert "723 days (23.8 months)" in page.said()
    assert "667 days (21.9 months), born at 32 weeks" in page.said()
    row = next(row for row in page.cells() if row[0] == "Left frontal lobe" and len(row) == 9)
    assert row[6].startswith("−0.46") and row[6].endswith("since birth −0.65")


def test_an_earlier_scan_shows_change_growth_and_error(limited: Result) -> None:
    page = page_of(replace(limited, earlier=(earlier_of(0.9, 1.0),)))

    # 80 mL now, 72 then; growth 180 / 40; 2.80 x 1 % x sqrt(80^2 + 72^2) = 3.0 mL.
    row = next(row for row in page.cells() if row[0] == "Left frontal lobe" and len(row) == 7)
    assert row[1:] == ["72.0", "+8.0", "+11.1", "+4.5", "± 3.0", "larger"]


def test_an_earlier_scan_of_another_package_has_a_reason_and_no_table(limited: Result) -> None:
    other = compare_with_earlier(visit(), visit(400, package_sha256="aa" * 32), {})
    page = page_of(replace(limited, earlier=(other,)))

    assert "2023-11-29, 400 days before" in page.said()
    assert "measured by another package. serial.package_other" in page.said()
    assert not [row for row in page.cells() if row[0] == "Left frontal lobe" and len(row) == 7]


def test_a_report_of_a_version_that_knew_less_is_still_a_page(limited: Result) -> None:
    found = object_of(limited)
    for name in ("total", "head_size", "earlier", "at_chronological_age"):
        del found[name]
    for each in found["measurements"]:
        del each["centile_low"], each["centile_high"], each["measurement_error_percent"]

    assert "Left frontal lobe" in Tables(render_report_page(found)).said()
