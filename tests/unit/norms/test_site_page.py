"""The page of a site's own reference: one file, every table, nothing that runs or is fetched."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from fontanelle.norms.cohort import read, rules_of
from fontanelle.norms.fitting import fit
from fontanelle.norms.fitting_recheck import recheck
from fontanelle.norms.site_page import Heading, site_page
from tests.unit.norms.cases import XI
from tests.unit.norms.simulated import rows, text

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADING = Heading("ours", "Ours <b>&", "sha256:" + "c" * 64, NOON, 'Dr "Reader"')


def page_of(n: int, *, intracranial: bool = False, second: bool = True) -> str:
    table = rows(n, 7)
    if intracranial:
        for at, row in enumerate(table):
            row["intracranial_ml"] = str(1000 + at)
    children = read(text(table), rules_of(XI, least=1))
    fitted = fit(children, XI, draws=20)
    again = recheck(children, fitted, 365.25) if second else None
    return site_page(HEADING, children, fitted, XI, again)


PAGE = page_of(120)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def tags_of(page: str) -> list[str]:
    parser = _Tags()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser.seen


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    tags = tags_of(PAGE)

    assert not {"script", "link", "img", "iframe", "object"} & set(tags)
    assert not re.search(r"https?://|url\(|@import| on\w+=", PAGE)


def test_the_five_tables_and_a_plot_of_every_region_are_there() -> None:
    tags = tags_of(PAGE)

    for number in range(1, 6):
        assert f"<h2>Table {number}." in PAGE
    assert tags.count("svg") == 11
    # A dot for each child in each plot, and three lines for each sex.
    boys = PAGE.count('<circle class="boys"') // 11
    girls = PAGE.count('<path class="girls"') // 11
    assert boys + girls == 120
    assert tags.count("polyline") == 11 * 6


def test_what_people_typed_is_shown_as_text() -> None:
    assert "Ours &lt;b&gt;&amp;" in PAGE
    assert "<b>" not in PAGE


def test_no_child_is_named() -> None:
    assert "child-" not in PAGE


def test_the_second_route_is_reported_and_so_is_its_absence() -> None:
    assert "Computed a second time by statsmodels" in PAGE
    assert "is not installed" in page_of(120, second=False)


def test_skewness_waits_for_300_children() -> None:
    assert "it takes 300 children" in PAGE
    assert "L = 1 would do: p" in page_of(300)


def test_intracranial_volume_is_shown_where_the_table_has_it() -> None:
    assert "With intracranial volume" not in PAGE
    assert "With intracranial volume" in page_of(120, intracranial=True)


@pytest.mark.parametrize("word", ["NaN", "nan", "inf<", "None"])
def test_no_number_is_missing(word) -> None:
    assert word not in PAGE
