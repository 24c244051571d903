"""The z strip: well-formed, to scale, in order, and without a colour that judges."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.strip import LIMIT, Mark, draw, place

SVG = "{http://www.w3.org/2000/svg}"
MARKS = [
    Mark("Left frontal lobe", -0.46, -1.9, 1.01),
    Mark("Right frontal lobe", 2.0, 1.0, 3.0),
    Mark("Cerebellum <&>", None, None, None),
    Mark("Brainstem", -7.2, -9.1, -5.0),
    Mark("Vermis", 8.0, 5.0, 11.0),
]


def drawn(marks: list[Mark], *, provisional: bool = False) -> ET.Element:
    text = draw(marks, title="z of each region", provisional=provisional)
    return ET.fromstring(text)  # noqa: S314 (our own)


def rows(svg: ET.Element) -> dict[str, ET.Element]:
    groups = [each for each in svg.iter(f"{SVG}g") if "mark" in each.get("class", "")]
    return {label_of(group): group for group in groups}


def label_of(group: ET.Element) -> str:
    return next(t.text or "" for t in group.iter(f"{SVG}text") if t.get("class") == "label")


def test_each_region_has_its_row_in_the_order_of_the_table() -> None:
    svg = drawn(MARKS)

    assert list(rows(svg)) == [mark.label for mark in MARKS]
    heights = [
        float(text.get("y", "")) for text in svg.iter(f"{SVG}text") if text.get("class") == "label"
    ]
    assert heights == sorted(heights)


def test_a_mark_lies_at_its_z_and_its_interval_around_it() -> None:
    row = rows(drawn(MARKS))["Right frontal lobe"]
    circle = next(row.iter(f"{SVG}circle"))
    line = next(row.iter(f"{SVG}line"))

    # The axis is linear and symmetric: +2 lies a third of the way from the middle to +6.
    assert float(circle.get("cx", "")) == pytest.approx(
        place(0) + (place(LIMIT) - place(0)) / 3, abs=0.2
    )
    assert float(line.get("x1", "")) == place(1.0) < float(line.get("x2", "")) == place(3.0)


def test_what_lies_beyond_the_axis_is_an_arrow_at_its_end_that_points_outwards() -> None:
    found = rows(drawn(MARKS))
    for label, end, outwards in (("Brainstem", -LIMIT, -1), ("Vermis", LIMIT, 1)):
        points = next(found[label].iter(f"{SVG}polygon")).get("points", "").split()
        tip, back, _ = (float(point.split(",")[0]) for point in points)
        assert tip == place(end)
        assert (tip - back) * outwards > 0
    assert not list(found["Right frontal lobe"].iter(f"{SVG}polygon"))


def test_the_number_stands_beside_each_mark_also_of_one_beyond_the_axis() -> None:
    found = rows(drawn(MARKS))

    assert [t.text for t in found["Brainstem"].iter(f"{SVG}text")] == ["Brainstem", "−7.20"]
    assert [t.text for t in found["Cerebellum <&>"].iter(f"{SVG}text")] == [
        "Cerebellum <&>",
        "not compared",
    ]


def test_a_provisional_mark_is_hollow() -> None:
    kinds = {c.get("class") for c in drawn(MARKS, provisional=True).iter(f"{SVG}circle")}

    assert kinds == {"hollow"}
    assert {c.get("class") for c in drawn(MARKS).iter(f"{SVG}circle")} == {"full"}


def test_no_colour_is_written_into_the_picture_so_that_none_can_judge() -> None:
    text = draw(MARKS, title="z", provisional=False)

    assert "fill=" not in text and "stroke=" not in text and "style=" not in text


def test_nothing_is_drawn_where_nothing_was_compared() -> None:
    assert draw([Mark("Brainstem", None, None, None)], title="z", provisional=False) == ""


def test_a_reader_who_does_not_see_it_is_told_what_it_is() -> None:
    svg = drawn(MARKS)

    assert svg.get("role") == "img"
    assert svg.get("aria-label") == next(svg.iter(f"{SVG}title")).text == "z of each region"


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_larger_z_never_lies_further_left(one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert place(-LIMIT) <= place(low) <= place(high) <= place(LIMIT)
