"""Synthesised heads: what is drawn, how widely, and that the labels are the painted truth."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from models.training import heads  # noqa: E402
from models.training.protocol import MIRRORED, OUTER_CSF, VENTRICLES, XI2025_MATCHED  # noqa: E402
from models.training.synthesis import (  # noqa: E402
    ShapeConfig,
    SynthesisConfig,
    Synthesizer,
    scanner,
    shape,
    tissue,
)
from models.training.synthesis.anatomy import Anatomy, placement, prepared  # noqa: E402
from models.training.synthesis.chance import Chance  # noqa: E402
from tests.regions import REGIONS  # noqa: E402

pytestmark = pytest.mark.torch

FIELD = (48, 64, 48)
COARSE_MM = 3.2
FRAME = shape.Frame(FIELD, COARSE_MM, torch.tensor(heads.CANONICAL.center_lps_mm[::-1]))
STILL = ShapeConfig(
    angle_sd_deg=(0.0, 0.0, 0.0),
    size_sd=0.0,
    shift_mm=0.0,
    stretch_sd=0.0,
    elastic_mm=0.0,
)


@pytest.fixture(scope="module")
def toddler() -> heads.Head:
    return heads.load("toddler_24mo", XI2025_MATCHED)


@pytest.fixture(scope="module")
def anatomy(toddler: heads.Head) -> Anatomy:
    return prepared(toddler, placement([toddler]))


def synthesizer(toddler: heads.Head, seed: int, config: ShapeConfig = STILL) -> Synthesizer:
    coarse = SynthesisConfig(spacing_mm=COARSE_MM, cut_field=0.0, shape=config)
    return Synthesizer([toddler], [1.0], coarse, seed)


def test_the_same_seed_draws_the_same_head(toddler: heads.Head) -> None:
    one, same = (synthesizer(toddler, 3, ShapeConfig()).draw(FIELD) for _ in range(2))
    assert torch.equal(one.image_hu, same.image_hu)
    assert torch.equal(one.classes, same.classes)


def test_left_stays_left_in_mirrored_heads_too(toddler: heads.Head) -> None:
    """Half of all heads are mirrored; columns grow to the left, so left is the higher one."""
    drawn = synthesizer(toddler, 5)
    for _ in range(8):
        classes = drawn.draw(FIELD).classes.numpy()
        for left, right in ((1, 2), (3, 4), (5, 6), (7, 8)):
            columns = [np.argwhere(classes == side)[:, 2].mean() for side in (left, right)]
            assert columns[0] > columns[1] + 20 / COARSE_MM


def test_a_mirrored_shape_is_the_mirror_image_with_its_labels_swapped(anatomy: Anatomy) -> None:
    as_is, mirrored = (
        shape.sample(anatomy, FRAME, STILL, Still(1), mirrored=flip).packed & 255
        for flip in (False, True)
    )
    classes = anatomy.class_of[as_is.long()].numpy()
    swapped = MIRRORED[anatomy.class_of[mirrored.long()].numpy()[:, :, ::-1]]
    # Mirrored twice is as it was: voxels that lie between two of the map may fall to either.
    assert (MIRRORED[swapped] == classes).mean() > 0.99


class Still(Chance):
    """Chance that never happens: no region grows."""

    def happens(self, probability: float) -> bool:
        return probability == 0.15


def test_regions_are_drawn_independently_of_each_other() -> None:
    chance = Chance(11)
    drawn = [shape.region_growth(chance) for _ in range(4000)]
    growth = torch.stack([one for one in drawn if one is not None])[:, 1:11].numpy()
    correlation = np.corrcoef(growth.T) - np.eye(10)
    assert np.abs(correlation).max() < 0.1
    # The reference's residual SD is some 8 %: five of them both ways are within what is drawn.
    assert (growth.min(axis=0) < -0.4).all()
    assert (growth.max(axis=0) > 0.4).all()
    assert growth.std(axis=0) == pytest.approx(0.19, abs=0.03)


def test_ventricles_are_drawn_up_to_hydrocephalus() -> None:
    chance = Chance(12)
    drawn = [shape.region_growth(chance) for _ in range(2000)]
    ventricles = [float(one[VENTRICLES]) for one in drawn if one is not None]
    assert max(ventricles) > 7.0
    assert min(ventricles) < -0.4


@pytest.mark.parametrize("region", [1, 4, 9])
@pytest.mark.parametrize("share", [-0.3, 0.3])
def test_a_region_that_shall_grow_grows_and_the_others_hardly(
    anatomy: Anatomy, region: int, share: float
) -> None:
    """The displacement alone, on the grid on which it is computed."""
    side, step_mm = 40, 4.0
    axis = (torch.arange(side) - (side - 1) / 2) * step_mm
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    place = torch.einsum("ij,jsrc->isrc", anatomy.to_head, grid)
    place += anatomy.middle[:, None, None, None]
    classes = shape._classes_at(anatomy, place)
    growth = torch.zeros(13)
    growth[region] = share
    moved = grid - shape.spread(growth[classes], step_mm)
    moved = torch.einsum("ij,jsrc->isrc", anatomy.to_head, moved)
    after = shape._classes_at(anatomy, moved + anatomy.middle[:, None, None, None])
    before, later = (torch.bincount(c.flatten(), minlength=13).float() for c in (classes, after))
    change = later / before - 1
    assert math.copysign(1, float(change[region])) == math.copysign(1, share)
    assert abs(float(change[region])) > 0.12
    others = [r.code for r in REGIONS.regions if r.code != region]
    assert float(change[others].abs().median()) < 0.04


def test_lost_cortex_becomes_csf_and_gained_cortex_takes_it(anatomy: Anatomy) -> None:
    sampled = shape.sample(anatomy, FRAME, STILL, Still(1), mirrored=False)

    def parenchyma(loss_mm: float) -> int:
        chance = Loss(loss_mm)
        classes = anatomy.class_of[tissue.codes_of(anatomy, sampled, chance)]
        assert int((classes == OUTER_CSF).sum()) > 0
        return int(((classes > 0) & (classes < VENTRICLES)).sum())

    assert parenchyma(2.5) < parenchyma(0.6) < parenchyma(-1.2)


class Loss(Chance):
    """Chance that draws one loss for every region, and no new vault."""

    def __init__(self, loss_mm: float) -> None:
        super().__init__(1)
        self._loss_mm = loss_mm

    def happens(self, probability: float) -> bool:
        return probability == 0.7

    def uniform(self, low: float, high: float) -> float:
        return self._loss_mm if (low, high) == (-1.3, 1.2) else (low + high) / 2

    def normal(self, *sides: int):  # type: ignore[no-untyped-def]
        return torch.zeros(sides)


@pytest.mark.parametrize("lean", [(0.0, 0.0), (0.4, -0.2)])
@pytest.mark.parametrize("thickness", [2.0, 5.3])
def test_slices_average_and_keep_the_mean(lean: tuple[float, float], thickness: float) -> None:
    ramp = torch.arange(60.0)[:, None, None].expand(60, 32, 32).contiguous()
    inner = slice(12, 48)
    assert torch.allclose(scanner.sliced(ramp, thickness, lean, 0.3)[inner], ramp[inner], atol=0.05)
    noise = torch.randn(60, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(scanner.sliced(noise, thickness, lean, 0.3)[inner].std()) < 0.8


def test_a_scan_that_ends_early_has_no_labels_there() -> None:
    image, labels = torch.zeros(40, 8, 8), torch.ones(40, 8, 8, dtype=torch.long)
    scanner.cut(image, labels, 1.0, Chance(2))
    unseen = image == scanner.AIR_HU
    assert bool(unseen.any())
    assert bool((labels[unseen] == 0).all())
    assert bool((labels[~unseen] == 1).all())


def test_brain_looks_like_brain_on_ct(toddler: heads.Head) -> None:
    drawn = synthesizer(toddler, 8, ShapeConfig())
    medians, csf = [], []
    for _ in range(12):
        sample = drawn.draw(FIELD)
        parenchyma = (sample.classes > 0) & (sample.classes < VENTRICLES)
        medians.append(float(sample.image_hu[parenchyma].median()))
        csf.append(float(sample.image_hu[sample.classes == VENTRICLES].median()))
    assert 20.0 < np.mean(medians) < 45.0
    assert all(one < other for one, other in zip(csf, medians, strict=True))
