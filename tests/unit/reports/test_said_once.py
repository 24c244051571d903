"""What several outputs say, they say alike: the notice, and how exactly a number leaves."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydicom import Dataset

from fontanelle.reports import overlay
from fontanelle.reports.analysis_object import to_json
from fontanelle.reports.notice import NOTICE
from fontanelle.reports.segmentation import render_segmentation
from fontanelle.reports.structured_report import render_structured_report
from service import terminal
from tests.unit.reports.builders import case, comparison

PERCENT, VOLUME, Z_SCORE, CENTILE = "share", "118565006", "121416", "121415"


def test_the_notice_says_that_this_is_no_device_and_what_the_network_has_seen() -> None:
    assert NOTICE == "Research software, not a medical device; trained on synthetic CT."


def test_every_output_carries_the_same_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    of = case()
    drawn: list[str] = []
    monkeypatch.setattr(overlay, "_write", lambda _draw, _place, text, **_: drawn.append(text))

    overlay.render_overlay(of.image, of.labels, of.result.region_set)
    seg = render_segmentation(of.result, of.labels, of.sources)
    report = render_structured_report(of.result, seg, of.sources)

    assert NOTICE in drawn
    assert json.loads(to_json(of.result))["notice"] == NOTICE
    assert terminal.NOTICE == NOTICE
    assert next(_comments(report)).TextValue == NOTICE
    for made in (seg, report):
        equipment = made.ContributingEquipmentSequence
        assert any(NOTICE in item.get("ContributionDescription", "") for item in equipment)


def test_a_number_is_as_exact_in_the_structured_report_as_in_json() -> None:
    of = case()
    third = replace(comparison().regions[0], z=-1 / 3, centile=100 / 3, expected_ml=1000 / 3)
    compared = replace(comparison(), regions=(third, *comparison().regions[1:]))
    result = replace(of.result, comparison=compared)

    report = render_structured_report(
        result, render_segmentation(result, of.labels, of.sources), of.sources
    )

    region = json.loads(to_json(result))["measurements"][0]
    said = {
        str(item.ConceptNameCodeSequence[0].CodeValue): item
        for item in reversed(list(_under(_first_group(report))))
        if item.ValueType == "NUM"
    }
    for code, key in ((VOLUME, "volume_ml"), (PERCENT, "share_percent")):
        assert _number(said[code]) == region[key]
    assert (_number(said[Z_SCORE]), _number(said[CENTILE])) == (-0.3333, 33.3333)
    assert (region["z"], region["centile"], region["expected_ml"]) == (-0.3333, 33.3333, 333.333)


def _comments(report: Dataset) -> Iterator[Dataset]:
    return (
        item
        for item in report.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "121106"
    )


def _first_group(report: Dataset) -> Dataset:
    return next(i for i in _under(report) if i.ConceptNameCodeSequence[0].CodeValue == "125007")


def _under(node: Dataset) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", ()):
        if "ConceptNameCodeSequence" in item:
            yield item
        yield from _under(item)


def _number(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)
