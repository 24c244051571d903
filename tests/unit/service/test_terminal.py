"""A result on a terminal and in a pipe: the same numbers, every reservation, no more."""

from dataclasses import replace

import pytest

from fontanelle.errors import Code, Reason
from fontanelle.imaging.patient import Patient
from fontanelle.norms.comparison import ProtocolMatch
from fontanelle.reports.analysis_object import analysis_object
from fontanelle.reports.result import Fitness, Result, State
from service import terminal
from tests.unit.reports.builders import MEASURED, case, comparison, withheld


@pytest.fixture(scope="module")
def limited() -> Result:
    return case("axial", fitness=Fitness.LIMITED).result


def table_of(result: Result) -> terminal.Table:
    return terminal.table_of(analysis_object(result))


def shown(result: Result, capsys: pytest.CaptureFixture[str], *, coloured: bool = False) -> str:
    terminal.show(analysis_object(result), coloured=coloured)
    return capsys.readouterr().out


def test_each_region_has_its_line_with_volume_expectation_range_z_and_centile(
    limited: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(limited, capsys).splitlines()

    frontal = next(line for line in lines if line.startswith("Left frontal lobe"))
    volume = limited.volumes.by_region_ml["left_frontal"]
    # The other numbers are those of tests/unit/reports/builders.py, rounded for people.
    assert f" {volume:.1f} " in frontal
    for number in ("100.2", "80.5-130.2", "-0.46", "32.1", "uncalibrated"):
        assert number in frontal
    assert sum(region.label in "\n".join(lines) for region in limited.region_set.regions) == 10


@pytest.mark.parametrize(
    ("match", "qualified", "header"),
    [
        (ProtocolMatch.APPROXIMATE, True, "prov. z"),
        (ProtocolMatch.MATCHED, False, "prov. z"),
        (ProtocolMatch.MATCHED, True, "z"),
    ],
)
def test_a_z_of_an_approximate_or_unqualified_package_is_called_provisional(
    limited: Result, match: ProtocolMatch, qualified: bool, header: str
) -> None:
    package = replace(limited.package, protocol_match=match, qualified=qualified)
    assert header in table_of(case("axial", package=package).result).header


def test_plain_lines_are_aligned_without_tabs_or_escapes(
    limited: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(limited, capsys)

    assert "\t" not in out and "\x1b" not in out
    header, *rows = table_of(limited).lines()
    ends = {row.index(cell[1]) + len(cell[1]) for row, cell in _cells(limited, rows)}
    assert ends == {header.index("mL") + 2}


def _cells(result: Result, rows: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    return list(zip(rows, table_of(result).rows, strict=True))


def test_a_terminal_gets_the_same_numbers(
    limited: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = shown(limited, capsys, coloured=True)

    for row in table_of(limited).rows:
        assert row[1] in drawn


def test_an_unknown_number_is_a_dash_and_its_reason_stands_beside_it() -> None:
    result = case("axial", comparison=comparison(compared=False), fitness=Fitness.LIMITED).result

    row = table_of(result).rows[0]
    assert row[3:] == ("-", "-", "-", "-", "comparison.age_unknown")


@pytest.mark.parametrize(
    ("centile", "printed"),
    [(0.003, "<0.1"), (0.1, "0.1"), (50.0, "50.0"), (99.9, "99.9"), (99.997, ">99.9")],
)
def test_no_child_is_printed_at_the_0th_or_100th_centile(centile: float, printed: str) -> None:
    compared = comparison()
    first = replace(compared.regions[0], centile=centile)
    result = case("axial", comparison=replace(compared, regions=(first,))).result

    assert table_of(result).rows[0][6] == printed


def test_a_withheld_result_shows_no_number_of_any_region(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = shown(withheld(), capsys)

    assert "withheld" in out and "quality.total: The total volume is implausible." in out
    assert "check total_plausible: fail" in out
    assert "mL" not in out and "frontal" not in out
    for number in MEASURED:
        assert number not in out, number


def test_a_rejected_input_shows_its_reason_only(capsys: pytest.CaptureFixture[str]) -> None:
    why = Reason(Code.NO_BRAIN, "The largest connected volume of brain density is 12 mL.")
    rejected = case(
        "axial",
        state=State.REJECTED,
        fitness=None,
        volumes=None,
        comparison=None,
        engine=None,
        quality=(),
        reasons=(why,),
        timings_s={},
    ).result

    out = shown(rejected, capsys)

    assert out.splitlines()[0] == "rejected: this cannot be measured."
    assert f"{why.code}: {why.sentence}" in out


def test_every_reason_remark_and_failed_check_is_printed(
    limited: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(limited, capsys)

    assert all(f"{r.code}: {r.sentence}" in out for r in limited.reasons)
    assert "Left is 1.25 times right." in out
    assert "The brain touches no face." not in out


def test_provenance_is_printed_and_identity_is_not(
    limited: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(limited, capsys)

    for part in ("resunet-toddler 1.0.0", "approximate", "CPUExecutionProvider", "fp32", "xi2025"):
        assert part in out
    assert "age 723 days (birth date), sex M" in out
    assert "P-0815" not in out and "A4711" not in out and "2023-01-10" not in out


def test_an_unknown_age_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = Patient("", None, None, None, None, None)

    assert "age unknown, sex unknown" in shown(case("axial", patient=nobody).result, capsys)
