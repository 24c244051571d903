"""`norms fit` and `calibrate --from-analyses`: a site's own children out of its own records."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fontanelle.norms.calibration import parse
from fontanelle.norms.reference import load
from fontanelle.records.database import Records
from service import cli
from tests.integration.records.normal_children import PACKAGE, marked, measured
from tests.unit.norms.simulated import PACKAGE as SHA256
from tests.unit.norms.simulated import rows, text

BY = ("--by", "Dr Reader")


@pytest.fixture
def records(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Records]:
    """Give the records that the commands find."""
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", database_url)
    monkeypatch.setenv("FONTANELLE_DATA", str(tmp_path / "data"))
    with Records.open(database_url) as opened:
        yield opened


def calibrate(out: Path, *more: str) -> int:
    return cli.run(["norms", "calibrate", "--out", str(out), *BY, *more])


def test_20_results_marked_normal_calibrate_as_the_same_table_does(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    children = rows(20, 5)
    table, by_table, by_results = (tmp_path / name for name in ("n.csv", "a.json", "b.json"))
    table.write_text(text(children), encoding="utf-8")
    marked(records, children)
    measured(records, 21, rows(21, 6)[-1])

    assert calibrate(by_table, "--normals", str(table)) == 0
    capsys.readouterr()
    assert calibrate(by_results, "--from-analyses") == 0

    said = capsys.readouterr().out
    assert "20 results are marked normal, and 20 are used; 0 of these are limited." in said
    assert "Site status: provisional" in said
    first, second = (parse(path.read_text(encoding="utf-8")) for path in (by_table, by_results))
    assert second.offsets == first.offsets
    assert (second.n, second.package_sha256) == (20, SHA256)


def test_results_marked_normal_become_a_reference(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked(records, rows(100, 7))
    ask = ["norms", "fit", "--from-analyses", "--name", "our-site", "--out", str(tmp_path), *BY]

    assert cli.run(ask) == 0

    own = load((tmp_path / "our-site.json").read_text(encoding="utf-8"))
    assert own.tiers[0] == "local" and own.package_digest == SHA256
    assert own.population.n.value == 100
    assert "100 children of 100 rows" in capsys.readouterr().out
    assert cli.run(["norms", "import", str(tmp_path / "our-site.json")]) == 0


def test_whoever_is_left_out_is_named_with_the_reason(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    children = rows(22, 5)
    children[0]["age_days"] = "400"
    children[1]["sex"] = ""
    marked(records, children)

    assert calibrate(tmp_path / "c.json", "--from-analyses") == 0

    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "left out: analysis 1: Its child has 400 days; 548 to 913 are wanted.",
        "left out: analysis 2: The sex is neither M nor F.",
        "22 results are marked normal, and 20 are used; 0 of these are limited.",
    ]


def test_every_problem_names_the_analysis_it_is_of_and_nothing_is_written(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    children = rows(22, 5)
    children[3]["left_frontal"] = "0.0"
    children[5] = {**children[4], "age_days": "700"}
    children[7]["protocol"] = "other"
    marked(records, children)

    assert calibrate(tmp_path / "c.json", "--from-analyses") == 3

    assert capsys.readouterr().err.splitlines() == [
        "analysis 4: left_frontal is 0: the region was not found.",
        "analysis 8: protocol is 'other', not xi2025-matched.",
        "analyses 5, 6 hold the same volumes.",
        "protocol differs between rows (2 of them): one is wanted.",
        "cohort.invalid: 4 mistakes, listed above; nothing was written.",
    ]
    assert not (tmp_path / "c.json").exists()


@pytest.mark.parametrize(
    "options", [(), ("--from-analyses", "--normals", "n.csv"), ("--normals", "n", "--package", "a")]
)
def test_either_a_table_or_results(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert calibrate(tmp_path / "c.json", *options) == 2


def test_a_package_may_be_named(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked(records, rows(20, 5))

    assert calibrate(tmp_path / "c.json", "--from-analyses", "--package", PACKAGE) == 0
    assert calibrate(tmp_path / "d.json", "--from-analyses", "--package", "other") == 3

    assert "cohort.none_marked: None of 20" in capsys.readouterr().err
    assert json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["n"] == 20


def test_without_a_marked_result_nothing_is_made(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(tmp_path / "c.json", "--from-analyses") == 3

    assert "No accepted result is marked as of a normal head." in capsys.readouterr().err
