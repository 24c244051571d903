"""From voxels to millilitres: find the head and how it lies, segment, restore, measure, judge."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fontanelle.clock import Clock
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, Image, LabelArray
from fontanelle.imaging.head import Head, find_head
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.pose import Canonical, Pose, find_pose
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
    """What an analysis needs, loaded once and warm."""

    package: Package
    reference: Reference
    engine: Segmenter


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
    """Labels, and how the head lies by them; `pose` is None where they do not tell."""

    labels: LabelArray
    pose: Pose | None
    check: QualityCheck


def measure_image(
    image: Image, tools: Tools, watch: Stopwatch, patient: Patient | None = None
) -> Measured:
    """Take the steps from voxels to millilitres, in their order.

    Every head is looked at twice, and the second look counts: the first tells its pose to a
    fraction of a degree. How far both differ is the uncertainty of each volume. A package of one
    step looks at the mirrored head first. A head whose pose cannot be told, or not by the first
    look's labels, is measured by the labels at hand, and that fails its check.

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
        with watch.stage("first_look"):
            first = _mirrored_labels(prepared, tools)
        return _measured(image, head, (first, prepared), tools, watch, patient=patient)
    with watch.stage("localise"):
        coarse = prepare(image, head, package.localiser)
        look = _look(_coarse_labels(coarse, tools), package, package.canonical)
        if look.pose is None:
            # Shoulders may have been taken for a part of the head.
            coarse = _without_body(coarse, head)
            look = _look(_coarse_labels(coarse, tools), package, package.canonical)
    if look.pose is None:
        return _unposed(look, image, package)
    with watch.stage("first_look"):
        prepared = prepare_upright(image, look.pose, package.canonical, package.preprocessing)
        look = _look(_labels(prepared, tools), package, package.canonical)
    if look.pose is None:
        return _unposed(look, image, package)
    with watch.stage("prepare"):
        prepared = prepare_upright(image, look.pose, package.canonical, package.preprocessing)
    measured = _measured(image, head, (look.labels, prepared), tools, watch, patient=patient)
    return replace(measured, quality=(look.check, *measured.quality), pose=look.pose)


def _unposed(look: _Look, image: Image, package: Package) -> Measured:
    """Return what labels say that do not tell how the head lies: its check fails."""
    if not isinstance(look.labels.grid, Geometry):
        raise TypeError("a look is at a regular grid")
    labels = restored(look.labels.codes, look.labels.grid, image.grid)
    return Measured(labels, measure(labels, package.region_set), (look.check,))


def _without_body(coarse: Prepared, head: Head) -> Prepared:
    """Return a coarse view in which the scan ends below the head."""
    lowest_mm = coarse.geometry.affine_lps_mm[2, 3]
    step_mm = coarse.geometry.affine_lps_mm[2, 0]
    body = max(0, round((head.low_lps_mm[2] - BELOW_MM - lowest_mm) / step_mm))
    array = coarse.array.copy()
    array[:body] = array.min()
    return replace(coarse, array=array)


def _look(labels: LabelArray, package: Package, canonical: Canonical) -> _Look:
    """Find out from labels how the head lies."""
    intracranial_ml = measure(labels, package.region_set).intracranial_ml
    pose = find_pose(labels, intracranial_ml, package.region_set, package.placement, canonical)
    check = head_pose(pose, package.placement.tolerance)
    return _Look(labels, None if check.grade is Grade.FAIL else pose, check)


def _coarse_labels(coarse: Prepared, tools: Tools) -> LabelArray:
    return LabelArray(_codes(tools.engine.localise(coarse.array), tools.package), coarse.geometry)


def _labels(prepared: Prepared, tools: Tools) -> LabelArray:
    codes = _codes(tools.engine.segment(prepared.array), tools.package)
    return LabelArray(codes, prepared.geometry)


def _mirrored_labels(prepared: Prepared, tools: Tools) -> LabelArray:
    """Return the labels of the mirrored head, mirrored back."""
    package = tools.package
    classes = tools.engine.segment(mirrored(prepared.array))
    codes = _codes(unmirrored(classes, package.region_set), package)
    return LabelArray(codes, prepared.geometry)


def _measured(
    image: Image,
    head: Head,
    looks: tuple[LabelArray, Prepared],
    tools: Tools,
    watch: Stopwatch,
    *,
    patient: Patient | None,
) -> Measured:
    """Segment for the second look, restore, measure and judge; the first is for agreement."""
    package, (first, prepared) = tools.package, looks
    with watch.stage("segment"):
        on_field = _labels(prepared, tools)
    with watch.stage("restore"):
        labels = restored(on_field.codes, prepared.geometry, image.grid)
    with watch.stage("measure"):
        volumes = measure(labels, package.region_set)
    with watch.stage("judge"):
        region_set, placement = package.region_set, package.placement
        found = assess(labels, on_field, head, volumes, region_set=region_set, placement=placement)
        seen = assess_values(prepared.hu, on_field, region_set, package.likeness)
        agreement = passes_agree(first, on_field, region_set)
        quality = (*found, *_for_age(volumes, patient), agreement, *seen)
    return Measured(labels, volumes, quality)


def _codes(classes: NDArray[np.uint8], package: Package) -> NDArray[np.uint8]:
    return assemble(classes, package.region_set, package.outer_csf)


def _for_age(volumes: Volumes, patient: Patient | None) -> tuple[QualityCheck, ...]:
    """Hold the intracranial volume against children's of this age, of both sexes if unknown."""
    if patient is None or patient.reasons:
        return ()
    sexes = [Sex(patient.sex)] if patient.sex in set(Sex) else list(Sex)
    means = [mean_intracranial_ml(patient.age_days, sex) for sex in sexes]
    known = [mean for mean in means if mean is not None]
    check = size_for_age(volumes.intracranial_ml, known, "CT of children, Liu et al.")
    return () if check is None else (check,)
