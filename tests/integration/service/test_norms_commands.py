"""`fontanelle norms list|show|import|export|enter` as a person runs them, beside real records."""

import json
from pathlib import Path

import pytest

from fontanelle.norms.reference import load, shipped, shipped_document
from service import cli
from tests.integration.records.test_importing import calibration
from tests.unit.norms import others
from tests.unit.norms.invented import table

XI = shipped("xi2025")


@pytest.fixture
def here(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder, with fresh records."""
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", database_url)
    monkeypatch.setenv("FONTANELLE_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of a machine without records."""
    monkeypatch.delenv("FONTANELLE_DATABASE_URL", raising=False)
    monkeypatch.setenv("FONTANELLE_DATA", str(tmp_path / "data"))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.run(["norms", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_an_imported_reference_is_listed_shown_and_exported(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here / "abdomen.json"
    file.write_text(others.text_of(others.mean_sd()), encoding="utf-8")

    assert run(capsys, "import", file, "--by", "Dr Ada")[0] == 0

    listed = run(capsys, "list")[1]
    assert "abdomen-means" in listed and "xi2025" in listed and "imported" in listed
    shown = run(capsys, "show", "abdomen-means")[1]
    assert "left kidney" in shown and "loaded by Dr Ada" in shown and "mean_sd" in shown
    for form in ("json", "csv"):
        out = here / f"out.{form}"
        assert run(capsys, "export", "abdomen-means", "--format", form, "--out", out)[0] == 0
        code, said, _ = run(capsys, "import", out)
        assert code == 0 and "is here already" in said
    assert (here / "out.json").read_text(encoding="utf-8") == file.read_text(encoding="utf-8")


def test_a_calibration_is_imported_and_shown_with_its_reference(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here / "calibration.json"
    file.write_text(calibration(), encoding="utf-8")

    assert run(capsys, "import", file)[0] == 0

    shown = run(capsys, "show", "xi2025")[1]
    assert "calibrated with 24 normal children" in shown and "by Dr Bob" in shown


def test_all_mistakes_are_printed_and_nothing_is_imported(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = others.mean_sd()
    members["regions"][0]["mean"]["value"] = -1.0
    members["regions"][1]["sd"]["unit"] = "mm3"
    file = here / "abdomen.json"
    file.write_text(others.text_of(members), encoding="utf-8")

    code, out, err = run(capsys, "import", file)

    assert (code, out) == (3, "")
    assert "liver.mean" in err and "left_kidney.sd" in err
    assert err.splitlines()[-1].startswith("reference.invalid: 2 mistakes")
    assert "abdomen" not in run(capsys, "list")[1]


def test_without_records_the_products_reference_is_there_and_a_file_can_be_checked(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = alone / "xi2025.csv"

    assert "xi2025" in run(capsys, "list")[1]
    assert "comes with the product" in run(capsys, "show", "xi2025")[1]
    assert "comes with the product" in run(capsys, "show", XI.version)[1]
    assert run(capsys, "export", "xi2025", "--format", "csv", "--out", out)[0] == 0
    code, said, _ = run(capsys, "import", out, "--dry-run")
    assert code == 0 and XI.version in said and "would be imported" in said
    assert run(capsys, "export", "xi2025")[1] == shipped_document("xi2025")
    assert run(capsys, "show", "absent")[0] == 3
    assert not (alone / "data").exists()


@pytest.mark.parametrize("name", ["absent.json", "folder", "latin1.csv"])
def test_a_file_that_cannot_be_read_is_refused(
    alone: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (alone / "folder").mkdir()
    (alone / "latin1.csv").write_bytes("Größe".encode("latin-1"))

    code, _, err = run(capsys, "import", alone / name, "--dry-run")

    assert code == 3 and err.startswith("input.") and name in err


def test_entered_tables_become_a_reference_in_the_records(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = here / "ada.csv", here / "bob.csv"
    first.write_text(table(), encoding="utf-8")
    second.write_text(table(), encoding="utf-8")
    entering = ("enter", "xi2025-tables", first, "--by", "Dr Ada")

    code, said, _ = run(capsys, *entering, "--against", second, "--against-by", "Dr Bob")

    assert code == 0 and "xi2025-published" in said
    shown = run(capsys, "show", "xi2025-published")[1]
    assert "published, pooled" in shown
    assert "entered   by Dr Ada" in shown and "again by Dr Bob" in shown


def test_tables_that_two_persons_typed_differently_make_nothing(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, out = alone / "ada.csv", alone / "bob.csv", alone / "made.json"
    first.write_text(table(), encoding="utf-8")
    other = {("4", "brainstem", "coefficient"): "1.574"}
    second.write_text(table(other), encoding="utf-8")
    options = ("--by", "Dr Ada", "--against", second, "--against-by", "Dr Bob", "--out", out)

    code, _, err = run(capsys, "enter", "xi2025-tables", first, *options)

    assert code == 3 and "Table 4, brainstem, coefficient" in err and "1.574" in err
    assert not out.exists()


def test_the_template_is_written_and_a_filled_one_makes_a_file(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, filled, out = alone / "template.csv", alone / "filled.csv", alone / "made.json"
    filled.write_text(table(), encoding="utf-8")
    entering = ("enter", "xi2025-tables", filled)

    assert run(capsys, "enter", "xi2025-tables", empty, "--template")[0] == 0
    assert run(capsys, "enter", "xi2025-tables", empty, "--by", "Dr Ada", "--out", out)[0] == 3
    assert run(capsys, *entering, "--out", out)[0] == 2
    assert run(capsys, *entering, "--by", " ", "--out", out)[0] == 2
    assert run(capsys, *entering, "--by", "Dr Ada", "--against", filled, "--out", out)[0] == 2
    assert run(capsys, *entering, "--by", "Dr Ada", "--dry-run", "--out", out)[0] == 0
    assert not out.exists()
    assert run(capsys, *entering, "--by", "Dr Ada", "--out", out)[0] == 0

    made = load(out.read_text(encoding="utf-8"))
    assert made.entry is not None and made.entry.by == "Dr Ada"
    assert json.loads(out.read_text(encoding="utf-8"))["tiers"]["available"][0] == "published"
