"""Labels carried over to a CT by registration: on phantoms whose truth is known."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its own documentation's name)
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fontanelle.errors import Code, Refused
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.head import axis_aligned
from models.phantom.head import Recipe, make
from models.phantom.scan import Field, View, grid, scan
from models.training.alignment import Start, aligned, itk_image
from models.training.heads import HELD_OUT
from models.training.labelling import protocol_called, region_set
from models.training.paired import write_image
from models.training.protocol import OUTER_CSF
from models.training.registration import (
    Fit,
    Target,
    Template,
    carried_labels,
    majority,
    template,
)
from service import cli
from tests.analytic_head import AnalyticHead, axial, image_of

COARSE_MM = 3.0
PROTOCOL = protocol_called("anatomical")
LOBES_DICE_MIN = 0.70
"""At 3 mm, one child's head laid over another person's; gyri do not match."""
ADULTS_DICE_MIN = 0.65
"""Of two adults, whose sulci are wide."""


@pytest.fixture(scope="module")
def toddler() -> Template:
    return template("toddler_24mo", PROTOCOL)


@pytest.fixture(scope="module")
def adult() -> Template:
    return template("head_13", PROTOCOL)


@pytest.fixture(scope="module")
def pitched() -> tuple[Image, LabelArray]:
    """Scan another person's head, pitched by 15 degrees, with table and holder."""
    phantom = make(Recipe(label_map="head_03", angles_deg=(15.0, 0.0, 0.0), protocol=PROTOCOL))
    return scan(phantom, grid(View.AXIAL, Field(64, (96, 96), COARSE_MM, 2.4)))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


@pytest.fixture(scope="module")
def with_neck() -> tuple[Image, LabelArray]:
    """Scan a third person's head, turned about all axes; what is found of it reaches the neck."""
    phantom = make(Recipe(label_map="head_17", angles_deg=(8.0, -5.0, 5.0), protocol=PROTOCOL))
    return scan(phantom, grid(View.AXIAL, Field(64, (96, 96), COARSE_MM, 2.4)))


@pytest.mark.parametrize(
    ("case", "laid", "floor"),
    [("pitched", "toddler", LOBES_DICE_MIN), ("with_neck", "adult", ADULTS_DICE_MIN)],
)
def test_the_lobes_of_another_persons_head_come_out_in_their_places(
    case: str, laid: str, floor: float, request: pytest.FixtureRequest
) -> None:
    image, truth = request.getfixturevalue(case)

    carried = carried_labels(image, [request.getfixturevalue(laid)], spacing_mm=COARSE_MM)

    assert carried.labels.grid is image.grid
    assert carried.fits[0].is_good
    assert carried.agreement == 1.0
    expected = assemble(truth.codes, region_set(), OUTER_CSF)
    for region in region_set().regions:
        one, other = expected == region.code, carried.labels.codes == region.code
        dice = 2 * (one & other).sum() / (one.sum() + other.sum())
        least = floor if region.laterality else 0.6
        assert dice > least, f"{region.name}: {dice:.3f}"


def test_two_runs_give_the_same_labels() -> None:
    field = axis_aligned((24, 24, 24), 4.0, np.zeros(3))
    clouds = np.random.default_rng(0).normal(size=(24, 24, 24))
    smooth = ndimage.gaussian_filter(clouds, 2.0).astype(np.float32)
    fixed = itk_image(np.clip(0.5 + 4 * smooth, 0, 1), field)
    moving = itk_image(np.clip(0.5 + 4 * np.roll(smooth, 1, axis=2), 0, 1), field)
    labels = itk_image((np.roll(smooth, 1, axis=2) > 0).astype(np.uint8), field)
    mask = itk_image(np.ones((24, 24, 24), dtype=np.uint8), field)
    start = Start((46.0, 46.0, 46.0), (46.0, 46.0, 46.0), 1.0)

    once, again = (aligned(fixed, mask, moving, start) for _ in range(2))

    for probe_lps_mm in ((20.0, 30.0, 40.0), (60.0, 50.0, 30.0)):
        assert once.TransformPoint(probe_lps_mm) == again.TransformPoint(probe_lps_mm)
    carried = [
        sitk.GetArrayFromImage(sitk.Resample(labels, fixed, one, sitk.sitkNearestNeighbor, 0))
        for one in (once, again)
    ]
    assert np.array_equal(*carried)
    assert carried[0].any()


