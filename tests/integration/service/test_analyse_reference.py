"""`fontanelle analyse --reference`: of the product, from a file, or imported; refused clearly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fontanelle.norms.comparison import SiteStatus
from fontanelle.norms.reference import sealed, shipped
from fontanelle.norms.table import to_csv
from fontanelle.records import importing
from fontanelle.records.database import Records
from fontanelle.reports.result import Fitness
from service import cli
from tests.unit.norms import others
from tests.unit.norms.cases import document
from tests.unit.reports.builders import case
from worker.inference import opening
from worker.pipeline import Outcome, Tools
from worker.terms import Terms

Analyse = Callable[[object], tuple[int, Tools, Terms]]


@pytest.fixture
def analyse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Analyse:
    """Return a function that runs the command; what measures is left out, it costs seconds."""
    monkeypatch.delenv("FONTANELLE_DATABASE_URL", raising=False)
    monkeypatch.setenv("FONTANELLE_DATA", str(tmp_path / "data"))
    seen: list[Any] = [None, None]

    def analysed(_: Path, tools: Tools, *, terms: Terms, **_more: object) -> Outcome:
        seen[:] = tools, terms
        return Outcome(case("axial", fitness=Fitness.LIMITED).result, {}, ())

    monkeypatch.setattr(opening, "open_engine", lambda _: None)
    monkeypatch.setattr("worker.pipeline.analyse_path", analysed)

    def run(reference: object) -> tuple[int, Tools, Terms]:
        out = tmp_path / "out"
        ask = ["analyse", str(tmp_path), "--out", str(out), "--reference", str(reference)]
        code = cli.run(ask)
        return code, seen[0], seen[1]

    return run


def own(**changes: Any) -> str:
    members: dict[str, Any] = document() | {"id": "our-site"} | changes
    return sealed(members)


def test_a_name_of_the_product_means_its_reference(analyse: Analyse) -> None:
    code, tools, terms = analyse("xi2025")

    assert code == 0 and tools.reference.version == shipped("xi2025").version
    assert terms == Terms()


@pytest.mark.parametrize("write", [str, to_csv], ids=["json", "csv"])
def test_a_file_is_read_as_on_import(
    analyse: Analyse, tmp_path: Path, write: Callable[[str], str]
) -> None:
    file = tmp_path / "our-site.txt"
    file.write_text(write(own()), encoding="utf-8")

    code, tools, _ = analyse(file)

    assert code == 0 and tools.reference.id == "our-site"


def test_a_sites_own_reference_says_how_well_the_site_is_known(
    analyse: Analyse, tmp_path: Path
) -> None:
    file = tmp_path / "abdomen.json"
    file.write_text(others.text_of(others.mean_sd()), encoding="utf-8")

    code, tools, terms = analyse(file)

    assert code == 0 and tools.reference.population.n.value == 64
    assert terms.site_status is SiteStatus.PROVISIONAL


def test_all_that_is_wrong_with_a_file_is_said(
    analyse: Analyse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = others.mean_sd()
    members["regions"][0]["mean"]["value"] = -1.0
    members["regions"][1]["sd"]["unit"] = "mm3"
    file = tmp_path / "abdomen.json"
    file.write_text(others.text_of(members), encoding="utf-8")

    code, tools, _ = analyse(file)

    said = capsys.readouterr().err
    assert (code, tools) == (3, None)
    assert "liver.mean" in said and "left_kidney.sd" in said and "reference.invalid" in said
    assert not (tmp_path / "out" / "report.json").exists()


def test_an_altered_file_is_refused(
    analyse: Analyse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "our-site.json"
    file.write_text(own().replace('"revision": 1', '"revision": 2'), encoding="utf-8")

    assert analyse(file)[0] == 3

    assert "reference.digest_mismatch" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["absent", "absent.json", "sha256:" + "0" * 64])
def test_what_is_nowhere_is_refused_in_one_sentence(
    analyse: Analyse, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert analyse(name)[0] == 3

    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"reference.unknown: {name} is no reference of the product (xi2025)")
    assert not (tmp_path / "data").exists()


def test_an_imported_one_is_found_by_name_and_version(
    analyse: Analyse, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", database_url)
    with Records.open(database_url) as records, records.begin() as session:
        first = importing.take(session, own(), by="Dr Ada").version
    with Records.open(database_url) as records, records.begin() as session:
        second = importing.take(session, own(revision=2), by="Dr Ada").version

    assert analyse("our-site")[1].reference.version == second
    assert analyse(first)[1].reference.version == first
    assert analyse("absent")[0] == 3


def test_a_database_that_is_away_is_said_to_be(
    analyse: Analyse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", "postgresql://127.0.0.1:1/absent")

    assert analyse("our-site")[0] == 4
    assert "records.database_away" in capsys.readouterr().err
    # One of the product's asks no database.
    assert analyse("xi2025")[0] == 0
