"""A label protocol on any label map: any orientation in, one sentence where it is wrong."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.nifti import LPS_FROM_RAS
from models.training.heads import read_map
from models.training.labelling import apply, protocol_called, read_label_map, region_set
from models.training.protocol import OUTER_CSF, classes
from service import cli

HEAD = "toddler_12mo"
STEP = 2
"""Every second voxel: a map of 2 mm, quick to label."""

Volume = NDArray[np.generic]
Change = Callable[[Volume, NDArray[np.float64]], tuple[Volume, NDArray[np.float64]]]


@pytest.fixture(scope="module")
def maps() -> dict[str, NDArray[np.uint8]]:
    """Regions and tissues, axes growing towards (S, P, L)."""
    return {
        kind: np.ascontiguousarray(read_map(HEAD, kind)[::STEP, ::STEP, ::STEP])
        for kind in ("regions", "tissues")
    }


def stored(
    folder: Path, maps: dict[str, NDArray[np.uint8]], *, codes: str = "RAS", **changes: Change
) -> tuple[Path, Path]:
    """Write the pair as NIfTI with axes that grow towards `codes`."""
    paths = []
    for kind, spl in maps.items():
        ras = spl.transpose(2, 1, 0)[::-1, ::-1]
        values: Volume = ras
        affine = np.diag([STEP, STEP, STEP, 1.0])
        affine[:3, 3] = (-70.0, -90.0, -60.0)
        if kind in changes:
            values, affine = changes[kind](values, affine)
        image = nibabel.nifti1.Nifti1Image(values, affine)
        turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
        path = folder / f"{kind}_{codes}.nii.gz"
        nibabel.nifti1.save(image.as_reoriented(turn), path)
        paths.append(path)
    return paths[0], paths[1]


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAL", "PIR"])
def test_however_it_is_stored_a_head_gets_the_same_labels_on_its_own_grid(
    tmp_path: Path, maps: dict[str, NDArray[np.uint8]], codes: str
) -> None:
    protocol = protocol_called("xi2025-matched")
    expected = assemble(
        classes(maps["regions"], maps["tissues"], protocol, float(STEP)), region_set(), OUTER_CSF
    )
    regions, tissues = stored(tmp_path, maps, codes=codes)
    out = tmp_path / "labels.nii.gz"

    arguments = ["models", "label", regions, tissues, "--protocol", protocol.name, "--out", out]
    assert cli.run([str(argument) for argument in arguments]) == 0

    given, made = nibabel.nifti1.load(regions), nibabel.nifti1.load(out)
    assert made.shape == given.shape
    assert np.allclose(made.affine, given.affine)
    back = made.as_reoriented(ornt_transform(axcodes2ornt(codes), axcodes2ornt("RAS")))
    found = np.asarray(back.dataobj)[::-1, ::-1].transpose(2, 1, 0)
    assert np.array_equal(found, expected)


def test_the_volumes_are_printed_region_by_region(
    tmp_path: Path, maps: dict[str, NDArray[np.uint8]], capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [str(path) for path in stored(tmp_path, maps)]

    out = str(tmp_path / "labels.nii")
    cli.run(["models", "label", *pair, "--protocol", "xi2025-matched", "--out", out])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["region", "mL", "tissue", "CSF"]
    assert len(lines) == 1 + 10 + 2
    frontal = [float(number) for number in lines[1].split()[-3:]]
    assert frontal[0] == pytest.approx(frontal[1] + frontal[2], abs=0.11)
    assert 100 < frontal[1] < 260


def replaced(old: int, new: int) -> Change:
    return lambda values, affine: (np.where(values == old, np.int16(new), values), affine)


def scaled(*steps: float) -> Change:
    return lambda values, affine: (values, affine @ np.diag([*steps, 1.0]))


def moved(mm: float) -> Change:
    def change(values: Volume, affine: NDArray[np.float64]) -> tuple[Volume, NDArray[np.float64]]:
        elsewhere = affine.copy()
        elsewhere[0, 3] += mm
        return values, elsewhere

    return change


def turned(degrees: float) -> Change:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(4)
    turn[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    return lambda values, affine: (values, turn @ affine)


WRONG: dict[str, tuple[Code, str, dict[str, Change]]] = {
    "a FreeSurfer number": (Code.LABELS_NUMBER, "1035", {"regions": replaced(11, 1035)}),
    "a tissue that is none": (Code.LABELS_NUMBER, "20", {"tissues": replaced(5, 20)}),
    "interpolated": (
        Code.LABELS_NUMBER,
        "fractions",
        {"regions": lambda values, affine: (values.astype(np.float32) + 0.25, affine)},
    ),
    "no cerebellum": (Code.LABELS_NUMBER, "no cerebellum", {"regions": replaced(9, 0)}),
    "other shapes": (
        Code.LABELS_GRID,
        "shape",
        {"tissues": lambda values, affine: (values[:-1], affine)},
    ),
    "other places": (Code.LABELS_GRID, "1.5 mm apart", {"tissues": moved(1.5)}),
    "no cubes": (
        Code.LABELS_GRID,
        "cubes",
        {"regions": scaled(1, 1, 1.5), "tissues": scaled(1, 1, 1.5)},
    ),
    "too coarse": (
        Code.LABELS_GRID,
        "4.00",
        {"regions": scaled(2, 2, 2), "tissues": scaled(2, 2, 2)},
    ),
    "turned": (Code.LABELS_GRID, "40 degrees", {"regions": turned(40), "tissues": turned(40)}),
    "mirrored": (
        Code.LABELS_ORIENTATION,
        "left lobes lie on the patient's right",
        {"regions": scaled(-1, 1, 1), "tissues": scaled(-1, 1, 1)},
    ),
    "back to front": (
        Code.LABELS_ORIENTATION,
        "occipital",
        {"regions": scaled(1, -1, 1), "tissues": scaled(1, -1, 1)},
    ),
    "upside down": (
        Code.LABELS_ORIENTATION,
        "cerebellum",
        {"regions": scaled(1, 1, -1), "tissues": scaled(1, 1, -1)},
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_label_map_is_refused_by_one_sentence_that_names_it(
    tmp_path: Path, maps: dict[str, NDArray[np.uint8]], fault: str
) -> None:
    code, word, changes = WRONG[fault]
    pair = stored(tmp_path, maps, **changes)

    with pytest.raises(Refused) as refusal:
        read_label_map(*pair)

    assert refusal.value.reason.code is code
    assert word in refusal.value.reason.sentence
    assert refusal.value.reason.sentence.count("\n") == 0


def test_a_refused_map_or_protocol_leaves_the_output_as_it_was(
    tmp_path: Path, maps: dict[str, NDArray[np.uint8]], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.nii.gz"
    out.write_bytes(b"earlier")
    pair = [str(path) for path in stored(tmp_path, maps)]

    codes = [
        cli.run(["models", "label", *pair, "--protocol", "no-such", "--out", str(out)]),
        cli.run(["models", "label", *pair[::-1], "--protocol", "anatomical", "--out", str(out)]),
        cli.run(["models", "label", pair[0], "absent", "--protocol", "x", "--out", str(out)]),
        cli.run(["models", "label", *pair, "--protocol", "xi2025-matched", "--out", "a.mgz"]),
    ]

    assert codes == [3, 3, 3, 2]
    said = capsys.readouterr().err
    assert "labels.protocol_unknown: There is no protocol no-such" in said
    assert "input.not_found" in said
    assert out.read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 3


def test_codes_of_the_grid_are_in_millimetres_of_the_patient(
    tmp_path: Path, maps: dict[str, NDArray[np.uint8]]
) -> None:
    label_map = read_label_map(*stored(tmp_path, maps, codes="LPI"))
    labels = apply(protocol_called("xi2025-matched"), label_map)
    left, right = (
        (labels.grid.plane_affine(0)[:3] @ np.append(np.argwhere(labels.codes == c).mean(0), 1.0))
        for c in (1, 2)
    )
    assert left[0] > right[0] + 20
    corner = LPS_FROM_RAS[:3] @ np.array([-70.0, -90.0, -60.0, 1.0])
    spl_first = label_map.grid.to_patient(np.array([0.0, label_map.grid.shape[1] - 1, 0.0]))
    assert spl_first[2] == pytest.approx(corner[2])
