"""Localise, then segment: heads of any pose and size, by networks that read what was painted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("onnx", reason="onnx is not installed (extra `train`)")

from fontanelle.clock import SystemClock
from fontanelle.errors import Code, Unavailable
from fontanelle.imaging.geometry import Geometry
from fontanelle.imaging.nifti import LPS_FROM_RAS
from fontanelle.imaging.quality import Grade, QualityCheck
from fontanelle.norms.reference import shipped
from fontanelle.reports.result import Fitness
from models.package import load
from tests.analytic_head import axial, sheared
from tests.coded_head import CodedHead, oblique, write_package
from tests.regions import REGIONS
from worker.inference.engine import Engine, EngineDescription
from worker.inference.opening import open_engine
from worker.measuring import Measured, Stopwatch, Tools, measure_image
from worker.pipeline import Outcome, analyse_path

pytestmark = pytest.mark.torch

SHAPE = (110, 130, 120)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    package = load(write_package(tmp_path_factory.mktemp("packages") / "reading"))
    return Tools(package, shipped("xi2025"), open_engine(package, "cpu"))


def measured(head: CodedHead, tools: Tools, grid: Geometry | None = None) -> Measured:
    grid = grid or axial(SHAPE, 1.6)
    return measure_image(head.image(grid), tools, Stopwatch(SystemClock()))


def check(found: Measured, name: str) -> QualityCheck:
    return next(each for each in found.quality if each.check == name)


POSES = [
    CodedHead(),
    CodedHead(turn_deg=(30, 0, 0), scale=0.92),
    CodedHead(turn_deg=(-22, 12, 18), scale=1.1, shift_mm=(9, -6, 4)),
    CodedHead(turn_deg=(8, -15, -24), scale=0.85, shift_mm=(-12, 5, 0)),
]


@pytest.mark.parametrize("head", POSES, ids=["upright", "pitched", "turned", "small"])
def test_a_head_of_any_pose_and_size_is_measured_as_painted(head: CodedHead, tools: Tools) -> None:
    found = measured(head, tools)

    truth_ml = head.truth_ml(axial(SHAPE, 1.6))
    assert found.volumes.intracranial_ml == pytest.approx(truth_ml[1:].sum(), rel=0.01)
    for region, line in zip(REGIONS.regions, found.volumes.regions, strict=True):
        assert line.parenchyma_ml == pytest.approx(truth_ml[region.code], rel=0.15), region
    assert check(found, "head_pose").grade is Grade.PASS
    assert found.pose is not None
    assert found.pose.scale == pytest.approx(head.scale, rel=0.02)
    np.testing.assert_allclose(found.pose.rotation, head.rotation, atol=0.05)


@pytest.mark.parametrize("grid", [sheared(SHAPE, 1.6, 18.5), oblique(SHAPE, 1.6)])
def test_tilted_and_oblique_stacks_are_measured_alike(grid: Geometry, tools: Tools) -> None:
    head = CodedHead(turn_deg=(12, 0, 6))
    found = measured(head, tools, grid)
    upright = measured(head, tools)
    for one, other in zip(found.volumes.regions, upright.volumes.regions, strict=True):
        assert one.compartment_ml == pytest.approx(other.compartment_ml, rel=0.06, abs=1.5)


def test_labels_lie_where_the_head_was_painted(tools: Tools) -> None:
    head = CodedHead(turn_deg=(25, 5, -10), shift_mm=(4, 7, -3))
    grid = axial(SHAPE, 1.6)
    codes = measured(head, tools).labels.codes
    painted = head.classes(
        np.stack(np.indices(SHAPE), -1) @ grid.affine_lps_mm[:3, :3].T + grid.affine_lps_mm[:3, 3]
    )
    for region in REGIONS.regions:
        one, other = codes == region.code, painted == region.code
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.8, region.name


def test_a_mirrored_arrangement_fails_before_the_network_sees_it(tools: Tools) -> None:
    found = measured(CodedHead(mirrored=True), tools)
    assert [each.check for each in found.quality] == ["head_pose"]
    assert found.quality[0].grade is Grade.FAIL
    assert found.quality[0].reason is not None
    assert found.quality[0].reason.code is Code.QUALITY_POSE
    assert "mirrored" in found.quality[0].sentence


def test_a_head_without_a_lobe_fails_and_crashes_nothing(tools: Tools) -> None:
    found = measured(CodedHead(without="left_frontal"), tools)
    assert found.quality[0].grade is Grade.FAIL
    assert found.pose is None


def test_a_head_upside_down_is_turned_too_far(tools: Tools) -> None:
    found = measured(CodedHead(turn_deg=(180, 0, 0)), tools)
    assert found.quality[0].grade is Grade.FAIL
    assert found.quality[0].value == pytest.approx(180, abs=3)


@dataclass(frozen=True)
class Changed:
    """An engine whose labels are changed before anybody sees them."""

    engine: Engine
    change: Callable[[np.ndarray], np.ndarray]

    @property
    def description(self) -> EngineDescription:
        return self.engine.description

    def segment(self, image: np.ndarray) -> np.ndarray:
        return self.change(self.engine.segment(image))


def localised_aside(tools: Tools) -> Tools:
    """Return tools whose localiser sees every head two of its voxels, 8 mm, too far left."""
    assert tools.engine.localiser is not None
    aside = Changed(tools.engine.localiser, lambda classes: np.roll(classes, 2, axis=2))
    return replace(tools, engine=replace(tools.engine, localiser=aside))


def test_what_the_localiser_errs_by_the_first_look_puts_right(tools: Tools) -> None:
    head = CodedHead(turn_deg=(-12, 8, 10), scale=1.1, shift_mm=(9, -6, 4))
    plain, other = measured(head, tools), measured(head, localised_aside(tools))
    assert plain.pose is not None
    assert other.pose is not None
    np.testing.assert_allclose(other.pose.middle_lps_mm, plain.pose.middle_lps_mm, atol=0.5)
    off = Rotation.from_matrix(plain.pose.rotation.T @ other.pose.rotation)
    assert np.degrees(off.magnitude()) < 0.5
    assert other.pose.scale == pytest.approx(plain.pose.scale, rel=0.003)


def test_both_looks_together_give_each_volume_an_uncertainty(tools: Tools) -> None:
    found = check(measured(CodedHead(turn_deg=(9, 0, 5)), tools), "passes_agree")
    assert found.uncertainty_ml is not None
    assert set(found.uncertainty_ml) == {region.name for region in REGIONS.regions}
    assert min(found.uncertainty_ml.values()) > 0


def test_a_region_that_the_first_look_loses_fails_and_nothing_is_looked_at_again(
    tools: Tools,
) -> None:
    lost = REGIONS["left_frontal"].code
    looks = []

    def lose(classes: np.ndarray) -> np.ndarray:
        looks.append(len(looks))
        return np.where(classes == lost, REGIONS["right_frontal"].code, classes).astype(np.uint8)

    blind = replace(tools.engine, network=Changed(tools.engine.network, lose))
    found = measured(CodedHead(), replace(tools, engine=blind))
    assert [(each.check, each.grade) for each in found.quality] == [("head_pose", Grade.FAIL)]
    assert found.pose is None
    assert looks == [0]


def analysed(head: CodedHead, tools: Tools, folder: Path) -> Outcome:
    """Analyse a head from a NIfTI file."""
    image = head.image(axial(SHAPE, 1.6))
    affine = LPS_FROM_RAS @ image.grid.plane_affine(0)[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(image.hu.transpose(2, 1, 0), affine), folder / "head.nii")
    return analyse_path(folder / "head.nii", tools, age_days=730, sex="M", clock=SystemClock())


def test_a_check_that_limits_takes_the_comparison_and_leaves_the_volumes(
    tools: Tools, tmp_path: Path
) -> None:
    # Interpolation spells other regions between two: they lie about in pieces.
    result = analysed(CodedHead(), tools, tmp_path).result
    limiting = [each for each in result.quality if each.grade is Grade.LIMIT]
    assert "regions_in_one_piece" in {each.check for each in limiting}
    assert result.fitness is Fitness.LIMITED
    assert result.volumes is not None
    codes = {reason.code for reason in result.reasons}
    assert {Code.QUALITY_PIECES, Code.PACKAGE_UNQUALIFIED} <= codes
    assert result.comparison is not None
    assert all(region.z is None for region in result.comparison.regions)


def test_a_head_without_a_pose_is_withheld_and_no_number_leaves(
    tools: Tools, tmp_path: Path
) -> None:
    outcome = analysed(CodedHead(mirrored=True), tools, tmp_path)
    assert outcome.result.fitness is Fitness.WITHHELD
    assert outcome.result.volumes is None
    assert "labels.nii.gz" not in outcome.files
    assert [reason.code for reason in outcome.result.reasons][0] is Code.QUALITY_POSE
    assert outcome.result.engine is not None
    assert outcome.result.engine.seconds == 0.0


def test_both_golden_cases_are_asked_for(tools: Tools) -> None:
    from worker.inference.opening import prove

    class Blind:
        description = tools.engine.description

        def segment(self, image: np.ndarray) -> np.ndarray:
            return np.zeros(image.shape, np.uint8)

    for broken in (
        replace(tools.engine, network=Blind()),
        replace(tools.engine, localiser=Blind()),
    ):
        with pytest.raises(Unavailable, match="golden") as refusal:
            prove(broken, tools.package)
        assert refusal.value.reason.code is Code.PACKAGE_GOLDEN
