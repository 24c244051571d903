"""The evaluation on real label maps: an oracle passes it, and what shrinks or errs is told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture

from fontanelle.errors import Code, Refused
from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.quality import QualityCheck
from fontanelle.imaging.volumes import RegionVolumes, Volumes, measure
from fontanelle.norms.reference import shipped
from models.evaluation import HELD_OUT, loop, mirror, planted
from models.evaluation.accuracy import score_case
from models.evaluation.bench import Bench, ahead
from models.evaluation.cases import CONDITIONS, PLAIN, Case, positioned, scanned, toddlers
from models.evaluation.conditions import conditions
from models.evaluation.real import out_of_order, places_lps_mm, upright
from models.evaluation.repeat import covering, measurement_error, variants
from models.evaluation.shapes import Shape, drawn, placed, resized, thinned, widened
from models.package import find, load
from models.phantom.head import CENTER_LPS_MM
from tests.analytic_head import AnalyticHead, image_of, sheared

PACKAGE = load(find())
REGIONS = PACKAGE.region_set
REFERENCE = shipped("xi2025")
TODDLER = HELD_OUT[0]


@dataclass(frozen=True)
class Answer:
    labels: LabelArray
    volumes: Volumes
    quality: tuple[QualityCheck, ...] = ()


class Oracle:
    """Measures what is truly there: it saw every scan made. `pull` draws volumes to the mean."""

    def __init__(self, pull: Callable[[Volumes], Volumes] = lambda volumes: volumes) -> None:
        self.truths: dict[bytes, LabelArray] = {}
        self.pull = pull

    def scanned(self, shape: Shape, case: Case) -> tuple[Image, LabelArray]:
        image, truth = scanned(shape, case)
        self.truths[image.hu.tobytes()] = truth
        return image, truth

    def measure(self, image: Image) -> Answer:
        truth = self.truths.get(image.hu.tobytes())
        if truth is None:
            mirrored = self.truths[image.hu[:, :, ::-1].tobytes()]
            codes = mirror.swapped(REGIONS)[mirrored.codes[:, :, ::-1]]
            truth = LabelArray(np.ascontiguousarray(codes), image.grid)
        return Answer(truth, self.pull(measure(truth, REGIONS)))


def bench(measure_: Callable[[Image], Answer], pictures: Path | None = None) -> Bench:
    return Bench(PACKAGE, REFERENCE, measure_, (TODDLER,), True, pictures, lambda _: None)


def refusing(_: Image) -> Answer:
    raise Refused(Code.NO_BRAIN, "There is none.")


def compartments_ml(shape: Shape) -> NDArray[np.float64]:
    return np.array([region.compartment_ml for region in shape.volumes(REGIONS).regions])


def parenchyma_ml(shape: Shape) -> NDArray[np.float64]:
    return np.array([region.parenchyma_ml for region in shape.volumes(REGIONS).regions])


@pytest.fixture(scope="module")
def toddler() -> Shape:
    return drawn(TODDLER, PACKAGE)


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    made = Oracle()
    for module in (planted, loop, mirror):
        monkeypatch.setattr(module, "scanned", made.scanned)
    return made


def test_a_placed_head_has_the_size_asked_and_turns_about_its_middle(toddler: Shape) -> None:
    head = placed(
        toddler, intracranial_ml=900.0, angles_deg=(20.0, -5.0, 9.0), shift_mm=(3.0, 4.0, 5.0)
    )
    assert head.volumes(REGIONS).intracranial_ml == pytest.approx(900.0)
    middle = np.append((np.array(CENTER_LPS_MM) - toddler.phantom.affine_lps_mm[:3, 3]), 1.0)
    index = np.linalg.solve(toddler.phantom.affine_lps_mm[:3, :3], middle[:3])
    moved = head.phantom.affine_lps_mm @ np.append(index, 1.0)
    assert moved[:3] == pytest.approx(np.array(CENTER_LPS_MM) + (3.0, 4.0, 5.0))


def test_a_resized_head_has_the_volumes_asked(toddler: Shape) -> None:
    factors = {1: 0.7, 2: 1.2, 5: 1.25, 8: 0.75, 9: 0.8, 10: 1.25}
    change = compartments_ml(resized(toddler, factors, REGIONS)) / compartments_ml(toddler)
    for code, factor in factors.items():
        assert change[code - 1] == pytest.approx(factor, rel=0.02)


def test_thinning_takes_parenchyma_at_the_surface_and_leaves_skull_and_compartment(
    toddler: Shape,
) -> None:
    thin = thinned(toddler, {1: 0.3, 7: 0.2}, REGIONS, PACKAGE.outer_csf)
    change = parenchyma_ml(thin) / parenchyma_ml(toddler)
    assert change[[0, 6]] == pytest.approx([0.7, 0.8], abs=1e-3)
    assert np.delete(change, [0, 6]) == pytest.approx(1.0)
    # CSF between two lobes goes to the nearer one, so a thin lobe's compartment yields a little.
    assert (compartments_ml(thin) / compartments_ml(toddler))[[0, 6]].min() > 0.9
    inside = [one.volumes(REGIONS).intracranial_ml for one in (toddler, thin)]
    assert inside[0] == pytest.approx(inside[1])
    before, after = toddler.phantom.hu, thin.phantom.hu
    lost = (toddler.classes != thin.classes) & (before < 100)
    assert 5 < np.median(after[lost]) < 14
    assert np.median(before[lost]) > 20
    assert (after[before > 300] == before[before > 300]).all()


def test_ventricles_widen_to_a_hydrocephalus_and_truth_follows(toddler: Shape) -> None:
    wide = widened(toddler, 4.0, REGIONS)
    change = wide.volumes(REGIONS).ventricles_ml / toddler.volumes(REGIONS).ventricles_ml
    assert change > 3.0
    inside = wide.phantom.codes == REGIONS.ventricles.code
    assert np.median(wide.phantom.hu[inside]) < 14


def test_a_thick_slice_is_the_mean_of_thin_ones_and_shows_the_same_head(toddler: Shape) -> None:
    thin, _ = scanned(toddler, replace(PLAIN, noise_hu=0.001))
    thick, truth = scanned(toddler, replace(PLAIN, step_mm=5.0, noise_hu=0.001))
    assert (thin.hu.shape[0], thick.hu.shape[0]) == (152, 38)
    assert thick.hu == pytest.approx(thin.hu.reshape(38, 4, 224, 224).mean(axis=1), abs=0.51)
    assert thick.grid.plane_voxel_mm3[0] == pytest.approx(5.0)
    shown_ml = measure(truth, REGIONS).intracranial_ml
    assert shown_ml == pytest.approx(toddler.volumes(REGIONS).intracranial_ml, rel=0.02)


def test_every_condition_differs_from_the_plain_scan_in_its_own_way() -> None:
    assert len({replace(case, name="", group="") for case in (PLAIN, *CONDITIONS)}) == 1 + len(
        CONDITIONS
    )
    children = toddlers(7.4, 6)
    sizes = [case.intracranial_ml for case in children]
    assert np.mean(sizes) == pytest.approx(1030, abs=2)
    assert max(case.step_mm for case in children) <= 1.25


def test_an_oracle_finds_all_that_was_planted_and_is_drawn(oracle: Oracle, tmp_path: Path) -> None:
    section = planted.planted(bench(oracle.measure, tmp_path))
    assert [gate.name for gate in section.gates if not gate.holds] == []
    for name in ("slope_compartment", "slope_parenchyma"):
        assert list(section.values[name].values()) == pytest.approx([1.0] * 10, abs=0.02)
    pictures = sorted(path.name for path in tmp_path.iterdir())
    assert "toddler-12mo-ventricles-times-4.png" in pictures
    with Picture.open(tmp_path / pictures[0]) as picture:
        assert picture.height > 1000


def test_a_network_that_pulls_to_the_mean_fails_by_as_much_as_it_pulls(
    oracle: Oracle, toddler: Shape
) -> None:
    usual = toddler.volumes(REGIONS).by_region_ml

    def halved(volumes: Volumes) -> Volumes:
        regions = tuple(
            RegionVolumes(
                region.region,
                (region.compartment_ml + usual[region.region]) / 2,
                region.parenchyma_ml,
                region.csf_ml,
            )
            for region in volumes.regions
        )
        return replace(volumes, regions=regions)

    oracle.pull = halved
    section = planted.planted(bench(oracle.measure))
    assert list(section.values["slope_compartment"].values()) == pytest.approx([0.5] * 10, abs=0.02)
    assert {gate.name: gate.holds for gate in section.gates} == {
        "slope of compartment, all regions": False,
        "slope of compartment, region furthest from 1": False,
        "slope of parenchyma, all regions": True,
        "slope of parenchyma, region furthest from 1": True,
        "slope of ventricles": True,
    }


def test_levels_are_permuted_so_that_every_region_meets_every_level_once() -> None:
    scans = planted.levels_by_region((-4.0, 0.0, 3.0), ("a", "b", "c"), seed=0)
    assert all(sorted(scan[name] for scan in scans) == [-4.0, 0.0, 3.0] for name in "abc")


def test_an_oracle_closes_the_loop(oracle: Oracle) -> None:
    section = loop.closed_loop(bench(oracle.measure), count=2)
    first = section.tables[0]
    for row in first.rows:
        found_less_planted = row[5]
        assert isinstance(found_less_planted, str)
        assert abs(float(found_less_planted)) < 0.15
    # Few children scatter so little, or so much, by chance: they judge nobody.
    assert (section.gates[0].reached, section.gates[0].holds) == ("2", False)


def test_normal_children_have_the_references_spread_and_correlations() -> None:
    children = loop.normal_children(REFERENCE, 20_000)
    z = (children.volumes_ml - children.expected_ml) / children.sd_ml
    assert z.mean(axis=0) == pytest.approx(0.0, abs=0.03)
    assert z.std(axis=0) == pytest.approx(1.0, abs=0.02)
    assert REFERENCE.correlations is not None
    expected = np.asarray(REFERENCE.correlations.central)
    assert np.corrcoef(z.T) == pytest.approx(expected, abs=0.02)


def test_an_oracle_is_mirrored_and_one_who_mixes_up_the_sides_is_not(oracle: Oracle) -> None:
    assert all(gate.holds for gate in mirror.mirrored(bench(oracle.measure)).gates)

    def mixed_up(image: Image) -> Answer:
        found = oracle.measure(image)
        left = image.hu.tobytes() in oracle.truths
        codes = found.labels.codes if left else mirror.swapped(REGIONS)[found.labels.codes]
        return Answer(LabelArray(codes.copy(), image.grid), found.volumes)

    gates = mirror.mirrored(bench(mixed_up)).gates
    assert gates[0].name == "least Dice of a region" and gates[0].holds is False


def test_a_refused_scan_fails_its_gates_and_has_no_numbers() -> None:
    score = score_case(bench(refusing), TODDLER, PLAIN)
    assert (score.regions, score.withheld) == ((), (str(Code.NO_BRAIN),))
    gates = conditions(bench(refusing)).gates
    assert gates and all(gate.holds is False for gate in gates)


def test_a_real_image_is_scanned_again_on_grids_that_hold_all_of_it() -> None:
    image = image_of(AnalyticHead(), sheared((40, 60, 60), 4.0, 18.5))
    again = dict(variants(image))
    assert len(again) == 7
    brain_ml = {
        name: float((np.abs(one.hu - 32) < 12).sum() * one.grid.plane_voxel_mm3[0] / 1000)
        for name, one in again.items()
        if name != "noise added"
    }
    assert list(brain_ml.values()) == pytest.approx([AnalyticHead().inside_ml] * 6, rel=0.12)
    turned = covering(image, (2.5, 1.0, 1.0), (0.0, 0.0, 10.0))
    assert np.linalg.det(turned.affine_lps_mm[:3, :3]) == pytest.approx(-2.5)
    assert turned.step_mm == pytest.approx((2.5, 1.0, 1.0))


def test_the_measured_error_is_the_larger_of_synthetic_and_real() -> None:
    error = measurement_error({"a": 0.51, "b": 0.4, "intracranial": 0.1}, {"a": 0.3, "b": 0.62})
    assert error == {"a": 0.51, "b": 0.62}


def test_places_are_those_of_a_brain_however_it_is_turned(toddler: Shape) -> None:
    case = replace(PLAIN, angles_deg=(15.0, -8.0, 12.0), step_mm=2.5, pixel_mm=2.0)
    _, truth = scanned(positioned(toddler, case), case)
    places, away_mm = upright(bench(refusing), truth)
    assert out_of_order(bench(refusing).regions, places) == []
    assert away_mm.max() < 15.0
    mixed = mirror.swapped(REGIONS)[truth.codes]
    places, _ = upright(bench(refusing), LabelArray(mixed, truth.grid))
    assert out_of_order(bench(refusing).regions, places)
    assert places_lps_mm(truth, 99) is None


def test_work_is_done_ahead_and_comes_in_order() -> None:
    assert list(ahead([lambda i=i: i for i in range(5)])) == [0, 1, 2, 3, 4]
    assert list(ahead([])) == []