def test_what_the_skull_holds_is_found_without_a_template(
    pitched: tuple[Image, LabelArray],
) -> None:
    image, truth = pitched
    target = Target.of(image, COARSE_MM)
    places = np.argwhere(truth.codes > 0)[::7]
    lps = truth.grid.plane_affine(0)[:3, :3] @ places.T.astype(float)
    lps += truth.grid.plane_affine(0)[:3, 3:]
    index = np.rint((lps.T - target.field.affine_lps_mm[:3, 3]) / COARSE_MM).astype(int)[:, ::-1]
    assert target.inside[tuple(index.T)].mean() > 0.9
    volume_ml = target.inside.sum() * COARSE_MM**3 / 1000
    assert volume_ml == pytest.approx((truth.codes > 0).sum() * 2.4 * 2.4 * 3 / 1000, rel=0.1)


def test_a_skull_without_a_brains_anatomy_is_refused_with_both_figures(toddler: Template) -> None:
    image = image_of(AnalyticHead(), axial((64, 80, 80), 3.0))

    with pytest.raises(Refused, match="No template fits: toddler_24mo: overlap") as refusal:
        carried_labels(image, [toddler], spacing_mm=COARSE_MM)

    assert refusal.value.reason.code is Code.REGISTRATION_FAILED


@pytest.mark.parametrize(
    ("name", "code"),
    [*((name, Code.HELD_OUT) for name in HELD_OUT), ("head_99", Code.INPUT_NOT_FOUND)],
)
def test_a_held_out_or_unknown_head_is_no_template(name: str, code: Code) -> None:
    with pytest.raises(Refused, match=name) as refusal:
        template(name, PROTOCOL)
    assert refusal.value.reason.code is code


@pytest.mark.parametrize(
    ("information", "dice", "good"), [(0.5, 0.95, True), (0.3, 0.95, False), (0.5, 0.8, False)]
)
def test_a_fit_is_good_where_both_figures_are(information: float, dice: float, good: bool) -> None:
    fit = Fit("head_07", information, dice)
    assert fit.is_good is good
    assert f"{dice:.2f}" in fit.sentence and f"{information:.2f}" in fit.sentence


votes = st.lists(st.lists(st.integers(0, 12), min_size=5, max_size=5), min_size=1, max_size=5)


@given(votes)
def test_the_majority_is_the_commonest_class_and_a_tie_goes_to_the_first(
    rows: list[list[int]],
) -> None:
    arrays = [np.array(row, dtype=np.uint8) for row in rows]

    found = majority(arrays)

    for place, winner in enumerate(found):
        column = [row[place] for row in rows]
        assert column.count(winner) == max(column.count(value) for value in column)
        tied = [value for value in column if column.count(value) == column.count(winner)]
        assert winner == tied[0]


def test_the_command_writes_labels_their_note_and_the_image(
    tmp_path: Path, pitched: tuple[Image, LabelArray]
) -> None:
    write_image(tmp_path / "ct.nii.gz", pitched[0])
    out, image = tmp_path / "labels.nii.gz", tmp_path / "image.nii.gz"
    arguments = [tmp_path / "ct.nii.gz", "--out", out, "--image", image]
    said = ["models", "pseudo-label", *map(str, arguments), "--template", "toddler_24mo"]
    said += ["--spacing-mm", str(COARSE_MM), "--protocol", PROTOCOL.name]

    assert cli.run(said) == 0

    labels = nibabel.nifti1.load(out)
    assert labels.shape == nibabel.nifti1.load(image).shape == (96, 96, 64)
    assert np.allclose(labels.affine, nibabel.nifti1.load(image).affine)
    assert {1, 10, 11, 21} <= set(np.unique(np.asarray(labels.dataobj)).tolist())
    note = (tmp_path / "labels.README.md").read_text()
    assert "agreement with a registration" in note and "toddler_24mo: overlap" in note


def test_a_refused_series_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(
        tmp_path / "ct.nii.gz", image_of(AnalyticHead(inside_hu=0.0), axial((60, 70, 70), 3.0))
    )
    out = tmp_path / "labels.nii.gz"

    assert cli.run(["models", "pseudo-label", str(tmp_path / "ct.nii.gz"), "--out", str(out)]) == 3

    assert capsys.readouterr().err.splitlines()[-1].startswith("admission.no_brain")
    assert [file.name for file in tmp_path.iterdir()] == ["ct.nii.gz"]
