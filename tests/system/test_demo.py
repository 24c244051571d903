"""The demo: what it prints is measured, and follows the head that was drawn."""

import json
from pathlib import Path

from models.phantom.head import Recipe, Resize, make
from models.phantom.scan import Field, View, grid
from models.phantom.series import Header, write_series
from service.output import RESULT_NAMES
from tests.system.conftest import Run

LEFT_TEMPORAL = 7
QUICK = Field(slices=120, rows_columns=(256, 256), step_mm=1.2, pixel_mm=0.86)


def measured_ml(fontanelle: Run, folder: Path, recipe: Recipe) -> dict[str, float]:
    write_series(folder / "in", make(recipe), grid(View.AXIAL, QUICK), Header())
    said = fontanelle("analyse", folder / "in", "--out", folder / "out", "--json")
    assert said.returncode == 0, said.stderr
    return {m["region"]: m["volume_ml"] for m in json.loads(said.stdout)["measurements"]}


def test_the_demo_prints_ten_regions_and_writes_every_file(fontanelle: Run, tmp_path: Path) -> None:
    said = fontanelle("demo", "--out", tmp_path / "out")

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.startswith("Research software, not a medical device")
    lines = said.stdout.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("region"))
    regions = [line.split("  ")[0] for line in lines[header + 1 : header + 11]]
    assert len(set(regions)) == 10 and regions[8:] == ["Cerebellum", "Brainstem"]
    assert "prov. z" in lines[header]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(RESULT_NAMES)


def test_a_demo_of_a_folder_measures_that_folder(fontanelle: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no image")

    said = fontanelle("demo", "--series", tmp_path / "in", "--out", tmp_path / "out")

    assert said.returncode == 3 and "input.no_dicom" in said.stderr


def test_a_changed_lobe_changes_its_own_line(fontanelle: Run, tmp_path: Path) -> None:
    plain = measured_ml(fontanelle, tmp_path / "plain", Recipe())

    changed = measured_ml(
        fontanelle, tmp_path / "changed", Recipe(change=Resize(LEFT_TEMPORAL, 25.0))
    )

    gain_percent = {region: 100 * (changed[region] / plain[region] - 1) for region in plain}
    # Drawn 25 % larger. This package answers a third of a change to the temporal lobe
    # (MODEL_CARD.md), but of the ten it is this line that moves, and on this side.
    assert gain_percent["left_temporal"] > 5
    assert abs(gain_percent["right_temporal"]) < 6
    assert max(gain_percent, key=lambda region: gain_percent[region]) == "left_temporal"
