"""One head through the pipeline, held against the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Refused
from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.quality import Grade
from fontanelle.imaging.volumes import Volumes
from models.evaluation.bench import Bench, Found
from models.evaluation.overlap import counts, overlap, surface_distances


@dataclass(frozen=True, slots=True)
class RegionScore:
    """One region of one scan; the ventricles are a region here too.

    Attributes
    ----------
    truth_ml, found_ml
        Compartments: parenchyma and the CSF counted to it.
    parenchyma_truth_ml, parenchyma_found_ml
        Without the CSF.
    dice, sensitivity, specificity
        Of the compartment.
    parenchyma_dice
        Without the CSF.
    surface_dice_1mm, surface_dice_2mm, hausdorff_95_mm
        Of the compartment; None where surfaces were not asked for.
    """

    region: str
    truth_ml: float
    found_ml: float
    parenchyma_truth_ml: float
    parenchyma_found_ml: float
    dice: float
    parenchyma_dice: float
    sensitivity: float
    specificity: float
    surface_dice_1mm: float | None = None
    surface_dice_2mm: float | None = None
    hausdorff_95_mm: float | None = None

    @property
    def error_percent(self) -> float:
        """Signed volume error of the compartment."""
        return 100.0 * (self.found_ml - self.truth_ml) / self.truth_ml

    @property
    def parenchyma_error_percent(self) -> float:
        """Signed volume error of the parenchyma."""
        difference = self.parenchyma_found_ml - self.parenchyma_truth_ml
        return 100.0 * difference / self.parenchyma_truth_ml


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One scan held against the truth.

    Attributes
    ----------
    person, case
        Whose head, scanned how.
    regions
        The compared regions, then the ventricles; empty where the scan was refused.
    intracranial_truth_ml, intracranial_found_ml
        The space inside the skull.
    counted
        Voxels by true and found compartment (models.evaluation.overlap.counts).
    withheld
        The checks that failed, or the code of the refusal: no number would have left.
    """

    person: str
    case: str
    regions: tuple[RegionScore, ...]
    intracranial_truth_ml: float
    intracranial_found_ml: float
    counted: NDArray[np.int64]
    withheld: tuple[str, ...]

    @property
    def compared(self) -> tuple[RegionScore, ...]:
        """The regions without the ventricles."""
        return self.regions[:-1]

    @property
    def mean_dice(self) -> float:
        """Mean over the compared regions."""
        return float(np.mean([region.dice for region in self.compared]))


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What came back of one image: labels and volumes, or only why there are none."""

    found: Found | None
    withheld: tuple[str, ...]


def read(bench: Bench, image: Image) -> Reading:
    """Measure an image; a refusal is a result, too."""
    try:
        found = bench.measure(image)
    except Refused as refusal:
        return Reading(None, (str(refusal.reason.code),))
    failed = tuple(check.check for check in found.quality if check.grade is Grade.FAIL)
    return Reading(found, failed)


def scored(
    bench: Bench,
    image: Image,
    truth: LabelArray,
    true_volumes: Volumes,
    *,
    person: str,
    case: str,
    surfaces: bool = False,
) -> tuple[Scored, LabelArray | None]:
    """Measure an image and hold it against the truth.

    Parameters
    ----------
    bench
        The conditions of the evaluation.
    image, truth
        HU and true codes on the same planes.
    true_volumes
        As drawn, whatever the planes show of them.
    person, case
        Whose head, scanned how.
    surfaces
        Compute surface measures as well, which takes a second.

    Returns
    -------
    The scores, and the labels that were found.
    """
    reading = read(bench, image)
    if reading.found is None:
        empty = np.zeros((0, 0), dtype=np.int64)
        intracranial_ml = true_volumes.intracranial_ml
        lost = Scored(person, case, (), intracranial_ml, float("nan"), empty, reading.withheld)
        return lost, None
    found = reading.found
    score = Scored(
        person=person,
        case=case,
        regions=_regions(bench, truth, true_volumes, found, surfaces=surfaces),
        intracranial_truth_ml=true_volumes.intracranial_ml,
        intracranial_found_ml=found.volumes.intracranial_ml,
        counted=_counted(bench, truth, found.labels),
        withheld=reading.withheld,
    )
    return score, found.labels


def _counted(bench: Bench, truth: LabelArray, labels: LabelArray) -> NDArray[np.int64]:
    size = max(bench.names_by_code) + 1
    return counts(bench.compartments(truth.codes), bench.compartments(labels.codes), size)


def _regions(
    bench: Bench, truth: LabelArray, true_volumes: Volumes, found: Found, *, surfaces: bool
) -> tuple[RegionScore, ...]:
    region_set = bench.package.region_set
    counted = _counted(bench, truth, found.labels)
    plain = counts(truth.codes, found.labels.codes, 256)
    true_ml, found_ml = (_millilitres(volumes) for volumes in (true_volumes, found.volumes))
    scores = []
    for region in region_set.segments:
        place = overlap(counted, region.code)
        near = _surface(bench, truth, found.labels, region.code) if surfaces else (None,) * 3
        scores.append(
            RegionScore(
                region=region.name,
                truth_ml=true_ml[region.name][0],
                found_ml=found_ml[region.name][0],
                parenchyma_truth_ml=true_ml[region.name][1],
                parenchyma_found_ml=found_ml[region.name][1],
                dice=place.dice,
                parenchyma_dice=overlap(plain, region.code).dice,
                sensitivity=place.sensitivity,
                specificity=place.specificity,
                surface_dice_1mm=near[0],
                surface_dice_2mm=near[1],
                hausdorff_95_mm=near[2],
            )
        )
    return tuple(scores)


def _millilitres(volumes: Volumes) -> dict[str, tuple[float, float]]:
    """Return compartment and parenchyma of each region; the ventricles are both."""
    by_region = {
        region.region: (region.compartment_ml, region.parenchyma_ml) for region in volumes.regions
    }
    return by_region | {"ventricles": (volumes.ventricles_ml, volumes.ventricles_ml)}


def _surface(
    bench: Bench, truth: LabelArray, labels: LabelArray, code: int
) -> tuple[float, float, float]:
    true, seen = (bench.compartments(part.codes) == code for part in (truth, labels))
    distances = surface_distances(true, seen, truth.grid)
    return distances.dice(1.0), distances.dice(2.0), distances.hausdorff_95()


def usable(scores: Sequence[Scored]) -> list[Scored]:
    """Return the scans that were measured, withheld or not."""
    return [score for score in scores if score.regions]


def withheld(scores: Sequence[Scored]) -> list[Scored]:
    """Return the scans of which no number would have left."""
    return [score for score in scores if score.withheld]
