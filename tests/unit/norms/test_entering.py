"""The article's tables as typed in: checked against its text and themselves, and then a reference.

Every number here is invented (see `invented`): nobody has read the article's tables.
"""

from datetime import UTC, datetime

import numpy as np
import pytest

from fontanelle.errors import Code
from fontanelle.norms.comparison import Tier
from fontanelle.norms.document import Status
from fontanelle.norms.entered_checks import mistakes
from fontanelle.norms.entered_reference import entered
from fontanelle.norms.entering import Tables, differences, read, template
from fontanelle.norms.mistakes import Malformed
from fontanelle.norms.reference import Reference, load
from tests.unit.norms.cases import XI, XI_TEXT
from tests.unit.norms.invented import PAIRS, table

AT = datetime(2025, 6, 1, 12, 30, tzinfo=UTC)


def typed(**changes: str | None) -> Tables:
    """Read the invented tables, some places changed: `t3_left_frontal__se="1.0"`."""
    return read(table(changed(changes)), XI.region_names, PAIRS)


def changed(changes: dict[str, str | None]) -> dict[tuple[str, str, str], str | None]:
    found = {}
    for name, value in changes.items():
        row, quantity = name[3:].split("__")
        found[name[1], row, quantity] = value
    return found


def made(**changes: str | None) -> Reference:
    return load(entered(typed(**changes), XI_TEXT, by="Dr Ada", at=AT, checked_by="Dr Bob"))


def test_tables_that_fit_the_text_make_a_published_reference_that_says_who_typed_them() -> None:
    reference = made()

    assert (reference.id, reference.tiers) == (
        "xi2025-published",
        (Tier.PUBLISHED, Tier.POOLED),
    )
    assert reference.entry is not None
    assert (reference.entry.by, reference.entry.at) == ("Dr Ada", "2025-06-01T12:30:00Z")
    assert reference.entry.checked_by == "Dr Bob"
    assert not [each for each in reference.unknown if each.startswith("Table")]


def test_coefficients_are_published_and_what_the_tables_do_not_give_stays_derived() -> None:
    reference = made()
    frontal, derived = reference.linear_regions[0], XI.linear_regions[0]

    # A step from 1 (male) to 2 (female) turned into male minus female.
    assert frontal.sex_effect.value == 17.383
    assert frontal.sex_effect.status is frontal.age_slope.status is Status.PUBLISHED
    assert frontal.sex_effect.se == 0.869
    assert frontal.residual_sd.status is Status.DERIVED
    assert frontal.residual_sd.value == pytest.approx(derived.residual_sd.value, abs=2e-3)
    facts = {fact.name: (fact.value, fact.status) for fact in frontal.facts}
    assert facts["published_sex_coefficient"] == (-17.383, Status.PUBLISHED)
    assert facts["male_mean"][1] is Status.PUBLISHED
    assert reference.correlations is not None
    assert reference.correlations.status is Status.DERIVED


def test_paired_tests_give_correlations_and_asymmetries_as_the_derived_model_has_them() -> None:
    # The invented tables have the derived model's own d_z: 0.65.
    reference = made()

    assert reference.correlations is not None and XI.correlations is not None
    found, known = reference.correlations.central, XI.correlations.central
    assert np.array(found) == pytest.approx(np.array(known), abs=1.5e-3)
    for norm, xi in zip(reference.asymmetry, XI.asymmetry, strict=True):
        assert norm.sd.value == pytest.approx(xi.sd.value, abs=2e-3)
    assert reference.total is not None and XI.total is not None
    assert reference.total.residual_sd.value == pytest.approx(XI.total.residual_sd.value, abs=0.05)


def test_what_the_article_may_not_print_can_be_left_empty() -> None:
    reference = made(
        t3_left_frontal__se="",
        t4_left_frontal__t="",
        t3_cerebellum__p="",
        t3_cerebellum__r_squared="",
        t5_frontal__mean_difference="",
        t5_frontal__t="",
        t5_parietal__effect_size="",
    )

    assert reference.linear_regions[0].sex_effect.se == pytest.approx(0.869, abs=1e-3)


def test_the_sign_of_a_paired_difference_is_not_asked_for_as_the_article_disputes_it() -> None:
    assert made(t5_frontal__mean_difference="-3.87").asymmetry[0].mean.value > 0


MISFITS = [
    ({"t2_left_frontal__male_mean": "221.24"}, "give a mean of"),
    ({"t2_left_frontal__male_mean": "0", "t2_left_frontal__female_mean": "460.08"}, "not above 0"),
    ({"t2_left_frontal__female_sd": "19.07"}, "give an SD of"),
    ({"t2_left_frontal__female_sd": "-17.59"}, "female_sd: is not above 0"),
    ({"t3_left_frontal__coefficient": "17.383"}, "is negative by the text"),
    ({"t4_left_frontal__coefficient": "-20.451"}, "is positive by the text"),
    ({"t3_left_frontal__coefficient": "-13.783"}, "the means of Table 2 differ by"),
    ({"t3_left_frontal__se": "1.869"}, "n and the SDs give"),
    ({"t3_left_frontal__se": "0.000"}, "se: is not above 0"),
    ({"t3_left_frontal__t": "20.01"}, "has not the sign of its coefficient"),
    ({"t3_left_frontal__t": "-21.01"}, "coefficient and se give"),
    (
        {"t3_left_frontal__p": "<0.0001", "t3_left_frontal__r_squared": "0.9"},
        "coefficients explain",
    ),
    ({"t3_left_frontal__p": "0.02"}, "does not fit t"),
    ({"t4_left_frontal__coefficient": "70.451"}, "explain more than the published SD"),
    ({"t5_frontal__mean_difference": "4.87"}, "the text gives 3.87"),
    ({"t5_frontal__effect_size": "0.56"}, "the effect size gives"),
    ({"t5_frontal__effect_size": "0.05", "t5_frontal__t": "1.93"}, "gives a correlation of"),
    ({"t5_frontal__effect_size": "0.00", "t5_frontal__t": "0.00"}, "which the text denies"),
]


