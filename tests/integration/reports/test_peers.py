"""What other people's programs say of our objects: dicom3tools and dcmtk find nothing wrong."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite

from fontanelle.errors import Code, Reason
from fontanelle.imaging.geometry import Planes, stack, stacking_order
from fontanelle.imaging.patient import Patient
from fontanelle.reports.result import Fitness, Identity, ScanFacts
from fontanelle.reports.segmentation import render_segmentation
from fontanelle.reports.source import REQUIRED
from fontanelle.reports.structured_report import render_structured_report
from tests import real
from tests.unit.reports.builders import (
    STANCES,
    UNKNOWN_AGE,
    Case,
    case,
    comparison,
    labels_on,
    result,
)
from tests.unit.reports.reading import by_position, in_file


def run(*command: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(word) for word in command], capture_output=True, check=False)


def errors(path: Path) -> list[bytes]:
    said = run("dciodvfy", path)
    return [line for line in said.stderr.splitlines() if line.startswith(b"Error")]


def objects(of: Case, folder: Path) -> list[Path]:
    """Write the objects of a case: two, or the report alone where the result is withheld."""
    withheld = of.result.fitness is Fitness.WITHHELD
    seg = None if withheld else render_segmentation(of.result, of.labels, of.sources)
    report = render_structured_report(of.result, seg, of.sources)
    made = {"report.dcm": report} | ({} if seg is None else {"segmentation.dcm": seg})
    return [write(target, folder / name) for name, target in made.items()]


def write(target: Dataset, path: Path) -> Path:
    dcmwrite(path, target, enforce_file_format=True)
    return path


def ge_head() -> Case:
    """Return the real tilted, uneven series with the phantom's labels put into its middle."""
    read = [dcmread(path, stop_before_pixels=True) for path in real.ge_head_tilt().iterdir()]
    positions = [source.ImagePositionPatient for source in read]
    orientation = read[0].ImageOrientationPatient
    order = stacking_order(positions, orientation)
    sources = [read[k] for k in order]
    grid = stack([positions[k] for k in order], orientation, read[0].PixelSpacing, (512, 512))
    middle = grid.plane_affine(14) @ np.array([0, 255.5, 255.5, 1.0])
    labels = labels_on(grid, middle[:3])
    found = result(
        labels,
        fitness=Fitness.LIMITED,
        patient=Patient(str(sources[0].PatientID), None, None, None, None, None),
        identity=Identity(sources[0].StudyInstanceUID, sources[0].SeriesInstanceUID, 1, None),
        comparison=comparison(compared=False),
        reasons=(UNKNOWN_AGE,),
        scan=ScanFacts(28, 512, 512, (0.488, 0.488), (1.081, 7.0), 18.5),
    )
    # The picture is not rendered here: labels stand in for the image.
    return Case(found, labels, None, sources)  # type: ignore[arg-type]


@pytest.mark.peer("dciodvfy")
@pytest.mark.parametrize("stance", [stance.name for stance in STANCES])
def test_dciodvfy_finds_no_error_in_any_stance(stance: str, tmp_path: Path) -> None:
    for path in objects(case(stance), tmp_path):
        assert errors(path) == []


@pytest.mark.peer("dciodvfy")
@pytest.mark.parametrize("fitness", [Fitness.LIMITED, Fitness.WITHHELD])
def test_dciodvfy_finds_no_error_without_z_and_without_numbers(
    fitness: Fitness, tmp_path: Path
) -> None:
    of = case()
    lost = Reason(Code.QUALITY_PLACE, "The cerebellum lies 62 mm from its place.")
    changed = (
        replace(of.result, fitness=fitness, comparison=None, reasons=(UNKNOWN_AGE,))
        if fitness is Fitness.LIMITED
        else replace(of.result, fitness=fitness, volumes=None, comparison=None, reasons=(lost,))
    )

    for path in objects(replace(of, result=changed), tmp_path):
        assert errors(path) == []


@pytest.mark.peer("dciodvfy")
@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("GBK", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        (None, "Doe^Jane"),
    ],
)
def test_dciodvfy_finds_no_error_in_any_character_set(
    character_set: object, name: str, tmp_path: Path
) -> None:
    of = case()
    of.sources[:] = [in_file(source, character_set, name) for source in of.sources]

    for path in objects(of, tmp_path):
        assert errors(path) == []
        assert str(dcmread(path).PatientName) == name


@pytest.mark.peer("dciodvfy")
def test_dciodvfy_finds_no_error_where_the_source_lacks_patient_and_study(tmp_path: Path) -> None:
    of = case()
    for source in of.sources:
        for keyword in REQUIRED:
            delattr(source, keyword)

    for path in objects(of, tmp_path):
        assert errors(path) == []


@pytest.mark.peer("dciodvfy")
def test_a_real_tilted_and_uneven_series_gives_valid_objects(tmp_path: Path) -> None:
    of = ge_head()
    assert isinstance(of.labels.grid, Planes)

    for path in objects(of, tmp_path):
        assert errors(path) == []

    path = tmp_path / "segmentation.dcm"
    expected = of.result.region_set.compartment_table[of.labels.codes]
    assert np.array_equal(by_position(dcmread(path), of.sources), expected)
    assert np.array_equal(by_source(path, of.sources), expected)


def by_source(path: Path, sources: Sequence[Dataset]) -> np.ndarray:
    return highdicom.seg.segread(path).get_pixels_by_source_instance(
        [source.SOPInstanceUID for source in sources],
        combine_segments=True,
        skip_overlap_checks=True,
        assert_missing_frames_are_empty=True,
    )


@pytest.mark.peer("dcentvfy")
@pytest.mark.parametrize("origin", ["phantom", "real"])
def test_dcentvfy_finds_the_objects_consistent_with_their_source(
    origin: str, tmp_path: Path
) -> None:
    of = case("tilted") if origin == "phantom" else ge_head()
    slices = [write(source, tmp_path / f"{k}.dcm") for k, source in enumerate(of.sources)]

    said = run("dcentvfy", *slices, *objects(of, tmp_path))

    # Warnings remain: that the tool's table puts AccessionNumber into the series of an SR, and
    # that what the source lacks is empty in the objects.
    lines = (said.stdout + said.stderr).splitlines()
    assert len(lines) > 0 and [line for line in lines if line.startswith(b"Error")] == []


@pytest.mark.peer("dsrdump")
@pytest.mark.parametrize("origin", ["phantom", "real"])
def test_dsrdump_reads_the_report(origin: str, tmp_path: Path) -> None:
    of = case() if origin == "phantom" else ge_head()
    objects(of, tmp_path)

    said = run("dsrdump", "+Pc", tmp_path / "report.dcm")

    assert said.returncode == 0
    assert b"Z-Score of measurement" in said.stdout or origin == "real"
    assert b"Left" in said.stdout and b"118565006" in said.stdout
