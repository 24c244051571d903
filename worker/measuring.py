"""From voxels to millilitres: find the head and how it lies, segment, restore, measure, judge."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fontanelle.clock import Clock
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, Image, LabelArray
from fontanelle.imaging.head import Head, find_head
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.pose import Canonical, Pose, find_pose, nudged
from fontanelle.imaging.prepare import Prepared, prepare, prepare_upright
from fontanelle.imaging.quality import (
    Grade,
    QualityCheck,
    assess,
    assess_values,
    head_pose,
    mirrored,
    passes_agree,
    size_for_age,
    unmirrored,
)
from fontanelle.imaging.resample import restored
from fontanelle.imaging.volumes import Volumes, measure
from fontanelle.norms.comparison import Sex
from fontanelle.norms.head_charts import mean_intracranial_ml
from fontanelle.norms.reference import Reference
from models.package import Package
from worker.inference.engine import Segmenter

BELOW_MM = 25.0
"""How far below what bone encloses a head is looked at when its body is left out."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What an analysis needs, loaded once and warm.

    Attributes
    ----------
    second_pass
        Whether the head is looked at once more, for the uncertainty of each volume: in a pose that
        is a little off, or mirrored where the package has one step.
    """

    package: Package
    reference: Reference
    engine: Segmenter
    second_pass: bool = True


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each stage."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        started = self.clock.monotonic_s()
        yield
        self.seconds[name] = round(self.clock.monotonic_s() - started, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Labels on the source planes, volumes, and what the checks say of them.

    `pose` is None where the package has one step or could not tell it.
    """

    labels: LabelArray
    volumes: Volumes
    quality: tuple[QualityCheck, ...]
    pose: Pose | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What the first, coarse step saw."""

    codes: NDArray[np.uint8]
    geometry: Geometry
    pose: Pose | None
    check: QualityCheck


def measure_image(
    image: Image, tools: Tools, watch: Stopwatch, patient: Patient | None = None
) -> Measured:
    """Take the steps from voxels to millilitres, in their order.

    A head whose pose cannot be told is measured coarsely, and that fails its check.

    Raises
    ------
    Refused
        If there is no brain, the field ends inside it, or the head does not fit the package.
    """
    package = tools.package
    with watch.stage("find_head"):
        head = find_head(image)
    if package.localiser is None or package.canonical is None:
        with watch.stage("prepare"):
            prepared = prepare(image, head, package.preprocessing)
        other = replace(prepared, array=mirrored(prepared.array))
        return _measured(image, head, (prepared, other), tools, watch, patient=patient)
    with watch.stage("localise"):
        coarse = prepare(image, head, package.localiser)
        look = _look(coarse, tools, package.canonical)
        if look.pose is None or look.check.grade is Grade.FAIL:
            # Shoulders may have been taken for a part of the head.
            look = _look(_without_body(coarse, head), tools, package.canonical)
    if look.pose is None or look.check.grade is Grade.FAIL:
        labels = restored(look.codes, look.geometry, image.grid)
        return Measured(labels, measure(labels, package.region_set), (look.check,))
    with watch.stage("prepare"):
        poses = (look.pose, nudged(look.pose, package.canonical))[: 1 + tools.second_pass]
        looks = [
            prepare_upright(image, pose, package.canonical, package.preprocessing) for pose in poses
        ]
    measured = _measured(image, head, looks, tools, watch, patient=patient)
    return replace(measured, quality=(look.check, *measured.quality), pose=look.pose)


def _without_body(coarse: Prepared, head: Head) -> Prepared:
    """Return a coarse view in which the scan ends below the head."""
    lowest_mm = coarse.geometry.affine_lps_mm[2, 3]
    step_mm = coarse.geometry.affine_lps_mm[2, 0]
    body = max(0, round((head.low_lps_mm[2] - BELOW_MM - lowest_mm) / step_mm))
    array = coarse.array.copy()
    array[:body] = array.min()
    return replace(coarse, array=array)


def _look(coarse: Prepared, tools: Tools, canonical: Canonical) -> _Look:
    """Find out from coarse labels how the head lies."""
    package = tools.package
    labels = LabelArray(_codes(tools.engine.localise(coarse.array), package), coarse.geometry)
    intracranial_ml = measure(labels, package.region_set).intracranial_ml
    pose = find_pose(labels, intracranial_ml, package.region_set, package.placement, canonical)
    return _Look(labels.codes, coarse.geometry, pose, head_pose(pose, package.placement.tolerance))


def _measured(
    image: Image,
    head: Head,
    looks: Sequence[Prepared],
    tools: Tools,
    watch: Stopwatch,
    *,
    patient: Patient | None,
) -> Measured:
    """Segment a prepared image, restore, measure and judge; the second look is for agreement."""
    package, prepared = tools.package, looks[0]
    with watch.stage("segment"):
        classes = tools.engine.segment(prepared.array)
    with watch.stage("restore"):
        on_field = LabelArray(_codes(classes, package), prepared.geometry)
        labels = restored(on_field.codes, prepared.geometry, image.grid)
    with watch.stage("measure"):
        volumes = measure(labels, package.region_set)
    with watch.stage("second_pass"):
        agreement = (_second_pass(on_field, looks[1], tools),) if tools.second_pass else ()
    with watch.stage("judge"):
        region_set, placement = package.region_set, package.placement
        found = assess(labels, on_field, head, volumes, region_set=region_set, placement=placement)
        seen = assess_values(prepared.hu, on_field, region_set, package.likeness)
        quality = (*found, *_for_age(volumes, patient), *agreement, *seen)
    return Measured(labels, volumes, quality)


def _codes(classes: NDArray[np.uint8], package: Package) -> NDArray[np.uint8]:
    return assemble(classes, package.region_set, package.outer_csf)


def _second_pass(on_field: LabelArray, other: Prepared, tools: Tools) -> QualityCheck:
    """Segment the head as it is seen a second time, and compare volumes."""
    package = tools.package
    classes = tools.engine.segment(other.array)
    if package.localiser is None:
        classes = unmirrored(classes, package.region_set)
    codes = _codes(classes, package)
    return passes_agree(on_field.codes, codes, other.geometry.voxel_mm3, package.region_set)


def _for_age(volumes: Volumes, patient: Patient | None) -> tuple[QualityCheck, ...]:
    """Hold the intracranial volume against children's of this age, of both sexes if unknown."""
    if patient is None or patient.reasons:
        return ()
    sexes = [Sex(patient.sex)] if patient.sex in set(Sex) else list(Sex)
    means = [mean_intracranial_ml(patient.age_days, sex) for sex in sexes]
    known = [mean for mean in means if mean is not None]
    check = size_for_age(volumes.intracranial_ml, known, "CT of children, Liu et al.")
    return () if check is None else (check,)