@pytest.mark.parametrize(("changes", "words"), MISFITS)
def test_what_does_not_fit_the_text_or_the_other_tables_is_named_with_its_row(
    changes: dict[str, str], words: str
) -> None:
    found = [each for each in mistakes(typed(**changes), XI) if words in str(each)]

    assert found
    rows = table(changed(dict(changes))).splitlines()
    region = next(iter(changes))[3:].split("__")[0]
    for each in found:
        assert each.row is None or f",{region}," in rows[each.row - 1]


def test_all_misfits_are_named_and_nothing_is_made() -> None:
    tables = typed(t3_left_frontal__coefficient="17.383", t4_brainstem__coefficient="-1.547")

    with pytest.raises(Malformed) as caught:
        entered(tables, XI_TEXT, by="Dr Ada", at=AT)

    assert caught.value.reason.code is Code.TABLES_INVALID
    assert "left_frontal" in caught.value.reason.sentence
    assert "brainstem" in caught.value.reason.sentence


def test_correlations_that_cannot_be_are_refused() -> None:
    # Left and right all but uncorrelated, and yet both of them close to all other regions.
    tables = typed(t5_parietal__effect_size="0.20", t5_parietal__t="7.71")

    with pytest.raises(Malformed) as caught:
        entered(tables, XI_TEXT, by="Dr Ada", at=AT)

    assert "correlations.central is not positive definite" in caught.value.reason.sentence


UNREADABLE = [
    (table().replace("2,left_frontal,male_mean,mL", "2,left_frontal,male_mean,L"), "is in mL", 2),
    (table().replace("2,left_frontal,male_mean", "2,left_frontal,male_median"), "is no row", 2),
    (table().replace("right_frontal,male_mean", "left_frontal,male_mean"), "stands twice", 6),
    (table({("2", "left_frontal", "male_mean"): "212,24"}), "is no number", 2),
    (table({("2", "left_frontal", "male_mean"): "NaN"}), "is no number of such a table", 2),
    (table({("2", "left_frontal", "male_mean"): "1e9"}), "is no number of such a table", 2),
    (table({("2", "left_frontal", "male_mean"): "<200"}), "has a bound", 2),
    (table({("2", "left_frontal", "male_mean"): ""}), "has no value", 2),
    (table({("3", "left_frontal", "se"): "", ("3", "left_frontal", "t"): ""}), "needs se or t", 43),
    (table({("5", "frontal", "p"): None}), "the row is missing", None),
    (table().replace("unit,value", "unit,amount"), "unknown column 'amount'", 1),
    (table().replace("unit,value", "unit,unit"), "missing column 'value'", 1),
    ("", "missing column", 1),
    ('"', "unexpected end of data", 1),
]


@pytest.mark.parametrize(("text", "words", "row"), UNREADABLE)
def test_a_file_that_is_no_filled_template_is_refused_with_its_rows(
    text: str, words: str, row: int | None
) -> None:
    with pytest.raises(Malformed) as caught:
        read(text, XI.region_names, PAIRS)

    assert caught.value.reason.code is Code.TABLES_INVALID
    assert row in [each.row for each in caught.value.mistakes if words in each.what]


def test_the_template_asks_for_everything_and_holds_nothing() -> None:
    empty = template(XI.region_names, PAIRS)

    with pytest.raises(Malformed) as caught:
        read(empty, XI.region_names, PAIRS)

    # 40 means and SDs, 20 coefficients, 20 times se or t, 4 effect sizes.
    assert len(caught.value.mistakes) == 84
    assert len(empty.splitlines()) == 1 + 40 + 50 + 50 + 16


def test_a_second_persons_entry_is_compared_number_by_number() -> None:
    first = typed(t3_left_frontal__p="")
    second = typed(t4_brainstem__coefficient="1.574", t5_frontal__p="0.001")

    found = {each.where: str(each) for each in differences(first, second)}

    assert set(found) == {
        "Table 3, left_frontal, p",
        "Table 4, brainstem, coefficient",
        "Table 5, frontal, p",
    }
    assert "1.547 here, 1.574 in the other entry" in found["Table 4, brainstem, coefficient"]
    assert "nothing here, <0.001" in found["Table 3, left_frontal, p"]
    assert differences(first, first) == []
    # As many decimals as one likes: 1.50 is 1.5.
    assert differences(typed(), typed(t2_brainstem__male_sd=typed_sd() + "0")) == []


def typed_sd() -> str:
    return f"{typed().need('2', 'brainstem', 'male_sd').value}"
